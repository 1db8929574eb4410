"""Documents name files that exist."""

import re

import pytest

from settings import PROJECT_DIR

DOCUMENTS = sorted(
    path.relative_to(PROJECT_DIR).as_posix()
    for pattern in ("*.md", "docs/**/*.md", "benchmarks/*.md", "client/*.md", "deploy/**/*.md", "data/*.md")
    for path in PROJECT_DIR.glob(pattern)
    if path.name != "CHANGELOG.md"  # describes modules of the past
)
MADE_BY_RUNNING = ("mlruns/", "data/cache", "cache/", "modelFiles/versions/", "modelFiles/symbols/")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_linked_files_exist(document):
    path = PROJECT_DIR / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text()):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_and_folders_in_code_marks_exist(document):
    path = PROJECT_DIR / document
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py|(?:[\w-]+/)+)`", path.read_text()):
        if not name.startswith(MADE_BY_RUNNING):
            assert (PROJECT_DIR / name).exists() or (path.parent / name).exists(), name
