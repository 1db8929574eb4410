"""The page's tab Watchlist in a real Chromium: lists in the browser and in the address, rows, order, failures and layout."""

import json
import re
from urllib.parse import urlsplit

import pytest
import requests
from browsing import KEY, MARKS, Watch, open_once, opened_or_resized, shown, small_controls, violations
from playwright.sync_api import Page, Route, expect

pytestmark = MARKS

FIRST = ["MSFT", "AAPL", "KO", "JNJ", "XOM"]
SYMBOLS = "/?watch=KO,AMD,NOSUCH"
MINUS = "\N{MINUS SIGN}"
FORECASTS = re.compile(r"/forecast/[A-Z0-9]+\?")
LOADED = 60_000  # milliseconds; a worker's first download imports pandas


def rows(page: Page):
    return page.locator("#watch-table tbody tr")


def symbols(page: Page) -> list[str]:
    return page.locator("#watch-table tbody th a").all_inner_texts()


def wait_loaded(page: Page, count: int) -> None:
    """Wait until each row has its forecast."""
    expect(page.locator("#watch-table .sparkline")).to_have_count(count, timeout=LOADED)


def open_list(page: Page, server: str, listed: str) -> None:
    page.goto(f"{server}/?watch={listed}")
    wait_loaded(page, listed.count(",") + 1)


def cell(page: Page, symbol: str, column: str):
    return rows(page).filter(has=page.get_by_role("link", name=symbol, exact=True)).locator(f'[data-column="{column}"]')


def wait_held(page: Page, held: list[Route], count: int) -> None:
    """Wait until this number of requests is held; `held` gets them while the page waits."""
    for _ in range(200):
        if len(held) >= count:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{len(held)} of {count} requests")


def kept(page: Page) -> list[str] | None:
    listed: list[str] | None = json.loads(page.evaluate("localStorage.getItem('watchlist')") or "null")
    return listed


def asked(watch: Watch) -> list[str]:
    return [urlsplit(url).path.rpartition("/")[2] for url in watch.requests if "closes=60" in url]


def test_nothing_of_the_watchlist_is_loaded_before_its_tab_is_shown(page, watch):
    expect(page.locator("#chart canvas")).to_be_visible()
    modules = {url for url in watch.requests if re.search(r"/assets/\w+/js/", url)}
    preloaded = page.locator('link[rel="modulepreload"]').evaluate_all("links => links.map(({ href }) => href)")
    assert modules == set(preloaded), "another module is loaded, or one is preloaded that is not needed"
    assert not [url for url in watch.requests if "/js/watchlist/" in url or "closes=60" in url]
    page.get_by_role("tab", name="Watchlist").click()
    wait_loaded(page, 5)
    assert symbols(page) == asked(watch) == FIRST
    assert kept(page) is None
    assert watch.complaints == []


def test_row_shows_what_the_forecast_says(lent_page, server):
    open_list(lent_page, server, "JNJ,AMD")
    answer = requests.get(f"{server}/forecast/JNJ?horizon=20&levels=80,95&closes=60", timeout=60).json()
    record = answer["track_record"]
    row = rows(lent_page).first
    expect(row.get_by_role("rowheader")).to_have_text("JNJJohnson & Johnson")
    for button, level in (("95%", "95"), ("80%", "80")):
        lent_page.locator("#watch-levels").get_by_role("button", name=button).click()
        low, high = answer["intervals"][level]
        width = (high - low) / answer["last_close"] / record["median_width"][level]
        expect(cell(lent_page, "JNJ", "close")).to_have_text(f"{shown(answer['last_close'])}2022-12-28")
        expect(cell(lent_page, "JNJ", "range")).to_have_text(f"{shown(low)} to {shown(high)}Thu, 29 Dec 2022")
        expect(cell(lent_page, "JNJ", "rise")).to_have_text(f"{answer['probability_of_rise']:.1%}")
        expect(cell(lent_page, "JNJ", "width")).to_have_text(f"{width:.2f} \N{MULTIPLICATION SIGN}the usual")
        expect(cell(lent_page, "JNJ", "held")).to_have_text(f"{record['held'][level] / 250:.0%}of 250 days")
    change = answer["last_close"] / answer["closes"][0] - 1
    expect(cell(lent_page, "JNJ", "change")).to_have_text(f"{'+' if change > 0 else MINUS}{abs(change):.1%}")
    low, high = answer["path"][-1]["intervals"]["80"]
    expect(row.get_by_role("img")).to_have_attribute(
        "aria-label",
        f"JNJ: 60 closes from {shown(answer['closes'][0])} to {shown(answer['last_close'])}, then 80% intervals that reach "
        f"{shown(low)} to {shown(high)} in 20 trading days.",
    )
    row.get_by_role("link", name="JNJ").click()
    expect(lent_page.locator("#result-title")).to_have_text("JNJ", timeout=LOADED)
    assert urlsplit(lent_page.url)[2:4] == ("/", "symbol=JNJ")
    lent_page.go_back()
    wait_loaded(lent_page, 2)


