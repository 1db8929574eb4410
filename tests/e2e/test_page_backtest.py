"""The page's tab Backtest in a real Chromium."""

import csv
import re
from pathlib import Path

import browsing
import pytest
import requests
from browsing import COUNT_PIXELS, MARKS, PROJECT, metadata, open_backtest, open_once, shown, shown_at, violations
from playwright.sync_api import Page, expect

CHANCE, SURE = "than chance may explain (Diebold-Mariano test, p = 0.3).", "more than chance explains (Diebold-Mariano test, p < 0.005)."
PUBLISHED = re.compile(r"/backtest\?pit=1$")

pytestmark = MARKS


def backtest_rows() -> list[dict[str, str]]:
    with (PROJECT / "modelFiles" / "versions" / metadata()["model_version"] / "backtest.csv").open() as file:
        return list(csv.DictReader(file))


def point_at(page: Page, share: float) -> str:
    """What the backtest's readout tells at a share of the chart's width."""
    return browsing.point_at(page, share, "backtest-chart")


def shown_days(page: Page) -> tuple[str, str]:
    """The first and the last day in sight."""
    return point_at(page, 0)[:10], point_at(page, 1)[:10]


@pytest.fixture(scope="module")
def opened_backtest(browser, server):
    """The tab in a page of its own, opened once."""
    for page in open_once(browser, server, {}):
        open_backtest(page)
        yield page


@pytest.fixture
def backtest(opened_backtest):
    """The tab with the whole period, without a cursor."""
    opened_backtest.get_by_role("button", name="Whole period").click()
    opened_backtest.mouse.move(0, 0)
    return opened_backtest


def test_backtest_is_fetched_once_when_first_shown(page, watch):
    assert watch.asked("/backtest") == []
    open_backtest(page)
    page.get_by_role("tab", name="Forecast").click()
    open_backtest(page)
    assert len(watch.asked("/backtest")) == 1


def test_backtest_chart_is_drawn_and_described(backtest):
    rows = backtest_rows()
    chart = backtest.get_by_role("img", name=f"Line chart of {len(rows)} closes of MSFT from {rows[0]['date']} to {rows[-1]['date']}")
    expect(chart).to_be_visible()
    backtest.get_by_role("button", name=rows[-1]["date"][:4]).click()  # a year, so that the lines lie apart
    dark, outer, inner, _ = chart.evaluate(COUNT_PIXELS)
    assert dark > 300, "the closes are not drawn"
    assert outer > 3000, "the 95% interval is not drawn"
    assert inner > 3000, "the 80% interval is not drawn"


def test_backtest_shows_the_values_under_the_pointer(backtest):
    rows = {row["date"]: row for row in backtest_rows()}
    told = [point_at(backtest, share) for share in (0, 0.3, 0.7, 1)]
    for said in told:
        text = re.sub(r", outside the \d\d% interval$", "", said)
        row = {name: shown(float(value)) for name, value in rows[text[:10]].items() if name != "date"}
        assert text == (
            f"{text[:10]}: close {row['actual']}, forecast {row['predicted']}, "
            f"80% {row['low_80']} to {row['high_80']}, 95% {row['low_95']} to {row['high_95']}"
        )
    assert (told[0][:10], told[-1][:10]) == (min(rows), max(rows))
    assert len(set(told)) == 4
    backtest.mouse.move(0, 0)
    expect(backtest.locator("#backtest-readout")).to_be_empty()


@pytest.mark.parametrize("back", ["double click", "button"])
def test_backtest_zooms_by_drag_and_back(backtest, back):
    whole = shown_days(backtest)
    button = backtest.get_by_role("button", name="Whole period")
    expect(button).to_have_attribute("aria-pressed", "true")
    start, end = point_at(backtest, 0.6)[:10], point_at(backtest, 0.4)[:10]
    backtest.mouse.down()
    point_at(backtest, 0.5)
    point_at(backtest, 0.6)
    backtest.mouse.up()
    expect(button).to_have_attribute("aria-pressed", "false")
    first, last = shown_days(backtest)
    assert whole[0] < end <= first < last <= start < whole[1]
    if back == "button":
        button.click()
    else:
        point_at(backtest, 0.5)
        backtest.locator("#backtest-chart .u-over").dblclick()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert shown_days(backtest) == whole


