"""The panel of an answer, in a real Chromium."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from browsing import (
    COUNT_PIXELS,
    FIELD,
    MARKS,
    ask,
    example_closes,
    forecast,
    open_details,
    point_at,
    shown,
)
from playwright.sync_api import expect

pytestmark = MARKS


def test_example_shows_the_answer_of_predict(page, server):
    forecast(page)
    answer = ask(server, example_closes(page))
    expect(page.locator("#origin")).to_have_text(f"Last close {shown(answer['last_close'])}.")
    final = answer["path"][-1]["intervals"]
    for level, times in (("80", "8 times in 10"), ("50", "5 times in 10"), ("95", "19 times in 20")):
        page.get_by_role("button", name=f"{level}%", exact=True).click()
        low, high = answer["intervals"][level]
        expect(page.locator("#next-close")).to_have_text(
            re.compile(rf"Next close\s+{shown(low)} to {shown(high)}\s+{times}; the expected close is {shown(answer['predicted_price'])}")
        )
        unrounded = [float(page.locator(f'[data-out="{name}"]').get_attribute("value") or "nan") for name in ("low", "high", "price")]
        assert unrounded == [low, high, answer["predicted_price"]]
        expect(page.locator("#final-close")).to_contain_text(
            f"20 trading days ahead is expected between {shown(final[level][0])} and {shown(final[level][1])}, {times}."
        )
    expect(page.locator("#answered-by")).to_contain_text(answer["model_version"])


def test_chosen_level_stays_for_the_next_forecast(page):
    page.get_by_role("button", name="95%", exact=True).click()
    forecast(page)
    expect(page.locator("#next-close")).to_contain_text("19 times in 20")
    expect(page.get_by_role("button", name="95%", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="80%", exact=True)).to_have_attribute("aria-pressed", "false")


def test_horizon_20_gives_20_rows_and_a_labelled_chart(open_page, server):
    forecast(open_page)
    open_details(open_page, "Forecast as a table")
    rows = open_page.locator("#table tbody tr")
    expect(rows).to_have_count(20)
    last = ask(server, example_closes(open_page))["path"][-1]
    ranges = [" to ".join(shown(bound) for bound in last["intervals"][level]) for level in ("50", "80", "95")]
    assert rows.last.locator("th, td").all_inner_texts() == ["20", shown(last["price"]), *ranges]
    chart = open_page.get_by_role("img", name="20 trading days ahead")
    expect(chart).to_be_visible()
    dark, outer, inner, _ = chart.evaluate(COUNT_PIXELS)
    assert dark > 300, "the closes are not drawn"
    assert outer > 3000, "the 95% interval is not drawn"
    assert inner > 3000, "the 80% interval is not drawn"


def test_chart_shows_the_values_under_the_pointer(open_page, server):
    forecast(open_page)
    open_page.mouse.move(0, 0)
    point_at(open_page, 1)
    last = ask(server, example_closes(open_page))["path"][-1]
    expect(open_page.locator("#readout")).to_contain_text(
        f"20 closes ahead: {shown(last['price'])}, 80% {shown(last['intervals']['80'][0])} to"
    )


def test_warnings_of_the_answer_are_shown(open_page):
    open_page.get_by_label(FIELD, exact=True).fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    open_page.get_by_role("button", name="Forecast", exact=True).click()
    expect(open_page.locator("#result-title")).to_have_text("Your closes")
    expect(open_page.get_by_role("list", name="Warnings")).to_contain_text("The window is unlike any in training")
    forecast(open_page)
    expect(open_page.get_by_role("list", name="Warnings")).to_be_hidden()


@pytest.mark.parametrize("clipboard", ["with the clipboard API", "without, as over plain HTTP"])
def test_copied_curl_command_works(new_page, server, clipboard):
    new_page.evaluate("navigator.clipboard.writeText('copied before')")
    if clipboard.startswith("without"):
        new_page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
        new_page.reload()
    forecast(new_page)
    closes = example_closes(new_page)
    new_page.get_by_role("button", name="Copy").click()
    expect(new_page.locator("#copy-status")).to_have_text("Copied")
    new_page.get_by_label(FIELD, exact=True).fill("")
    new_page.get_by_label(FIELD, exact=True).press("ControlOrMeta+v")
    command = new_page.get_by_label(FIELD, exact=True).input_value()
    assert command.startswith("curl ")
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=30)
    assert json.loads(done.stdout)["path"] == ask(server, closes)["path"]


def test_copied_python_program_works(open_page, server):
    forecast(open_page)
    closes = example_closes(open_page)
    open_page.get_by_role("button", name="Python").click()
    expect(open_page.get_by_role("button", name="Python")).to_have_attribute("aria-pressed", "true")
    expect(open_page.get_by_role("button", name="curl")).to_have_attribute("aria-pressed", "false")
    open_page.get_by_role("button", name="Copy").click()
    expect(open_page.locator("#copy-status")).to_have_text("Copied")
    program = open_page.evaluate("navigator.clipboard.readText()")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["path"] == ask(server, closes)["path"]
    forecast(open_page)
    expect(open_page.locator("#call")).to_contain_text("import requests")  # the choice stays
    open_page.get_by_role("button", name="curl").click()
    expect(open_page.locator("#call")).to_contain_text("curl -sS")


def test_forecast_is_saved_as_csv_unrounded(open_page, server):
    forecast(open_page)
    with open_page.expect_download() as download:
        open_page.get_by_role("button", name="Save as CSV").click()
    assert download.value.suggested_filename == "forecast.csv"
    header, *rows = Path(download.value.path()).read_text().splitlines()
    assert header == "step,date,forecast,low_80,high_80,low_95,high_95"
    path = ask(server, example_closes(open_page))["path"]
    expected = [[step["step"], step["price"], *step["intervals"]["80"], *step["intervals"]["95"]] for step in path]
    cells = [row.split(",") for row in rows]
    assert [row.pop(1) for row in cells] == [""] * 20  # the dates of pasted closes are unknown
    assert [list(map(float, row)) for row in cells] == expected


def test_saved_chart_has_the_background_of_the_page(open_page):
    forecast(open_page)
    with open_page.expect_download() as download:
        open_page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "forecast.png"
    from matplotlib.image import imread

    picture = imread(download.value.path(), format="png")  # rows, columns, (red, green, blue, alpha) from 0 to 1
    chart = open_page.locator("#chart canvas").bounding_box()
    assert picture.shape[1] == pytest.approx(chart["width"] + 32, abs=1)
    assert picture[0, 0].tolist() == [1, 1, 1, 1]
    assert (picture[:, :, [0, 2]] < 0.24).all(axis=2).sum() > 300, "the chart is not in it"
