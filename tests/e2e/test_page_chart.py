"""The forecast's chart in a real Chromium: its zoom, its periods and the dates on its axis."""

import re
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest
import requests
from browsing import KEEP_LABELS, MARKS, fill_and_ask, forecast, forecast_symbol, point_at, redrawn, shown_at, violations
from playwright.sync_api import Page, expect

from closes.snapshot import read_snapshot

PERIODS = ["All", "120 days", "60 days", "20 days"]
DATES = [str(day) for day in read_snapshot("MSFT").dates[-250:]]

AXIS_TITLE = re.compile("closes from")
pytestmark = MARKS


@pytest.fixture(scope="module")
def tab_options():
    """Canvases keep what is written on them."""
    return {"script": KEEP_LABELS}


def labels(page: Page, align: str) -> list[dict[str, Any]]:
    """The labels of an axis of the chart, without its title: x is centred, y is right-aligned."""
    every = page.locator("#chart canvas").evaluate("canvas => canvas.labels")
    return [label for label in every if label["align"] == align and not AXIS_TITLE.search(label["text"])]


def texts(page: Page) -> list[str]:
    return [label["text"] for label in labels(page, "center")]


def prices(page: Page) -> list[float]:
    return [float(label["text"].replace(",", "")) for label in labels(page, "right")]


def title(page: Page) -> str:
    every = page.locator("#chart canvas").evaluate("canvas => canvas.labels")
    return str(next(label["text"] for label in every if AXIS_TITLE.search(label["text"])))


def press(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name=name, exact=True)).to_have_attribute("aria-pressed", "true")


LAST_DAY = "2023-01-27"  # 20 trading days after the last close


def shown_days(page: Page) -> tuple[str, str]:
    """The first and the last day in sight."""
    first, last = (point_at(page, share).partition(":")[0] for share in (0, 1))
    page.mouse.move(0, 0)
    return first, last


@pytest.fixture
def chart_page(example):
    """The example's chart as the page opens with it, without a cursor."""
    press(example, "60 days")
    example.mouse.move(0, 0)
    return example


@pytest.mark.parametrize("name", PERIODS)
def test_button_shows_a_period_and_the_whole_forecast(chart_page, name):
    if name == "60 days":  # the page opens with it
        press(chart_page, "20 days")
    press(chart_page, name)
    days = 249 if name == "All" else int(name.split()[0])
    assert shown_days(chart_page) == (DATES[-1 - days], LAST_DAY)
    pressed = [button.get_attribute("aria-pressed") for button in chart_page.locator("#periods button").all()]
    assert pressed == [str(other == name).lower() for other in PERIODS]


def test_chart_opens_with_60_days_so_that_the_fan_fills_a_quarter_of_it(page):
    assert shown_days(page) == (DATES[-61], LAST_DAY)
    expect(page.get_by_role("button", name="60 days")).to_have_attribute("aria-pressed", "true")


def test_price_axis_follows_the_period(chart_page):
    press(chart_page, "All")
    whole = prices(chart_page)
    press(chart_page, "20 days")
    assert max(prices(chart_page)) < max(whole)
    press(chart_page, "All")
    assert prices(chart_page) == whole


@pytest.mark.parametrize("back", ["double click", "button"])
def test_chart_zooms_by_drag_and_back(chart_page, back):
    press(chart_page, "All")
    whole = shown_days(chart_page)
    assert whole == (DATES[0], LAST_DAY)
    start, end = (point_at(chart_page, share)[:10] for share in (0.6, 0.4))
    chart_page.mouse.down()
    point_at(chart_page, 0.5)
    point_at(chart_page, 0.6)
    chart_page.mouse.up()
    everything = chart_page.get_by_role("button", name="All", exact=True)
    expect(everything).to_have_attribute("aria-pressed", "false")
    first, last = shown_days(chart_page)
    assert whole[0] < end <= first < last <= start
    if back == "button":
        everything.click()
    else:
        point_at(chart_page, 0.5)
        chart_page.locator("#chart .u-over").dblclick()
    expect(everything).to_have_attribute("aria-pressed", "true")
    assert shown_days(chart_page) == whole


