"""Pages and pictures of the documentation that are made from other files are up to date."""

import pytest
from hooks import picture_name
from makeDiagrams import FOLDER, diagrams
from makePages import PAGES

from settings import PROJECT_DIR


@pytest.mark.parametrize("name", PAGES)
def test_generated_page_is_up_to_date(name):
    given = (PROJECT_DIR / "docs" / "reference" / name).read_text()
    assert given == PAGES[name](), "run: make pages"


def test_each_diagram_has_its_picture_and_no_other_is_left():
    assert {file.name for file in FOLDER.glob("*.svg")} == set(map(picture_name, diagrams())), "run: make diagrams"