def test_list_is_kept_in_the_browser(page):
    page.get_by_role("tab", name="Watchlist").click()
    wait_loaded(page, 5)
    field = page.get_by_label("Add a symbol or a company")
    for text in ("pepsico", "home", "amd"):
        field.fill(text)
        field.press("Enter")
        expect(field).to_have_value("")
        expect(field).to_be_focused()
    field.fill("bank")
    chips = page.locator("#watch-chips [data-symbol]:visible")
    expect(chips).to_have_text(["BAC Bank of America"])
    chips.click()
    wait_loaded(page, 9)  # rows and suggestions move no more
    page.get_by_role("button", name="Remove AAPL").click()
    expect(page.locator("#watch-status")).to_have_text("AAPL is removed.")
    expect(page.get_by_role("button", name="Remove KO")).to_be_focused()
    expected = ["MSFT", "KO", "JNJ", "XOM", "PEP", "HD", "AMD", "BAC"]
    assert symbols(page) == kept(page) == expected
    page.reload()
    wait_loaded(page, 8)
    assert symbols(page) == expected
    for symbol in expected:
        page.get_by_role("button", name=f"Remove {symbol}", exact=True).click()
    expect(page.locator("#watch-empty")).to_have_text("The list is empty. Add a symbol, or choose one of the companies.")
    expect(field).to_be_focused()
    page.reload()
    expect(page.locator("#watch-empty")).to_be_visible()


@pytest.fixture(scope="module")
def full_list(browser, server):
    """A list of as many symbols as it may have, in a tab of its own."""
    for page in open_once(browser, server, {}):
        page.route(FORECASTS, lambda route: route.fulfill(status=503, json={"error": "No.", "details": []}))
        page.evaluate("localStorage.setItem('watchlist', JSON.stringify(['MSFT', ...Array.from({length: 29}, (_, i) => `S${i}`)]))")
        page.get_by_role("tab", name="Watchlist").click()
        expect(page.locator("#watch-table tbody tr.failed")).to_have_count(30)
        yield page


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (" ", "Write a symbol or a company."),
        ("msft", "MSFT is in the list."),
        ("a/b", "“a/b” is not a symbol: it has “/”. A symbol has letters, digits and . ^ = - & _ only."),
        (".X", "“.X” is not a symbol: it begins with a dot."),
        ("NEW", "A list has at most 30 symbols. Remove one first."),
    ],
)
def test_wrong_entry_is_reported_and_not_added(full_list, text, message):
    page = full_list
    expect(page.locator("#watch-error")).to_be_empty()
    expect(rows(page)).to_have_count(30)
    field = page.get_by_label("Add a symbol or a company")
    field.fill(text)
    field.press("Enter")
    expect(page.locator("#watch-error")).to_have_text(message)
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(rows(page)).to_have_count(30)
    field.fill("x")
    expect(page.locator("#watch-error")).to_be_empty()


