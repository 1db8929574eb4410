"""The web page in a real Chromium, served by a real gunicorn: what it shows, says and sends, and for whom it works."""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

PROJECT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"

# How many pixels of a canvas are nearly black, as the line of closes is in the light scheme, how many show each interval's shade, and how
# many the forecast's blue.
COUNT_PIXELS = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let dark = 0, outer = 0, inner = 0, blueLine = 0;
  for (let i = 0; i < data.length; i += 4) {
    const [red, , blue, opacity] = data.subarray(i, i + 4);
    dark += opacity > 200 && blue < 60;
    outer += blue - red > 60 && opacity > 30 && opacity < 60;
    inner += blue - red > 60 && opacity > 90 && opacity < 130;
    blueLine += blue - red > 100 && opacity > 200;
  }
  return [dark, outer, inner, blueLine];
}"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: make chromium")]


def serve(log: Path, **settings: str) -> Iterator[str]:
    """A gunicorn on a free port, once it answers; its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"HOST": "127.0.0.1", "PORT": str(port), "WEB_CONCURRENCY": "1", "MLFLOW_UI": "off", "REQUEST_LOG": str(log)}
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT, env=environment | settings) as server:
        try:
            wait_for(url, server)
            yield url
        finally:
            server.terminate()


def wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers; a busy machine may need a while for the imports."""
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up:
        assert server.poll() is None, f"the server ended with status {server.returncode}"
        try:
            requests.get(f"{url}/health", timeout=5).raise_for_status()
        except requests.ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server did not answer within 120 s")


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    yield from serve(tmp_path_factory.mktemp("server") / "log.csv")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        yield browser
        browser.close()


class Watch:
    """What a page asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(message.text) if message.type in {"error", "warning"} else None)

    @property
    def predictions(self) -> list[str]:
        return self.asked("/predict")

    def asked(self, path: str) -> list[str]:
        return [url for url in self.requests if urlsplit(url).path == path]


@pytest.fixture
def page(browser, server) -> Iterator[Page]:
    """The page as it opens, at 1280 px."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(server)
    yield page
    context.close()


@pytest.fixture
def watch(page) -> Watch:
    watch = Watch(page)
    page.reload()
    return watch


def example_closes(page: Page) -> list[float]:
    return json.loads(page.locator("#example").text_content() or "")["closes"]


def forecast(page: Page, horizon: int = 5) -> None:
    page.get_by_role("button", name="Load an example").click()
    page.get_by_label("Horizon").fill(str(horizon))
    page.get_by_role("button", name="Forecast").click()
    expect(page.locator("#result")).to_be_visible()


def ask(server: str, closes: list[float], horizon: int) -> dict:
    answer = requests.post(f"{server}/predict", json={"predict": closes, "horizon": horizon}, timeout=30)
    answer.raise_for_status()
    return answer.json()


def open_backtest(page: Page) -> None:
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-chart canvas")).to_be_visible()


def metadata() -> dict:
    return json.loads((PROJECT / "modelFiles" / "metadata.json").read_text())


def backtest_rows() -> list[dict[str, str]]:
    with (PROJECT / "modelFiles" / "versions" / metadata()["model_version"] / "backtest.csv").open() as file:
        return list(csv.DictReader(file))


def point_at(page: Page, share: float) -> str:
    """What the backtest's readout tells at a share of the chart's width."""
    over = page.locator("#backtest-chart .u-over")
    over.scroll_into_view_if_needed()
    box = over.bounding_box()
    page.mouse.move(box["x"] + 1 + share * (box["width"] - 2), box["y"] + 40)
    return page.locator("#backtest-readout").inner_text()


def shown_days(page: Page) -> tuple[str, str]:
    """The first and the last day in sight."""
    return point_at(page, 0)[:10], point_at(page, 1)[:10]


def shown(price: float) -> str:
    """A price of the example's size as the page writes it."""
    return f"{price:,.2f}"


