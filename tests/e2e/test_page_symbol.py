"""The page's form for a symbol in a real Chromium, with and without answers of Yahoo Finance."""

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
import requests
from browsing import (
    COUNT_PIXELS,
    FIELD,
    KEY,
    MARKS,
    Watch,
    example_closes,
    fill_and_ask,
    forecast,
    forecast_symbol,
    serve,
    shown,
    shown_at,
    violations,
)
from playwright.sync_api import Route, expect
from yahoo_stub import YahooStub

from closes.calendar import calendar_of
from closes.snapshot import snapshot_symbols

pytestmark = MARKS


def test_offered_symbols_are_those_of_the_snapshot(page):
    chips = page.locator("#form .chips [data-symbol]")
    offered = chips.evaluate_all("chips => chips.map(({ dataset }) => dataset.symbol)")
    assert sorted(offered) == sorted(snapshot_symbols())
    assert len([chip for chip in chips.all() if chip.is_visible()]) == 8


@pytest.mark.parametrize(("text", "found"), [("pep", ["PEP"]), ("best", ["BBY"]), ("am", ["AMD", "BAC"]), ("zzz", []), ("am\nam", [])])
def test_companies_are_found_by_a_part_of_their_name(open_page, text, found):
    open_page.get_by_label(FIELD, exact=True).fill(text)
    names = {"PEP": "PEP PepsiCo", "BBY": "BBY Best Buy", "AMD": "AMD Advanced Micro Devices", "BAC": "BAC Bank of America"}
    shown_chips = open_page.locator("#form .chips [data-symbol]:visible")
    if found:
        expect(shown_chips).to_have_text([names[symbol] for symbol in found])
        shown_chips.first.click()
        expect(open_page.locator("#result-title")).to_have_text(found[0], timeout=60_000)
    expect(shown_chips).to_have_count(8)


def test_offered_symbol_is_found_by_the_name_of_its_company(open_page):
    forecast_symbol(open_page, "coca-cola")
    expect(open_page.locator("#result-title")).to_have_text("KO")
    forecast_symbol(open_page, "home")
    expect(open_page.locator("#result-title")).to_have_text("HD")


def test_symbol_shows_the_forecast_of_its_newest_closes(open_page, server):
    forecast_symbol(open_page, " jnj ")
    answer = requests.get(f"{server}/forecast/JNJ?horizon=20&closes=250&levels=50,80,95", timeout=60).json()
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    expect(open_page.locator('[data-out="price"]')).to_have_text(shown(answer["predicted_price"]))
    expect(open_page.locator("#table tbody tr")).to_have_count(20)
    chart = open_page.get_by_role(
        "img", name=f"Line chart of 250 closes from {shown(answer['closes'][0])} to {shown(answer['last_close'])}"
    )
    dark, outer, inner, _ = chart.evaluate(COUNT_PIXELS)
    assert dark > 300, "the closes are not drawn"
    assert min(outer, inner) > 300, "the intervals are not drawn"


def test_symbol_shows_its_track_record(open_page, server):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    record = requests.get(f"{server}/forecast/JNJ", timeout=60).json()["track_record"]
    expect(open_page.locator("#track-record")).to_contain_text("On the last 250 trading days of JNJ, the 80% interval held")
    for level in ("80", "95"):
        expect(open_page.locator(f'[data-out="held{level}"]')).to_have_text(f"{record['held'][level] / 250:.1%}")
    forecast(open_page)
    expect(open_page.locator("#track-record")).to_be_hidden()


def test_symbol_shows_last_date_source_and_age_once(open_page, server):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    days = (datetime.now(UTC).date() - date(2022, 12, 28)).days
    origin = open_page.locator("#origin")
    expect(origin).to_have_text(f"Last close 174.09 on 2022-12-28, {days:,} days ago, from the embedded snapshot.")
    expect(origin).to_have_class("old")
    problem, age = requests.get(f"{server}/forecast/JNJ", timeout=60).json()["warnings"]
    trading_days = calendar_of("JNJ").age(np.datetime64("2022-12-28"), np.datetime64(datetime.now(UTC).date()))
    assert age["text"] == f"The last close is from 2022-12-28, {trading_days:,} trading days ago."
    warnings = open_page.get_by_role("list", name="Warnings").get_by_role("listitem").all_inner_texts()
    assert warnings == [problem["text"]]
    assert warnings[0].startswith("Yahoo Finance")
    forecast(open_page)
    expect(origin).to_have_text(f"Last close {shown(example_closes(open_page)[-1])}.")
    expect(origin).not_to_have_class("old")
    expect(open_page.locator("#result-title")).to_have_text("Your closes")


def test_symbol_chart_shows_the_date_under_the_pointer(open_page):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    box = open_page.locator("#chart .u-over").bounding_box()
    open_page.mouse.move(box["x"] + 60 / 80 * box["width"] - 3, box["y"] + 50)
    expect(open_page.locator("#readout")).to_contain_text("2022-12-2")
    open_page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    expect(open_page.locator("#readout")).to_contain_text("2023-01-27: ")  # 20 trading days later
    open_page.mouse.move(0, 0)


