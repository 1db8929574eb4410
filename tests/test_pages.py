"""The documentation site: pages that come from code are up to date, and the site builds without warnings and without other hosts."""

import os
import re
import subprocess
import sys

import pytest
from hooks import picture_name
from makeDiagrams import FOLDER, diagrams
from makePages import PAGES

from settings import PROJECT_DIR


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_up_to_date(name):
    given = (PROJECT_DIR / "docs" / "reference" / name).read_text()
    assert given == PAGES[name](), "run: python docs/makePages.py"


def test_each_diagram_has_its_picture_and_no_other_is_left():
    assert {file.name for file in FOLDER.glob("*.svg")} == set(map(picture_name, diagrams())), "run: make diagrams"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, as `make docs` builds it. A warning fails the build."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    return folder


@pytest.mark.slow
def test_site_has_a_page_per_document(site):
    for page in (
        "index.html",
        "tutorial/index.html",
        "deploy/ec2/index.html",
        "pt/index.html",
        "decisions/0001-relative-windows/index.html",
    ):
        assert (site / page).is_file()
    assert "forecast_one" in (site / "reference" / "python" / "index.html").read_text()  # from the docstrings
    assert (site / "static" / "screenshot.png").is_file()
    assert not list(site.rglob("*.md"))


@pytest.mark.slow
def test_pages_load_nothing_from_other_hosts(site):
    for page in site.rglob("*.html"):
        text = re.sub(r'<link rel="(?:canonical|edit)"[^>]*>', "", page.read_text())
        assert not re.findall(r"<(?:script|link|img|iframe|source)[^>]*(?:src|href)=\"?(?:https?:)?//[^>]*>", text), page
    for sheet in site.rglob("*.css"):
        assert not re.findall(r"@import[^;]*//|url\([\"']?(?:https?:)?//", sheet.read_text()), sheet


@pytest.mark.slow
def test_portuguese_pages_say_their_language(site):
    assert '<html lang="pt-BR"' in (site / "pt" / "tutorial" / "index.html").read_text()
    assert '<html lang="en"' in (site / "tutorial" / "index.html").read_text()
