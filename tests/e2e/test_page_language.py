"""The page in Portuguese, in a real Chromium: the switch of the language, and how numbers, dates and prices are written."""

import json
import re
from urllib.parse import urlsplit

import pytest
from browsing import MARKS, opened_or_resized, violations, wait_drawn
from playwright.sync_api import expect

from api import texts
from translations import makeTexts

pytestmark = MARKS

VALUES = ("1,234.5", "2024-02-29", "'a, b'", "x y")  # of sentences
TELL = """async sentences => {
  const { loadSentences, told } = await import("/static/js/shared/sentences.js");
  await loadSentences();
  return sentences.map((sentence) => told(sentence));
}"""


@pytest.fixture(scope="module")
def tab_options():
    """Of a reader of Portuguese."""
    return {"locale": "pt-BR"}


def test_numbers_dates_and_durations_are_written_as_in_brazil(page):
    written = page.evaluate(
        """async () => {
          const format = await import('/static/js/shared/format.js');
          const { nt } = await import('/static/js/shared/texts.js');
          return [
            format.priceFormat(1234.56)(1234.56), format.percent(0.8, 0), format.percent(0.123), format.duration(0.0125),
            format.duration(2.5),
            format.dayText('2026-11-30'), format.dayName('2026-11-30').split(', ').slice(-2).join(', '),
            format.utc(new Date(Date.UTC(2026, 10, 30, 9, 5, 7))),
            format.decimals(0.99921, 4), format.number(1034),
            nt('{count} trading day', '{count} trading days', 1), nt('{count} trading day', '{count} trading days', 1234),
          ];
        }"""
    )
    assert written == [
        *("1.234,56", "80%", "12,3%", "13 ms", "2,5 s", "30/11/2026", "seg., 30 de nov. de 2026", "30/11/2026 09:05:07", "0,9992", "1.034"),
        *("1 preg\u00e3o", "1.234 preg\u00f5es"),
    ]


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("250,5", 250.5),
        ("250.5", 250.5),
        ("1.234,56", 1234.56),
        ("1.234", 1234),
        ("1234", 1234),
        (" 12,50 ", 12.5),
        ("1.234.567,8", 1234567.8),
    ],
)
def test_price_may_have_a_decimal_comma(open_page, text, price):
    with open_page.expect_request("**/predict") as sent:
        open_page.locator("#above").fill(text)
        open_page.locator("#above-form button").click()
    assert json.loads(sent.value.post_data)["above"] == [price]
    expect(open_page.locator("#above-answer")).to_contain_text(f"acima de {text.strip()} com probabilidade de")


@pytest.mark.parametrize("text", ["1,2,3", "1.23,4.5", "x", "-5", "0", "1.234.5"])
def test_wrong_price_is_refused_in_portuguese(open_page, text):
    open_page.locator("#above").fill(text)
    open_page.locator("#above-form button").click()
    expect(open_page.locator("#above-error")).to_contain_text("Digite um pre\u00e7o positivo")


def test_line_of_the_price_writes_a_price_that_can_be_read_again(page):
    expect(page.locator("#chart canvas")).to_be_visible()
    with page.expect_request("**/predict") as sent:
        page.locator("#price-line").press("ArrowUp")
    (price,) = json.loads(sent.value.post_data)["above"]
    expect(page.locator("#above")).to_have_value(f"{price:.2f}".replace(".", ","))
    expect(page.locator("#above-answer")).to_contain_text(f"acima de {price:.2f}".replace(".", ","))


def test_downloads_and_calls_stay_machine_readable(page):
    expect(page.locator("#call")).to_contain_text('"levels":[50,80,95]')
    assert "curl -sS" in page.locator("#call").inner_text()
    with page.expect_download() as download:
        page.locator("#save-csv").click()
    header, first, *_ = download.value.path().read_text().splitlines()
    assert header == "step,date,forecast,low_80,high_80,low_95,high_95"
    step, day, *prices = first.split(",")
    assert (step, day) == ("1", "2022-12-29")
    assert [float(price) > 0 for price in prices] == [True] * 5


