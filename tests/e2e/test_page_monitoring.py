"""The page's tab Monitoring in a real Chromium: its content, and when it refreshes."""

from datetime import UTC, datetime, timedelta

import pytest
import requests
from browsing import (
    KEY,
    MARKS,
    NO_REFRESH,
    ask,
    example_closes,
    forecast,
    forecast_symbol,
    metadata,
    open_monitoring,
    serve,
    shown,
    shown_at,
    violations,
)
from monitor_answers import answer_with, logged, state, told
from playwright.sync_api import Page, expect

pytestmark = MARKS

NONE = "\N{EN DASH}"


@pytest.fixture(scope="module")
def tab_options():
    """Nothing is refreshed."""
    return {"script": NO_REFRESH}


def test_monitoring_shows_the_figures_of_the_service(browser, tmp_path):
    for url in serve(tmp_path / "log.csv"):
        page = browser.new_page()
        page.goto(url)
        answer = ask(url, example_closes(page))
        requests.post(f"{url}/predict", json={"predict": [1.0]}, timeout=30)
        open_monitoring(page)
        expect(told(page, "requests")).to_have_text("2")
        expect(told(page, "statuses")).to_have_text("200: 1, 422: 1")
        expect(told(page, "errors")).to_have_text("0 failed, 1 refused")
        expect(told(page, "version")).to_have_text(metadata()["model_version"])
        summary = requests.get(f"{url}/monitor", timeout=30).json()["SUMMARY"]
        expect(told(page, "accuracy")).to_have_text("Not enough data: 0 of 20 closes.")
        expect(told(page, "accuracy-advice")).to_contain_text("with one more close: ask once after each trading day.")
        expect(told(page, "drift")).to_have_text(summary["drift"]["verdict"])
        expect(told(page, "drift-advice")).to_contain_text("ask for other stocks, or again after the next trading day.")
        for name in ("p50", "p95", "p99"):
            assert float(told(page, name).inner_text().removesuffix(" ms")) == pytest.approx(
                1000 * summary["latency_seconds"][name], rel=0.06
            )
        for name in ("cpu", "memory"):
            assert 0 <= float(told(page, name).inner_text().removesuffix("%")) <= 1000
        rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#requests-table tbody tr").all()]
        low, high = answer["intervals"]["80"]
        assert [row[1] for row in rows] == ["422", "200"]
        assert rows[0][3:] == [NONE] * 6
        assert rows[1][3:] == [
            "1",
            NONE,
            NONE,
            shown(answer["last_close"]),
            shown(answer["predicted_price"]),
            f"{shown(low)} to {shown(high)}",
        ]
        page.close()


def test_monitoring_without_any_request_says_so(page):
    answer_with(page, state([], latency_seconds=None))
    open_monitoring(page)
    expect(page.locator("#no-requests")).to_have_text("There is none yet.")
    expect(page.locator("#timeline")).to_be_hidden()
    expect(told(page, "p50")).to_have_text(NONE)
    expect(told(page, "statuses")).to_have_text(NONE)


def test_failures_of_forecasts_count(browser, tmp_path):
    for url in serve(tmp_path / "log.csv"):
        page = browser.new_page()
        page.goto(url)
        forecast_symbol(page, "ACME")  # no source has it
        expect(page.locator("#question-error")).to_contain_text("No other source has closes of ACME.", timeout=60_000)
        open_monitoring(page)
        expect(told(page, "errors")).to_have_text("1 failed, 0 refused")
        expect(page.locator("#requests-table tbody tr").first).to_contain_text("ACME")
        page.close()


@pytest.mark.parametrize(("seconds", "words"), [(0.0005, "0.5 ms"), (0.9949, "990 ms"), (1.04, "1 s"), (21.3, "21 s")])
def test_latency_is_shown_in_its_unit(figured, seconds, words):
    answer_with(figured, state([logged(1)], latency_seconds={"p50": seconds, "p95": seconds, "p99": seconds}))
    open_monitoring(figured)
    expect(told(figured, "p99")).to_have_text(words)


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [
        ([], "0 over 60 s"),
        ([90, 61, 59, 30, 1], "0.05 over 60 s"),
        ([10 - i / 10 for i in range(100)], "10 over 10 s"),  # more came within the minute than are known
        ([3000 - 30 * i for i in range(99)] + [5], "0.033 over 60 s"),
    ],
)
def test_request_rate_is_that_of_the_last_minute(figured, seconds, rate):
    answer_with(figured, state([logged(second) for second in seconds]))
    open_monitoring(figured)
    expect(told(figured, "rate")).to_have_text(rate)


