"""What the tests of the page share: a server, the requests of a page, and the usual steps on it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)  # fmt: skip
from serving import starting

from benchPage import find_chromium

FIELD = "Symbol, closes or a price file"  # label of the field
KEY = "key-of-the-test"  # of the service `guarded`
LEVELS = [50, 80, 95]  # that the page asks for
PROJECT = Path(__file__).resolve().parents[2]
CHROMIUM = find_chromium()
expect.set_options(timeout=30_000)  # milliseconds: on a busy machine an answer may take a while
VIEWPORT: ViewportSize = {"width": 1280, "height": 900}
MARKS = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: make chromium")]

# How many pixels of a canvas are nearly black, as the line of closes is in the light scheme, how many show each interval's shade, and how
# many the forecast's blue.
COUNT_PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let dark = 0, outer = 0, inner = 0, blueLine = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [red, , blue, opacity] = data.subarray(i, i + 4);
    dark += opacity > 200 && blue < 60;
    outer += blue - red > 60 && opacity > 30 && opacity < 60;
    inner += blue - red > 60 && opacity > 90 && opacity < 130;
    blueLine += blue - red > 100 && opacity > 200;
  }
  return [dark, outer, inner, blueLine];
}"""

DRAWN_AT = 'performance.getEntriesByName("chart")[0]?.startTime ?? -1'  # when the forecast's chart was last redrawn, in ms

# Also what the page still asks for, so that it saves nothing later, and its address: one that differs only after the # opens nothing.
FORGET = "stop(); localStorage.clear(); sessionStorage.clear(); history.replaceState(null, '', '/health')"

FORGET_ANSWER = """() => {
  for (const id of ["result-title", "question-error", "above-answer", "above-error"]) {
    document.getElementById(id).replaceChildren();
  }
}"""

FORGET_FIGURES = """() => {
  for (const figure of document.querySelectorAll("[data-monitor]")) {
    figure.replaceChildren();
  }
}"""

# The first of two frames lays out the page and tells its charts their size and colours; the second one comes after that.
TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"

FIND_VIOLATIONS = """async () => {
  const { violations } = await axe.run({ resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
}"""

SMALL = """controls => controls.filter((control) => {
  const { width, height } = control.getBoundingClientRect();
  return Math.min(width, height) < 44;
}).map(({ outerHTML }) => outerHTML)"""

# Lets each canvas keep the texts of its last drawing, each with its box.
KEEP_LABELS = """
const { clearRect, fillText } = CanvasRenderingContext2D.prototype;
CanvasRenderingContext2D.prototype.clearRect = function (...box) {
  this.canvas.labels = [];
  clearRect.apply(this, box);
};
CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
  const { e, f } = this.getTransform();
  const { width } = this.measureText(text);
  const left = e + x - { center: width / 2, right: width }[this.textAlign] ?? 0;
  this.canvas.labels?.push({ text, left, right: left + width, y: Math.round(f + y), align: this.textAlign });
  fillText.call(this, text, x, y);
};
"""

# The tab Monitoring is refreshed only when it is opened: no answer comes between two tests that share a page. 5000 ms is PERIOD in
# monitoring.js; if that changes, test_monitoring_refreshes_every_five_seconds_while_shown fails.
NO_REFRESH = """{
  const { setTimeout } = window;
  window.setTimeout = (act, wait, ...more) => (wait === 5000 ? 0 : setTimeout(act, wait, ...more));
}
"""


def serve(log: Path, **settings: str) -> Iterator[str]:
    """A service with one worker and without Yahoo Finance, once it answers; its address."""
    own = {"REQUEST_LOG": str(log), "WEB_CONCURRENCY": "1", "YAHOO_URL": "http://127.0.0.1:1"}  # nothing listens on port 1
    own |= {"DATA_CACHE_DIR": str(log.parent / "cache"), "XDG_CACHE_HOME": str(log.parent)}
    services = starting(log.parent)
    try:
        yield next(services)(**own | settings).url
    finally:
        services.close()


