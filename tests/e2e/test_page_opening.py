"""The page's opening in a real Chromium: the example's forecast, or that of the symbol in its address."""

import json
import re
import subprocess
from datetime import UTC, date, datetime
from urllib.parse import urlsplit

import pytest
import requests
from browsing import (
    FIELD,
    KEY,
    MARKS,
    ask,
    example_closes,
    fill_and_ask,
    forecast,
    forecast_symbol,
    metadata,
    open_backtest,
    serve,
    shown,
    shown_at,
    violations,
)
from playwright.sync_api import Page, Route, expect

from closes.snapshot import read_snapshot

pytestmark = MARKS


def expect_example(page: Page) -> None:
    expect(page.locator("#result-title")).to_have_text("MSFT, an example")
    expect(page.locator("#chart canvas")).to_be_visible()


def test_page_opens_with_the_forecast_of_the_example(page, watch, server):
    expect_example(page)
    assert watch.predictions == []
    answer = requests.get(f"{server}/forecast/MSFT?horizon=20", timeout=60).json()
    unrounded = {
        name: float(page.locator(f'[data-out="{name}"]').get_attribute("value") or "nan") for name in ("price", "low", "finalHigh")
    }
    last = answer["path"][-1]
    assert unrounded == {
        "price": answer["predicted_price"],
        "low": answer["intervals"]["80"][0],
        "finalHigh": last["intervals"]["80"][1],
    }
    expect(page.locator("#table tbody tr")).to_have_count(20)
    expect(page.locator("#answered")).to_be_hidden()  # nobody has asked
    closes = read_snapshot("MSFT").prices[-250:]
    page.get_by_role("img", name=f"Line chart of 250 closes from {shown(closes[0])} to {shown(closes[-1])}")


def test_opening_is_labelled_as_an_example_with_its_age(page):
    days = (datetime.now(UTC).date() - date(2022, 12, 28)).days
    expect(page.locator("#origin")).to_have_text(f"Last close 233.43 on 2022-12-28, {days:,} days ago, from the embedded snapshot.")
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()
    assert page.evaluate("scrollY") == 0
    assert urlsplit(page.url).query == ""


def test_curl_command_of_the_example_gives_its_forecast(example, server):
    command = example.locator("#call").text_content()
    assert "/predict" in command
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=30)
    path = json.loads(done.stdout)["path"]
    assert path == ask(server, example_closes(example))["path"]
    assert float(example.locator('[data-out="price"]').get_attribute("value")) == path[0]["price"]


def test_example_says_why_the_intervals_of_its_call_differ(page):
    expect(page.locator("#call-note")).to_contain_text("This call sends only 60 closes.")
    forecast_symbol(page, "KO")
    expect(page.locator("#call-note")).to_be_hidden()


def test_answer_replaces_the_example(page):
    forecast(page)
    expect(page.locator("#origin")).to_have_text(f"Last close {shown(example_closes(page)[-1])}.")
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()
    expect(page.locator("#table tbody tr")).to_have_count(20)
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


def test_example_needs_no_api_key_but_its_call_does(guarded_page, guarded):
    guarded_page.goto(guarded)
    expect_example(guarded_page)
    expect(guarded_page.get_by_label("API key")).to_be_hidden()
    command = guarded_page.locator("#call").text_content()
    assert "-H 'X-API-Key: YOUR-API-KEY'" in command
    done = subprocess.run(["sh", "-c", command.replace("YOUR-API-KEY", KEY)], capture_output=True, check=True, timeout=30)
    assert len(json.loads(done.stdout)["path"]) == 20


def test_example_behind_another_tab_is_full_size_once_shown(lent_page, server):
    lent_page.goto(f"{server}/#backtest")
    lent_page.get_by_role("tab", name="Forecast").click()
    expect_example(lent_page)
    chart, frame = (lent_page.locator(selector) for selector in ("#chart canvas", "#chart"))
    lent_page.wait_for_function("document.querySelector('#chart canvas').clientWidth > 100")
    assert chart.bounding_box()["width"] == pytest.approx(frame.bounding_box()["width"], abs=2)


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 800), (1920, 1080)])
def test_range_of_the_next_close_comes_first_and_is_the_largest_text(example, width, height):
    with shown_at(example, width, height):
        expect_example(example)
        order = ["#form", "#result-title", "#origin", ".range", "#chart", "#track-record", "#about"]
        tops = [example.locator(selector).bounding_box()["y"] for selector in order]
        assert tops == sorted(tops)
        assert example.locator(".range").bounding_box()["y"] < 0.75 * height
        assert example.locator("#chart").bounding_box()["y"] < height
        sizes = example.evaluate("[...document.querySelectorAll('main *')].map((one) => parseFloat(getComputedStyle(one).fontSize))")
        largest = float(example.locator(".range").evaluate("one => parseFloat(getComputedStyle(one).fontSize)"))
        assert max(sizes) == largest >= 1.5 * 16


def test_answer_is_scrolled_into_view_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    forecast(page)
    assert 0 <= page.locator("#result").bounding_box()["y"] < 844 / 2