def test_live_accuracy_is_shown_once_there_are_enough_closes(figured):
    figures = {"rmse": 0.01, "naive_rmse": 0.0125, "coverage_80": 0.81, "coverage_95": 0.955, "mean_width_80": 0.041, "mean_width_95": 0.07}
    accuracy = {"n": 1200, "needed": 20, "verdict": "The intervals hold.", "caught_up": False} | figures
    few = dict.fromkeys(figures) | {"n": 7}
    accuracy["by_symbol"] = {"MSFT": figures | {"n": 1100}, "KO": few}
    answer_with(figured, state([logged(1)], live_accuracy=accuracy, drift={"n": 20, "needed": 20, "verdict": "They look alike."}))
    open_monitoring(figured)
    expect(told(figured, "accuracy")).to_have_text(
        "Of 1,200 forecasts, the close is known. The RMSE of their daily returns is 1.00%, that of persistence "
        "(repeating the last close) 1.25%: 0.8000 times as large. The log is still being read."
    )
    rows = [row.locator("th, td").all_inner_texts() for row in figured.locator("#accuracy-table tbody tr").all()]
    assert rows == [["80%", "81.0%", "77.8% to 82.3%", "4.10%"], ["95%", "95.5%", "93.8% to 96.2%", "7.00%"]]
    rows = [row.locator("th, td").all_inner_texts() for row in figured.locator("#symbols-table tbody tr").all()]
    assert rows == [["MSFT", "1,100", "81.0%", "95.5%", "0.8000"], ["KO", "7", *["\N{EN DASH}"] * 3]]
    expect(told(figured, "coverage")).to_have_text("The intervals hold.")
    for name in ("accuracy-advice", "drift-advice"):
        expect(told(figured, name)).to_be_hidden()
    expect(told(figured, "drift")).to_have_text("They look alike.")


def test_figures_of_machine_and_model_are_shown(figured):
    answer_with(figured, state([logged(1)], by_status={"200": 1500, "422": 2, "503": 1}))
    trained = datetime.now(UTC) - timedelta(days=3, hours=1)
    ready = {
        "status": "ready",
        "model_version": f"{trained:%Y%m%d-%H%M%S}-abcdef",
        "problem": "The files of the newest model have changed.",
    }
    figured.route("**/ready", lambda route: route.fulfill(json=ready))
    open_monitoring(figured)
    expect(told(figured, "refreshed")).to_have_text("Refreshed at 2026-11-23 20:00:00 UTC.")
    expect(told(figured, "statuses")).to_have_text("200: 1,500, 422: 2, 503: 1")
    expect(told(figured, "errors")).to_have_text("1 failed, 2 refused")
    expect(told(figured, "cpu")).to_have_text("12.5%")
    expect(told(figured, "memory")).to_have_text("34.3%")
    expect(told(figured, "version")).to_have_text(ready["model_version"])
    expect(told(figured, "age")).to_have_text("3 days")
    expect(told(figured, "model-problem")).to_have_text(ready["problem"])


@pytest.mark.parametrize(("summary", "text"), [({"workers": 4}, "4"), ({}, NONE)])
def test_number_of_workers_is_shown_if_the_server_reports_it(figured, summary, text):
    answer_with(figured, state([logged(1)], **summary))
    open_monitoring(figured)
    expect(told(figured, "workers")).to_have_text(text)


BOXES = "elements => elements.map((element) => element.getBoundingClientRect().toJSON())"


@pytest.mark.parametrize("width", [320, 390, 700, 1000, 1280, 1920])
def test_grid_of_figures_has_no_gap(figured, width):
    answer_with(figured, state([logged(1)]))
    with shown_at(figured, width):
        open_monitoring(figured)
        grid, *boxes = figured.locator(".figures, .figures > div").evaluate_all(BOXES)
    rows: dict[int, float] = {}
    for box in boxes:
        rows[round(box["y"])] = max(rows.get(round(box["y"]), 0), box["x"] + box["width"])
    assert list(rows.values()) == [pytest.approx(grid["x"] + grid["width"], abs=1)] * len(rows)


