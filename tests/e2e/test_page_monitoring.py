"""The page's tab Monitoring in a real Chromium: its content, and when it refreshes."""

import json
import shutil
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import requests
from browsing import (
    COUNT_PIXELS,
    MARKS,
    PROJECT,
    ask,
    example_closes,
    forecast,
    forecast_symbol,
    metadata,
    open_monitoring,
    serve,
    shown,
    violations,
)
from playwright.sync_api import Page, expect
from scipy.stats import binom

from monitoring.drift import detect_drift
from monitoring.timeline import timeline

pytestmark = MARKS

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def logged(second: float, **fields) -> dict[str, Any]:
    """A row of the log, `seconds` before NOW."""
    row = {"timestamp": (NOW - timedelta(seconds=second)).isoformat(), "response_time": 0.0012, "memory_usage": 5.0, "status": 200}
    return row | {"windows": 1, "last_close": 100.0, "predicted_price": 100.5, "low_80": 98.0, "high_80": 103.0} | fields


def state(rows: list[dict[str, Any]], **summary) -> dict[str, Any]:
    """An answer of /monitor."""
    none = dict.fromkeys(("rmse", "naive_rmse", "coverage_80", "coverage_95", "mean_width_80", "mean_width_95"))
    usual = {
        "requests": len(rows),
        "by_status": {"200": len(rows)} if rows else {},
        "latency_seconds": {"p50": 0.001, "p95": 0.002, "p99": 0.003},
        "live_accuracy": {"n": 3, "needed": 20, "verdict": "Not enough data: 3 of 20 closes.", "by_symbol": {}, "caught_up": True} | none,
        "drift": {"verdict": "Not enough data: 3 of 20 closes."},
        "timeline": timeline(rows),
    }
    return {"CURRENT CPU": 12.5, "MEMORY %": 34.25, "RESPONSES": rows, "SUMMARY": usual | summary}


def answer_with(page: Page, content: dict[str, Any]) -> None:
    headers = {"Date": format_datetime(NOW, usegmt=True), "Content-Type": "application/json"}
    page.route("**/monitor?limit=100", lambda route: route.fulfill(json=content, headers=headers))


def told(page: Page, name: str):
    return page.locator(f'[data-monitor="{name}"]')


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
        expect(told(page, "drift")).to_have_text(summary["drift"]["verdict"])
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


def test_rate_latency_and_errors_are_drawn_over_time(page):
    page.emulate_media(color_scheme="light")
    rows = [logged(600 - i, response_time=0.001 + i / 1e5, status=503 if i == 599 else 422 if i % 50 == 0 else 200) for i in range(600)]
    answer_with(page, state(rows))
    open_monitoring(page)
    expect(told(page, "period")).to_have_text("in 30 seconds")
    rate = page.get_by_role("img", name="Line chart of the requests in 30 seconds: at most 30.")
    latency = page.get_by_role("img", name="Line chart of the latency, median and 95th percentile in 30 seconds: at most 7 ms.")
    for chart in (rate, latency):
        expect(chart).to_be_visible()
        assert chart.evaluate(COUNT_PIXELS)[3] > 300, "nothing is drawn"
    expect(page.locator("#requests-table tbody tr")).to_have_count(20)
    page.locator("#rate-chart").focus()
    page.keyboard.press("End")
    last = timeline(rows)["periods"][-1]
    expect(page.locator("#rate-readout")).to_have_text(
        f"2026-11-23 {last['start'][11:19]} UTC: {last['requests']} requests, {last['refused']} refused, 1 failed"
    )
    page.locator("#latency-chart").focus()
    page.keyboard.press("Home")
    expect(page.locator("#latency-readout")).to_have_text("2026-11-23 19:50:00 UTC: median 1.2 ms, 95th percentile 1.3 ms")


def test_failures_of_forecasts_count(browser, tmp_path):
    for url in serve(tmp_path / "log.csv"):
        page = browser.new_page()
        page.goto(url)
        forecast_symbol(page, "ACME")  # no source has it
        expect(page.locator("#question-error")).to_contain_text("No source has closes of ACME now.")
        open_monitoring(page)
        expect(told(page, "errors")).to_have_text("1 failed, 0 refused")
        expect(page.locator("#requests-table tbody tr").first).to_contain_text("ACME")
        page.close()


@pytest.mark.parametrize(("seconds", "words"), [(0.0005, "0.5 ms"), (0.9949, "990 ms"), (1.04, "1 s"), (21.3, "21 s")])
def test_latency_is_shown_in_its_unit(page, seconds, words):
    answer_with(page, state([logged(1)], latency_seconds={"p50": seconds, "p95": seconds, "p99": seconds}))
    open_monitoring(page)
    expect(told(page, "p99")).to_have_text(words)


