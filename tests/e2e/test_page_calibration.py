"""The calibration chart of the tab Backtest in a real Chromium: every level of the published model, and of the symbol in the address."""

import csv
import io
import re

import pytest
import requests
from browsing import COUNT_PIXELS, KEEP_LABELS, MARKS, forecast_symbol, open_backtest, open_once, opened_or_resized, violations
from playwright.sync_api import Page, expect
from scipy.stats import binom

pytestmark = MARKS

DASH = " \N{EN DASH} "
LEVELS = [50, 60, 70, 80, 90, 95, 99]  # of the table
SYMBOL = "/?symbol=KO#backtest"


@pytest.fixture(scope="module")
def tab_options():
    """Canvases keep what is written on them."""
    return {"script": KEEP_LABELS}


def pit_of(url: str) -> list[float]:
    content = requests.get(url, timeout=60).text
    return [float(row["pit"]) for row in csv.DictReader(io.StringIO(content))]


def cells(pit: list[float], level: int) -> list[str]:
    """What the table has for a level: the share of days held, and its range by chance."""
    n = len(pit)
    held = sum(abs(value - 0.5) <= level / 200 + 1e-12 for value in pit)
    low, high = (binom.ppf(tail, n, level / 100) / n for tail in (0.025, 0.975))
    return [f"{held / n:.1%}", f"{low:.1%}{DASH}{high:.1%}"]


def table(page: Page) -> list[list[str]]:
    return [row.locator("th, td").all_inner_texts() for row in page.locator("#calibration-table tbody tr").all()]


def test_calibration_of_the_published_model(page, server):
    page.emulate_media(color_scheme="light")
    open_backtest(page)
    chart = page.get_by_role("img", name="Line chart of how often the interval of each level from 50% to 99% held.")
    expect(chart).to_be_visible()
    assert chart.evaluate(COUNT_PIXELS)[0] > 300, "the shares are not drawn"
    pit = pit_of(f"{server}/backtest?pit=1")
    assert table(page) == [[f"{level}%", *cells(pit, level)] for level in LEVELS]
    expect(page.locator("#calibration-words")).to_have_text(
        f"Test days of MSFT: on {len(pit)} days, 50 of the 50 levels held as often as chance allows."
    )
    expect(page.locator("#calibration-last")).to_be_hidden()
    heads = page.locator("#calibration-table thead th")
    assert [head.inner_text() for head in heads.all() if head.is_visible()] == ["Promised", "Held, test days", "By chance"]
    page.locator("#calibration-chart").focus()
    page.keyboard.press("Home")
    held, chance = cells(pit, 50)
    said = f"50%: Test days of MSFT {held}, by chance {chance.replace(DASH, ' to ')}"
    expect(page.locator("#calibration-readout")).to_have_text(said)


def test_calibration_of_the_symbol_in_the_address(page, server):
    page.emulate_media(color_scheme="light")
    forecast_symbol(page, "KO")
    open_backtest(page)
    expect(page.locator("#calibration-last")).to_have_text("Last 250 days of KO", timeout=60_000)
    published, own = pit_of(f"{server}/backtest?pit=1"), pit_of(f"{server}/backtest/KO?pit=1")
    assert table(page) == [[f"{level}%", *cells(published, level), *cells(own, level)] for level in LEVELS]
    assert page.locator("#calibration-chart canvas").evaluate(COUNT_PIXELS)[3] > 300, "the symbol's shares are not drawn"
    heads = page.locator("#calibration-table thead th").all_inner_texts()
    assert heads == ["Promised", "Held, test days", "By chance", "Held, last days", "By chance"]
    page.get_by_role("tab", name="Forecast").click()
    forecast_symbol(page, "PEP")
    open_backtest(page)
    expect(page.locator("#calibration-last")).to_have_text("Last 250 days of PEP", timeout=60_000)


@pytest.mark.parametrize("width", [320, 1280])
def test_axes_are_in_percent_and_have_a_title(lent_page, server, width):
    lent_page.set_viewport_size({"width": width, "height": 844})
    lent_page.goto(f"{server}/#backtest")
    expect(lent_page.locator("#calibration-chart canvas")).to_be_visible()
    labels = lent_page.locator("#calibration-chart canvas").evaluate("canvas => canvas.labels")
    titles = {"promised level", "share of days held"}
    assert titles <= {label["text"] for label in labels}
    for align in ("center", "right"):  # of x, of y
        texts = {label["text"] for label in labels if label["align"] == align} - titles
        assert len(texts) >= 2
        assert {text[-1] for text in texts} == {"%"}


def test_symbol_without_a_backtest_is_named(page):
    page.route(re.compile("/backtest/KO.*pit"), lambda route: route.fulfill(status=503, json={"error": "Too busy.", "details": []}))
    forecast_symbol(page, "KO")
    open_backtest(page)
    expect(page.locator("#calibration-problem")).to_have_text("The last days of KO are not shown: Too busy.")
    expect(page.locator("#calibration-last")).to_be_hidden()
    assert len(table(page)[0]) == 3


@pytest.mark.parametrize("n", [1, 20, 250, 3000])
@pytest.mark.parametrize("probability", [0.5, 0.8, 0.95, 0.99])
def test_range_by_chance_is_that_of_the_binomial_distribution(open_page, n, probability):
    found = open_page.evaluate(
        "async ([n, p]) => (await import('/static/js/shared/chance.js')).chanceRange(n, p)",
        [n, probability],
    )
    assert found == pytest.approx([binom.ppf(tail, n, probability) / n for tail in (0.025, 0.975)])


@pytest.fixture(scope="module")
def opened_symbol(browser, tab_options, server):
    """A symbol's calibration in a tab of its own, opened once."""
    yield from open_once(browser, server, tab_options, SYMBOL)


@pytest.fixture
def symbol_at(request, server, width, scheme):
    """A symbol's calibration at a width and in a colour scheme: opened at the smallest width, else resized."""
    yield from opened_or_resized(request, server + SYMBOL, "opened_symbol", (width, scheme) == (320, "light"), width=width, scheme=scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_calibration_fits_and_has_no_accessibility_violations(symbol_at, width, scheme):
    expect(symbol_at.locator("#calibration-last")).to_be_visible(timeout=60_000)
    assert symbol_at.evaluate("document.documentElement.scrollWidth") <= width
    if width in {390, 1280}:
        assert violations(symbol_at) == []
