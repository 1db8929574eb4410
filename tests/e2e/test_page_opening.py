"""The page's opening in a real Chromium: the example's forecast, or that of the symbol in its address."""

import json
import re
import subprocess
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import pytest
import requests
from browsing import (
    MARKS,
    ask,
    example_closes,
    forecast,
    forecast_symbol,
    metadata,
    open_backtest,
    serve,
    shown,
    violations,
)
from playwright.sync_api import Page, Route, expect

from closes.snapshot import read_snapshot

pytestmark = MARKS

# What a browser does when an entry of a field's list is chosen.
CHOOSE = """(field, value) => {
  field.value = value;
  field.dispatchEvent(new InputEvent("input", { inputType: "insertReplacementText", bubbles: true }));
}"""


def expect_example(page: Page) -> None:
    expect(page.locator("#result-title")).to_have_text("Example: forecast of MSFT")
    expect(page.locator("#chart canvas")).to_be_visible()


def open_at(page: Page, address: str) -> None:
    """Reload the page: a new hash alone would not load it."""
    page.goto("about:blank")
    page.goto(address)


def test_page_opens_with_the_forecast_of_the_example(page, watch, server):
    expect_example(page)
    assert watch.predictions == []
    answer = requests.get(f"{server}/forecast/MSFT?horizon=20", timeout=60).json()
    unrounded = {
        name: float(page.locator(f'[data-out="{name}"]').get_attribute("value") or "nan") for name in ("price", "low80", "finalHigh95")
    }
    last = answer["path"][-1]
    assert unrounded == {
        "price": answer["predicted_price"],
        "low80": answer["intervals"]["80"][0],
        "finalHigh95": last["intervals"]["95"][1],
    }
    expect(page.locator("#table tbody tr")).to_have_count(20)
    expect(page.locator("#answered")).to_be_hidden()  # nobody has asked
    closes = read_snapshot("MSFT").prices[-250:]
    page.get_by_role("img", name=f"Line chart of 250 closes from {shown(closes[0])} to {shown(closes[-1])}")


def test_opening_is_labelled_as_an_example_with_its_age(page):
    days = (datetime.now(UTC).date() - date(2022, 12, 28)).days
    expect(page.locator("#origin")).to_have_text(
        f"This is an example. MSFT data ends on 2022-12-28, {days:,} days ago, from the embedded snapshot."
    )
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()
    assert page.evaluate("scrollY") == 0
    assert urlsplit(page.url).query == ""


def test_curl_command_of_the_example_gives_its_forecast(page, server):
    command = page.locator("#call").text_content()
    assert "/predict" in command
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=30)
    path = json.loads(done.stdout)["path"]
    assert path == ask(server, example_closes(page), horizon=20)["path"]
    assert float(page.locator('[data-out="price"]').get_attribute("value")) == path[0]["price"]


def test_answer_replaces_the_example(page):
    forecast(page, horizon=3)
    expect(page.locator("#origin")).to_be_empty()
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()
    expect(page.locator("#table tbody tr")).to_have_count(3)
    expect(page.locator("#answered")).to_be_visible()


def test_example_makes_no_request_to_predict(browser, tmp_path):
    log = tmp_path / "log.csv"
    for url in serve(log):
        page = browser.new_page()
        page.goto(url)
        expect_example(page)
        assert requests.get(f"{url}/monitor", timeout=30).json()["SUMMARY"]["requests"] == 0
        assert len(log.read_text().splitlines() if log.exists() else []) <= 1, "more than the header"
        assert 'route="/predict"' not in requests.get(f"{url}/metrics", timeout=30).text
        page.close()


def test_example_needs_no_api_key_but_its_call_does(browser, tmp_path):
    for url in serve(tmp_path / "log.csv", API_KEY="key-of-the-test"):
        page = browser.new_page()
        page.goto(url)
        expect_example(page)
        expect(page.get_by_label("API key")).to_be_hidden()
        command = page.locator("#call").text_content()
        assert "-H 'X-API-Key: YOUR-API-KEY'" in command
        done = subprocess.run(["sh", "-c", command.replace("YOUR-API-KEY", "key-of-the-test")], capture_output=True, check=True, timeout=30)
        assert len(json.loads(done.stdout)["path"]) == 20
        page.close()


def test_example_behind_another_tab_is_full_size_once_shown(page, server):
    open_at(page, f"{server}/#backtest")
    page.get_by_role("tab", name="Forecast").click()
    expect_example(page)
    chart, frame = (page.locator(selector) for selector in ("#chart canvas", "#chart"))
    page.wait_for_function("document.querySelector('#chart canvas').clientWidth > 100")
    assert chart.bounding_box()["width"] == pytest.approx(frame.bounding_box()["width"], abs=2)


