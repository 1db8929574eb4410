"""The catalogues in translations/ have every text of the page, and what is made from them is up to date."""

import re

import pytest

from translations import makeTexts

NAMES = re.compile(r"%\((\w+)\)|\{(\w+)\}|(%%)")  # of values, and percent signs

LANGUAGES = makeTexts.languages()


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture(scope="module")
def catalog(language):
    return makeTexts.merged(language)


def test_every_text_is_translated(catalog):
    missing = makeTexts.missing(catalog)
    assert missing == [], "write their translations into messages.po, then: make texts"


def test_catalogue_and_what_is_made_from_it_are_up_to_date(catalog, language):
    stale = [file.name for file, content in makeTexts.made(catalog, language).items() if file.read_bytes() != content]
    assert stale == [], "run: make texts"


def test_translations_have_the_values_of_the_english_text(catalog):
    wrong = []
    for message in catalog:
        if not message.id:
            continue
        english = [message.id] if isinstance(message.id, str) else list(message.id)
        translated = [message.string] if isinstance(message.string, str) else list(message.string)
        names = {name for text in english for name in NAMES.findall(text)}
        many = set(NAMES.findall(english[-1]))
        for number, text in enumerate(translated):
            found = set(NAMES.findall(text))
            if not (found <= names and (number == 0 or many <= found) and (len(english) > 1 or names <= found)):
                wrong.append((english[0], text))
    assert wrong == []


def test_plural_forms_are_those_of_the_browser(catalog):
    assert (catalog.num_plurals, catalog.plural_expr) == (2, "(n > 1)")  # as Intl.PluralRules: one, other


def test_sentences_are_listed_once():
    sentences = makeTexts.sentences()
    assert len(sentences) == len(set(sentences))
