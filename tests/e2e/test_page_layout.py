"""The page at the widths of phones and screens: nothing is cut off, too small or broken into lines, in a real Chromium."""

import pytest
from browsing import (
    MARKS,
    forecast,
    forecast_symbol,
    open_backtest,
    open_details,
    open_monitoring,
    shown_at,
    small_controls,
)
from playwright.sync_api import Page, expect

# The dates in sight, and those of them that stand in two lines.
BROKEN_DATES = r"""() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [], broken = [];
  while (walker.nextNode()) {
    for (const { index, 0: text } of walker.currentNode.data.matchAll(/\d{4}-\d{2}-\d{2}/g)) {
      const range = document.createRange();
      range.setStart(walker.currentNode, index);
      range.setEnd(walker.currentNode, index + text.length);
      const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
      found.push(...(lines.size ? [text] : []));
      broken.push(...(lines.size > 1 ? [walker.currentNode.data] : []));
    }
  }
  return { dates: found.length, broken };
}"""

pytestmark = MARKS


@pytest.fixture
def page_at(open_page, width):
    """The page at the width of a test, on its first tab."""
    open_page.get_by_role("tab", name="Forecast").click()
    with shown_at(open_page, width):
        yield open_page


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_page_does_not_scroll_sideways(page_at, width):
    page = page_at
    forecast(page)
    open_details(page, "Forecast as a table")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    chart, panel = (page.locator(selector).bounding_box() for selector in ("#chart canvas", "#result"))
    assert chart["x"] + chart["width"] <= panel["x"] + panel["width"], "the chart is cut off"
    for link in page.get_by_role("navigation", name="Service").get_by_role("link").all():
        box = link.bounding_box()
        assert box["x"] + box["width"] <= width, "a link is cut off"


def open_forecast(page: Page) -> None:
    page.get_by_role("tab", name="Forecast").click()
    expect(page.locator("#chart canvas")).to_be_visible()


def open_tab(page: Page, name: str) -> None:
    """Show a tab with what it fetches."""
    {"Forecast": open_forecast, "Backtest": open_backtest, "Monitoring": open_monitoring}[name](page)


@pytest.mark.parametrize("name", ["Forecast", "Backtest", "Monitoring"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_controls_are_large_enough_for_a_finger(example, name, width):
    with shown_at(example, width):
        open_forecast(example)  # else the tab may be open, and fetches nothing
        open_tab(example, name)
        assert small_controls(example.locator("button, summary, input, textarea, nav a, [role=tab], figure a")) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_dates_do_not_break_at_hyphens(page_at, width):
    page = page_at
    forecast_symbol(page, "JNJ")
    expect(page.locator("#result-title")).to_have_text("JNJ")
    open_details(page, "About the model")
    for name in ("Forecast", "Backtest"):
        open_tab(page, name)
        broken = page.evaluate(BROKEN_DATES)
        assert broken["dates"] >= 3
        assert broken["broken"] == []