def test_chart_comes_before_the_form_for_own_closes_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    result, form, chart = (page.locator(selector).bounding_box()["y"] for selector in ("#result", "#form", "#chart"))
    assert result < form
    assert chart < 844


def test_answer_is_scrolled_into_view_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    forecast(page)  # its form lies below the answer
    assert 0 <= page.locator("#result").bounding_box()["y"] < 844 / 2


def test_answer_is_compared_with_repeating_the_last_close(page):
    model = metadata()
    result = model["metrics"]
    expect(page.locator("#comparison")).to_have_text(
        f"On the {result['n_days']:,} days of {model['symbol']} that the model was tested on, repeating the last close was wrong by "
        f"{result['naive_mape']:.2%} of the close on average, the model by {result['mape']:.2%}."
    )


def test_answer_of_another_model_is_not_compared(page, server):
    def give_another(route):
        answer = route.fetch().json()
        route.fulfill(json=answer | {"model_version": "20990101-000000-abcdef"})

    page.route("**/predict?*", give_another)
    forecast(page)
    expect(page.locator(".words")).to_contain_text("20990101-000000-abcdef")
    expect(page.locator("#comparison")).to_be_hidden()
    page.unroute("**/predict?*")
    forecast(page)
    expect(page.locator("#comparison")).to_be_visible()


def test_forecast_of_a_symbol_is_in_the_address(page, server):
    open_at(page, f"{server}/#forecast")
    entries = page.evaluate("history.length")
    forecast_symbol(page, "jnj")
    assert page.url == f"{server}/?symbol=JNJ#forecast"
    assert page.evaluate("history.length") == entries
    open_backtest(page)
    page.go_back()
    assert page.url == f"{server}/?symbol=JNJ#forecast"
    forecast(page)
    assert page.url == f"{server}/#forecast", "closes of one's own are in no address"


@pytest.mark.parametrize("path", ["/?symbol=JNJ", "/?symbol=%20jnj#forecast", "/predict?symbol=jnj"])
def test_address_with_a_symbol_requests_it_once(page, watch, server, path):
    watch.requests.clear()
    open_at(page, server + path)
    expect(page.locator("#result-title")).to_have_text("Forecast of JNJ", timeout=60_000)
    assert len(watch.asked("/forecast/JNJ")) == 1
    expect(page.get_by_label("Stock symbol")).to_have_value(re.compile("jnj", re.IGNORECASE))
    assert "symbol=JNJ" in page.url
    assert watch.complaints == []


def test_example_is_not_shown_while_the_symbol_is_loading(page, server):
    held: list[Route] = []
    page.route("**/forecast/JNJ*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    open_at(page, f"{server}/?symbol=JNJ")
    expect(page.locator("#symbol-progress")).to_contain_text("Asking for the newest closes of JNJ")
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#placeholder")).to_be_visible()
    held[0].continue_()
    expect(page.locator("#result-title")).to_have_text("Forecast of JNJ", timeout=60_000)


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("..", "“..” is not a symbol"),
        ("%3Cb%3EX%3C/b%3E", "“<B>X</B>” is not a symbol"),
        ("X" * 500, f"“{'X' * 40}” is not a symbol"),
        ("ACME", "No source has closes of ACME now."),
    ],
)
def test_invalid_symbol_in_the_address_is_reported_at_the_field(page, server, symbol, message):
    open_at(page, f"{server}/?symbol={symbol}")
    expect(page.locator("#symbol-error")).to_contain_text(message, timeout=60_000)
    expect(page.get_by_label("Stock symbol")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#result")).to_be_hidden()
    assert violations(page) == []


def test_empty_symbol_in_the_address_is_ignored(page, server):
    open_at(page, f"{server}/?symbol=")
    expect_example(page)
    expect(page.locator("#symbol-error")).to_be_empty()


def test_address_with_a_symbol_requests_the_api_key(browser, tmp_path):
    for url in serve(tmp_path / "log.csv", API_KEY="key-of-the-test"):
        page = browser.new_page()
        page.goto(f"{url}/?symbol=JNJ")
        expect(page.get_by_label("API key")).to_be_focused()
        page.get_by_label("API key").fill("key-of-the-test")
        page.get_by_label("API key").press("Enter")
        expect(page.locator("#result-title")).to_have_text("Forecast of JNJ", timeout=60_000)
        page.close()


def test_choosing_a_listed_symbol_takes_one_click(page):
    name = page.locator("#symbols option").nth(2).get_attribute("value")
    page.get_by_label("Stock symbol").evaluate(CHOOSE, name)
    page.get_by_role("button", name="Forecast 20 days").click()
    expect(page.locator("#result-title")).to_have_text(f"Forecast of {name}", timeout=60_000)