class Tab:
    """A tab that one test uses after another. It has the files of the page already, so it opens the page with a third of the work."""

    def __init__(self, browser: Browser, script: str = "", **options: Any) -> None:
        """Open an empty tab at 1280 px.

        Args:
            browser: the browser.
            script: runs before those of the page.
            options: of the browser context, such as its locale.
        """
        context = browser.new_context(viewport=VIEWPORT, permissions=["clipboard-read", "clipboard-write"], **options)
        self._page = context.new_page()
        if script:
            self._page.add_init_script(script)
        self._page.add_init_script = _refuse  # type: ignore[method-assign]
        self._page.clock.install = _refuse  # type: ignore[method-assign]

    @contextmanager
    def lent(self, url: str) -> Iterator[Page]:
        """Give the tab to a test of the service at this address; afterwards nothing of the test is left in it."""
        yield self._page
        page, context = self._page, self._page.context
        for other in context.pages:
            if other != page:
                other.close()
        page.unroute_all(behavior="ignoreErrors")
        try:
            page.evaluate(FORGET)
        except Error:  # the page is that of an error of the browser, or another one is loading
            page.goto(f"{url}/health")
            page.evaluate(FORGET)
        context.clear_cookies()
        if page.viewport_size != VIEWPORT:
            page.set_viewport_size(VIEWPORT)
        page.emulate_media(media="null", color_scheme="light")
        page.mouse.move(0, 0)

    def close(self) -> None:
        self._page.context.close()


class KeptBrowser:
    """A Chromium for the modules of a worker that follow each other: to start one, with Playwright's driver, takes half a CPU second.

    Attributes:
        module: that uses it. A module without a browser closes it first, since two event loops cannot run in one thread.
    """

    def __init__(self) -> None:
        """Start nothing yet."""
        self.module: object = None
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._tabs: dict[str, Tab] = {}

    def open(self, module: object) -> Browser:
        """Return the browser, which a module uses from now on."""
        self.module = module
        if self._browser is None:
            self._playwright = sync_playwright().start()
            options = ["--no-sandbox", "--disable-background-networking"]
            self._browser = self._playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        return self._browser

    def tab(self, options: dict[str, Any]) -> Tab:
        """Return the tab with these options of Tab, which has the files of the page from the modules before."""
        assert self._browser
        if repr(options) not in self._tabs:
            self._tabs[repr(options)] = Tab(self._browser, **options)
        return self._tabs[repr(options)]

    def close(self) -> None:
        """Close the browser, if it is open."""
        if self._browser and self._playwright:
            self._browser.close()
            self._playwright.stop()
        self._playwright = self._browser = None
        self._tabs.clear()


KEPT = KeptBrowser()


def open_once(browser: Browser, url: str, options: dict[str, Any], address: str = "") -> Iterator[Page]:
    """The page of a service, at an address of it, in a tab of its own, which stays open for several tests; `options` are those of Tab."""
    tab = Tab(browser, **options)
    with tab.lent(url) as page:
        page.goto(url + address)
        yield page
    tab.close()


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise AssertionError("The next test gets the same tab, and this would be left in it: use the fixture new_page.")


class Watch:
    """What a page asked for and complained of."""

    def __init__(self, page: Page, has_opened: bool = True) -> None:
        """Watch a page from now on, or from its next opening on."""
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._page, self._watches = page, has_opened
        page.on("request", self._note)
        page.on("pageerror", self._note_error)
        page.on("console", self._note_message)

    def close(self) -> None:
        """Watch no longer: each request of the later tests in the same tab would be reported."""
        self._page.remove_listener("request", self._note)
        self._page.remove_listener("pageerror", self._note_error)
        self._page.remove_listener("console", self._note_message)

    def _note_error(self, error: Error) -> None:
        self._complain(str(error))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._complain(message.text)

    def _note(self, request: Request) -> None:
        self._watches |= request.is_navigation_request()
        if self._watches:
            self.requests.append(request.url)

    def _complain(self, text: str) -> None:
        if self._watches:
            self.complaints.append(text)

    @property
    def predictions(self) -> list[str]:
        return self.asked("/predict")

    def asked(self, path: str) -> list[str]:
        return [url for url in self.requests if urlsplit(url).path == path]


def forget_answer(page: Page) -> None:
    """Empty what the last question has filled, so that it is not taken for the answer to the next one."""
    page.evaluate(FORGET_ANSWER)


def wait_drawn(page: Page) -> None:
    """Wait until the charts in sight have the size of their places and the colours of the page."""
    page.evaluate(TWO_FRAMES)


