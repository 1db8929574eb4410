"""The form for closes, in a real Chromium: pasted, from a file or the example, and what is wrong with them."""

import json
import re
from datetime import UTC, date, datetime, timedelta

import pytest
import requests
from browsing import (
    FIELD,
    MARKS,
    Watch,
    ask,
    fill_and_ask,
    forecast,
    shown,
)
from playwright.sync_api import FilePayload, Page, Request, Route, expect

pytestmark = MARKS


@pytest.mark.parametrize("separator", [",", ", ", " ", ";", "\n", "\r\n", "\t", ",\n"])
def test_pasted_list_is_sent_unchanged_and_gets_the_forecast_of_its_closes(open_page, server, separator):
    closes = [100.5 + day for day in range(60)]
    text = separator.join(map(str, closes))
    sent = paste(open_page, text)
    assert sent.headers["content-type"] == "text/csv"
    assert sent.post_data == text.replace("\r\n", "\n")  # as a text field keeps it
    expect(open_page.locator("#closes-origin")).to_contain_text("60 closes are used.")
    assert shown_price(open_page) == ask(server, closes)["predicted_price"]


def test_list_in_scientific_notation_is_a_list_of_closes(open_page):
    paste(open_page, " ".join(f"{0.3 + day / 1000:.6e}" for day in range(60)))
    expect(open_page.locator("#closes-origin")).to_contain_text("60 closes are used.")


def dated(closes: list[float]) -> list[tuple[str, float]]:
    return [(f"2022-{1 + day // 28:02}-{1 + day % 28:02}", close) for day, close in enumerate(closes)]


def paste(page: Page, text: str) -> Request:
    """Forecast from a pasted text; the request."""
    with page.expect_request("**/predict?*") as sent:
        fill_and_ask(page, text)
    expect(page.locator("#result-title")).to_have_text("Your closes")
    return sent.value


def shown_price(page: Page) -> float:
    return float(page.locator('[data-out="price"]').get_attribute("value") or "nan")


HUNDRED = [100.5 + day for day in range(100)]


def test_file_is_forecast_when_it_is_chosen_and_the_page_says_how_it_was_read(open_page, server):
    rows = [f"{day[8:]}/{day[5:7]}/{day[:4]};{str(close).replace('.', ',')};7" for day, close in dated(HUNDRED)]
    content = "\n".join(["Data;\u00daltimo;Vol.", *rows[::-1]])
    open_page.get_by_label("Choose a price file").set_input_files(
        {"name": "Petr\u00f3leo.csv", "mimeType": "text/csv", "buffer": content.encode("latin-1")}
    )
    reading = open_page.locator("#closes-origin")
    expect(reading).to_contain_text("From Petr\u00f3leo.csv: the newest 60 of 100 closes are used, from 2022-02-13 to 2022-04-16.")
    for words in (
        "date from \u201cData\u201d, close from \u201c\u00daltimo\u201d",
        "newest first",
        "The comma is read as the decimal sign",
        "day first",
    ):
        expect(reading).to_contain_text(words)
    expect(open_page.locator("#origin")).to_contain_text("Last close 199.50 on 2022-04-16")
    assert shown_price(open_page) == ask(server, HUNDRED[-60:])["predicted_price"]


def test_chosen_file_is_named_and_can_be_removed(open_page):
    open_page.get_by_label("Choose a price file").set_input_files(csv_file(HUNDRED))
    expect(open_page.locator("#chosen-name")).to_have_text("prices.csv, 1.7 kB")
    open_page.get_by_role("button", name="Remove the file").click()
    expect(open_page.locator("#chosen-name")).to_be_hidden()
    expect(open_page.locator("#closes-origin")).to_be_hidden()
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    expect(open_page.locator("#question-error")).to_have_text("Write a symbol, paste closes, or choose a file.")


