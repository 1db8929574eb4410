"""How heavy the page is and how soon its first chart is drawn: make bench-page (half a minute).

    python benchmarks/benchPage.py                  10 openings
    python benchmarks/benchPage.py --openings 30
    python benchmarks/benchPage.py --locale pt-BR   in Portuguese

The real service, a real headless Chromium; each opening has a browser context of its own, so nothing is cached, and comes to the page over
a new connection. Then the page is opened once more, with what the browser has kept. Bytes are what the network brought, headers included
and compressed, of all requests until the chart: static/js/chart/chart.js leaves a mark in the browser's timeline once a chart is drawn.
Prints a table in Markdown; where Chromium or the chart is missing it ends with exit code 1.
"""

import argparse
import shutil
import signal
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from playwright.sync_api import Browser, CDPSession, Error, Page, sync_playwright

from load import BenchError
from servers import Question, Recipe, Server

GOAL_KB, GOAL_MS = 150, 300
VIEWPORT = {"width": 1280, "height": 900}
CHART = 'performance.getEntriesByName("chart")[0]'
TIMES = f'[{CHART}.startTime, {CHART}.startTime - performance.getEntriesByType("navigation")[0].loadEventStart]'
CHART_SECONDS = 30


@dataclass(frozen=True)
class Opening:
    """One opening of the page: what it transferred, and milliseconds from its navigation and from its load event to the first chart.

    A chart that is there before the load event has a negative time from it.
    """

    kilobytes: float
    requests: int
    milliseconds: float
    after_load: float


def open_page(browser: Browser, url: str, locale: str = "en-US") -> tuple[Opening, Opening]:
    """Open the page with an empty cache and wait for its chart, twice.

    Returns:
        The first opening, and the one after it.

    Raises:
        BenchError: no chart was drawn.
    """
    context = browser.new_context(viewport=VIEWPORT, locale=locale)  # type: ignore[arg-type]
    try:
        page = context.new_page()
        network = context.new_cdp_session(page)
        network.send("Network.enable")
        return _open_once(page, network, url), _open_once(page, network, url)
    except Error as error:
        raise BenchError(f"The page drew no chart: {str(error).partition(chr(10))[0]}") from None
    finally:
        context.close()


def _open_once(page: Page, network: CDPSession, url: str) -> Opening:
    """Open the page and wait for its chart."""
    sizes: list[float] = []

    def keep_size(event: dict[str, Any]) -> None:
        if event["encodedDataLength"]:  # 0: from the browser's cache
            sizes.append(event["encodedDataLength"])

    network.on("Network.loadingFinished", keep_size)
    page.goto(url)
    page.wait_for_function(CHART, timeout=1000 * CHART_SECONDS)
    milliseconds, after_load = page.evaluate(TIMES)
    network.remove_listener("Network.loadingFinished", keep_size)
    return Opening(sum(sizes) / 1000, len(sizes), milliseconds, after_load)


def find_chromium() -> str | None:
    """Return the path of Chromium, the headless shell if it is installed: it has no window and takes half the time."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def measure(openings: int, chromium: str, locale: str = "en-US") -> list[tuple[Opening, Opening]]:
    """Open the page of a new service `openings` times in the language of a locale.

    Raises:
        BenchError: the service does not start, or a chart is missing.
    """
    recipe = Recipe("this service", [sys.executable, "app.py"], Question().body, lambda answer: answer["predicted_price"])
    with tempfile.TemporaryDirectory(prefix="bench-page-") as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"])
        server = Server("ours", recipe, Path(folder))
        try:
            return [open_page(browser, f"http://127.0.0.1:{server.port}/", locale) for _ in range(openings)]
        finally:
            server.stop()
            browser.close()


def report(openings: list[tuple[Opening, Opening]]) -> str:
    """The table."""
    first, again = [one for one, _ in openings], [one for _, one in openings]
    return "\n".join([
        f"| the page, {len(openings)} openings with an empty cache | median | max | goal |",
        "| --- | ---: | ---: | --- |",
        _row("kB transferred until the first chart", [one.kilobytes for one in first], GOAL_KB),
        _row("requests until then", [one.requests for one in first]),
        _row("ms from the start of the navigation to the first chart", [one.milliseconds for one in first]),
        _row("ms from the load event to the first chart", [one.after_load for one in first], GOAL_MS),
        _row("kB transferred when it is opened again", [one.kilobytes for one in again]),
        _row("requests then", [one.requests for one in again]),
        _row("ms to the first chart then", [one.milliseconds for one in again]),
    ])  # fmt: skip


def _row(name: str, values: list[float] | list[int], goal: float | None = None) -> str:
    """A line of the table; a goal is met where the largest value is below it."""
    largest = max(values)
    verdict = "" if goal is None else f"under {goal}: {'met' if largest < goal else 'not met'}"
    return f"| {name} | {statistics.median(values):,.0f} | {largest:,.0f} | {verdict} |"


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the page: its weight, and the time to its first chart.")
    parser.add_argument("--openings", type=int, default=10, help="how often it is opened (default: 10)")
    parser.add_argument("--locale", default="en-US", help="of the browser, which decides the language of the page (default: en-US)")
    options = parser.parse_args(arguments)
    if options.openings < 1:
        parser.error("--openings must be at least 1")
    try:
        chromium = find_chromium()
        if chromium is None:
            raise BenchError("Chromium is missing: make chromium (Debian's package, needs root).")
        print(report(measure(options.openings, chromium, options.locale)))
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service is ended
    sys.exit(main())
