"""Every text of the page is in the catalogue, and none is in English in Portuguese: in a real Chromium, with right and wrong inputs."""

import sys
from collections.abc import Iterator

import pytest
from browsing import MARKS, point_at
from faulty_files import WRONG
from playwright.sync_api import Browser, Page, expect
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


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page for readers of Portuguese."""
    context = browser.new_context(locale="pt-BR", viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_every_text_of_a_forecast_is_in_the_catalogue(page, marked):
    page.goto(marked)
    expect(page.locator("#chart canvas")).to_be_visible()
    assert unmarked(page) == []
    for share in (0.3, 0.95):
        point_at(page, share)
        assert unmarked(page) == []
    page.locator("#above").fill("250")
    page.locator("#above-form button").click()
    expect(page.locator("#above-answer")).not_to_be_empty()
    point_at(page, 0.95)
    assert unmarked(page) == []
    for wrong in ("nothing", "-1"):
        page.locator("#above").fill(wrong)
        page.locator("#above-form button").click()
        expect(page.locator("#above-error")).not_to_be_empty()
        assert unmarked(page) == []
    page.locator("#copy").click()
    expect(page.locator("#copy-status")).not_to_be_empty()
    assert unmarked(page) == []


@pytest.mark.parametrize("question", ["", "KO", "NOSUCH", "BRK.B", "1 2 3 x 4 5", "not a symbol at all!", ", ".join(["5"] * 59 + ["6"])])
def test_every_text_about_a_question_is_in_the_catalogue(page, marked, question):
    page.goto(marked)
    ask(page, question)
    assert unmarked(page, question) == []


@pytest.mark.parametrize("name", ["investing_pt.csv", "footer.csv", "old_zero.csv", "close_only.csv", "weekly.csv", "kaggle_multi.csv"])
def test_every_text_about_a_file_is_in_the_catalogue(page, marked, name):
    page.goto(marked)
    choose(page, "x.csv", CONTENTS[name])
    assert unmarked(page, "x.csv", *GIVEN) == []


def test_every_text_of_the_other_tabs_is_in_the_catalogue(page, marked):
    page.goto(f"{marked}/?watch=KO,NOSUCH")
    expect(page.locator("#watch-table tbody tr.failed")).to_be_visible()
    expect(page.locator("#watch-table tbody .bone")).to_have_count(0)
    assert unmarked(page, "NOSUCH") == []
    page.locator("#tab-backtest").click()
    expect(page.locator("#backtest-chart canvas")).to_be_visible()
    point_at(page, 0.5, "backtest-chart")
    assert unmarked(page, "NOSUCH") == []
    page.locator("#tab-monitoring").click()
    expect(page.locator("#requests-table tbody tr").first).to_be_visible()
    point_at(page, 0.5, "rate-chart")
    point_at(page, 0.5, "latency-chart")
    assert unmarked(page, "NOSUCH") == []


def test_every_text_of_an_error_page_is_in_the_catalogue(page, marked):
    for address in ("/nothing", "/mlflow"):
        page.goto(f"{marked}{address}")
        assert unmarked(page) == []


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_file_is_explained_in_portuguese(page, server, name):
    page.goto(server)
    choose(page, "precos.csv", WRONG[name])
    assert texts_in_english(page) == []


@pytest.mark.parametrize("question", ["", "KO", "NOSUCH", "BRK.B", "1 2 3 x 4 5", "nada disso!", ", ".join(["5"] * 59 + ["6"])])
def test_question_is_answered_in_portuguese(page, server, question):
    page.goto(server)
    ask(page, question)
    assert texts_in_english(page) == []


def test_tabs_and_error_pages_are_in_portuguese(page, server):
    page.goto(f"{server}/?watch=KO,NOSUCH")
    expect(page.locator("#watch-table tbody tr.failed")).to_be_visible()
    expect(page.locator("#watch-table tbody .bone")).to_have_count(0)
    assert texts_in_english(page) == []
    page.goto(f"{server}/#backtest")
    expect(page.locator("#backtest-chart canvas")).to_be_visible()
    assert texts_in_english(page) == []
    page.locator("#tab-monitoring").click()
    expect(page.locator("#requests-table tbody tr").first).to_be_visible()
    assert texts_in_english(page) == []
    for address in ("/nothing", "/mlflow"):
        page.goto(f"{server}{address}")
        assert texts_in_english(page) == []