def test_model_is_described_by_its_metadata(page):
    model = metadata()
    text = page.locator("#model").inner_text()
    for fact in ("model_version", "symbol", "first_date", "last_date"):
        assert model[fact] in text
    result = model["metrics"]
    assert f"On {result['n_days']:,} unseen days its RMSE was {result['rmse_ratio']:.4f} times that of repeating the last close" in text
    assert f"its 80% interval held {result['coverage_80']:.1%} of the closes, the 95% one {result['coverage_95']:.1%}." in text


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.97, "so it is the better of the two;"),
        (0.9996, "so it adds nothing to it;"),
        (1.0004, "so it adds nothing to it;"),
        (1.3, "so it is worse than that;"),
    ],
)
def test_result_is_worded_as_its_ratio_says(ratio, verdict, tmp_path, monkeypatch):
    from app import create_app

    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "log.csv"))
    app = create_app()
    app.extensions["service"].models.current().metadata["metrics"]["rmse_ratio"] = ratio
    text = " ".join(app.test_client().get("/").text.split())
    assert f"was {ratio:.4f} times that of repeating the last close, {verdict}" in text


def test_page_without_a_model_says_how_to_train_one(browser, tmp_path):
    (tmp_path / "models").mkdir()
    for url in serve(tmp_path / "log.csv", MODEL_DIR=str(tmp_path / "models")):
        page = browser.new_page()
        page.goto(url)
        expect(page.locator("#model")).to_contain_text("There is no model yet")
        expect(page.locator("#model")).to_contain_text("python modelTrain.py")
        page.get_by_role("button", name="Load an example").click()
        page.get_by_role("button", name="Forecast").click()
        error = requests.post(f"{url}/predict", json={"predict": [1.0] * 60}, timeout=30).json()["error"]
        expect(page.locator("#request-error")).to_contain_text(error)
        page.close()


def test_example_shows_the_numbers_that_predict_answers(page, server):
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


def test_horizon_1_says_nothing_of_later_days(page):
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


def test_chart_tells_the_values_under_the_pointer(page, server):
    forecast(page, horizon=20)
    box = page.locator("#chart .u-over").bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 50)
    last = ask(server, example_closes(page), horizon=20)["path"][-1]
    expect(page.locator("#readout")).to_contain_text(f"day +20: {shown(last['price'])}, 80% {shown(last['intervals']['80'][0])} to")


def test_warnings_of_the_answer_are_shown(page):
    page.get_by_label("60 closes, oldest first").fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    page.get_by_role("button", name="Forecast").click()
    expect(page.get_by_role("list", name="Warnings")).to_contain_text("unlike all that the model was trained on")
    forecast(page)
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()


@pytest.mark.parametrize("separator", [",", ", ", " ", ";", "; ", "\n", "\r\n", "\t", ",\n"])
def test_closes_are_read_with_each_separator(page, server, separator):
    closes = [100.5 + day for day in range(60)]
    with page.expect_request("**/predict") as sent:
        page.get_by_label("60 closes, oldest first").fill(separator.join(map(str, closes)))
        page.get_by_role("button", name="Forecast").click()
    assert sent.value.post_data_json == {"predict": closes, "horizon": 5}


@pytest.mark.parametrize("header", ["", "date,close\n", "Date;Close\n"])
def test_two_columns_of_date_and_close_are_read(page, header):
    closes = [100.5 + day for day in range(60)]
    rows = "\n".join(f"2022-{1 + day // 28:02}-{1 + day % 28:02},{close}" for day, close in enumerate(closes))
    with page.expect_request("**/predict") as sent:
        page.get_by_label("60 closes, oldest first").fill(header + rows)
        page.get_by_role("button", name="Forecast").click()
    assert sent.value.post_data_json["predict"] == closes


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
    "newest first": ("2022-01-04,7\n2022-01-03,7", "Line 2: 2022-01-03 does not come after 2022-01-04"),
    "three columns": ("2022-01-03,7,8\n2022-01-04,7,8", "Line 1 is not of the form date,close"),
    "a date without close": ("date,close\n2022-01-03,\n2022-01-04,7", "Line 2, “”, is no number."),
}


@pytest.mark.parametrize(("paste", "message"), BAD_PASTES.values(), ids=BAD_PASTES)
def test_bad_paste_is_told_at_the_field_and_not_sent(page, watch, paste, message):
    field = page.get_by_label("60 closes, oldest first")
    field.fill(paste)
    page.get_by_role("button", name="Forecast").click()
    error = page.locator("#closes-error")
    expect(error).to_contain_text(message)
    expect(error).to_have_role("alert")
    assert error.get_attribute("id") in (field.get_attribute("aria-describedby") or "").split()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert watch.predictions == []


def test_message_at_the_field_goes_when_it_is_mended(page):
    page.get_by_label("60 closes, oldest first").fill("7")
    page.get_by_role("button", name="Forecast").click()
    page.get_by_label("60 closes, oldest first").press_sequentially(" 7")
    expect(page.locator("#closes-error")).to_be_hidden()
    expect(page.get_by_label("60 closes, oldest first")).not_to_have_attribute("aria-invalid", "true")


