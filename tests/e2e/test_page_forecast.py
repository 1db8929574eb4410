"""The form for closes and the panel of an answer, in a real Chromium."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from browsing import (
    COUNT_PIXELS,
    MARKS,
    ask,
    example_closes,
    forecast,
    point_at,
    shown,
)
from matplotlib.image import imread
from playwright.sync_api import FilePayload, Page, Request, Route, expect

pytestmark = MARKS
CLOSES = "Closes, or a whole price file"  # label of the field


def test_example_shows_the_answer_of_predict(page, server):
    forecast(page, horizon=3)
    answer = ask(server, example_closes(page), horizon=3)
    (low80, high80), (low95, high95) = answer["intervals"]["80"], answer["intervals"]["95"]
    expect(page.locator("#next-close")).to_have_text(
        f"The next close is expected between {shown(low80)} and {shown(high80)} in 8 of 10 cases, and between {shown(low95)} and "
        f"{shown(high95)} in 19 of 20; the expected close is {shown(answer['predicted_price'])}, the last close was "
        f"{shown(answer['last_close'])}."
    )
    unrounded = {name: float(page.locator(f'[data-out="{name}"]').get_attribute("value") or "nan") for name in ("low80", "high95", "price")}
    assert unrounded == {"low80": low80, "high95": high95, "price": answer["predicted_price"]}
    final = answer["path"][2]["intervals"]
    expect(page.locator("#final-close")).to_contain_text(
        f"3 trading days ahead is expected between {shown(final['80'][0])} and {shown(final['80'][1])}"
    )
    expect(page.locator(".words")).to_contain_text(answer["model_version"])


def test_horizon_1_shows_no_later_days(page):
    forecast(page, horizon=1)
    expect(page.locator("#final-close")).to_be_hidden()
    expect(page.locator("#table tbody tr")).to_have_count(1)


def test_horizon_20_gives_20_rows_and_a_labelled_chart(page, server):
    forecast(page, horizon=20)
    page.get_by_text("Forecast as a table").click()
    rows = page.locator("#table tbody tr")
    expect(rows).to_have_count(20)
    last = ask(server, example_closes(page), horizon=20)["path"][-1]
    ranges = [" to ".join(shown(bound) for bound in last["intervals"][level]) for level in ("80", "95")]
    assert rows.last.locator("th, td").all_inner_texts() == ["20", shown(last["price"]), *ranges]
    chart = page.get_by_role("img", name="20 trading days ahead")
    expect(chart).to_be_visible()
    dark, outer, inner, _ = chart.evaluate(COUNT_PIXELS)
    assert dark > 300, "the closes are not drawn"
    assert outer > 3000, "the 95% interval is not drawn"
    assert inner > 3000, "the 80% interval is not drawn"


def test_chart_shows_the_values_under_the_pointer(page, server):
    forecast(page, horizon=20)
    point_at(page, 1)
    last = ask(server, example_closes(page), horizon=20)["path"][-1]
    expect(page.locator("#readout")).to_contain_text(f"day +20: {shown(last['price'])}, 80% {shown(last['intervals']['80'][0])} to")


def test_warnings_of_the_answer_are_shown(page):
    page.get_by_label(CLOSES).fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.get_by_role("list", name="Warnings")).to_contain_text("The window is unlike any in training")
    forecast(page)
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()


@pytest.mark.parametrize("separator", [",", ", ", " ", ";", "\n", "\r\n", "\t", ",\n"])
def test_pasted_list_is_sent_unchanged_and_gets_the_forecast_of_its_closes(page, server, separator):
    closes = [100.5 + day for day in range(60)]
    text = separator.join(map(str, closes))
    sent = paste(page, text)
    assert sent.headers["content-type"] == "text/csv"
    assert sent.post_data == text.replace("\r\n", "\n")  # as a text field keeps it
    expect(page.locator("#closes-origin")).to_contain_text("60 closes are used.")
    assert shown_price(page) == ask(server, closes, horizon=5)["predicted_price"]


def dated(closes: list[float]) -> list[tuple[str, float]]:
    return [(f"2022-{1 + day // 28:02}-{1 + day % 28:02}", close) for day, close in enumerate(closes)]


def paste(page: Page, text: str) -> Request:
    """Forecast from a pasted text; the request."""
    with page.expect_request("**/predict?*") as sent:
        fill_and_ask(page, CLOSES, text, "Forecast")
    expect(page.locator("#result-title")).to_have_text("Forecast")
    return sent.value


def shown_price(page: Page) -> float:
    return float(page.locator('[data-out="price"]').get_attribute("value") or "nan")


HUNDRED = [100.5 + day for day in range(100)]


def test_file_is_forecast_when_it_is_chosen_and_the_page_says_how_it_was_read(page, server):
    rows = [f"{day[8:]}/{day[5:7]}/{day[:4]};{str(close).replace('.', ',')};7" for day, close in dated(HUNDRED)]
    content = "\n".join(["Data;\u00daltimo;Vol.", *rows[::-1]])
    page.get_by_label("Choose a price file").set_input_files(
        {"name": "Petr\u00f3leo.csv", "mimeType": "text/csv", "buffer": content.encode("latin-1")}
    )
    reading = page.locator("#closes-origin")
    expect(reading).to_contain_text("From Petr\u00f3leo.csv: the newest 60 of 100 closes are used, from 2022-02-13 to 2022-04-16.")
    for words in (
        "date from \u201cData\u201d, close from \u201c\u00daltimo\u201d",
        "newest first",
        "The comma is read as the decimal sign",
        "day first",
    ):
        expect(reading).to_contain_text(words)
    expect(page.locator("#origin")).to_contain_text("Your data ends on 2022-04-16")
    assert shown_price(page) == ask(server, HUNDRED[-60:], horizon=5)["predicted_price"]
    with page.expect_request("**/predict?*horizon=7*"):
        page.get_by_label("Horizon").fill("7")
        page.get_by_role("button", name="Forecast", exact=True).click()


def test_chosen_file_is_named_and_can_be_removed(page):
    page.get_by_label("Choose a price file").set_input_files(csv_file(HUNDRED))
    expect(page.locator("#chosen-name")).to_have_text("prices.csv, 1.7 kB")
    page.get_by_role("button", name="Remove the file").click()
    expect(page.locator("#chosen-name")).to_be_hidden()
    expect(page.locator("#closes-origin")).to_be_hidden()
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#closes-error")).to_have_text("Paste closes, choose a file, or load the example.")


DROP = """([place, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "dropped.csv"));
  for (const type of ["dragover", "drop"]) {
    document.querySelector(place).dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
  }
}"""


def test_dropped_file_is_forecast(page):
    page.evaluate(DROP, ["header", csv_file(HUNDRED)["buffer"].decode()])
    expect(page.locator("#closes-origin")).to_contain_text("From dropped.csv: the newest 60 of 100 closes are used")


def test_column_and_stock_of_a_file_can_be_chosen(page):
    rows = [f"{day},{close},{2 * close},{name}" for name in ("AAA", "BBB") for day, close in dated(HUNDRED)]
    page.get_by_label("Choose a price file").set_input_files(
        {"name": "x.csv", "mimeType": "text/csv", "buffer": "\n".join(["date,close,mean,Name", *rows]).encode()}
    )
    expect(page.locator("#closes-error")).to_contain_text("has several stocks: AAA, BBB")
    page.get_by_label("Stock, if the file has several").fill("bbb")
    page.get_by_label("Column of closes").fill("mean")
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator('[data-out="last"]')).to_have_text(shown(2 * HUNDRED[-1]))
    expect(page.locator("#closes-error")).to_be_hidden()


def test_options_of_one_file_are_not_used_for_the_next(page):
    chooser, column = page.get_by_label("Choose a price file"), page.get_by_label("Column of closes")
    page.get_by_text("Options for a file").click()
    column.fill("Nope")
    chooser.set_input_files(csv_file(HUNDRED))
    expect(page.locator("#closes-error")).to_contain_text("has no column 'Nope'")
    expect(column).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label(CLOSES)).not_to_have_attribute("aria-invalid", "true")
    chooser.set_input_files(csv_file(HUNDRED))
    expect(page.locator("#closes-origin")).to_contain_text("From prices.csv")
    expect(column).to_have_value("")


def test_two_dropped_files_are_reported(page):
    two = DROP.replace(
        'data.items.add(new File([text], "dropped.csv"));', 'for (const name of "ab") data.items.add(new File([text], name));'
    )
    page.evaluate(two, ["header", "1"])
    expect(page.locator("#closes-error")).to_have_text("Choose one file at a time.")


def test_closes_that_are_not_daily_have_no_days_ahead(page):
    months = [f"{2010 + month // 12}-{1 + month % 12:02}-01,{100 + month}" for month in range(80)]
    paste(page, "\n".join(months))
    expect(page.locator("#final-close")).to_contain_text("The close 5 closes ahead is expected")
    expect(page.get_by_role("img", name="the forecast 5 closes ahead")).to_be_visible()


def test_chart_of_a_file_has_its_last_250_closes(page):
    days = [datetime(2022, 1, 3, tzinfo=UTC).date() + timedelta(days=day) for day in range(300)]
    paste(page, "\n".join(f"{day},{100 + number}" for number, day in enumerate(days)))
    point_at(page, 0)
    expect(page.locator("#readout")).to_contain_text(str(days[50]))


@pytest.mark.parametrize(("age", "told"), [(-3, ""), (0, ", today"), (1, ", 1 day ago"), (1234, ", 1,234 days ago")])
def test_own_dated_closes_show_their_last_date_and_age(page, age, told):
    last = datetime.now(UTC).date() - timedelta(days=age)
    paste(page, "\n".join(f"{last - timedelta(days=day)},{100 + day}" for day in range(60)))
    expect(page.locator("#origin")).to_have_text(f"Your data ends on {last}{told}.")
    forecast(page)
    expect(page.locator("#origin")).to_be_empty()


@pytest.mark.parametrize("text", ["{}", " {}\n", '{{"horizon": 3, "predict": {}}}'])
def test_closes_are_read_from_json(page, server, text):
    closes = [100.5 + day for day in range(60)]
    paste(page, text.format(json.dumps(closes, indent=1)))
    assert shown_price(page) == ask(server, closes, horizon=5)["predicted_price"]


REFUSED_PASTES = {
    "59 closes": (" ".join(["7"] * 59), "The file has 59 closes; a forecast needs 60."),
    "a negative": ("\n".join(["7"] * 59 + ["-7"]), "line 60"),
    "JSON that is cut off": ("[7, 7", "begins as JSON does, but is not valid JSON"),
    "five columns": ("2022-01-03,1,2,3,4", "has no header: 1 line of 5 fields"),
    "600,000 commas": ("," * 60_000 + "7", "has no header"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED_PASTES.values(), ids=REFUSED_PASTES)
def test_error_of_the_reader_appears_at_the_field(page, text, message):
    fill_and_ask(page, CLOSES, text, "Forecast")
    error, field = page.locator("#closes-error"), page.get_by_label(CLOSES)
    expect(error).to_contain_text(message)
    expect(error).to_have_role("alert")
    assert error.get_attribute("id") in (field.get_attribute("aria-describedby") or "").split()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#result")).to_be_hidden()


def test_empty_field_is_reported_and_not_sent(page, watch):
    fill_and_ask(page, CLOSES, "  \n", "Forecast")
    expect(page.locator("#closes-error")).to_have_text("Paste closes, choose a file, or load the example.")
    expect(page.get_by_label(CLOSES)).to_be_focused()
    assert watch.predictions == []


def test_message_disappears_when_the_input_is_fixed(page):
    page.get_by_label(CLOSES).fill("7")
    page.get_by_role("button", name="Forecast", exact=True).click()
    page.get_by_label(CLOSES).press_sequentially(" 7")
    expect(page.locator("#closes-error")).to_be_hidden()
    expect(page.get_by_label(CLOSES)).not_to_have_attribute("aria-invalid", "true")


def csv_file(closes: list[float]) -> FilePayload:
    rows = [f"{date},{close}" for date, close in dated(closes)]
    return {"name": "prices.csv", "mimeType": "text/csv", "buffer": "\n".join(["date,close", *rows]).encode()}


def test_invalid_file_is_reported_and_can_be_chosen_again(page, watch):
    chooser = page.get_by_label("Choose a price file")
    chooser.set_input_files(csv_file([7.0] * 59))
    expect(page.locator("#closes-error")).to_have_text("The file has 59 closes; a forecast needs 60.")
    expect(chooser).to_have_value("")  # else the browser would not notice the same name
    chooser.set_input_files(csv_file([7.0] * 60))
    expect(page.locator("#closes-error")).to_be_hidden()
    assert len(watch.predictions) == 2


@pytest.mark.parametrize(("content", "said"), [(b"7" * 2_097_153, "film.csv is larger than 2 MB."), (b"", "film.csv is empty.")])
def test_file_that_is_empty_or_too_large_is_reported_and_not_sent(page, watch, content, said):
    page.get_by_label("Choose a price file").set_input_files({"name": "film.csv", "mimeType": "text/csv", "buffer": content})
    expect(page.locator("#closes-error")).to_contain_text(said)
    assert watch.predictions == []


def fill_and_ask(page: Page, label: str, text: str, button: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_role("button", name=button, exact=True).click()


REFUSED = {
    "a paste": lambda page: fill_and_ask(page, CLOSES, "7 8 9", "Forecast"),
    "a file": lambda page: page.get_by_label("Choose a price file").set_input_files(csv_file([7.0] * 59)),
    "a large file": lambda page: page.get_by_label("Choose a price file").set_input_files(
        {"name": "film.csv", "mimeType": "text/csv", "buffer": b"7" * 2_097_153}
    ),
    "not a symbol": lambda page: fill_and_ask(page, "Stock symbol", "..", "Forecast 20 days"),
    "a symbol without closes": lambda page: fill_and_ask(page, "Stock symbol", "ACME", "Forecast 20 days"),
    "what the server refuses": lambda page: fill_and_ask(page, CLOSES, "1 " * 59 + "1000000000", "Forecast"),
}


@pytest.mark.parametrize("refuse", REFUSED.values(), ids=REFUSED)
def test_old_forecast_disappears_when_new_input_is_rejected(page, refuse):
    forecast(page)
    refuse(page)
    expect(page.locator("#result")).to_be_hidden(timeout=60_000)
    expect(page.locator("#placeholder")).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text=re.compile("."))).to_have_count(1)
    forecast(page)
    expect(page.locator("#result")).to_be_visible()


def test_late_answer_is_not_shown_after_a_rejected_input(page):
    held: list[Route] = []
    page.route("**/forecast/*", lambda route: held.append(route))  # noqa: PLW0108 (Playwright marks what it is given)
    fill_and_ask(page, "Stock symbol", "JNJ", "Forecast 20 days")
    expect(page.locator("#symbol-progress")).to_contain_text("JNJ")
    fill_and_ask(page, CLOSES, "7 8 9", "Forecast")
    held[0].continue_()
    expect(page.locator("#symbol-progress")).to_be_empty(timeout=60_000)
    expect(page.locator("#result")).to_be_hidden()


def test_error_of_the_server_is_shown_with_its_details(page, server):
    forecast(page)
    closes = [1.0] * 59 + [1e9]
    page.get_by_label(CLOSES).fill(" ".join(f"{close:.0f}" for close in closes))
    page.get_by_role("button", name="Forecast", exact=True).click()
    refusal = requests.post(f"{server}/predict", json={"predict": closes}, timeout=30).json()
    alert = page.locator("#closes-error")
    for sentence in (refusal["error"], *refusal["details"]):
        expect(alert).to_contain_text(sentence)
    expect(alert).to_have_role("alert")
    expect(page.locator("#result")).to_be_hidden()


def test_error_that_is_not_json_is_shown_by_its_status(page):
    page.route("**/predict?*", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Load an example").click()
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#request-error")).to_have_text("The server answered with status 502.")


def test_silent_server_is_reported(page):
    page.route("**/predict?*", lambda route: route.abort())
    page.get_by_role("button", name="Load an example").click()
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#request-error")).to_contain_text("The server did not answer.")


@pytest.mark.parametrize("clipboard", ["with the clipboard API", "without, as over plain HTTP"])
def test_copied_curl_command_works(page, server, clipboard):
    page.evaluate("navigator.clipboard.writeText('copied before')")
    if clipboard.startswith("without"):
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        page.reload()
    forecast(page, horizon=2)
    closes = example_closes(page)
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copy-status")).to_have_text("Copied")
    page.get_by_label(CLOSES).fill("")
    page.get_by_label(CLOSES).press("ControlOrMeta+v")
    command = page.get_by_label(CLOSES).input_value()
    assert command.startswith("curl ")
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout)["path"] == ask(server, closes, horizon=2)["path"]


def test_copied_python_program_works(page, server):
    forecast(page, horizon=2)
    closes = example_closes(page)
    page.get_by_role("button", name="Python").click()
    expect(page.get_by_role("button", name="Python")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="curl")).to_have_attribute("aria-pressed", "false")
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("#copy-status")).to_have_text("Copied")
    program = page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["path"] == ask(server, closes, horizon=2)["path"]
    forecast(page, horizon=3)
    expect(page.locator("#call")).to_contain_text("import requests")  # the choice stays
    page.get_by_role("button", name="curl").click()
    expect(page.locator("#call")).to_contain_text("curl -sS")


def test_forecast_is_saved_as_csv_unrounded(page, server):
    forecast(page, horizon=3)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "forecast.csv"
    header, *rows = Path(download.value.path()).read_text().splitlines()
    assert header == "step,date,forecast,low_80,high_80,low_95,high_95"
    path = ask(server, example_closes(page), horizon=3)["path"]
    expected = [[step["step"], step["price"], *step["intervals"]["80"], *step["intervals"]["95"]] for step in path]
    cells = [row.split(",") for row in rows]
    assert [row.pop(1) for row in cells] == [""] * 3  # the dates of pasted closes are unknown
    assert [list(map(float, row)) for row in cells] == expected


def test_saved_chart_has_the_background_of_the_page(page):
    page.emulate_media(color_scheme="light")
    forecast(page, horizon=20)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "forecast.png"
    picture = imread(download.value.path(), format="png")  # rows, columns, (red, green, blue, alpha) from 0 to 1
    chart = page.locator("#chart canvas").bounding_box()
    assert picture.shape[1] == pytest.approx(chart["width"] + 32, abs=1)
    assert picture[0, 0].tolist() == [1, 1, 1, 1]
    assert (picture[:, :, [0, 2]] < 0.24).all(axis=2).sum() > 300, "the chart is not in it"
