"""The charts of the page's tab Monitoring in a real Chromium: requests and latency, drift, coverage, versions of the model."""

import json
import shutil
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from browsing import (
    COUNT_PIXELS,
    KEEP_LABELS,
    MARKS,
    NO_REFRESH,
    PROJECT,
    forget_figures,
    metadata,
    open_monitoring,
    serve,
    shown_at,
    violations,
)
from monitor_answers import answer_with, logged, state, told
from playwright.sync_api import Page, expect
from scipy.stats import binom

from monitoring.drift import detect_drift
from monitoring.timeline import timeline

pytestmark = MARKS

MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def tab_options():
    """Canvases keep what is written on them, and nothing is refreshed."""
    return {"script": KEEP_LABELS + NO_REFRESH}


def test_rate_latency_and_errors_are_drawn_over_time(monitored):
    rows = [logged(600 - i, response_time=0.001 + i / 1e5, status=503 if i == 599 else 422 if i % 50 == 0 else 200) for i in range(600)]
    answer_with(monitored, state(rows))
    open_monitoring(monitored)
    expect(told(monitored, "period")).to_have_text("in 30 seconds")
    rate = monitored.get_by_role("img", name="Line chart of the requests in 30 seconds: at most 30.")
    latency = monitored.get_by_role("img", name="Line chart of the latency, median and 95th percentile in 30 seconds: at most 7 ms.")
    for chart in (rate, latency):
        expect(chart).to_be_visible()
        assert chart.evaluate(COUNT_PIXELS)[3] > 300, "nothing is drawn"
    expect(monitored.locator("#requests-table tbody tr")).to_have_count(20)
    monitored.locator("#rate-chart").focus()
    monitored.keyboard.press("End")
    last = timeline(rows)["periods"][-1]
    expect(monitored.locator("#rate-readout")).to_have_text(
        f"2026-11-23 {last['start'][11:19]} UTC: {last['requests']} requests, {last['refused']} refused, 1 failed"
    )
    monitored.locator("#latency-chart").focus()
    monitored.keyboard.press("Home")
    expect(monitored.locator("#latency-readout")).to_have_text("2026-11-23 19:50:00 UTC: median 1.2 ms, 95th percentile 1.3 ms")


def test_single_request_is_drawn(monitored):
    answer_with(monitored, state([logged(1)]))
    open_monitoring(monitored)
    for chart in ("#rate-chart canvas", "#latency-chart canvas"):
        assert monitored.locator(chart).evaluate(COUNT_PIXELS)[3] > 5


def test_times_of_the_axis_differ_also_within_a_minute(monitored):
    answer_with(monitored, state([logged(second) for second in range(12, 0, -1)]))
    open_monitoring(monitored)
    expect(monitored.locator("#rate-chart canvas")).to_be_visible()
    labels = monitored.locator("#rate-chart canvas").evaluate("canvas => canvas.labels")
    times = [label["text"] for label in labels if label["align"] == "center"]
    assert len(set(times)) == len(times) > 1


def cells_of(page: Page, table: str) -> list[list[str]]:
    texts: list[list[str]] = page.locator(f"{table} tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))"
    )
    return texts


def test_drift_is_drawn_as_two_histograms(monitored):
    trained = json.loads((PROJECT / "modelFiles" / "metadata.json").read_text())["training"]["daily_return_quantiles"]
    drift = detect_drift(np.random.default_rng(0).normal(0, 0.02, 300).tolist(), trained)
    answer_with(monitored, state([logged(1)], drift=drift))
    open_monitoring(monitored)
    found = drift["histogram"]
    edges = [f"{MINUS if edge < 0 else ''}{abs(100 * edge):.1f}%" for edge in found["edges"]]
    chart = monitored.get_by_role("img", name="Two histograms of daily returns, now and in the training data, in 24 bins")
    expect(chart).to_be_visible()
    assert chart.evaluate(COUNT_PIXELS)[3] > 300, "the returns are not drawn"
    names = [f"under {edges[1]}", *(f"{low} to {high}" for low, high in pairwise(edges[1:-1])), f"over {edges[-2]}"]
    shares = [[f"{found[name][bin_]:.1%}" for name in ("now", "trained")] for bin_ in range(24)]
    assert cells_of(monitored, "#drift-bins") == [[name, *own] for name, own in zip(names, shares, strict=True)]
    monitored.locator("#drift-chart").focus()
    monitored.keyboard.press("Home")
    expect(monitored.locator("#drift-readout")).to_have_text(f"{names[0]}: now {shares[0][0]} of the days, in training {shares[0][1]}")
    monitored.keyboard.press("End")
    expect(monitored.locator("#drift-readout")).to_contain_text(f"{names[-1]}: now {shares[-1][0]}")