@pytest.mark.parametrize("remove", ["Remove the file", "type"])
def test_file_that_is_removed_while_it_is_read_is_not_forecast(page, remove):
    held = []
    page.route("**/predict?*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    page.get_by_label("Choose a price file").set_input_files(csv_file(HUNDRED))
    expect(page.locator("#progress")).to_have_text("Reading prices.csv \u2026")
    if remove == "type":
        page.get_by_label(FIELD, exact=True).press_sequentially(" ")
    else:
        page.get_by_role("button", name=remove).click()
    expect(page.locator("#progress")).to_be_empty()
    with page.expect_response("**/predict?*") as answer:
        held[0].continue_()
    answer.value.finished()
    page.get_by_role("button", name="Forecast", exact=True).click()  # comes after the answer
    expect(page.locator("#question-error")).to_have_text("Write a symbol, paste closes, or choose a file.")
    expect(page.locator("#closes-origin")).to_be_hidden()
    expect(page.locator("#result-title")).not_to_have_text("Your closes")


DROP = """([place, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "dropped.csv"));
  for (const type of ["dragover", "drop"]) {
    document.querySelector(place).dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""


def test_dropped_file_is_forecast(open_page):
    open_page.evaluate(DROP, ["header", csv_file(HUNDRED)["buffer"].decode()])
    expect(open_page.locator("#result-title")).to_have_text("Your closes")
    expect(open_page.locator("#closes-origin")).to_contain_text("From dropped.csv: the newest 60 of 100 closes are used")


def test_column_and_stock_of_a_file_can_be_chosen(open_page):
    rows = [f"{day},{close},{2 * close},{name}" for name in ("AAA", "BBB") for day, close in dated(HUNDRED)]
    open_page.get_by_label("Choose a price file").set_input_files(
        {"name": "x.csv", "mimeType": "text/csv", "buffer": "\n".join(["date,close,mean,Name", *rows]).encode()}
    )
    said = ["The input has several stocks: AAA, BBB.", "Choose one in “Stock, if the file has several”."]
    expect(open_page.locator("#question-error span")).to_have_text(said)
    open_page.get_by_label("Stock, if the file has several").fill("bbb")
    open_page.get_by_label("Column of closes").fill("mean")
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    expect(open_page.locator("#origin")).to_contain_text(f"Last close {shown(2 * HUNDRED[-1])} on")
    expect(open_page.locator("#question-error")).to_be_hidden()


def test_column_that_the_reader_cannot_choose_is_chosen_in_its_field(open_page):
    chooser, error = open_page.get_by_label("Choose a price file"), open_page.locator("#question-error")
    rows = [f"{day},{close}" for day, close in dated(HUNDRED)]
    chooser.set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": "\n".join(["Date,Value", *rows]).encode()})
    expect(error.locator("span").last).to_have_text("Choose one in “Column of closes”.")
    expect(error).not_to_contain_text("`")
    expect(error.locator("code")).to_have_text(["date", "close", "Adj Close"])
    open_page.get_by_label("Column of closes").fill("Value")
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    expect(open_page.locator("#origin")).to_contain_text(f"Last close {shown(HUNDRED[-1])} on")


def test_options_of_one_file_are_not_used_for_the_next(page):
    chooser, column = page.get_by_label("Choose a price file"), page.get_by_label("Column of closes")
    chooser.set_input_files(csv_file(HUNDRED))
    page.get_by_text("Options for a file").click()
    column.fill("Nope")
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#question-error")).to_contain_text("has no column 'Nope'")
    expect(column).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label(FIELD, exact=True)).not_to_have_attribute("aria-invalid", "true")
    chooser.set_input_files(csv_file(HUNDRED))
    expect(page.locator("#closes-origin")).to_contain_text("From prices.csv")
    expect(column).to_have_value("")


def test_two_dropped_files_are_reported(open_page):
    two = DROP.replace(
        'data.items.add(new File([text], "dropped.csv"));', 'for (const name of "ab") data.items.add(new File([text], name));'
    )
    open_page.evaluate(two, ["header", "1"])
    expect(open_page.locator("#question-error")).to_have_text("Choose one file at a time.")


def test_closes_that_are_not_daily_have_no_days_ahead(open_page):
    months = [f"{2010 + month // 12}-{1 + month % 12:02}-01,{100 + month}" for month in range(80)]
    paste(open_page, "\n".join(months))
    expect(open_page.locator("#final-close")).to_contain_text("The close 20 closes ahead is expected")
    expect(open_page.get_by_role("img", name="the forecast 20 closes ahead")).to_be_visible()


def test_chart_of_a_file_has_its_last_250_closes(open_page):
    days = [datetime(2022, 1, 3, tzinfo=UTC).date() + timedelta(days=day) for day in range(300)]
    paste(open_page, "\n".join(f"{day},{100 + number}" for number, day in enumerate(days)))
    open_page.get_by_role("button", name="All", exact=True).click()
    open_page.locator("#chart").press("Home")
    expect(open_page.locator("#readout")).to_contain_text(str(days[50]))


@pytest.mark.parametrize(("age", "told"), [(-3, ""), (0, ", today"), (1, ", 1 day ago"), (1234, ", 1,234 days ago")])
def test_own_dated_closes_show_their_last_date_and_age(open_page, age, told):
    last = datetime.now(UTC).date() - timedelta(days=age)
    paste(open_page, "\n".join(f"{last - timedelta(days=day)},{100 + day}" for day in range(60)))
    expect(open_page.locator("#origin")).to_have_text(f"Last close 100.00 on {last}{told}.")


@pytest.mark.parametrize("text", ["{}", " {}\n", '{{"horizon": 3, "predict": {}}}'])
def test_closes_are_read_from_json(open_page, server, text):
    closes = [100.5 + day for day in range(60)]
    paste(open_page, text.format(json.dumps(closes, indent=1)))
    assert shown_price(open_page) == ask(server, closes)["predicted_price"]


REFUSED_PASTES = {
    "59 closes": (" ".join(["7"] * 59), "The input has 59 closes; a forecast needs 60."),
    "a negative": ("\n".join(["7"] * 59 + ["-7"]), "line 60"),
    "JSON that is cut off": ("[7, 7", "begins as JSON does, but is not valid JSON"),
    "five columns": ("2022-01-03,1,2,3,4", "has no header: 1 line of 5 fields"),
    "600,000 commas": ("," * 60_000 + "7", "has no header"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED_PASTES.values(), ids=REFUSED_PASTES)
def test_error_of_the_reader_appears_at_the_field(open_page, text, message):
    fill_and_ask(open_page, text)
    error, field = open_page.locator("#question-error"), open_page.get_by_label(FIELD, exact=True)
    expect(error).to_contain_text(message)
    expect(error).to_have_role("alert")
    assert error.get_attribute("id") in (field.get_attribute("aria-describedby") or "").split()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(open_page.locator("#result")).to_be_hidden()


def test_empty_field_is_reported_and_not_sent(open_page):
    watch = Watch(open_page)
    fill_and_ask(open_page, "  \n")
    expect(open_page.locator("#question-error")).to_have_text("Write a symbol, paste closes, or choose a file.")
    expect(open_page.get_by_label(FIELD, exact=True)).to_be_focused()
    assert watch.predictions == []


def test_message_disappears_when_the_input_is_fixed(open_page):
    open_page.get_by_label(FIELD, exact=True).fill("7")
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    expect(open_page.locator("#question-error")).to_be_visible()
    open_page.get_by_label(FIELD, exact=True).press_sequentially(" 7")
    expect(open_page.locator("#question-error")).to_be_hidden()
    expect(open_page.get_by_label(FIELD, exact=True)).not_to_have_attribute("aria-invalid", "true")


def csv_file(closes: list[float]) -> FilePayload:
    rows = [f"{day},{close}" for day, close in dated(closes)]
    return {"name": "prices.csv", "mimeType": "text/csv", "buffer": "\n".join(["date,close", *rows]).encode()}


def test_invalid_file_is_reported_and_can_be_chosen_again(page, watch):
    chooser = page.get_by_label("Choose a price file")
    chooser.set_input_files(csv_file([7.0] * 59))
    expect(page.locator("#question-error")).to_have_text("The input has 59 closes; a forecast needs 60.")
    expect(chooser).to_have_value("")  # else the browser would not notice the same name
    with page.expect_response("**/predict?*"):
        chooser.set_input_files(csv_file([7.0] * 60))
    expect(page.locator("#question-error")).to_be_hidden()
    assert len(watch.predictions) == 2


@pytest.mark.parametrize(("content", "said"), [(b"7" * 2_097_153, "film.csv is larger than 2 MB."), (b"", "film.csv is empty.")])
def test_file_that_is_empty_or_too_large_is_reported_and_not_sent(open_page, content, said):
    watch = Watch(open_page)
    open_page.get_by_label("Choose a price file").set_input_files({"name": "film.csv", "mimeType": "text/csv", "buffer": content})
    expect(open_page.locator("#question-error")).to_contain_text(said)
    assert watch.predictions == []


REFUSED = {
    "a paste": lambda page: fill_and_ask(page, "7 8 9"),
    "a file": lambda page: page.get_by_label("Choose a price file").set_input_files(csv_file([7.0] * 59)),
    "a large file": lambda page: page.get_by_label("Choose a price file").set_input_files(
        {"name": "film.csv", "mimeType": "text/csv", "buffer": b"7" * 2_097_153}
    ),
    "not a symbol": lambda page: fill_and_ask(page, ".."),
    "a symbol without closes": lambda page: fill_and_ask(page, "ACME"),
    "what the server refuses": lambda page: fill_and_ask(page, "1 " * 59 + "1000000000"),
}


@pytest.mark.parametrize("refuse", REFUSED.values(), ids=REFUSED)
def test_old_forecast_disappears_when_new_input_is_rejected(open_page, refuse):
    forecast(open_page)
    refuse(open_page)
    expect(open_page.locator("#result")).to_be_hidden(timeout=60_000)
    expect(open_page.locator("#placeholder")).to_be_visible()
    expect(open_page.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(1)
    forecast(open_page)
    expect(open_page.locator("#result")).to_be_visible()


def test_late_answer_is_not_shown_after_a_rejected_input(page):
    held: list[Route] = []
    page.route("**/forecast/*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    fill_and_ask(page, "JNJ")
    expect(page.locator("#progress")).to_contain_text("JNJ")
    fill_and_ask(page, "7 8 9")
    expect(page.locator("#question-error")).to_contain_text("3 closes")
    with page.expect_response("**/forecast/JNJ*", timeout=60_000):
        held[0].continue_()
    page.wait_for_timeout(300)
    expect(page.locator("#result")).to_be_hidden()


def test_old_forecast_is_dimmed_while_a_question_is_in_progress(page):
    held: list[Route] = []
    page.route("**/forecast/JNJ*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    fill_and_ask(page, "JNJ")
    panel, progress = page.locator("#result"), page.locator("#progress")
    expect(progress).to_have_text("Asking for the newest closes of JNJ …")
    expect(progress).to_have_role("status")
    expect(panel).to_have_attribute("aria-busy", "true")
    expect(panel.locator("figure")).to_have_css("opacity", "0.4")
    expect(panel).to_have_js_property("inert", True)  # its forecast cannot be saved or copied
    page.get_by_role("button", name="Forecast", exact=True).click()
    page.get_by_label(FIELD, exact=True).press("Enter")
    assert len(held) == 1, "the same question is asked again"
    held[0].continue_()
    expect(page.locator("#result-title")).to_have_text("JNJ", timeout=60_000)
    expect(progress).to_be_empty()
    expect(panel.locator("figure")).to_have_css("opacity", "1")
    expect(panel).to_have_js_property("inert", False)


def test_days_ahead_of_own_closes_are_weekdays_unless_the_closes_have_weekends(open_page):
    weekdays = [day for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(100)) if day.weekday() < 5][:60]
    paste(open_page, "\n".join(f"{day},{100 + n % 7}" for n, day in enumerate(weekdays)))  # to Friday, 2024-03-22
    expect(open_page.locator("#table tbody th").nth(0)).to_have_text("1: 2024-03-25")
    expect(open_page.locator("#next-close")).to_contain_text("Mon, 25 Mar 2024")
    paste(open_page, "\n".join(f"{date(2024, 1, 1) + timedelta(days=n)},{100 + n % 7}" for n in range(60)))  # to Thursday, 2024-02-29
    expect(open_page.locator("#table tbody th").nth(2)).to_have_text("3: 2024-03-03")


def test_enter_asks_and_shift_enter_begins_a_line(open_page):
    watch = Watch(open_page)
    field = open_page.get_by_label(FIELD, exact=True)
    field.fill("7")
    field.press("Shift+Enter")
    field.press("8")
    expect(field).to_have_value("7\n8")
    assert watch.predictions == []
    field.press("Enter")
    expect(open_page.locator("#question-error")).to_contain_text("2 closes")


def test_error_of_the_server_is_shown_with_its_first_detail(open_page, server):
    forecast(open_page)
    closes = [1.0] * 59 + [1e9]
    open_page.get_by_label(FIELD, exact=True).fill(" ".join(f"{close:.0f}" for close in closes))
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    refusal = requests.post(f"{server}/predict", json={"predict": closes}, timeout=30).json()
    alert = open_page.locator("#question-error")
    first, *more = refusal["details"]
    others = f" (and {len(more)} more)" if more else ""
    expect(alert.locator("span")).to_have_text([refusal["error"], f"{first}{others}"])
    expect(alert).to_have_role("alert")
    expect(open_page.locator("#result")).to_be_hidden()


def test_error_that_is_not_json_is_shown_by_its_status(page):
    page.route("**/predict?*", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="60 closes").click()
    expect(page.locator("#question-error")).to_have_text("The server answered with status 502.")


def test_silent_server_is_reported(page):
    page.route("**/predict?*", lambda route: route.abort())
    page.get_by_role("button", name="60 closes").click()
    expect(page.locator("#question-error")).to_contain_text("The server did not answer.")