def test_single_request_is_drawn(page):
    page.emulate_media(color_scheme="light")
    answer_with(page, state([logged(1)]))
    open_monitoring(page)
    for chart in ("#rate-chart canvas", "#latency-chart canvas"):
        assert page.locator(chart).evaluate(COUNT_PIXELS)[3] > 5


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [
        ([], "0 over 60 s"),
        ([90, 61, 59, 30, 1], "0.05 over 60 s"),
        ([10 - i / 10 for i in range(100)], "10 over 10 s"),  # more came within the minute than are known
        ([3000 - 30 * i for i in range(99)] + [5], "0.033 over 60 s"),
    ],
)
def test_request_rate_is_that_of_the_last_minute(page, seconds, rate):
    answer_with(page, state([logged(second) for second in seconds]))
    open_monitoring(page)
    expect(told(page, "rate")).to_have_text(rate)


def test_live_accuracy_is_shown_once_there_are_enough_closes(page):
    figures = {"rmse": 0.01, "naive_rmse": 0.0125, "coverage_80": 0.81, "coverage_95": 0.955, "mean_width_80": 0.041, "mean_width_95": 0.07}
    accuracy = {"n": 1200, "needed": 20, "verdict": "The intervals hold.", "caught_up": False} | figures
    few = dict.fromkeys(figures) | {"n": 7}
    accuracy["by_symbol"] = {"MSFT": figures | {"n": 1100}, "KO": few}
    answer_with(page, state([logged(1)], live_accuracy=accuracy, drift={"verdict": "They look like those of the training."}))
    open_monitoring(page)
    expect(told(page, "accuracy")).to_have_text(
        "Of 1,200 forecasts, the close is known. The RMSE of their daily returns is 1.00%, that of persistence "
        "(repeating the last close) 1.25%: 0.8000 times as large. The log is still being read."
    )
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#accuracy-table tbody tr").all()]
    assert rows == [["80%", "81.0%", "77.7% to 82.3%", "4.10%"], ["95%", "95.5%", "93.8% to 96.2%", "7.00%"]]
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#symbols-table tbody tr").all()]
    assert rows == [["MSFT", "1,100", "81.0%", "95.5%", "0.8000"], ["KO", "7", *["\N{EN DASH}"] * 3]]
    expect(told(page, "coverage")).to_have_text("The intervals hold.")
    expect(told(page, "drift")).to_have_text("They look like those of the training.")


def test_figures_of_machine_and_model_are_shown(page):
    answer_with(page, state([logged(1)], by_status={"200": 1500, "422": 2, "503": 1}))
    trained = datetime.now(UTC) - timedelta(days=3, hours=1)
    ready = {
        "status": "ready",
        "model_version": f"{trained:%Y%m%d-%H%M%S}-abcdef",
        "problem": "The files of the newest model have changed.",
    }
    page.route("**/ready", lambda route: route.fulfill(json=ready))
    open_monitoring(page)
    expect(told(page, "refreshed")).to_have_text("Refreshed at 2026-11-23 20:00:00 UTC.")
    expect(told(page, "statuses")).to_have_text("200: 1,500, 422: 2, 503: 1")
    expect(told(page, "errors")).to_have_text("1 failed, 2 refused")
    expect(told(page, "cpu")).to_have_text("12.5%")
    expect(told(page, "memory")).to_have_text("34.3%")
    expect(told(page, "version")).to_have_text(ready["model_version"])
    expect(told(page, "age")).to_have_text("3 days")
    expect(told(page, "model-problem")).to_have_text(ready["problem"])


@pytest.mark.parametrize(("summary", "text"), [({"workers": 4}, "4"), ({}, NONE)])
def test_number_of_workers_is_shown_if_the_server_reports_it(page, summary, text):
    answer_with(page, state([logged(1)], **summary))
    open_monitoring(page)
    expect(told(page, "workers")).to_have_text(text)


@pytest.mark.parametrize("width", [320, 390, 700, 1000, 1280, 1920])
def test_grid_of_figures_has_no_gap(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    answer_with(page, state([logged(1)]))
    open_monitoring(page)
    boxes = [figure.bounding_box() for figure in page.locator(".figures > div").all()]
    grid = page.locator(".figures").bounding_box()
    rows: dict[int, float] = {}
    for box in boxes:
        rows[round(box["y"])] = max(rows.get(round(box["y"]), 0), box["x"] + box["width"])
    assert list(rows.values()) == [pytest.approx(grid["x"] + grid["width"], abs=1)] * len(rows)


def asked(page: Page) -> list[str]:
    """Every question for the state of the service from now on."""
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url) if "/monitor?" in request.url else None)
    return urls