def test_button_zooms_the_backtest_to_a_year(backtest):
    dates = [row["date"] for row in backtest_rows() if row["date"].startswith("2021")]
    backtest.get_by_role("button", name="2021").focus()
    backtest.keyboard.press("Enter")
    expect(backtest.get_by_role("button", name="2021")).to_have_attribute("aria-pressed", "true")
    expect(backtest.get_by_role("button", name="Whole period")).to_have_attribute("aria-pressed", "false")
    assert shown_days(backtest) == (dates[0], dates[-1])


def test_backtest_dates_do_not_depend_on_the_time_zone(browser, server):
    drawn = set()
    for zone in ("Pacific/Honolulu", "Pacific/Auckland"):
        context = browser.new_context(timezone_id=zone)
        page = context.new_page()
        page.goto(f"{server}/#backtest")
        expect(page.locator("#backtest-chart canvas")).to_be_visible()
        rows = backtest_rows()
        assert shown_days(page) == (rows[0]["date"], rows[-1]["date"])
        drawn.add(page.locator("#backtest-chart canvas").evaluate("c => c.toDataURL()"))
        context.close()
    assert len(drawn) == 1, "the axis has other days"


def test_hidden_backtest_keeps_zoom_and_size_when_colours_change(page):
    open_backtest(page)
    page.get_by_role("button", name="2021").click()
    days = shown_days(page)
    page.get_by_role("tab", name="Forecast").click()
    page.emulate_media(color_scheme="dark")
    open_backtest(page)
    assert shown_days(page) == days
    chart, frame = (page.locator(selector).bounding_box() for selector in ("#backtest-chart canvas", "#backtest-figure"))
    assert chart["width"] == pytest.approx(frame["width"], abs=2)


def test_tables_show_the_coverage_of_the_intervals(backtest):
    tables = backtest.locator("#coverage table")
    coverage = metadata()["coverage"]
    expect(tables).to_have_count(len(coverage))
    for table, kind in zip(tables.all(), ("year", "volatility", "horizon", "symbol"), strict=True):
        rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        assert rows == [
            [name, str(part["n_days"]), f"{part['coverage_80']:.1%}", f"{part['coverage_95']:.1%}"] for name, part in coverage[kind].items()
        ]