def test_error_of_the_server_is_shown_with_its_details(page, server):
    forecast(page)
    closes = [1.0] * 59 + [1e9]
    page.get_by_label("60 closes, oldest first").fill(" ".join(f"{close:.0f}" for close in closes))
    page.get_by_role("button", name="Forecast").click()
    refusal = requests.post(f"{server}/predict", json={"predict": closes}, timeout=30).json()
    alert = page.locator("#request-error")
    for sentence in (refusal["error"], *refusal["details"]):
        expect(alert).to_contain_text(sentence)
    expect(alert).to_have_role("alert")
    expect(page.locator("#result")).to_be_hidden()


def test_error_that_is_not_json_is_shown_by_its_status(page):
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    page.get_by_role("button", name="Load an example").click()
    page.get_by_role("button", name="Forecast").click()
    expect(page.locator("#request-error")).to_have_text("The server answered with status 502.")


def test_server_that_does_not_answer_is_told(page):
    page.route("**/predict", lambda route: route.abort())
    page.get_by_role("button", name="Load an example").click()
    page.get_by_role("button", name="Forecast").click()
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


def test_page_asks_no_other_host_and_logs_no_errors(page, watch, server):
    forecast(page, horizon=20)
    open_backtest(page)
    assert len(watch.predictions) == 1
    assert {urlsplit(url).netloc for url in watch.requests} == {urlsplit(server).netloc}
    assert watch.complaints == []


def test_page_works_under_a_strict_content_security_policy(page, server):
    def add_policy(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, headers=response.headers | {"content-security-policy": POLICY})

    page.route(f"{server}/", add_policy)
    watch = Watch(page)
    response = page.reload()
    assert response is not None
    assert response.headers["content-security-policy"] == POLICY
    forecast(page, horizon=20)
    expect(page.get_by_role("img", name="20 trading days ahead")).to_be_visible()
    open_backtest(page)
    assert watch.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_accessibility_violations(page, scheme):
    page.emulate_media(color_scheme=scheme)
    assert violations(page) == []
    page.get_by_role("button", name="Forecast").click()
    expect(page.locator("#closes-error")).to_be_visible()
    assert violations(page) == []
    page.get_by_label("60 closes, oldest first").fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    page.get_by_role("button", name="Forecast").click()
    expect(page.get_by_role("list", name="Warnings")).to_be_visible()
    page.get_by_text("Forecast as a table").click()
    page.get_by_role("button", name="Copy").click()
    assert violations(page) == []


def violations(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['html']}" for rule in found for node in rule["nodes"]]


def test_chart_follows_the_colour_scheme(page):
    page.emulate_media(color_scheme="light")
    forecast(page)
    canvas = page.locator("#chart canvas")
    light = canvas.evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme="dark")
    expect(canvas).to_have_count(1)
    page.wait_for_function("light => document.querySelector('#chart canvas').toDataURL() !== light", arg=light)


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_page_does_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    forecast(page, horizon=20)
    page.get_by_text("Forecast as a table").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    chart, panel = (page.locator(selector).bounding_box() for selector in ("#chart canvas", "#result"))
    assert chart["x"] + chart["width"] <= panel["x"] + panel["width"], "the chart is cut off"


def test_page_is_usable_by_keyboard_alone(page):
    names = []
    for _ in range(10):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.textContent"))
        if names[-1] == "load-example":
            page.keyboard.press("Enter")
        elif names[-1] == "horizon":
            page.keyboard.press("End")
        elif names[-1] == "submit":
            page.keyboard.press("Enter")
            break
    assert names[-7:] == ["Experiments (MLflow)", "tab-forecast", "panel-forecast", "load-example", "closes", "horizon", "submit"]
    expect(page.locator("#table tbody tr")).to_have_count(20)


def test_page_weighs_less_than_150_kb_compressed(page, watch):
    open_backtest(page)
    assert len(watch.requests) >= 10
    weights = []
    for url in watch.requests:
        with requests.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30) as response:
            compressed = response.headers.get("Content-Encoding") == "gzip"
            assert compressed or int(response.headers["Content-Length"]) < 500, url
            weights.append(len(response.raw.read(decode_content=False)))
    assert sum(weights) < 150_000