def test_model_is_compared_with_repeating_the_last_close(example):
    model = metadata()
    result = model["metrics"]
    expect(example.locator("#comparison")).to_have_text(
        f"On the {result['n_days']:,} days of {model['symbol']} that the model was tested on, persistence (repeating the last close) "
        f"was wrong by {result['naive_mape']:.2%} of the close on average, the model by {result['mape']:.2%}."
    )


def test_forecast_of_a_symbol_is_in_the_address(lent_page, server):
    lent_page.goto(f"{server}/#forecast")
    forecast_symbol(lent_page, "jnj")
    assert lent_page.url == f"{server}/?symbol=JNJ#forecast"
    open_backtest(lent_page)
    lent_page.go_back()
    assert lent_page.url == f"{server}/?symbol=JNJ#forecast"
    forecast(lent_page)
    assert lent_page.url == f"{server}/#forecast", "closes of one's own are in no address"


def test_back_and_forward_show_what_was_shown(page, watch, server):
    title = page.locator("#result-title")
    forecast_symbol(page, "JNJ")
    forecast_symbol(page, "KO")
    forecast(page)
    watch.requests.clear()
    for name, query in (("KO", "symbol=KO"), ("JNJ", "symbol=JNJ"), ("MSFT, an example", "")):
        page.go_back()
        expect(title).to_have_text(name)
        assert urlsplit(page.url).query == query
    page.go_forward()
    expect(title).to_have_text("JNJ")
    assert watch.requests == [], "what was shown is requested again"
    page.reload()
    expect(title).to_have_text("JNJ")
    page.go_forward()
    expect(title).to_have_text("KO", timeout=60_000)
    assert page.title().startswith("KO: ")


def test_title_names_the_symbol_and_its_range(page):
    assert page.title() == "Stock forecasts"
    forecast_symbol(page, "JNJ")
    low, high = (page.locator(f'[data-out="{name}"]').inner_text() for name in ("low", "high"))
    expect(page).to_have_title(f"JNJ: {low} to {high} on 2022-12-29")
    forecast(page)
    expect(page).to_have_title(re.compile(r"Your closes: .* next$"))
    fill_and_ask(page, "..")
    expect(page).to_have_title("Stock forecasts")


@pytest.mark.parametrize("path", ["/?symbol=JNJ", "/?symbol=%20jnj#forecast", "/predict?symbol=jnj"])
def test_address_with_a_symbol_requests_it_once(lent_page, watch, server, path):
    lent_page.goto(server + path)
    expect(lent_page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)
    assert len(watch.asked("/forecast/JNJ")) == 1
    expect(lent_page.get_by_label(FIELD, exact=True)).to_have_value(re.compile("jnj", re.IGNORECASE))
    assert "symbol=JNJ" in lent_page.url
    assert watch.complaints == []


def test_example_is_not_shown_while_the_symbol_is_loading(lent_page, server):
    held: list[Route] = []
    lent_page.route("**/forecast/JNJ*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    lent_page.goto(f"{server}/?symbol=JNJ")
    expect(lent_page.locator("#progress")).to_contain_text("Asking for the newest closes of JNJ")
    expect(lent_page.locator("#placeholder")).to_have_attribute("aria-busy", "true")
    expect(lent_page.locator("#result")).to_be_hidden()
    expect(lent_page.locator("#placeholder")).to_be_visible()
    held[0].continue_()
    expect(lent_page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("..", "“..” is not a symbol"),
        ("%3Cb%3EX%3C/b%3E", "“<b>X</b>” is not a symbol: it has “<”, “>”, “/”."),
        ("X" * 500, f"“{'X' * 40}” is not a symbol"),
        ("ACME", "No other source has closes of ACME."),
    ],
)
def test_invalid_symbol_in_the_address_is_reported_at_the_field(lent_page, server, symbol, message):
    lent_page.goto(f"{server}/?symbol={symbol}")
    expect(lent_page.locator("#question-error")).to_contain_text(message, timeout=60_000)
    expect(lent_page.get_by_label(FIELD, exact=True)).to_have_attribute("aria-invalid", "true")
    expect(lent_page.locator("#result")).to_be_hidden()
    assert violations(lent_page) == []


def test_empty_symbol_in_the_address_is_ignored(lent_page, server):
    lent_page.goto(f"{server}/?symbol=")
    expect_example(lent_page)
    expect(lent_page.locator("#question-error")).to_be_empty()


def test_address_with_a_symbol_requests_the_api_key(guarded_page, guarded):
    guarded_page.goto(f"{guarded}/?symbol=JNJ")
    expect(guarded_page.get_by_label("API key")).to_be_focused()
    guarded_page.get_by_label("API key").fill(KEY)
    guarded_page.get_by_label("API key").press("Enter")
    expect(guarded_page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)


def test_choosing_an_offered_symbol_takes_one_click(page):
    page.get_by_role("button", name="JPM", exact=True).click()
    expect(page.locator("#result-title")).to_have_text("JPM", timeout=60_000)