def test_backtest_text_follows_the_metadata(backtest):
    model = metadata()
    result = model["metrics"]
    text = backtest.locator("#backtest-result").inner_text() + backtest.locator("#backtest-metrics").inner_text()
    assert f"Each of the {result['n_days']} closes of {model['symbol']} from {model['tested_from']} to {model['last_date']}" in text
    assert f"Its RMSE was {result['rmse_ratio']:.4f} times that of persistence (repeating the last close)" in text
    assert f"p = {result['dm_p_value']:.2g})" in text
    assert f"The 80% intervals held {result['coverage_80']:.1%} of the closes, the 95% ones {result['coverage_95']:.1%}." in text
    assert f"on all days held {result['naive_coverage_80']:.1%} and {result['naive_coverage_95']:.1%}." in text
    own_80, own_95, band_80, band_95 = (
        f"{100 * result[f'{name}_{level}']:.2f}" for name in ("winkler", "naive_winkler") for level in (80, 95)
    )
    assert f"It is {own_80} at 80% and {own_95} at 95%; for the bands it is {band_80} and {band_95}. So the intervals are" in text


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rmse_ratio": 0.97, "dm_p_value": 0.3, "dm_statistic": -1}, f"so it is the better of the two, but by no more {CHANCE}"),
        ({"rmse_ratio": 0.97, "dm_p_value": 0.001, "dm_statistic": -3}, f"so it is the better of the two, by {SURE}"),
        ({"rmse_ratio": 1.001, "dm_p_value": 0.3, "dm_statistic": 1}, "so the two are about equal: the difference is no more than chance"),
        ({"rmse_ratio": 1.001, "dm_p_value": 0.001, "dm_statistic": 3}, f"so the two are about equal, though the difference is {SURE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": 0.3, "dm_statistic": 1}, f"so it is worse than that, but by no more {CHANCE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": 0.001, "dm_statistic": 3}, f"so it is worse than that, by {SURE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": None, "dm_statistic": None}, "so it is worse than that. The 80%"),
        (
            {"winkler_80": 0.9, "naive_winkler_80": 1, "winkler_95": 0.9, "naive_winkler_95": 1},
            "So the intervals are better than such bands at both levels.",
        ),
        (
            {"winkler_80": 1, "naive_winkler_80": 1, "winkler_95": 1, "naive_winkler_95": 1},
            "So the intervals are no better than such bands at both levels.",
        ),
        (
            {"winkler_80": 1, "naive_winkler_80": 1, "winkler_95": 2, "naive_winkler_95": 1},
            "So the intervals are no better than such bands at 80%, worse at 95%.",
        ),
    ],
)
def test_wording_of_the_backtest_follows_the_metrics(changed, words, tmp_path, monkeypatch):
    from app import STATE, create_app

    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "log.csv"))
    app = create_app()
    app.extensions[STATE].service.models.current().metadata.metrics.__dict__.update(changed)
    text = app.test_client().get("/").text.replace("</p>", " ").replace("<p>", " ").replace("&lt;", "<")
    assert words in " ".join(text.split())


def test_backtest_can_be_downloaded(backtest, server):
    with backtest.expect_download() as download:
        backtest.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == f"backtest-MSFT-{metadata()['model_version']}.csv"
    assert Path(download.value.path()).read_bytes() == requests.get(f"{server}/backtest", timeout=30).content


def test_failed_backtest_is_reported_and_retried(page):
    refusal = {"error": "Model x has no backtest.", "details": []}
    page.route(PUBLISHED, lambda route: route.fulfill(status=404, json=refusal))
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-error")).to_have_text(refusal["error"])
    expect(page.locator("#backtest-error")).to_have_role("alert")
    expect(page.locator("#backtest-figure")).to_be_hidden()
    expect(page.locator("#coverage")).to_be_visible()
    page.unroute(PUBLISHED)
    page.get_by_role("tab", name="Forecast").click()
    open_backtest(page)
    expect(page.locator("#backtest-error")).to_be_hidden()


def test_backtest_of_another_model_is_not_shown(page):
    page.route(PUBLISHED, lambda route: route.fulfill(body="date,actual\n", headers={"ETag": '"20990101-000000-abcdef"'}))
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-error")).to_contain_text("Load the page again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_backtest_has_no_accessibility_violations(backtest, scheme):
    with shown_at(backtest, 1280, 900, scheme):
        backtest.get_by_role("button", name="2021").click()
        point_at(backtest, 0.5)
        assert violations(backtest) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_backtest_does_not_scroll_sideways(backtest, width):
    with shown_at(backtest, width):
        assert point_at(backtest, 0.5)
        assert backtest.evaluate("document.documentElement.scrollWidth") <= width
        chart, panel = (backtest.locator(selector).bounding_box() for selector in ("#backtest-chart canvas", "#panel-backtest"))
        assert chart["x"] + chart["width"] <= panel["x"] + panel["width"], "the chart is cut off"


def test_backtest_text_and_tables_need_no_javascript(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server)
    expect(page.locator("#backtest-result")).to_be_visible()
    expect(page.locator("#coverage table")).to_have_count(4)
    expect(page.get_by_role("tablist")).to_be_hidden()
    context.close()