def test_backtest_is_fetched_once_and_only_when_it_is_shown(page, watch):
    assert watch.asked("/backtest") == []
    open_backtest(page)
    page.get_by_role("tab", name="Forecast").click()
    open_backtest(page)
    assert len(watch.asked("/backtest")) == 1


def test_backtest_chart_is_drawn_and_described(page):
    page.emulate_media(color_scheme="light")
    open_backtest(page)
    rows = backtest_rows()
    chart = page.get_by_role("img", name=f"Line chart of {len(rows)} closes of MSFT from {rows[0]['date']} to {rows[-1]['date']}")
    expect(chart).to_be_visible()
    page.get_by_role("button", name=rows[-1]["date"][:4]).click()  # a year, so that the lines lie apart
    dark, outer, inner, blue = chart.evaluate(COUNT_PIXELS)
    assert dark > 300, "the closes are not drawn"
    assert blue > 300, "the forecasts are not drawn"
    assert outer > 3000, "the 95% interval is not drawn"
    assert inner > 3000, "the 80% interval is not drawn"


def test_backtest_tells_the_values_under_the_pointer(page):
    open_backtest(page)
    rows = {row["date"]: row for row in backtest_rows()}
    told = [point_at(page, share) for share in (0, 0.3, 0.7, 1)]
    for text in told:
        row = {name: shown(float(value)) for name, value in rows[text[:10]].items() if name != "date"}
        assert text == (
            f"{text[:10]}: close {row['actual']}, forecast {row['predicted']}, "
            f"80% {row['low_80']} to {row['high_80']}, 95% {row['low_95']} to {row['high_95']}"
        )
    assert (told[0][:10], told[-1][:10]) == (min(rows), max(rows))
    assert len(set(told)) == 4
    page.mouse.move(0, 0)
    expect(page.locator("#backtest-readout")).to_be_empty()


@pytest.mark.parametrize("back", ["double click", "button"])
def test_backtest_zooms_by_drag_and_back(page, back):
    open_backtest(page)
    whole = shown_days(page)
    button = page.get_by_role("button", name="Whole period")
    expect(button).to_have_attribute("aria-pressed", "true")
    start, end = point_at(page, 0.6)[:10], point_at(page, 0.4)[:10]
    page.mouse.down()
    point_at(page, 0.5)
    point_at(page, 0.6)
    page.mouse.up()
    expect(button).to_have_attribute("aria-pressed", "false")
    first, last = shown_days(page)
    assert whole[0] < end <= first < last <= start < whole[1]
    if back == "button":
        button.click()
    else:
        point_at(page, 0.5)
        page.locator("#backtest-chart .u-over").dblclick()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert shown_days(page) == whole


def test_backtest_shows_a_year_at_a_press(page):
    open_backtest(page)
    dates = [row["date"] for row in backtest_rows() if row["date"].startswith("2021")]
    page.get_by_role("button", name="2021").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="2021")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Whole period")).to_have_attribute("aria-pressed", "false")
    assert shown_days(page) == (dates[0], dates[-1])


def test_backtest_dates_do_not_depend_on_the_time_zone(browser, server):
    drawn = set()
    for zone in ("Pacific/Honolulu", "Pacific/Auckland"):
        context = browser.new_context(timezone_id=zone)
        page = context.new_page()
        page.goto(f"{server}/#backtest")
        expect(page.locator("#backtest-chart canvas")).to_be_visible()
        rows = backtest_rows()
        assert shown_days(page) == (rows[0]["date"], rows[-1]["date"])
        drawn.add(page.locator("#backtest-chart canvas").evaluate("c => c.toDataURL()"))
        context.close()
    assert len(drawn) == 1, "the axis has other days"


def test_backtest_keeps_its_zoom_and_size_when_the_colours_change_out_of_sight(page):
    open_backtest(page)
    page.get_by_role("button", name="2021").click()
    days = shown_days(page)
    page.get_by_role("tab", name="Forecast").click()
    page.emulate_media(color_scheme="dark")
    open_backtest(page)
    assert shown_days(page) == days
    chart, frame = (page.locator(selector).bounding_box() for selector in ("#backtest-chart canvas", "#backtest-figure"))
    assert chart["width"] == pytest.approx(frame["width"], abs=2)