def test_monitoring_refreshes_every_five_seconds_while_shown(page):
    page.clock.install()
    page.reload()
    questions = asked(page)
    page.clock.run_for(11_000)
    assert questions == []
    open_monitoring(page)
    for _ in range(3):
        with page.expect_response("**/monitor?limit=100"):
            page.clock.run_for(5000)
        page.wait_for_timeout(200)  # until the answer is shown and the next question is due in 5 s
    assert len(questions) == 4
    page.get_by_role("tab", name="Forecast").click()
    for _ in range(3):
        page.clock.run_for(5000)
        page.wait_for_timeout(100)
    assert len(questions) == 4
    with page.expect_response("**/monitor?limit=100"):
        page.get_by_role("tab", name="Monitoring").click()


def test_monitoring_pauses_while_the_page_is_hidden(page):
    page.clock.install()
    page.reload()
    open_monitoring(page)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    questions = asked(page)
    for _ in range(3):
        page.clock.run_for(5000)
        page.wait_for_timeout(100)
    assert questions == []
    with page.expect_response("**/monitor?limit=100"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_failed_refresh_is_reported_and_retried(page):
    page.clock.install()
    page.reload()
    open_monitoring(page)
    expect(told(page, "refreshed")).to_contain_text("Refreshed at")
    refreshed = told(page, "refreshed").inner_text()
    page.route("**/monitor?limit=100", lambda route: route.abort())
    page.clock.run_for(5000)
    error = page.locator("#monitoring-error")
    expect(error).to_contain_text("Could not refresh: The server did not answer.")
    expect(error).to_have_role("alert")
    expect(told(page, "refreshed")).to_have_text(refreshed)
    page.unroute("**/monitor?limit=100")
    page.wait_for_timeout(200)
    page.clock.run_for(5000)
    expect(error).to_be_empty()


def test_table_is_not_redrawn_without_new_requests(page):
    page.clock.install()
    page.reload()
    answer_with(page, state([logged(1)]))
    open_monitoring(page)
    page.locator("#requests-table tbody tr").evaluate("row => row.id = 'kept'")
    with page.expect_response("**/monitor?limit=100"):
        page.clock.run_for(5000)
    page.wait_for_timeout(200)
    expect(page.locator("#kept")).to_have_count(1)


def test_monitoring_asks_for_the_api_key(browser, tmp_path):
    for url in serve(tmp_path / "log.csv", API_KEY="key-of-the-test"):
        page = browser.new_page()
        page.goto(f"{url}/#monitoring")
        expect(page.get_by_label("API key")).to_be_focused()
        expect(page.locator("#monitoring-error")).to_have_text("The figures need the API key.")
        page.get_by_label("API key").fill("key-of-the-test")
        page.get_by_label("API key").press("Enter")
        expect(told(page, "requests")).to_have_text("0")
        expect(page.locator("#monitoring-error")).to_be_empty()
        expect(page.get_by_label("API key")).to_be_hidden()
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_monitoring_has_no_accessibility_violations(page, scheme):
    page.emulate_media(color_scheme=scheme)
    forecast(page)
    open_monitoring(page)
    expect(page.locator("#requests-table tbody tr").first).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_monitoring_does_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    answer_with(page, state([logged(30 - i, last_close=12345.678) for i in range(30)], by_status={"200": 990, "422": 9, "503": 1}))
    open_monitoring(page)
    expect(page.locator("#latency-chart canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def cells_of(page: Page, table: str) -> list[list[str]]:
    texts: list[list[str]] = page.locator(f"{table} tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return texts


def test_drift_is_drawn_as_two_histograms(page):
    page.emulate_media(color_scheme="light")
    trained = json.loads((PROJECT / "modelFiles" / "metadata.json").read_text())["training"]["daily_return_quantiles"]
    drift = detect_drift(np.random.default_rng(0).normal(0, 0.02, 300).tolist(), trained)
    answer_with(page, state([logged(1)], drift=drift))
    open_monitoring(page)
    found = drift["histogram"]
    edges = [f"{MINUS if edge < 0 else ''}{abs(100 * edge):.1f}%" for edge in found["edges"]]
    chart = page.get_by_role("img", name="Two histograms of daily returns, now and in the training data, in 24 bins")
    expect(chart).to_be_visible()
    assert chart.evaluate(COUNT_PIXELS)[3] > 300, "the returns are not drawn"
    names = [f"under {edges[1]}", *(f"{low} to {high}" for low, high in pairwise(edges[1:-1])), f"over {edges[-2]}"]
    shares = [[f"{found[name][bin_]:.1%}" for name in ("now", "trained")] for bin_ in range(24)]
    assert cells_of(page, "#drift-bins") == [[name, *own] for name, own in zip(names, shares, strict=True)]
    page.locator("#drift-chart").focus()
    page.keyboard.press("Home")
    expect(page.locator("#drift-readout")).to_have_text(f"{names[0]}: now {shares[0][0]} of the days, in training {shares[0][1]}")
    page.keyboard.press("End")
    expect(page.locator("#drift-readout")).to_contain_text(f"{names[-1]}: now {shares[-1][0]}")


def live_days(count: int, n: int) -> list[dict[str, Any]]:
    return [{"date": f"{date(2026, 10, 1) + timedelta(days=day)}", "n": n, "held_80": n - day % 2, "held_95": n} for day in range(count)]


def test_live_coverage_is_drawn_over_time(page):
    page.emulate_media(color_scheme="light")
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": live_days(40, 5)}
    answer_with(page, state([logged(1)], live_accuracy=accuracy))
    open_monitoring(page)
    name = "Line chart of the coverage of the 80% and the 95% interval over the last 20 days with closes, from 2026-10-04 to 2026-11-09."
    chart = page.get_by_role("img", name=name)
    expect(chart).to_be_visible()
    assert min(chart.evaluate(COUNT_PIXELS)[place] for place in (0, 3)) > 100, "the coverage is not drawn"
    page.locator("#coverage-chart").focus()
    page.keyboard.press("End")
    low, high = (f"{binom.ppf(tail, 100, 0.8) / 100:.1%}" for tail in (0.025, 0.975))
    expect(page.locator("#coverage-readout")).to_contain_text(f"2026-11-09, over 20 days: 80% held 90.0% (by chance {low} to {high}), 95%")
    page.keyboard.press("Home")
    expect(page.locator("#coverage-readout")).to_contain_text("2026-10-04, over 4 days: 80% held 90.0%")
    assert cells_of(page, "#coverage-days")[:2] == [["2026-11-09", "5", "80.0%", "100.0%"], ["2026-11-08", "5", "100.0%", "100.0%"]]


@pytest.mark.parametrize("days", [live_days(4, 4), live_days(1, 500), []])
def test_live_coverage_needs_two_points_of_20_closes(page, days):
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": days}
    answer_with(page, state([logged(1)], live_accuracy=accuracy))
    open_monitoring(page)
    expect(page.locator("#coverage-figure")).to_be_hidden()
    expect(page.locator("#drift-figure")).to_be_hidden()


def test_change_of_the_model_is_marked_in_the_timeline(page):
    page.emulate_media(color_scheme="light")
    old, new = ({"model_version": version, "model_symbol": None} for version in ("20260101-000000-aaaaaa", "20260202-000000-bbbbbb"))
    rows = [logged(600 - i, **(old if i < 300 else new)) for i in range(600)]
    answer_with(page, state([row | {"model_version": None} for row in rows]))
    open_monitoring(page)
    expect(page.locator("#changes-key")).to_be_hidden()
    plain = page.locator("#rate-chart canvas").evaluate(COUNT_PIXELS)[0]
    page.unroute("**/monitor?limit=100")
    answer_with(page, state(rows))
    page.reload()
    expect(page.locator("#changes-key")).to_have_text("another model version answers")
    assert page.locator("#rate-chart canvas").evaluate(COUNT_PIXELS)[0] > plain + 20, "the change is not drawn"
    page.locator("#rate-chart").focus()
    for key in ("Home", "PageDown"):  # the 10th of 20 periods after the first
        page.keyboard.press(key)
    expect(page.locator("#rate-readout")).to_contain_text(", model 20260202-000000-bbbbbb from 19:55:00")


def test_publications_are_listed(browser, tmp_path):
    model_dir = shutil.copytree(PROJECT / "modelFiles", tmp_path / "modelFiles", ignore=shutil.ignore_patterns(".*"))
    version = metadata()["model_version"]
    earlier = model_dir / "versions" / "20200101-000000-abcdef"
    shutil.copytree(model_dir / "versions" / version, earlier)
    described = metadata() | {"model_version": earlier.name, "created_at": "2020-01-01T00:00:00+00:00"}
    (earlier / "metadata.json").write_text(json.dumps(described))
    for url in serve(tmp_path / "log.csv", MODEL_DIR=str(model_dir)):
        page = browser.new_page()
        page.goto(url)
        open_monitoring(page)
        created = metadata()["created_at"].replace("T", " ")[:16]
        expect(page.locator("#versions li")).to_have_text([f"{created} UTC: {version}, in use", f"2020-01-01 00:00 UTC: {earlier.name}"])
        assert violations(page) == []
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_all_charts_of_monitoring_fit_and_are_accessible(page, width, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    trained = metadata()["training"]["daily_return_quantiles"]
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": live_days(40, 4)}
    answer_with(page, state([logged(30 - i) for i in range(30)], live_accuracy=accuracy, drift=detect_drift(trained[1:-1], trained)))
    open_monitoring(page)
    for chart in ("#rate-chart", "#coverage-chart", "#drift-chart"):
        expect(page.locator(f"{chart} canvas")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width in {390, 1280}:
        assert violations(page) == []