def test_closest_zoom_shows_some_days(chart_page):
    press(chart_page, "20 days")  # a day is 19 pixels wide
    over = chart_page.locator("#chart .u-over").bounding_box()
    point_at(chart_page, 0.2)
    chart_page.mouse.down()
    chart_page.mouse.move(over["x"] + 0.2 * over["width"] + 12, over["y"] + 40)
    chart_page.mouse.up()
    first, last = shown_days(chart_page)
    assert DATES.index(last) - DATES.index(first) in {3, 4}  # four days' width


def test_zoom_survives_a_colour_change_but_not_a_new_answer(page):
    press(page, "120 days")
    with redrawn(page):
        page.emulate_media(color_scheme="dark")
    assert shown_days(page)[0] == DATES[-121]
    expect(page.get_by_role("button", name="120 days")).to_have_attribute("aria-pressed", "true")
    forecast_symbol(page, "JNJ")
    expect(page.get_by_role("button", name="60 days")).to_have_attribute("aria-pressed", "true")


def test_periods_longer_than_the_closes_are_not_offered(open_page):
    forecast(open_page)
    keys = open_page.locator("#result .key:visible")
    assert keys.all_inner_texts() == ["close", "forecast", "50%", "80%", "95% interval"], "own closes have no intervals to be outside of"
    offered = open_page.locator("#periods").get_by_role("button").all_inner_texts()
    assert offered == ["All", "20 days"]
    press(open_page, "20 days")
    assert shown_days(open_page) == ("20 closes before the last", "20 closes ahead")
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    assert keys.all_inner_texts()[-2:] == ["close outside 80%", "outside 95%"]
    assert open_page.locator("#periods").get_by_role("button").all_inner_texts() == PERIODS


def test_chart_says_how_to_read_and_zoom_it(chart_page):
    hint = chart_page.locator("#result .chart-hint").inner_text().strip()
    assert hint == "Point at a day for its values, or use the arrow keys; drag to zoom in, double-click to zoom out."


@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_values_are_shown_at_the_cursor(chart_page, share):
    assert point_at(chart_page, share)[:3] == "202"
    over, box = chart_page.locator("#chart .u-over").bounding_box(), chart_page.locator("#readout").bounding_box()
    x = over["x"] + 1 + share * (over["width"] - 2)
    assert min(abs(box["x"] - x), abs(box["x"] + box["width"] - x)) <= 20
    assert over["x"] - 1 <= box["x"]
    assert box["x"] + box["width"] <= over["x"] + over["width"] + 1
    chart_page.mouse.move(0, 0)
    expect(chart_page.locator("#readout")).to_be_hidden()


def test_chart_is_read_with_the_arrow_keys(chart_page):
    chart, readout = chart_page.locator("#chart"), chart_page.locator("#readout")
    chart.focus()
    for key, day in (
        ("End", LAST_DAY),
        ("ArrowLeft", "2023-01-26"),
        ("Home", DATES[-61]),
        ("ArrowRight", DATES[-60]),
        ("PageDown", DATES[-50]),
    ):
        chart.press(key)
        expect(readout).to_contain_text(f"{day}: ")
        expect(readout).to_be_visible()
    expect(readout).to_have_role("status")
    expect(chart_page.get_by_role("group", name="Chart. The arrow keys show the values day by day.")).to_be_focused()
    assert violations(chart_page) == []
    chart.press("Escape")
    expect(readout).to_be_hidden()
    chart.press("ArrowLeft")
    chart_page.locator("#above").focus()
    expect(readout).to_be_hidden()


def test_closes_outside_their_intervals_are_marked(open_page, server):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    rows = [row.split(",") for row in requests.get(f"{server}/backtest/JNJ?days=250", timeout=60).text.splitlines()[1:]]
    missed: dict[str, str] = {}
    for day, actual, _, low80, high80, low95, high95 in rows[-60:]:
        close, in80, in95 = float(actual), (float(low80), float(high80)), (float(low95), float(high95))
        level = 95 if not in95[0] <= close <= in95[1] else 80 if not in80[0] <= close <= in80[1] else 0
        missed |= {day: f", outside the {level}% interval" if level else ""}
    assert {", outside the 80% interval", ""} <= set(missed.values())
    open_page.locator("#chart").focus()
    open_page.keyboard.press("Home")
    for day, words in missed.items():
        open_page.keyboard.press("ArrowRight")
        told = open_page.locator("#readout").inner_text()
        assert told.startswith(day)
        assert ("outside" in told) == bool(words)
        assert told.endswith(words)


