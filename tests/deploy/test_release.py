"""What a release needs: one version everywhere, notes of it, and actions that nobody can change."""

import re
import subprocess
import sys

import pytest
import yaml
from api_description import SWAGGER
from releaseNotes import notes_of, project_version

from settings import PROJECT_DIR

WORKFLOWS = sorted((PROJECT_DIR / ".github" / "workflows").glob("*.y*ml"))
CHANGELOG = (PROJECT_DIR / "CHANGELOG.md").read_text()
SAMPLE = """# Changelog

## [Unreleased]

## [1.0.1] - 2026-12-24

### Fixed

- A close of 0.

## [1.0.0] - 2026-12-01

### Added

- The service.

[1.0.1]: https://example.com
"""


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_with_the_version_in_a_comment(workflow):
    used = re.findall(r"^\s*(?:- )?uses: *(.+)$", workflow.read_text(), re.MULTILINE)
    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_commit_in_all_workflows():
    pins = {pin for workflow in WORKFLOWS for pin in re.findall(r"uses: ([\w/-]+@\w+ # .+)", workflow.read_text())}
    names = [pin.partition("@")[0] for pin in pins]
    assert len(names) == len(set(names)), sorted(pins)


def test_version_is_the_same_in_pyproject_and_swagger():
    assert SWAGGER["info"]["version"] == project_version()


def test_changelog_has_notes_of_the_version_or_of_the_next_one():
    # Before the release its notes are under Unreleased; the release renames the heading.
    assert "## [Unreleased]" in CHANGELOG
    notes = notes_of(CHANGELOG, project_version()) or notes_of(CHANGELOG, "Unreleased")
    assert notes.startswith("### Added")
    assert notes.count("\n- ") > 20


def test_notes_are_the_text_under_the_heading_of_the_version():
    assert notes_of(SAMPLE, "1.0.1") == "### Fixed\n\n- A close of 0."
    assert notes_of(SAMPLE, "1.0.0") == "### Added\n\n- The service."
    assert notes_of(SAMPLE, "Unreleased") == ""
    assert notes_of(SAMPLE, "1.0") == ""


def run(folder, version):
    call = [sys.executable, str(folder / "deploy" / "releaseNotes.py"), version]
    return subprocess.run(call, capture_output=True, text=True, check=False)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "releaseNotes.py").write_bytes((PROJECT_DIR / "deploy" / "releaseNotes.py").read_bytes())
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.0.1"\n')
    (tmp_path / "CHANGELOG.md").write_text(SAMPLE)
    return tmp_path


def test_command_prints_the_notes_of_a_tag(project):
    assert run(project, "v1.0.1").stdout == "### Fixed\n\n- A close of 0.\n"


def test_command_refuses_a_tag_that_is_not_the_version_of_the_project(project):
    done = run(project, "v1.0.2")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the version is 1.0.1 in pyproject.toml, not 1.0.2" in done.stderr


def test_command_refuses_a_version_without_notes(project):
    (project / "pyproject.toml").write_text('[project]\nversion = "1.1.0"\n')
    done = run(project, "v1.1.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "CHANGELOG.md has no notes under a heading [1.1.0]" in done.stderr


def test_release_runs_the_tests_before_it_publishes():
    release = yaml.safe_load((PROJECT_DIR / ".github" / "workflows" / "release.yml").read_text())
    assert release["jobs"]["publish"]["needs"] == "tests"
    steps = [step.get("name", step.get("uses", "")) for step in release["jobs"]["publish"]["steps"]]
    assert steps.index("Smoke tests") < steps.index("Push, with an SBOM by Syft and the build's provenance") < steps.index("Release")