def test_language_is_switched_by_keyboard_and_remembered(browser, server):
    context = browser.new_context(locale="en-US", viewport={"width": 390, "height": 800})
    page = context.new_page()
    page.goto(f"{server}/?symbol=KO#backtest")
    assert page.locator("html").get_attribute("lang") == "en"
    switch = page.get_by_role("link", name="Portugu\u00eas")
    assert switch.get_attribute("lang") == "pt-BR"
    box = switch.bounding_box()
    assert box is not None
    assert box["height"] >= 44
    assert box["width"] >= 44
    switch.focus()
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    assert urlsplit(page.url)[3:] == ("symbol=KO&lang=pt", "backtest")
    expect(page.locator("#backtest-title")).to_be_visible()
    page.goto(f"{server}/")
    assert page.locator("html").get_attribute("lang") == "pt-BR"
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    page.goto(f"{server}/nothing")
    assert page.locator("html").get_attribute("lang") == "en"
    context.close()


def test_language_is_switched_without_javascript(browser, server):
    context = browser.new_context(locale="pt-PT", java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{server}/?symbol=KO")
    assert page.locator("html").get_attribute("lang") == "pt-BR"
    page.get_by_role("link", name="English").click()
    assert page.locator("html").get_attribute("lang") == "en"
    assert urlsplit(page.url).query == "symbol=KO&lang=en"
    context.close()


def test_question_is_kept_when_the_language_is_switched(page):
    closes = ", ".join(str(100.5 + day) for day in range(60))
    field, title = page.locator("#question"), page.locator("#result-title")
    field.fill(closes)
    page.locator("#submit").click()
    expect(title).to_have_text("Seus fechamentos")
    page.get_by_role("link", name="English").click()
    expect(title).to_have_text("Your closes")
    expect(field).to_have_value(closes)
    assert "100.5" not in page.url
    page.reload()
    expect(title).to_have_text("MSFT, an example")
    expect(field).to_have_value("")
    field.fill("not asked")
    page.get_by_role("link", name="Portugu\u00eas").click()
    expect(title).to_have_text("MSFT, um exemplo")
    expect(field).to_have_value("not asked")
    expect(page.locator("#question-error")).to_be_empty()


def test_forecast_that_is_shown_after_back_is_kept_when_the_language_is_switched(page):
    title = page.locator("#result-title")
    for symbol in ("JNJ", "KO"):
        page.locator("#question").fill(symbol)
        page.locator("#submit").click()
        expect(title).to_have_text(symbol, timeout=60_000)
    page.go_back()
    expect(title).to_have_text("JNJ")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(title).to_have_text("JNJ", timeout=60_000)
    assert "symbol=JNJ" in page.url


@pytest.fixture
def example_at(request, server, width, scheme):
    """The page at a width and in a colour scheme: opened at the smallest width, else resized."""
    is_opened = (width, scheme) == (390, "light")
    yield from opened_or_resized(request, server, "example", is_opened, width=width, height=900, scheme=scheme)


@pytest.mark.parametrize("width", [390, 1280, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_in_portuguese_fits_and_is_accessible(example_at, width):
    expect(example_at.locator("#chart canvas")).to_be_attached()
    if width == 390:
        assert max(tab.bounding_box()["height"] for tab in example_at.get_by_role("tab").all()) < 60, "a tab has two lines"
        example_at.locator("#tab-watchlist").click()
        expect(example_at.locator("#watch-table .sparkline")).to_have_count(5, timeout=60_000)
        notes = example_at.locator("#watch-table tbody small:visible").all()
        assert not [note.inner_text() for note in notes if note.evaluate("note => note.scrollWidth > note.clientWidth")], "cut off"
    for tab, drawn in (("forecast", "#chart"), ("backtest", "#backtest-chart"), ("monitoring", "#rate-chart")):
        example_at.locator(f"#tab-{tab}").click()
        expect(example_at.locator(f"{drawn} canvas")).to_be_visible()
        wait_drawn(example_at)
        assert example_at.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(example_at) == []


def test_page_without_the_sentences_shows_them_in_english(page):
    page.route("**/sentences/*", lambda route: route.abort())
    page.reload()
    page.locator("#question").fill("1 2 3 x 4 5")
    page.locator("#submit").click()
    expect(page.locator("#question-error")).to_contain_text("The input has no header")
    page.unroute("**/sentences/*")
    page.locator("#submit").click()
    expect(page.locator("#question-error")).to_contain_text("O conte\u00fado n\u00e3o tem cabe\u00e7alho")


def test_browser_and_server_translate_alike(page):
    sentences = [re.sub(r"\{\w+\}", value, sentence) for sentence in makeTexts.sentences() for value in VALUES]
    told = page.evaluate(TELL, sentences)
    assert told == [texts.of("pt-BR").told(sentence) for sentence in sentences]