def test_list_of_an_address_does_not_replace_the_own_one_until_it_is_kept(page, server):
    page.evaluate("localStorage.setItem('watchlist', '[\"PEP\"]')")
    open_list(page, server, "KO,JNJ")
    notice = page.locator("#watch-shared")
    expect(notice).to_contain_text("This list came with the address. Your own list has not changed.")
    page.locator("#watch-chips").get_by_role("button", name="XOM").click()
    expect(rows(page)).to_have_count(3)
    assert kept(page) == ["PEP"]
    assert urlsplit(page.url).query == "watch=KO,JNJ,XOM"
    page.get_by_role("button", name="Show my own list").click()
    wait_loaded(page, 1)
    assert (symbols(page), urlsplit(page.url).query) == (["PEP"], "")
    expect(notice).to_be_hidden()
    open_list(page, server, "KO,JNJ")
    page.get_by_role("button", name="Keep this list").click()
    assert kept(page) == symbols(page) == ["KO", "JNJ"]
    assert urlsplit(page.url).query == ""
    expect(notice).to_be_hidden()
    open_list(page, server, "KO,JNJ")
    expect(notice).to_be_hidden()


def test_link_to_the_list_is_copied(page, server):
    page.evaluate("localStorage.setItem('watchlist', '[\"KO\", \"M&M.NS\"]')")
    page.get_by_role("tab", name="Watchlist").click()
    page.get_by_role("button", name="Copy the link to this list").click()
    expect(page.locator("#watch-status")).to_have_text("The link is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == f"{server}/?watch=KO,M%26M.NS"


def test_wrong_entries_of_an_address_are_left_out(lent_page, server):
    lent_page.goto(f"{server}/?watch=ko,%3Cb%3E,KO,..,jnj,,")
    wait_loaded(lent_page, 2)
    assert symbols(lent_page) == ["KO", "JNJ"]
    expect(lent_page.locator("#watch-status")).to_contain_text(
        "2 entries of the address are left out: they are not symbols, or the list has 30 symbols already."
    )


def test_columns_sort_with_the_keyboard(lent_page, server):
    open_list(lent_page, server, "KO,AMD,JNJ")
    head = lent_page.get_by_role("columnheader", name="Symbol")
    button = head.get_by_role("button")
    button.focus()
    for order, expected in (("ascending", ["AMD", "JNJ", "KO"]), ("descending", ["KO", "JNJ", "AMD"]), (None, ["KO", "AMD", "JNJ"])):
        lent_page.keyboard.press("Enter")
        assert symbols(lent_page) == expected
        assert head.get_attribute("aria-sort") == order
        expect(lent_page.locator("#watch-sorted")).to_have_text("Sorted by symbol." if order else "")
        expect(button).to_be_focused()
    for name in ("Last close", "Next close", "Rise", "Width", "Held", "60 days, and 20 ahead"):
        button = lent_page.get_by_role("columnheader", name=name).get_by_role("button")
        button.click()
        down = symbols(lent_page)
        button.click()
        assert sorted(down) == ["AMD", "JNJ", "KO"]
        expect(lent_page.locator("#watch-table caption")).to_contain_text("Sorted by the ")
        if name in {"Last close", "Next close", "Rise"}:  # no two are equal
            assert symbols(lent_page) == down[::-1]
    lent_page.get_by_role("columnheader", name="Next close").get_by_role("button").click()
    assert symbols(lent_page)[0] == "AMD"  # its range is the widest
    expect(lent_page.locator("#watch-sorted")).to_have_text("Sorted by the width of the range, relative to the last close.")
    assert violations(lent_page) == []


def test_few_are_requested_at_once_and_rows_appear_one_by_one(lent_page, server):
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    lent_page.route("**/forecast/*closes=60*", hold)
    lent_page.goto(f"{server}/?watch={','.join(FIRST)}")
    expect(rows(lent_page)).to_have_count(5)
    expect(lent_page.locator("#watch-table .bone")).to_have_count(5 * 6)
    expect(lent_page.locator("#watch-progress")).to_have_text("Loading …")
    wait_held(lent_page, held, 3)
    assert [urlsplit(route.request.url).path for route in held] == [f"/forecast/{symbol}" for symbol in FIRST[:3]]
    held[1].continue_()
    wait_loaded(lent_page, 1)
    expect(rows(lent_page).nth(1)).to_have_attribute("aria-busy", "false")
    wait_held(lent_page, held, 4)
    assert len(held) == 4
    lent_page.get_by_role("button", name="Remove MSFT").click()
    for route in held[:1] + held[2:]:
        route.continue_()
    wait_loaded(lent_page, 3)
    wait_held(lent_page, held, 5)
    held[4].continue_()
    wait_loaded(lent_page, 4)
    expect(lent_page.locator("#watch-progress")).to_be_empty()
    assert symbols(lent_page) == ["AAPL", "KO", "JNJ", "XOM"]


def test_failed_row_says_why_and_is_retried(lent_page, server):
    lent_page.goto(f"{server}/?watch=KO,NOSUCH,OTHER")
    wait_loaded(lent_page, 1)
    failed = cell(lent_page, "NOSUCH", "failure")
    expect(failed).to_contain_text(re.compile(r"Yahoo Finance: .+\. No other source has closes of NOSUCH\. Try again in "), timeout=60_000)
    lent_page.get_by_role("columnheader", name="Rise").get_by_role("button").click()
    assert symbols(lent_page)[0] == "KO"  # rows without a value are last
    lent_page.route("**/forecast/NOSUCH*", lambda route: route.continue_(url=route.request.url.replace("NOSUCH", "PEP")))
    lent_page.get_by_role("button", name="Retry NOSUCH").click()
    wait_loaded(lent_page, 2)
    lent_page.unroute("**/forecast/NOSUCH*")
    expect(lent_page.get_by_role("button", name="Retry all that failed")).to_be_hidden()
    assert violations(lent_page) == []


def test_all_failed_rows_are_retried_together(lent_page, server):
    refusal = {"error": "Too many requests.", "details": []}
    lent_page.route(FORECASTS, lambda route: route.fulfill(status=429, json=refusal, headers={"Retry-After": "7"}))
    lent_page.goto(f"{server}/?watch=KO,JNJ")
    expect(cell(lent_page, "JNJ", "failure")).to_contain_text("Too many requests. Try again in 7 seconds.")
    lent_page.unroute(FORECASTS)
    lent_page.get_by_role("button", name="Retry all that failed").click()
    wait_loaded(lent_page, 2)


def test_watchlist_asks_for_the_api_key(guarded_page, guarded):
    guarded_page.goto(f"{guarded}/?watch=KO,JNJ,PEP,AMD")
    expect(guarded_page.get_by_label("API key")).to_be_focused()
    expect(cell(guarded_page, "AMD", "failure")).to_contain_text("The forecast needs the API key.")
    guarded_page.get_by_label("API key").fill(KEY)
    guarded_page.get_by_label("API key").press("Enter")
    wait_loaded(guarded_page, 4)
    expect(guarded_page.get_by_label("API key")).to_be_hidden()


@pytest.fixture(scope="module")
def opened_list(browser, server):
    """A list with a symbol that fails, in a tab of its own, opened once."""
    yield from open_once(browser, server, {}, SYMBOLS)


@pytest.fixture
def list_at(request, server, width, scheme):
    """The list at a width and in a colour scheme: opened at the smallest width, else resized."""
    yield from opened_or_resized(request, server + SYMBOLS, "opened_list", (width, scheme) == (320, "light"), width=width, scheme=scheme)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 700, 1280, 1920])