@contextmanager
def shown_at(page: Page, width: int, height: int = 844, scheme: Literal["light", "dark"] = "light") -> Iterator[None]:
    """Show an open page at another size and in a colour scheme, with its charts drawn again; afterwards as before."""
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme)
    wait_drawn(page)
    try:
        yield
    finally:
        page.set_viewport_size(VIEWPORT)
        page.emulate_media(color_scheme="light")
        wait_drawn(page)


def opened_or_resized(request: pytest.FixtureRequest, address: str, once: str, is_opened: bool, **size: Any) -> Iterator[Page]:
    """The page at the size of a test: opened there, as at the smallest width in light, or one that is opened once and resized.

    Args:
        request: of the fixture that asks.
        address: of the page.
        once: the fixture of the page that is opened once.
        is_opened: whether the page is opened at this size.
        size: arguments of shown_at.
    """
    if is_opened:
        page: Page = request.getfixturevalue("lent_page")
        with shown_at(page, **size):
            page.goto(address)
            yield page
    else:
        page = request.getfixturevalue(once)
        with shown_at(page, **size):
            yield page


def open_details(page: Page, summary: str) -> None:
    """Open what is folded, unless it is open."""
    details = page.locator("details").filter(has=page.get_by_text(summary))
    if details.get_attribute("open") is None:
        page.get_by_text(summary).click()


def small_controls(controls: Locator) -> list[str]:
    """Those of the controls in sight that are too small for a finger."""
    found: list[str] = controls.locator("visible=true").evaluate_all(SMALL)
    return found


def example_closes(page: Page) -> list[float]:
    closes: list[float] = json.loads(page.locator("#example").text_content() or "")["closes"]
    return closes


@contextmanager
def redrawn(page: Page) -> Iterator[None]:
    """Wait for a new forecast in the chart: the page opens with one."""
    before = page.evaluate(DRAWN_AT)
    yield
    page.wait_for_function(f"before => ({DRAWN_AT}) > before", arg=before)


def fill_and_ask(page: Page, text: str) -> None:
    page.get_by_label(FIELD, exact=True).fill(text)
    page.get_by_role("button", name="Forecast", exact=True).click()


def forecast(page: Page) -> None:
    """Forecast from the example's closes."""
    with redrawn(page):
        page.get_by_role("button", name="60 closes").click()
    expect(page.locator("#result-title")).to_have_text("Your closes")


def forecast_symbol(page: Page, symbol: str) -> None:
    """Ask for a symbol; a worker's first download imports pandas, which takes a while."""
    fill_and_ask(page, symbol)
    expect(page.locator("#progress")).to_be_empty(timeout=60_000)


def ask(server: str, closes: list[float], horizon: int = 20) -> dict[str, Any]:
    answer = requests.post(f"{server}/predict", json={"predict": closes, "horizon": horizon, "levels": LEVELS}, timeout=30)
    answer.raise_for_status()
    content: dict[str, Any] = answer.json()
    return content


def point_at(page: Page, share: float, chart: str = "chart") -> str:
    """What a chart's readout tells at a share of its width."""
    over = page.locator(f"#{chart} .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 1 + share * (box["width"] - 2), box["y"] + 40)
    return page.locator(f"#{chart.replace('chart', 'readout')}").inner_text()


def open_backtest(page: Page) -> None:
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-chart canvas")).to_be_visible()


def open_monitoring(page: Page) -> None:
    with page.expect_response("**/monitor?limit=100"):
        page.get_by_role("tab", name="Monitoring").click()
    expect(page.locator('[data-monitor="refreshed"]')).to_contain_text("Refreshed at")


def forget_figures(page: Page) -> None:
    """Leave the tab Monitoring, and empty its figures, so that they are not taken for those of its next answer."""
    page.get_by_role("tab", name="Forecast").click()
    page.evaluate(FORGET_FIGURES)


def metadata() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((PROJECT / "modelFiles" / "metadata.json").read_text())
    return content


def shown(price: float) -> str:
    """A price of the example's size as the page writes it."""
    return f"{price:,.2f}"


def violations(page: Page) -> list[str]:
    """The accessibility rules that the page breaks, once its transitions have ended: a colour that changes has another contrast."""
    page.evaluate("Promise.allSettled(document.getAnimations().map(({ finished }) => finished))")
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found: list[str] = page.evaluate(FIND_VIOLATIONS)
    return found