def test_tables_say_how_often_the_intervals_held(page):
    open_backtest(page)
    tables = page.locator("#coverage table")
    coverage = metadata()["coverage"]
    expect(tables).to_have_count(len(coverage))
    for table, kind in zip(tables.all(), ("year", "volatility", "horizon"), strict=True):
        rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
        assert rows == [
            [name, str(part["n_days"]), f"{part['coverage_80']:.1%}", f"{part['coverage_95']:.1%}"] for name, part in coverage[kind].items()
        ]


def test_backtest_in_words_is_its_metadata(page):
    open_backtest(page)
    model = metadata()
    result = model["metrics"]
    text = page.locator("#backtest-result").inner_text()
    assert f"Each of the {result['n_days']} closes of {model['symbol']} from {model['tested_from']} to {model['last_date']}" in text
    assert f"Its RMSE was {result['rmse_ratio']:.4f} times that of repeating the last close" in text
    assert f"p = {result['dm_p_value']:.2g})" in text
    assert f"The 80% intervals held {result['coverage_80']:.1%} of the closes, the 95% ones {result['coverage_95']:.1%}." in text
    assert f"on all days held {result['naive_coverage_80']:.1%} and {result['naive_coverage_95']:.1%}." in text
    scores = [f"{100 * result[f'winkler_{level}']:.2f} against {100 * result[f'naive_winkler_{level}']:.2f}" for level in (80, 95)]
    assert f"the intervals got {scores[0]} and {scores[1]}:" in text


CHANCE, SURE = "than chance may explain (Diebold-Mariano test, p = 0.3).", "more than chance explains (Diebold-Mariano test, p < 0.005)."


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rmse_ratio": 0.97, "dm_p_value": 0.3, "dm_statistic": -1}, f"so it is the better of the two, but by no more {CHANCE}"),
        ({"rmse_ratio": 0.97, "dm_p_value": 0.001, "dm_statistic": -3}, f"so it is the better of the two, by {SURE}"),
        ({"rmse_ratio": 1.001, "dm_p_value": 0.3, "dm_statistic": 1}, "so it adds nothing to it: the difference is no more than chance"),
        ({"rmse_ratio": 1.001, "dm_p_value": 0.001, "dm_statistic": 3}, f"so it adds nothing to it, though the difference is {SURE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": 0.3, "dm_statistic": 1}, f"so it is worse than that, but by no more {CHANCE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": 0.001, "dm_statistic": 3}, f"so it is worse than that, by {SURE}"),
        ({"rmse_ratio": 1.3, "dm_p_value": None, "dm_statistic": None}, "so it is worse than that. The 80%"),
        ({"winkler_80": 0.9, "naive_winkler_80": 1, "winkler_95": 0.9, "naive_winkler_95": 1}, ": better than such bands at both levels."),
        ({"winkler_80": 1, "naive_winkler_80": 1, "winkler_95": 1, "naive_winkler_95": 1}, ": no better than such bands at both levels."),
        (
            {"winkler_80": 1, "naive_winkler_80": 1, "winkler_95": 2, "naive_winkler_95": 1},
            ": no better than such bands at 80%, worse at 95%.",
        ),
    ],
)
def test_backtest_is_worded_as_its_metrics_say(changed, words, tmp_path, monkeypatch):
    from app import create_app

    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "log.csv"))
    app = create_app()
    app.extensions["service"].models.current().metadata["metrics"].update(changed)
    text = app.test_client().get("/").text.replace("</p>", " ").replace("<p>", " ").replace("&lt;", "<")
    assert words in " ".join(text.split())


def test_backtest_can_be_downloaded(page, server):
    open_backtest(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename == f"backtest-MSFT-{metadata()['model_version']}.csv"
    assert Path(download.value.path()).read_bytes() == requests.get(f"{server}/backtest", timeout=30).content


def test_backtest_that_fails_is_told_and_fetched_anew(page):
    refusal = {"error": "Model x has no backtest.", "details": []}
    page.route("**/backtest", lambda route: route.fulfill(status=404, json=refusal))
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-error")).to_have_text(refusal["error"])
    expect(page.locator("#backtest-error")).to_have_role("alert")
    expect(page.locator("#backtest-figure")).to_be_hidden()
    expect(page.locator("#coverage")).to_be_visible()
    page.unroute("**/backtest")
    page.get_by_role("tab", name="Forecast").click()
    open_backtest(page)
    expect(page.locator("#backtest-error")).to_be_hidden()


def test_backtest_of_another_model_than_the_pages_is_not_shown(page):
    page.route("**/backtest", lambda route: route.fulfill(body="date,actual\n", headers={"ETag": '"20990101-000000-abcdef"'}))
    page.get_by_role("tab", name="Backtest").click()
    expect(page.locator("#backtest-error")).to_contain_text("Load the page again")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_backtest_has_no_accessibility_violations(page, scheme):
    page.emulate_media(color_scheme=scheme)
    open_backtest(page)
    page.get_by_role("button", name="2021").click()
    point_at(page, 0.5)
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 390, 1280, 1920])
def test_backtest_does_not_scroll_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    open_backtest(page)
    assert point_at(page, 0.5)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    chart, panel = (page.locator(selector).bounding_box() for selector in ("#backtest-chart canvas", "#panel-backtest"))
    assert chart["x"] + chart["width"] <= panel["x"] + panel["width"], "the chart is cut off"