def test_day_and_period_can_be_tapped(browser, server):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(server)
    assert page.locator("#result .chart-hint").inner_text().strip() == "Tap on a day for its values."
    page.get_by_role("button", name="20 days", exact=True).tap()
    expect(page.get_by_role("button", name="20 days", exact=True)).to_have_attribute("aria-pressed", "true")
    page.locator("#chart .u-over").tap(position={"x": 1, "y": 50})
    expect(page.locator("#readout")).to_contain_text(f"{DATES[-21]}: close ")
    context.close()


def lines_of(page: Page) -> list[list[dict[str, Any]]]:
    """The labels of the x axis by their lines, in which none may touch another."""
    lines: dict[int, list[dict[str, Any]]] = {}
    for label in labels(page, "center"):
        lines.setdefault(label["y"], []).append(label)
    for line in lines.values():
        assert all(one["right"] + 4 <= other["left"] for one, other in pairwise(line)), texts(page)
    return [lines[y] for y in sorted(lines)]


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_axis_labels_of_past_and_future_do_not_overlap(chart_page, width):
    with shown_at(chart_page, width):
        assert chart_page.evaluate("document.querySelector('#chart canvas').clientWidth === document.querySelector('#chart').clientWidth")
        for name in PERIODS:
            press(chart_page, name)
            names, years = lines_of(chart_page)
            assert len(names) >= (2 if width == 320 else 3), texts(chart_page)
            assert names[-1]["right"] <= chart_page.locator("#chart canvas").evaluate("canvas => canvas.width")
            assert years[0]["text"] == "2022"
            assert years[0]["left"] <= names[0]["right"], "the first date has no year"
            months = {f"{date.fromisoformat(day):%b}" for day in [*DATES, LAST_DAY]}
            assert {text.split()[-1] for text in (label["text"] for label in names)} <= months
            assert not any(label["text"].startswith("+") for label in names)


def test_axis_dates_are_those_of_the_marked_closes(chart_page):
    press(chart_page, "20 days")
    day = date.fromisoformat(DATES[-1])
    assert f"{day.day} {day:%b}" in texts(chart_page)
    assert "27 Jan" in texts(chart_page)  # the last day ahead
    box = chart_page.locator("#chart .u-over").bounding_box()
    middle = next((label["left"] + label["right"]) / 2 for label in labels(chart_page, "center") if label["text"] == f"{day.day} {day:%b}")
    share = (chart_page.locator("#chart canvas").bounding_box()["x"] + middle - box["x"]) / box["width"]
    assert point_at(chart_page, share).startswith(DATES[-1])


def test_axis_of_closes_that_are_not_daily_counts_the_closes_ahead(open_page):
    weeks = [date(2021, 11, 15) + timedelta(weeks=week) for week in range(60)]
    with redrawn(open_page):
        fill_and_ask(open_page, "\n".join(f"{day},{100 + day.day}" for day in weeks))
    assert lines_of(open_page)[0][-1]["text"] == "+20"


def test_axis_of_closes_without_dates_counts_days(open_page):
    forecast(open_page)
    assert title(open_page) == "closes from the last one"
    assert {"\N{MINUS SIGN}20", "0", "+20"} <= set(texts(open_page))


@pytest.mark.parametrize(
    ("first", "step", "expected"),
    [("2021-11-15", 1, ["2021", "2022"]), ("2012-01-02", 7, ["2012", "2013"]), ("1960-05-01", 365, ["1960"])],
)
def test_pasted_dates_are_on_the_axis(open_page, first, step, expected):
    dates = [date.fromordinal(date.fromisoformat(first).toordinal() + step * day) for day in range(60)]
    with redrawn(open_page):
        fill_and_ask(open_page, "\n".join(f"{day}T16:00,{100 + day.day}" for day in dates))
    drawn = texts(open_page)
    assert [text for text in drawn if text in expected] == expected or len(expected) == 1
    assert shown_days(open_page)[0] == str(dates[0])
