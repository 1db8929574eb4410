"""Above which price? The field, the line of the chart, and the probability in words."""

import re

import pytest
import requests
from browsing import MARKS, Watch, fill_and_ask, forecast, forecast_symbol, violations
from playwright.sync_api import Page, expect

pytestmark = MARKS


def ask_above(page: Page, price: str) -> None:
    page.get_by_label("Above which price?").fill(price)
    page.get_by_role("button", name="Show the probability").click()


def test_page_says_the_probability_above_a_price(page, server):
    forecast_symbol(page, "JNJ")
    ask_above(page, "177")
    body = requests.get(f"{server}/forecast/JNJ?horizon=20&above=177", timeout=60).json()
    first, last = (f"{body['path'][step]['probability_above'][0]:.1%}" for step in (0, -1))
    expect(page.locator("#above-answer")).to_have_text(
        f"The next close (2022-12-29) is above 177 with a probability of {first}, "
        f"the close 20 trading days ahead (2023-01-27) with a probability of {last}."
    )
    ask_above(page, "1000")
    expect(page.locator("#above-answer")).to_contain_text("is above 1000 with a probability of less than 0.5%")
    ask_above(page, "1")
    expect(page.locator("#above-answer")).to_contain_text("is above 1 with a probability of more than 99.5%")
    assert violations(page) == []
    forecast_symbol(page, "KO")
    expect(page.locator("#result-title")).to_have_text("KO")
    expect(page.locator("#above-answer")).to_be_empty()
    expect(page.get_by_label("Above which price?")).to_have_value("")


def line_price(page: Page) -> float:
    return float(page.get_by_role("slider", name="Price to compare the closes with").get_attribute("aria-valuenow") or "nan")


def test_line_of_the_chart_is_dragged_to_a_price(page):
    forecast_symbol(page, "JNJ")
    line = page.locator("#price-line")
    assert line_price(page) == pytest.approx(174.085)
    line.scroll_into_view_if_needed()
    before, over = line.bounding_box(), page.locator("#chart .u-over").bounding_box()
    x = before["x"] + before["width"] + 20  # of its label, next to the plot
    page.mouse.move(x, before["y"])
    page.mouse.down()
    page.mouse.move(x, before["y"] - 30, steps=3)
    page.mouse.up()
    price = line_price(page)
    assert price > 174.085
    expect(page.get_by_label("Above which price?")).to_have_value(f"{price:.2f}")
    answer = page.locator("#above-answer")
    expect(answer).to_contain_text(f"The next close (2022-12-29) is above {price:.2f} with a probability of")
    expect(page.get_by_role("button", name="60 days")).to_have_attribute("aria-pressed", "true")  # the chart did not zoom
    page.mouse.move(over["x"] + over["width"] - 1, over["y"] + 20)
    last = answer.inner_text().rsplit("with a probability of ")[-1].rstrip(".")
    expect(page.locator("#readout")).to_contain_text(re.compile(rf"^2023-01-27: .*, above {price:.2f} with a probability of {last}$"))


LABEL = """line => {
  const box = line.getBoundingClientRect();
  const [left, top, width, height] = ["left", "top", "width", "height"].map((name) => parseFloat(getComputedStyle(line, "::after")[name]));
  const [plot, chart] = ["#chart .u-over", "#chart"].map((place) => document.querySelector(place).getBoundingClientRect());
  return [{ left: box.left + left, right: box.left + left + width, bottom: box.top + top + height }, plot, chart];
}"""  # all at once: the page may be scrolling


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("close", [7, 12345.67])
def test_label_of_the_line_covers_neither_the_chart_nor_its_axes(open_page, width, close):
    open_page.set_viewport_size({"width": width, "height": 844})
    fill_and_ask(open_page, " ".join(f"{close + day % 3:.2f}" for day in range(60)))
    expect(open_page.locator("#result-title")).to_have_text("Your closes")
    line = open_page.locator("#price-line")
    for key in ("PageUp", *["PageDown"] * 12):  # to the bottom
        line.press(key)
        label, plot, chart = line.evaluate(LABEL)
        assert label["left"] >= plot["right"] - 1
        assert label["right"] <= chart["right"]
        assert label["bottom"] <= plot["bottom"] + 1, "the label is over the dates"


def test_line_of_the_chart_is_moved_with_the_arrow_keys(page, watch):
    forecast_symbol(page, "JNJ")
    line = page.locator("#price-line")
    line.focus()
    for key in ("PageUp", "ArrowUp", "ArrowDown", "ArrowDown"):
        line.press(key)
    price = line_price(page)
    assert price > 174.085
    expect(page.locator("#above-answer")).to_contain_text(f"is above {price:.2f} with a probability of")
    assert len([url for url in watch.requests if "above=" in url]) == 1, "one request for several keys"
    expect(line).to_be_focused()
    assert violations(page) == []
    page.get_by_label("Above which price?").fill("180")
    page.get_by_role("button", name="Show the probability").click()
    expect(line).to_have_attribute("aria-valuetext", "180.00")


@pytest.mark.parametrize("price", ["", "abc", "-5", "0", "1,000"])
def test_wrong_price_is_reported_beside_its_field(open_page, price):
    watch = Watch(open_page)
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    ask_above(open_page, price)
    expect(open_page.locator("#above-error")).to_have_text("Write a positive price, with a point as the decimal mark.")
    expect(open_page.get_by_label("Above which price?")).to_be_focused()
    assert not [url for url in watch.requests if "above=" in url]


def test_probability_for_pasted_closes_has_no_dates(page):
    forecast(page)
    ask_above(page, "250")
    expect(page.locator("#above-answer")).to_contain_text("The next close is above 250 with a probability of ")


def test_refusal_of_the_price_is_shown(page):
    forecast_symbol(page, "JNJ")
    expect(page.locator("#result-title")).to_have_text("JNJ")
    page.route("**/forecast/JNJ*above*", lambda route: route.fulfill(status=503, json={"error": "Too busy.", "details": []}))
    ask_above(page, "180")
    expect(page.locator("#above-error")).to_have_text("Too busy.")
    expect(page.locator("#above-answer")).to_be_empty()