def expect_tab(page: Page, name: str) -> None:
    """The tab that is selected, in reach of the Tab key and whose panel alone is shown."""
    for tab in page.get_by_role("tab").all():
        selected = tab.inner_text() == name
        expect(tab).to_have_attribute("aria-selected", str(selected).lower())
        assert (tab.get_attribute("tabindex") == "-1") is not selected
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def test_tabs_are_used_by_keyboard(page):
    page.get_by_role("tab", name="Forecast").focus()
    for key, name in (
        ("ArrowRight", "Backtest"),
        ("ArrowRight", "Forecast"),
        ("ArrowLeft", "Backtest"),
        ("Home", "Forecast"),
        ("End", "Backtest"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect_tab(page, name)
        assert urlsplit(page.url).fragment == name.lower()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tabpanel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Whole period")).to_be_focused()


def test_tabs_follow_the_address(page, server):
    for fragment, name in (("#backtest", "Backtest"), ("#forecast", "Forecast"), ("#nothing", "Forecast"), ("", "Forecast")):
        page.goto("about:blank")
        page.goto(f"{server}/{fragment}")
        expect_tab(page, name)
    page.get_by_role("tab", name="Backtest").click()
    expect_tab(page, "Backtest")
    page.go_back()
    expect_tab(page, "Forecast")
    page.go_forward()
    expect_tab(page, "Backtest")
    assert page.evaluate("scrollY") == 0


def test_backtest_in_words_and_tables_needs_no_javascript(browser, server):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server)
    expect(page.locator("#backtest-result")).to_be_visible()
    expect(page.locator("#coverage table")).to_have_count(3)
    expect(page.get_by_role("tablist")).to_be_hidden()
    context.close()


def test_api_key_is_asked_for_kept_and_never_shown(browser, tmp_path):
    secret = "key-of-the-test"
    for url in serve(tmp_path / "log.csv", API_KEY=secret):
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        key = page.get_by_label("API key")
        expect(key).to_be_hidden()
        page.get_by_role("button", name="Load an example").click()
        submit = page.get_by_role("button", name="Forecast")
        submit.click()
        expect(key).to_be_focused()
        expect(key).to_have_attribute("type", "password")
        expect(page.locator("#api-key-error")).to_have_text("This server asks for an API key.")
        assert violations(page) == []
        for wrong in ("wrong", "ключ"):  # the second cannot be sent in a header
            key.fill(wrong)
            expect(page.locator("#api-key-error")).to_be_hidden()
            submit.click()
            expect(page.locator("#api-key-error")).to_have_text("The server does not take this API key.")
        expect(page.locator("#result")).to_be_hidden()
        key.fill(secret)
        key.press("Enter")
        expect(page.locator("#result")).to_be_visible()
        expect(key).to_be_hidden()
        expect(page.locator("#curl")).to_contain_text("-H 'X-API-Key: YOUR-API-KEY'")
        assert secret not in page.content()
        page.reload()
        with page.expect_response("**/predict") as reply:
            forecast(page)
        assert reply.value.status == 200
        assert secret not in page.content() + page.url + page.evaluate("JSON.stringify(localStorage)")
        page.evaluate("sessionStorage.setItem('X-API-Key', 'of yesterday')")
        page.reload()
        page.get_by_role("button", name="Load an example").click()
        submit.click()
        expect(page.locator("#api-key-error")).to_have_text("The server does not take this API key.")
        context.close()


def test_no_api_key_is_asked_for_where_none_is_needed(page):
    forecast(page)
    expect(page.get_by_label("API key")).to_be_hidden()
    expect(page.locator("#curl")).not_to_contain_text("X-API-Key")
