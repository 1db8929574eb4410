"""The page at 200% zoom in a real Chromium: a window of 1280 pixels shows 640 CSS pixels then, each twice as large."""

from collections.abc import Iterator

import pytest
from browsing import MARKS, forecast_symbol, open_backtest, open_monitoring
from playwright.sync_api import BrowserContext, Page, expect

pytestmark = MARKS

# The texts and controls in sight that are cut off, covered by something else, or overlap each other.
FAULTS = """() => {
  const isShown = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
  const scrolls = (element) => element.closest(".wide, .chips, nav, pre, thead tr, .plot, .unseen, .upload") !== null;
  const boxes = [];
  const faults = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { parentElement: parent, data } = walker.currentNode;
    if (!data.trim() || !isShown(parent) || scrolls(parent)) {
      continue;
    }
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    for (const box of range.getClientRects()) {
      if (box.left < -1 || box.right > innerWidth + 1) {
        faults.push(`beyond the window: ${data.trim()}`);
      }
      for (let outer = parent; outer; outer = outer.parentElement) {
        const frame = outer.getBoundingClientRect();
        if (getComputedStyle(outer).overflowX !== "visible" && (box.right > frame.right + 1 || box.left < frame.left - 1)) {
          faults.push(`cut off: ${data.trim()}`);
        }
      }
      boxes.push({ parent, box, text: data.trim() });
    }
  }
  for (const [index, one] of boxes.entries()) {
    for (const other of boxes.slice(index + 1)) {
      const width = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const height = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      if (one.parent !== other.parent && width > 2 && height > 6) {
        faults.push(`overlap: ${one.text} and ${other.text}`);
      }
    }
  }
  for (const control of document.querySelectorAll("main button, main a, main input:not([type=file]), main textarea, main summary")) {
    if (isShown(control) && !scrolls(control)) {
      control.scrollIntoView({ block: "center" });
      const { left, right, top, bottom } = control.getBoundingClientRect();
      const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
      if (!hit || !(control.contains(hit) || hit.contains(control))) {
        faults.push(`covered: ${control.outerHTML.slice(0, 80)}`);
      }
    }
  }
  return faults;
}"""


@pytest.fixture(scope="module")
def context(browser) -> Iterator[BrowserContext]:
    """It keeps the files of the page for the next test."""
    context = browser.new_context(viewport={"width": 640, "height": 450}, device_scale_factor=2)
    yield context
    context.close()


@pytest.fixture
def zoomed(context, server) -> Iterator[Page]:
    """The page as it opens."""
    page = context.new_page()
    page.goto(server)
    yield page
    page.close()


def check(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 640
    assert page.evaluate(FAULTS) == []


def test_forecast_fits_at_200_percent(zoomed):
    forecast_symbol(zoomed, "JNJ")
    expect(zoomed.locator("#result-title")).to_have_text("JNJ")
    zoomed.get_by_text("Forecast as a table").click()
    zoomed.get_by_text("About the model").click()
    check(zoomed)
    forecast_symbol(zoomed, "NOSUCH")
    expect(zoomed.locator("#question-error")).to_contain_text("No other source has closes of NOSUCH.", timeout=60_000)
    check(zoomed)


def test_watchlist_fits_at_200_percent(zoomed, server):
    zoomed.goto(f"{server}/?watch=MSFT,KO,JNJ,AMD,NOSUCH")
    expect(zoomed.locator("#watch-table .sparkline")).to_have_count(4, timeout=60_000)
    expect(zoomed.locator("#watch-table .failed")).to_have_count(1)
    check(zoomed)


def test_backtest_fits_at_200_percent(zoomed):
    forecast_symbol(zoomed, "KO")
    open_backtest(zoomed)
    expect(zoomed.locator("#calibration-last")).to_be_visible()
    check(zoomed)


def test_monitoring_fits_at_200_percent(zoomed):
    open_monitoring(zoomed)
    expect(zoomed.locator("#models-table tbody tr")).to_have_count(1)
    check(zoomed)