def asked(page: Page) -> list[str]:
    """Every question for the state of the service from now on."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if "/monitor?" in request.url else None)
    return urls


def test_monitoring_refreshes_every_five_seconds_while_shown(clocked_page):
    questions = asked(clocked_page)
    clocked_page.clock.run_for(11_000)
    assert questions == []
    open_monitoring(clocked_page)
    for _ in range(3):
        with clocked_page.expect_response("**/monitor?limit=100"):
            clocked_page.clock.run_for(5000)
        clocked_page.wait_for_timeout(200)  # until the answer is shown and the next question is due in 5 s
    assert len(questions) == 4
    clocked_page.get_by_role("tab", name="Forecast").click()
    for _ in range(3):
        clocked_page.clock.run_for(5000)
        clocked_page.wait_for_timeout(100)
    assert len(questions) == 4
    with clocked_page.expect_response("**/monitor?limit=100"):
        clocked_page.get_by_role("tab", name="Monitoring").click()


def test_monitoring_pauses_while_the_page_is_hidden(clocked_page):
    open_monitoring(clocked_page)
    clocked_page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    questions = asked(clocked_page)
    for _ in range(3):
        clocked_page.clock.run_for(5000)
        clocked_page.wait_for_timeout(100)
    assert questions == []
    with clocked_page.expect_response("**/monitor?limit=100"):
        clocked_page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_failed_refresh_is_reported_and_retried(clocked_page):
    open_monitoring(clocked_page)
    expect(told(clocked_page, "refreshed")).to_contain_text("Refreshed at")
    refreshed = told(clocked_page, "refreshed").inner_text()
    clocked_page.route("**/monitor?limit=100", lambda route: route.abort())
    clocked_page.clock.run_for(5000)
    error = clocked_page.locator("#monitoring-error")
    expect(error).to_contain_text("Could not refresh: The server did not answer.")
    expect(error).to_have_role("alert")
    expect(told(clocked_page, "refreshed")).to_have_text(refreshed)
    clocked_page.unroute("**/monitor?limit=100")
    clocked_page.wait_for_timeout(200)
    clocked_page.clock.run_for(5000)
    expect(error).to_be_empty()


def test_table_is_not_redrawn_without_new_requests(clocked_page):
    answer_with(clocked_page, state([logged(1)]))
    open_monitoring(clocked_page)
    clocked_page.locator("#requests-table tbody tr").evaluate("row => row.id = 'kept'")
    with clocked_page.expect_response("**/monitor?limit=100"):
        clocked_page.clock.run_for(5000)
    clocked_page.wait_for_timeout(200)
    expect(clocked_page.locator("#kept")).to_have_count(1)


def test_monitoring_asks_for_the_api_key(guarded_page, guarded):
    guarded_page.goto(f"{guarded}/#monitoring")
    expect(guarded_page.get_by_label("API key")).to_be_focused()
    expect(guarded_page.locator("#monitoring-error")).to_have_text("The figures need the API key.")
    guarded_page.get_by_label("API key").fill(KEY)
    guarded_page.get_by_label("API key").press("Enter")
    figures = requests.get(f"{guarded}/monitor", headers={"X-API-Key": KEY}, timeout=30).json()["SUMMARY"]
    expect(told(guarded_page, "requests")).to_have_text(str(figures["requests"]))
    expect(guarded_page.locator("#monitoring-error")).to_be_empty()
    expect(guarded_page.get_by_label("API key")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_monitoring_has_no_accessibility_violations(monitored, scheme):
    forecast(monitored)
    with shown_at(monitored, 1280, 900, scheme):
        open_monitoring(monitored)
        expect(monitored.locator("#requests-table tbody tr").first).to_be_visible()
        assert violations(monitored) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_monitoring_does_not_scroll_sideways(monitored, width):
    answer_with(monitored, state([logged(30 - i, last_close=12345.678) for i in range(30)], by_status={"200": 990, "422": 9, "503": 1}))
    with shown_at(monitored, width):
        open_monitoring(monitored)
        expect(monitored.locator("#latency-chart canvas")).to_be_visible()
        assert monitored.evaluate("document.documentElement.scrollWidth") <= width
        expect(monitored.locator("#models-table tbody tr")).to_have_count(1)
        for caption in monitored.locator("#state .wide caption:visible").all():
            box = caption.bounding_box()
            assert box["x"] + box["width"] <= width, "a caption is cut off"