def test_symbol_chart_shows_the_intervals_of_past_days(page, server):
    page.emulate_media(color_scheme="light")
    forecast_symbol(page, "JNJ")
    chart = page.get_by_role("img", name="Line chart of 250 closes")
    _, outer, inner, _ = chart.evaluate(COUNT_PIXELS)
    page.route("**/backtest/KO*", lambda route: route.fulfill(status=503, json={"error": "No.", "details": []}))
    forecast_symbol(page, "KO")
    expect(page.locator("#result-title")).to_have_text("KO")
    _, outer_without, inner_without, _ = page.get_by_role("img", name="Line chart of 250 closes").evaluate(COUNT_PIXELS)
    assert outer > 2 * outer_without > 0
    assert inner > 2 * inner_without > 0
    forecast_symbol(page, "JNJ")
    expect(page.locator("#result-title")).to_have_text("JNJ")
    box = page.locator("#chart .u-over").bounding_box()
    page.mouse.move(box["x"] + 30.2 / 80 * box["width"], box["y"] + 50)
    expect(page.locator("#readout")).to_contain_text("its 80% interval was")
    day, told = page.locator("#readout").text_content().removesuffix(", outside the 80% interval").split(": close ")
    rows = requests.get(f"{server}/backtest/JNJ?days=250", timeout=60).text.splitlines()
    (row,) = [row.split(",") for row in rows if row.startswith(day)]
    assert told == f"{shown(float(row[1]))}, its 80% interval was {shown(float(row[3]))} to {shown(float(row[4]))}"


def test_table_has_the_dates_of_the_trading_days(open_page):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    days = calendar_of("JNJ").days_after(np.datetime64("2022-12-28"), 20).astype(str).tolist()
    expect(open_page.locator("#table tbody th")).to_have_text([f"{step}: {day}" for step, day in enumerate(days, start=1)])
    expect(open_page.locator("#final-close")).to_contain_text("The close 20 trading days ahead (2023-01-27) is expected between")
    expect(open_page.locator("#next-close")).to_contain_text("Thu, 29 Dec 2022")
    forecast(open_page)
    expect(open_page.locator("#table tbody th").first).to_have_text("1")


@pytest.fixture(scope="module")
def downloading(tmp_path_factory):
    """A stub of Yahoo Finance whose closes end yesterday, and a service that downloads from it."""
    with YahooStub() as yahoo:
        yahoo.end_on(datetime.now(UTC).date() - timedelta(days=1))
        for url in serve(tmp_path_factory.mktemp("downloading") / "log.csv", YAHOO_URL=yahoo.url):
            yield yahoo, url


@pytest.fixture
def downloading_page(tab, downloading):
    """The page of that service as it opens."""
    with tab.lent(downloading[1]) as page:
        page.goto(downloading[1])
        yield page


def test_fresh_closes_have_no_warning(downloading_page, downloading):
    page, (yahoo, _) = downloading_page, downloading
    forecast_symbol(page, "ACME")
    expect(page.locator("#origin")).to_have_text(re.compile(rf"Last close [\d.,]+ on {yahoo.dates[-1]}, from Yahoo Finance\."))
    expect(page.get_by_role("list", name="Warnings")).not_to_contain_text("The last close is of")


def test_unknown_symbol_is_an_error(downloading_page, downloading):
    page, (yahoo, url) = downloading_page, downloading
    yahoo.behave("not found")
    forecast_symbol(page, "NOSUCH")
    error = requests.get(f"{url}/forecast/NOSUCH", timeout=60)
    yahoo.behave("normal")
    assert error.status_code == 404
    expect(page.locator("#question-error span")).to_have_text(
        [error.json()["error"], "Check the symbol: Yahoo Finance writes KO, PETR4.SA, BRK-B or ^GSPC."]
    )
    expect(page.get_by_label(FIELD, exact=True)).to_have_attribute("aria-invalid", "true")


def test_symbol_without_a_source_says_when_to_retry(page):
    forecast_symbol(page, "ACME")
    error = page.locator("#question-error")
    lines = [
        re.compile(r"^Yahoo Finance: .+\. No other source has closes of ACME\.$"),
        "Try again in 60 seconds, or choose one of the symbols below.",
    ]
    expect(error.locator("span")).to_have_text(lines, timeout=60_000)
    expect(error).to_have_role("alert")
    assert violations(page) == []
    page.get_by_role("button", name="JNJ", exact=True).click()
    expect(page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)
    expect(error).to_be_empty()


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("  ", "Write a symbol"),
        ("..", "“..” is not a symbol: it begins with a dot."),
        ("KO`", "“KO`” is not a symbol: it has “`”."),
        ("BRK/B", "“BRK/B” is not a symbol: it has “/”."),
        ("Hello world!", "“Hello world!” is not a symbol: it has a space, “!”. A symbol has letters, digits and . ^ = - & _ only."),
        ("a" * 33, f"“{'a' * 33}” is not a symbol: it has more than 32 characters."),
    ],
)
def test_malformed_symbol_is_reported_and_not_requested(open_page, symbol, message):
    watch = Watch(open_page)
    forecast_symbol(open_page, symbol)
    expect(open_page.locator("#question-error")).to_contain_text(message)
    expect(open_page.get_by_label(FIELD, exact=True)).to_have_attribute("aria-invalid", "true")
    assert not [url for url in watch.requests if urlsplit(url).path.startswith("/forecast/")]


