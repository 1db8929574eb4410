"""The form for closes and the panel of an answer, in a real Chromium."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from playwright.sync_api import FilePayload, Page, Route, expect

pytestmark = MARKS


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
    page.get_by_label("60 closes, oldest first").fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.get_by_role("list", name="Warnings")).to_contain_text("The window is unlike any in training")
    forecast(page)
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()


@pytest.mark.parametrize("separator", [",", ", ", " ", ";", "; ", "\n", "\r\n", "\t", ",\n"])
def test_closes_are_read_with_each_separator(page, server, separator):
    closes = [100.5 + day for day in range(60)]
    with page.expect_request("**/predict") as sent:
        page.get_by_label("60 closes, oldest first").fill(separator.join(map(str, closes)))
        page.get_by_role("button", name="Forecast", exact=True).click()
    assert sent.value.post_data_json == {"predict": closes, "horizon": 5}


@pytest.mark.parametrize("header", ["", "date,close\n", "Date;Close\n"])
def test_two_columns_of_date_and_close_are_read(page, header):
    closes = [100.5 + day for day in range(60)]
    rows = "\n".join(f"2022-{1 + day // 28:02}-{1 + day % 28:02},{close}" for day, close in enumerate(closes))
    with page.expect_request("**/predict") as sent:
        page.get_by_label("60 closes, oldest first").fill(header + rows)
        page.get_by_role("button", name="Forecast", exact=True).click()
    assert sent.value.post_data_json["predict"] == closes


def dated(closes: list[float]) -> list[tuple[str, float]]:
    return [(f"2022-{1 + day // 28:02}-{1 + day % 28:02}", close) for day, close in enumerate(closes)]


def paste(page: Page, text: str) -> dict[str, Any]:
    """What is sent of a pasted text."""
    with page.expect_request("**/predict") as sent:
        page.get_by_label("60 closes, oldest first").fill(text)
        page.get_by_role("button", name="Forecast", exact=True).click()
    content: dict[str, Any] = json.loads(sent.value.post_data or "")
    return content


HUNDRED = [100.5 + day for day in range(100)]
FILES = {
    "Yahoo's export": ("Date,Open,High,Low,Close,Adj Close,Volume", "{date},1,2,3,4,{close},1000"),
    "no adjusted closes, the date last": ("volume;CLOSE;DATE", "1000;{close};{date}"),
    "quoted, with commas inside": ('"Date","Close","Volume"', '"{date}","{close}","1,000"'),
    "with a time of day": ("Date,Close", "{date} 00:00:00-05:00,{close}"),
    "without a header": ("", "{date},{close}"),
}


@pytest.mark.parametrize("newest_first", [False, True], ids=["oldest first", "newest first"])
@pytest.mark.parametrize(("header", "row"), FILES.values(), ids=FILES)
def test_dated_closes_are_read_by_column_name_and_the_newest_used(page, header, row, newest_first):
    rows = [row.format(date=date, close=close) for date, close in dated(HUNDRED)]
    text = "\n".join([header, *(rows[::-1] if newest_first else rows), "", ""])
    assert paste(page, text)["predict"] == HUNDRED[-60:]
    expect(page.locator("#closes-origin")).to_have_text("The newest 60 of 100 closes are used, from 2022-02-13 to 2022-04-16.")


def test_longer_file_of_dated_closes_says_which_are_used(page):
    page.get_by_label("Load a CSV file").set_input_files(csv_file(HUNDRED))
    expect(page.locator("#closes-origin")).to_have_text(
        "From the file prices.csv. The newest 60 of 100 closes are used, from 2022-02-13 to 2022-04-16."
    )
    expect(page.locator("#closes-error")).to_be_hidden()


@pytest.mark.parametrize(("age", "told"), [(-3, ""), (0, ", today"), (1, ", 1 day ago"), (1234, ", 1,234 days ago")])
def test_own_dated_closes_show_their_last_date_and_age(page, age, told):
    last = datetime.now(UTC).date() - timedelta(days=age)
    paste(page, "\n".join(f"{last - timedelta(days=day)},{100 + day}" for day in range(60)))
    expect(page.locator("#origin")).to_have_text(f"Your data ends on {last}{told}.")
    forecast(page)
    expect(page.locator("#origin")).to_be_empty()


@pytest.mark.parametrize("text", ["{}", " {}\n", '{{"horizon": 3, "predict": {}}}'])
def test_closes_are_read_from_json(page, text):
    closes = [100.5 + day for day in range(60)]
    assert paste(page, text.format(json.dumps(closes, indent=1)))["predict"] == closes


LARGE = {
    "words": ("x " * 400_000, "Item 1, “x”, is no number."),
    "rows out of order": ("2022-01-04,7\n2022-01-03,7\n" * 30_000, "Line 3: 2022-01-04 does not come before 2022-01-03"),
    "nested JSON": ("[" * 400_000 + "]" * 400_000, "Item 1, “[…]”, is no number."),
    "quotes": ('"' * 800_000, "is no number."),
    "commas": ("," * 800_000 + "7", "Found 1 close; a forecast takes 60: 59 missing."),
}


@pytest.mark.parametrize(("text", "message"), LARGE.values(), ids=LARGE)
def test_large_invalid_file_gets_the_message_of_a_small_one(page, text, message):
    page.get_by_label("Load a CSV file").set_input_files({"name": "x.csv", "mimeType": "text/csv", "buffer": text.encode()})
    expect(page.locator("#closes-error")).to_contain_text(message)


BAD_PASTES = {
    "nothing": ("  \n", "Paste 60 closes"),
    "59 closes": (" ".join(["7"] * 59), "Found 59 closes; a forecast takes 60: 1 missing."),
    "61 closes": (" ".join(["7"] * 61), "Found 61 closes; a forecast takes 60: keep the newest 60."),
    "a word": (" ".join(["7"] * 11 + ["abc"] + ["7"] * 48), "Item 12, “abc”, is no number."),
    "a currency sign": (" ".join(["$7"] + ["7"] * 59), "Item 1, “$7”, is no number."),
    "a negative": (" ".join(["7"] * 59 + ["-7"]), "Item 60, “-7”, is not above zero."),
    "zero": (" ".join(["0"] + ["7"] * 59), "Item 1, “0”, is not above zero."),
    "infinity": (" ".join(["1e999"] + ["7"] * 59), "Item 1, “1e999”, is no number."),
    "decimal commas": ("\n".join(["7,25"] * 30), "“7,25” may be one number or two."),
    "out of order": ("2022-01-03,7\n2022-01-05,7\n2022-01-04,7\n2022-01-06,7", "Line 3: 2022-01-04 does not come after 2022-01-05"),
    "out of order, newest first": ("2022-01-05,7\n2022-01-06,7\n2022-01-03,7", "Line 2: 2022-01-06 does not come before 2022-01-05"),
    "a day twice": ("2022-01-03,7\n2022-01-03,7", "Line 2: 2022-01-03 does not come after 2022-01-03"),
    "three columns": ("2022-01-03,7,8\n2022-01-04,7,8", "Line 1 is not of the form date,close"),
    "too few dated closes": ("2022-01-03,7\n2022-01-04,7", "Found 2 closes; a forecast takes 60: 58 missing."),
    "a header without close": ("Date,Open\n2022-01-03,7", "a column “close” (or “Adj Close”); it has: “Date”, “Open”."),
    "a header without date": ("Close,Day\n7,2022-01-03", "Line 1 needs a column “date”"),
    "more fields than the header": ("Date,Close\n2022-01-03,7,8", "Line 2 has 3 fields, the header 2."),
    "another form of date": ("Date,Close\n03.01.2022,7", "Line 2: “03.01.2022” is no date like 2022-12-28."),
    "no close in a column": ("Date,Open,Close\n2022-01-03,7,null", "Line 2, “null”, is no number."),
    "a day that no calendar has": ("2022-02-28,7\n2022-02-30,7", "Line 2: 2022-02-30 is no date."),
    "JSON that is cut off": ("[7, 7", "The text begins as JSON does, but is not sound JSON."),
    "JSON of something else": ('{"closes": [7]}', "The JSON is neither a list of closes nor has one as “predict”."),
    "59 closes in JSON": (json.dumps([7] * 59), "Found 59 closes; a forecast takes 60: 1 missing."),
    "61 closes in JSON": (json.dumps([7] * 61), "Found 61 closes; a forecast takes 60: keep the newest 60."),
    "a text in JSON": (json.dumps([7] * 59 + ["7"]), 'Item 60, “"7"”, is no number.'),
    "a day that is none": ("2022-02-28,7\n2022-13-01,7", "Line 2: 2022-13-01 is no date."),
    "a date without close": ("date,close\n2022-01-03,\n2022-01-04,7", "Line 2, “”, is no number."),
}


@pytest.mark.parametrize(("text", "message"), BAD_PASTES.values(), ids=BAD_PASTES)
def test_invalid_paste_is_reported_at_the_field_and_not_sent(page, watch, text, message):
    field = page.get_by_label("60 closes, oldest first")
    field.fill(text)
    page.get_by_role("button", name="Forecast", exact=True).click()
    error = page.locator("#closes-error")
    expect(error).to_contain_text(message)
    expect(error).to_have_role("alert")
    assert error.get_attribute("id") in (field.get_attribute("aria-describedby") or "").split()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert watch.predictions == []


def test_message_disappears_when_the_input_is_fixed(page):
    page.get_by_label("60 closes, oldest first").fill("7")
    page.get_by_role("button", name="Forecast", exact=True).click()
    page.get_by_label("60 closes, oldest first").press_sequentially(" 7")
    expect(page.locator("#closes-error")).to_be_hidden()
    expect(page.get_by_label("60 closes, oldest first")).not_to_have_attribute("aria-invalid", "true")


def csv_file(closes: list[float]) -> FilePayload:
    rows = [f"{date},{close}" for date, close in dated(closes)]
    return {"name": "prices.csv", "mimeType": "text/csv", "buffer": "\n".join(["date,close", *rows]).encode()}


def test_file_of_closes_is_read_in_the_browser(page):
    closes = [100.5 + day for day in range(60)]
    page.get_by_label("Load a CSV file").set_input_files(csv_file(closes))
    expect(page.locator("#closes-origin")).to_have_text("From the file prices.csv.")
    expect(page.locator("#closes-error")).to_be_hidden()
    with page.expect_request("**/predict") as sent:
        page.get_by_role("button", name="Forecast", exact=True).click()
    assert sent.value.post_data_json["predict"] == closes


def test_invalid_file_is_reported_and_can_be_chosen_again(page, watch):
    chooser = page.get_by_label("Load a CSV file")
    chooser.set_input_files(csv_file([7.0] * 59))
    expect(page.locator("#closes-error")).to_have_text("Found 59 closes; a forecast takes 60: 1 missing.")
    expect(page.get_by_label("60 closes, oldest first")).to_have_attribute("aria-invalid", "true")
    expect(chooser).to_have_value("")  # else the browser would not notice the same name
    chooser.set_input_files(csv_file([7.0] * 60))
    expect(page.locator("#closes-error")).to_be_hidden()
    chooser.set_input_files({"name": "film.csv", "mimeType": "text/csv", "buffer": b"7" * 1_000_001})
    expect(page.locator("#closes-error")).to_have_text("film.csv is larger than 1 MB.")
    expect(page.get_by_label("60 closes, oldest first")).to_have_value("")
    assert watch.predictions == []


def fill_and_ask(page: Page, label: str, text: str, button: str) -> None:
    page.get_by_label(label).fill(text)
    page.get_by_role("button", name=button, exact=True).click()


REFUSED = {
    "a paste": lambda page: fill_and_ask(page, "60 closes, oldest first", "7 8 9", "Forecast"),
    "a file": lambda page: page.get_by_label("Load a CSV file").set_input_files(csv_file([7.0] * 59)),
    "a large file": lambda page: page.get_by_label("Load a CSV file").set_input_files(
        {"name": "film.csv", "mimeType": "text/csv", "buffer": b"7" * 1_000_001}
    ),
    "not a symbol": lambda page: fill_and_ask(page, "Stock symbol", "..", "Forecast 20 days"),
    "a symbol without closes": lambda page: fill_and_ask(page, "Stock symbol", "ACME", "Forecast 20 days"),
    "what the server refuses": lambda page: fill_and_ask(page, "60 closes, oldest first", "1 " * 59 + "1000000000", "Forecast"),
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
    fill_and_ask(page, "60 closes, oldest first", "7 8 9", "Forecast")
    held[0].continue_()
    expect(page.locator("#symbol-progress")).to_be_empty(timeout=60_000)
    expect(page.locator("#result")).to_be_hidden()


def test_error_of_the_server_is_shown_with_its_details(page, server):
    forecast(page)
    closes = [1.0] * 59 + [1e9]
    page.get_by_label("60 closes, oldest first").fill(" ".join(f"{close:.0f}" for close in closes))
    page.get_by_role("button", name="Forecast", exact=True).click()
    refusal = requests.post(f"{server}/predict", json={"predict": closes}, timeout=30).json()
    alert = page.locator("#request-error")
    for sentence in (refusal["error"], *refusal["details"]):
        expect(alert).to_contain_text(sentence)
    expect(alert).to_have_role("alert")
    expect(page.locator("#result")).to_be_hidden()


def test_error_that_is_not_json_is_shown_by_its_status(page):
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Load an example").click()
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#request-error")).to_have_text("The server answered with status 502.")


def test_silent_server_is_reported(page):
    page.route("**/predict", lambda route: route.abort())
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
    page.get_by_label("60 closes, oldest first").fill("")
    page.get_by_label("60 closes, oldest first").press("ControlOrMeta+v")
    command = page.get_by_label("60 closes, oldest first").input_value()
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