def test_watchlist_fits_and_has_no_accessibility_violations(list_at, width):
    wait_loaded(list_at, 2)
    expect(cell(list_at, "NOSUCH", "failure")).to_be_visible()
    assert list_at.evaluate("document.documentElement.scrollWidth") <= width
    assert list_at.get_by_role("columnheader", name="Rise").count() == 1  # cards are still a table for a screen reader
    label = list_at.locator("#watch-table thead").evaluate("head => getComputedStyle(head, '::before').content")
    assert label == ('"Sort by"' if width < 960 else "none")
    assert small_controls(list_at.locator("#panel-watchlist").locator("button, a, input")) == []
    if width in {390, 1280}:
        assert violations(list_at) == []


def test_printed_watchlist_has_the_table_alone(lent_page, server):
    open_list(lent_page, server, "KO,AMD")
    lent_page.emulate_media(media="print")
    expect(lent_page.get_by_role("columnheader", name="Last close")).to_be_visible()
    expect(lent_page.locator('[data-sort="close"]')).to_be_visible()
    for hidden in ("#watch-form", "#watch-shared", "#watch-copy"):
        expect(lent_page.locator(hidden)).to_be_hidden()
    expect(lent_page.get_by_role("button", name=re.compile("Remove KO"))).to_be_hidden()