@pytest.mark.parametrize("text", ["ko,", "KO, KO", " KO;\n"])
def test_list_of_one_symbol_is_that_symbol(open_page, text):
    fill_and_ask(open_page, text)
    expect(open_page.locator("#result-title")).to_have_text("KO", timeout=60_000)


@pytest.mark.parametrize(
    ("text", "said", "listed"),
    [
        ("KO MSFT", "This field takes one symbol.", "KO, MSFT"),
        ("ko, msft; aapl KO", "This field takes one symbol.", "KO, MSFT, AAPL"),
        ("PETR4.SA\nVALE3.SA", "This field takes one symbol.", "PETR4.SA, VALE3.SA"),
        ("M&M.NS TCS.NS", "This field takes one symbol.", "M&M.NS, TCS.NS"),
        ("hello world", "“hello world” is not a symbol: it has a space.", "HELLO, WORLD"),
    ],
)
def test_several_symbols_are_opened_in_the_watchlist(page, server, text, said, listed):
    fill_and_ask(page, text)
    error = page.locator("#question-error")
    expect(error).to_contain_text(said)
    expect(page.locator("#result")).to_be_hidden()
    error.get_by_role("link", name=f"Open {listed} in the watchlist").click()
    expect(page).to_have_url(f"{server}/?watch={listed.replace('&', '%26').replace(', ', ',')}#watchlist")
    expect(page.locator("#watch-table tbody th a")).to_have_text(listed.split(", "))


def test_server_error_is_reported_at_the_symbol(page):
    refusal = {"error": "ACME has 12 closes; a forecast takes 60.", "details": []}
    page.route("**/forecast/ACME*", lambda route: route.fulfill(status=422, json=refusal))
    forecast_symbol(page, "ACME")
    expect(page.locator("#question-error")).to_have_text(refusal["error"])


def test_late_answer_to_an_older_request_is_not_shown(page):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile(r"/forecast/[A-Z]+(\?|$)"), hold)
    page.get_by_label(FIELD, exact=True).fill("MSFT")
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#progress")).to_contain_text("Asking for the newest closes of MSFT")
    forecast(page)
    held[0].continue_()
    expect(page.locator("#progress")).to_be_empty(timeout=60_000)
    expect(page.locator("#result-title")).to_have_text("Your closes")


def test_saved_files_and_calls_name_the_symbol(page, server):
    forecast_symbol(page, "JNJ")
    for button, name in (("Save as CSV", "forecast-JNJ-2022-12-28.csv"), ("Save as PNG", "forecast-JNJ-2022-12-28.png")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        assert download.value.suggested_filename == name
    answer = requests.get(f"{server}/forecast/JNJ?horizon=20&closes=250&levels=50,80,95", timeout=60).json()
    for language, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        page.get_by_role("button", name=language).click()
        command = page.locator("#call").text_content()
        done = subprocess.run([*program, command], capture_output=True, check=True, timeout=60)
        assert json.loads(done.stdout)["path"] == answer["path"]


@pytest.mark.parametrize("symbol", ["M&M.NS", "^N225", "NIFTY_FIN_SERVICE.NS"])
def test_symbol_with_signs_has_a_link_files_and_calls(downloading_page, downloading, symbol):
    page, last = downloading_page, downloading[0].dates[-1]
    forecast_symbol(page, symbol.lower())
    expect(page.locator("#result-title")).to_have_text(symbol)
    assert parse_qs(urlsplit(page.url).query) == {"symbol": [symbol]}
    page.reload()
    expect(page.locator("#result-title")).to_have_text(symbol)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == f"forecast-{symbol}-{last}.csv"
    for language, program in (("curl", ["sh", "-c"]), ("Python", [sys.executable, "-c"])):
        page.get_by_role("button", name=language).click()
        done = subprocess.run([*program, page.locator("#call").text_content()], capture_output=True, check=True, timeout=60)
        assert json.loads(done.stdout)["symbol"] == symbol


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forecast_of_a_symbol_has_no_accessibility_violations(open_page, scheme):
    forecast_symbol(open_page, "JNJ")
    expect(open_page.locator("#result-title")).to_have_text("JNJ")
    with shown_at(open_page, 1280, 900, scheme):
        assert violations(open_page) == []


def test_call_for_a_symbol_is_repeated_with_the_entered_key(guarded_page, guarded):
    guarded_page.goto(guarded)
    forecast_symbol(guarded_page, "JNJ")
    expect(guarded_page.get_by_label("API key")).to_be_focused()
    guarded_page.get_by_label("API key").fill(KEY)
    guarded_page.get_by_role("button", name="Use this key").click()
    expect(guarded_page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)
    expect(guarded_page.locator("#call")).to_contain_text("-H 'X-API-Key: YOUR-API-KEY'")
