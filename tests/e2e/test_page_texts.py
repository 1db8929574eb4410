"""Every text of the page is in the catalogue, and none is in English in Portuguese: in a real Chromium, with right and wrong inputs."""

import sys
from collections.abc import Iterator

import pytest
from browsing import MARKS, open_once, point_at
from faulty_files import WRONG
from playwright.sync_api import Page, expect
from price_files import CONTENTS
from translated import SERVE, ask, choose, mark_catalogue, texts_in_english, unmarked

pytestmark = MARKS

GIVEN = ("Date", "Data", "Close", "\u00daltimo", "column", "symbol", "Adj Close")  # names of columns and parameters


@pytest.fixture(scope="module")
def marked(start_module, tmp_path_factory) -> str:
    """The service with a catalogue in place of Portuguese in which every text is marked."""
    folder = tmp_path_factory.mktemp("marked")
    mark_catalogue(folder)
    command = (sys.executable, "-c", SERVE, str(folder))
    service = start_module(command=command, YAHOO_URL="http://127.0.0.1:1", DATA_CACHE_DIR=str(folder / "cache"))
    return str(service.url)


@pytest.fixture(scope="module")
def tab_options():
    """Of a reader of Portuguese."""
    return {"locale": "pt-BR"}


@pytest.fixture
def marked_page(tab, marked) -> Iterator[Page]:
    """The page of that service as it opens."""
    with tab.lent(marked) as page:
        page.goto(marked)
        yield page


@pytest.fixture(scope="module")
def open_marked_page(browser, tab_options, marked) -> Iterator[Page]:
    """The page of that service as the test before has left it."""
    yield from open_once(browser, marked, tab_options)


def test_every_text_of_a_forecast_is_in_the_catalogue(marked_page):
    expect(marked_page.locator("#chart canvas")).to_be_visible()
    assert unmarked(marked_page) == []
    for share in (0.3, 0.95):
        point_at(marked_page, share)
        assert unmarked(marked_page) == []
    marked_page.locator("#above").fill("250")
    marked_page.locator("#above-form button").click()
    expect(marked_page.locator("#above-answer")).not_to_be_empty()
    point_at(marked_page, 0.95)
    assert unmarked(marked_page) == []
    for wrong in ("nothing", "-1"):
        marked_page.locator("#above").fill(wrong)
        marked_page.locator("#above-form button").click()
        expect(marked_page.locator("#above-error")).not_to_be_empty()
        assert unmarked(marked_page) == []
    marked_page.locator("#copy").click()
    expect(marked_page.locator("#copy-status")).not_to_be_empty()
    assert unmarked(marked_page) == []


@pytest.mark.parametrize("question", ["", "KO", "NOSUCH", "BRK.B", "1 2 3 x 4 5", "not a symbol at all!", ", ".join(["5"] * 59 + ["6"])])
def test_every_text_about_a_question_is_in_the_catalogue(open_marked_page, question):
    ask(open_marked_page, question)
    assert unmarked(open_marked_page, question) == []


@pytest.mark.parametrize("name", ["investing_pt.csv", "footer.csv", "old_zero.csv", "close_only.csv", "weekly.csv", "kaggle_multi.csv"])
def test_every_text_about_a_file_is_in_the_catalogue(open_marked_page, name):
    choose(open_marked_page, "x.csv", CONTENTS[name])
    assert unmarked(open_marked_page, "x.csv", *GIVEN) == []


def test_every_text_of_the_other_tabs_is_in_the_catalogue(marked_page, marked):
    marked_page.goto(f"{marked}/?watch=KO,NOSUCH")
    expect(marked_page.locator("#watch-table tbody tr.failed")).to_be_visible()
    expect(marked_page.locator("#watch-table tbody .bone")).to_have_count(0)
    assert unmarked(marked_page, "NOSUCH") == []
    marked_page.locator("#tab-backtest").click()
    expect(marked_page.locator("#backtest-chart canvas")).to_be_visible()
    point_at(marked_page, 0.5, "backtest-chart")
    assert unmarked(marked_page, "NOSUCH") == []
    marked_page.locator("#tab-monitoring").click()
    expect(marked_page.locator("#requests-table tbody tr").first).to_be_visible()
    point_at(marked_page, 0.5, "rate-chart")
    point_at(marked_page, 0.5, "latency-chart")
    assert unmarked(marked_page, "NOSUCH") == []


def test_every_text_of_an_error_page_is_in_the_catalogue(marked_page, marked):
    for address in ("/nothing", "/mlflow"):
        marked_page.goto(f"{marked}{address}")
        assert unmarked(marked_page) == []


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_file_is_explained_in_portuguese(open_page, name):
    choose(open_page, "precos.csv", WRONG[name])
    assert texts_in_english(open_page) == []


@pytest.mark.parametrize("question", ["", "KO", "NOSUCH", "BRK.B", "1 2 3 x 4 5", "nada disso!", ", ".join(["5"] * 59 + ["6"])])
def test_question_is_answered_in_portuguese(open_page, question):
    ask(open_page, question)
    assert texts_in_english(open_page) == []


def test_tabs_and_error_pages_are_in_portuguese(lent_page, server):
    lent_page.goto(f"{server}/?watch=KO,NOSUCH")
    expect(lent_page.locator("#watch-table tbody tr.failed")).to_be_visible()
    expect(lent_page.locator("#watch-table tbody .bone")).to_have_count(0)
    assert texts_in_english(lent_page) == []
    lent_page.goto(f"{server}/#backtest")
    expect(lent_page.locator("#backtest-chart canvas")).to_be_visible()
    assert texts_in_english(lent_page) == []
    lent_page.locator("#tab-monitoring").click()
    expect(lent_page.locator("#requests-table tbody tr").first).to_be_visible()
    assert texts_in_english(lent_page) == []
    for address in ("/nothing", "/mlflow"):
        lent_page.goto(f"{server}{address}")
        assert texts_in_english(lent_page) == []