def live_days(count: int, n: int) -> list[dict[str, Any]]:
    return [{"date": f"{date(2026, 10, 1) + timedelta(days=day)}", "n": n, "held_80": n - day % 2, "held_95": n} for day in range(count)]


def test_live_coverage_is_drawn_over_time(monitored):
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": live_days(40, 5)}
    answer_with(monitored, state([logged(1)], live_accuracy=accuracy))
    open_monitoring(monitored)
    name = "Line chart of the coverage of the 80% and the 95% interval over the last 20 days with closes, from 2026-10-04 to 2026-11-09."
    chart = monitored.get_by_role("img", name=name)
    expect(chart).to_be_visible()
    assert min(chart.evaluate(COUNT_PIXELS)[place] for place in (0, 3)) > 100, "the coverage is not drawn"
    monitored.locator("#coverage-chart").focus()
    monitored.keyboard.press("End")
    low, high = (f"{binom.ppf(tail, 100, 0.8) / 100:.1%}" for tail in (0.025, 0.975))
    expect(monitored.locator("#coverage-readout")).to_contain_text(
        f"2026-11-09, over 20 days: 80% held 90.0% (by chance {low} to {high}), 95%"
    )
    monitored.keyboard.press("Home")
    expect(monitored.locator("#coverage-readout")).to_contain_text("2026-10-04, over 4 days: 80% held 90.0%")
    assert cells_of(monitored, "#coverage-days")[:2] == [["2026-11-09", "5", "80.0%", "100.0%"], ["2026-11-08", "5", "100.0%", "100.0%"]]


@pytest.mark.parametrize("days", [live_days(4, 4), live_days(1, 500), []])
def test_live_coverage_needs_two_points_of_20_closes(monitored, days):
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": days}
    answer_with(monitored, state([logged(1)], live_accuracy=accuracy))
    open_monitoring(monitored)
    expect(monitored.locator("#coverage-figure")).to_be_hidden()
    expect(monitored.locator("#drift-figure")).to_be_hidden()


def test_change_of_the_model_is_marked_in_the_timeline(monitored):
    old, new = ({"model_version": version, "model_symbol": None} for version in ("20260101-000000-aaaaaa", "20260202-000000-bbbbbb"))
    rows = [logged(600 - i, **(old if i < 300 else new)) for i in range(600)]
    answer_with(monitored, state([row | {"model_version": None} for row in rows]))
    open_monitoring(monitored)
    expect(monitored.locator("#changes-key")).to_be_hidden()
    plain = monitored.locator("#rate-chart canvas").evaluate(COUNT_PIXELS)[0]
    forget_figures(monitored)
    monitored.unroute("**/monitor?limit=100")
    answer_with(monitored, state(rows))
    open_monitoring(monitored)
    expect(monitored.locator("#changes-key")).to_have_text("another model version answers")
    assert monitored.locator("#rate-chart canvas").evaluate(COUNT_PIXELS)[0] > plain + 20, "the change is not drawn"
    monitored.locator("#rate-chart").focus()
    for key in ("Home", "PageDown"):  # the 10th of 20 periods after the first
        monitored.keyboard.press(key)
    expect(monitored.locator("#rate-readout")).to_contain_text(", model 20260202-000000-bbbbbb from 19:55:00")


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
def test_all_charts_of_monitoring_fit_and_are_accessible(monitored, width, scheme):
    trained = metadata()["training"]["daily_return_quantiles"]
    accuracy = state([])["SUMMARY"]["live_accuracy"] | {"by_day": live_days(40, 4)}
    answer_with(monitored, state([logged(30 - i) for i in range(30)], live_accuracy=accuracy, drift=detect_drift(trained[1:-1], trained)))
    with shown_at(monitored, width, scheme=scheme):
        open_monitoring(monitored)
        for chart in ("#rate-chart", "#coverage-chart", "#drift-chart"):
            expect(monitored.locator(f"{chart} canvas")).to_be_visible()
        assert monitored.evaluate("document.documentElement.scrollWidth") <= width
        if width in {390, 1280}:
            assert violations(monitored) == []
