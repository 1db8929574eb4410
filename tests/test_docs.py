"""Documents name files, commands and options that exist, and translations keep in step. tests/e2e/test_docs.py runs what they say."""

import re

import pytest
from documents import DOCUMENTS, Block, blocks, headings, read
from makePages import COMMANDS, parser_of

from settings import PROJECT_DIR

MADE_BY_RUNNING = ("mlruns/", "data/cache", "cache/", "modelFiles/versions/", "modelFiles/symbols/", "site/")
MAKEFILE = (PROJECT_DIR / "Makefile").read_text()
TRANSLATIONS = {
    "README.pt-BR.md": "README.md",
    "docs/pt/tutorial.md": "docs/tutorial.md",
    "docs/pt/own-data.md": "docs/how-to/own-data.md",
    "docs/pt/many-symbols.md": "docs/how-to/many-symbols.md",
    "docs/pt/retraining.md": "docs/how-to/retraining.md",
}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_linked_files_exist(document):
    path = PROJECT_DIR / document
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.S | re.M)):
        assert (path.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS)
def test_modules_and_folders_in_code_marks_exist(document):
    path = PROJECT_DIR / document
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.py|(?:[\w-]+/)+)`", path.read_text()):
        if not name.startswith(MADE_BY_RUNNING):
            assert (PROJECT_DIR / name).exists() or (path.parent / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS)
def test_make_targets_exist(document):
    for target in re.findall(r"(?:`|^|&& |sudo )make ([a-z][a-z-]*)", read(document), flags=re.M):
        assert f"\n{target}:" in MAKEFILE, target


@pytest.mark.parametrize("command", COMMANDS)
def test_options_of_the_commands_exist(command):
    """In each document, also in sentences and in blocks that are not run."""
    known = {name for action in parser_of(COMMANDS[command])._actions for name in action.option_strings}
    for document in DOCUMENTS:
        for line in re.findall(rf"(?<![\w-]){re.escape(command)}\b([^`\n]*)", read(document)):
            given = re.findall(r"(?<=\s)--[a-z-]+", line.partition("#")[0])
            assert set(given) <= known, f"{document}: {command}{line}"


def test_readme_is_short_and_begins_in_both_languages():
    lines = read("README.md").splitlines()
    assert len(lines) < 150
    assert any("README.pt-BR.md" in line for line in lines[:4])
    assert any("(README.md)" in line for line in read("README.pt-BR.md").splitlines()[:4])


@pytest.mark.parametrize("translation", TRANSLATIONS)
def test_translations_have_the_same_headings_and_code(translation):
    original = TRANSLATIONS[translation]
    assert [level for level, _ in headings(translation)] == [level for level, _ in headings(original)]
    assert [shown(block) for block in blocks(translation)] == [shown(block) for block in blocks(original)]


def shown(block: Block) -> tuple[str, str, bool]:
    """What must be the same in a translation: language, code and whether it is run; the reason may be translated."""
    return block.language, block.code, block.reason is None


def test_every_document_in_portuguese_is_compared():
    assert {name for name in DOCUMENTS if name.startswith("docs/pt/") or ".pt-BR." in name} == set(TRANSLATIONS)


@pytest.mark.parametrize("document", [*TRANSLATIONS, "translations/pt_BR/LC_MESSAGES/messages.po", "mkdocs.yml"])
def test_portuguese_has_one_word_for_a_symbol(document):
    assert re.findall(r"(?i)\w*s\u00edmbolo\w*", read(document)) == []  # it is ativo, and its text is c\u00f3digo de ativo
