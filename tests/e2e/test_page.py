"""The web page in a real Chromium, served by a real gunicorn: content, requests, layout and accessibility."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from browsing import (
    FIELD,
    KEY,
    MARKS,
    PROJECT,
    Watch,
    forecast,
    metadata,
    open_backtest,
    open_monitoring,
    serve,
    violations,
)
from playwright.sync_api import Page, Route, expect

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'"

TABS = 'tabs => tabs.map((tab) => [tab.innerText, tab.getAttribute("aria-selected"), tab.getAttribute("tabindex")])'

pytestmark = MARKS


def test_model_description_follows_its_metadata(page):
    model = metadata()
    page.get_by_text("About the model").click()
    text = page.locator("#model").inner_text()
    for fact in ("model_version", "symbol", "first_date", "last_date"):
        assert model[fact] in text
    result = model["metrics"]
    assert (
        f"On {result['n_days']:,} test days its RMSE was {result['rmse_ratio']:.4f} times that of persistence (repeating the last close)"
        in text
    )
    assert f"its 80% interval held {result['coverage_80']:.1%} of the closes, the 95% one {result['coverage_95']:.1%}." in text
    stocks = model["coverage"]["symbol"].values()
    shown = {level: [round(100 * part[f"coverage_{level}"], 1) for part in stocks] for level in (80, 95)}
    near = {level: sum(abs(held - level) <= points for held in shown[level]) for level, points in ((80, 4), (95, 2))}
    assert len(stocks) == 20
    assert (
        f"On the same days of 20 stocks, the 80% interval held 76% to 84% of the closes for {near[80]} of them, and the 95% interval "
        f"93% to 97% for {near[95]}." in text
    )


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (0.97, "so it is the better of the two;"),
        (0.9996, "so the two are about equal;"),
        (1.0004, "so the two are about equal;"),
        (1.3, "so it is worse than that;"),
    ],
)
def test_wording_of_the_result_follows_the_ratio(ratio, verdict, tmp_path, monkeypatch):
    from app import STATE, create_app

    monkeypatch.setenv("REQUEST_LOG", str(tmp_path / "log.csv"))
    app = create_app()
    app.extensions[STATE].service.models.current().metadata.metrics.__dict__["rmse_ratio"] = ratio
    text = " ".join(app.test_client().get("/").text.split())
    assert f"was {ratio:.4f} times that of persistence (repeating the last close), {verdict}" in text


def test_page_without_a_model_says_how_to_train_one(browser, tmp_path):
    (tmp_path / "models").mkdir()
    for url in serve(tmp_path / "log.csv", MODEL_DIR=str(tmp_path / "models")):
        page = browser.new_page()
        watch = Watch(page)
        page.goto(url)
        expect(page.locator("#model")).to_contain_text("No model is published yet.")
        expect(page.locator("#model")).to_contain_text("python modelTrain.py")
        expect(page.locator("#placeholder")).to_be_visible()
        expect(page.locator("#result")).to_be_hidden()
        expect(page.locator("canvas")).to_have_count(0)
        assert watch.complaints == []
        page.get_by_role("button", name="60 closes").click()
        error = requests.post(f"{url}/predict", json={"predict": [1.0] * 60}, timeout=30).json()["error"]
        expect(page.locator("#question-error")).to_contain_text(error)
        page.close()


def test_page_asks_no_other_host_and_logs_no_errors(page, watch, server):
    forecast(page)
    open_backtest(page)
    open_monitoring(page)
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
    forecast(page)
    expect(page.get_by_role("img", name="20 trading days ahead")).to_be_visible()
    open_backtest(page)
    open_monitoring(page)
    expect(page.locator("#latency-chart canvas")).to_be_visible()
    assert watch.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_has_no_accessibility_violations(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.get_by_text("About the model").click()
    assert violations(page) == []
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.locator("#question-error")).to_be_visible()
    assert violations(page) == []
    page.get_by_label(FIELD, exact=True).fill(" ".join(str(1 + 5 * (day % 2)) for day in range(60)))
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(page.get_by_role("list", name="Warnings")).to_be_visible()
    page.get_by_text("Forecast as a table").click()
    page.get_by_role("button", name="Copy").click()
    assert violations(page) == []


def test_chart_follows_the_colour_scheme(page):
    page.emulate_media(color_scheme="light")
    forecast(page)
    canvas = page.locator("#chart canvas")
    light = canvas.evaluate("c => c.toDataURL()")
    page.emulate_media(color_scheme="dark")
    expect(canvas).to_have_count(1)
    page.wait_for_function("light => document.querySelector('#chart canvas').toDataURL() !== light", arg=light)


def test_page_is_usable_by_keyboard_alone(page):
    names = []
    for _ in range(50):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id || document.activeElement.innerText"))
        if names[-1] == "About the model":
            break
    chips = page.locator("#form .chips [data-symbol]:visible").all_inner_texts()
    answer = ["50%", "80%", "95%", "chart", "price-line", "All", "120 days", "60 days", "20 days", "above", "Show the probability"]
    answer += ["Forecast as a table", "as-curl", "python", "copy", "call", "save-csv", "save-png", "About the model"]
    fields = ["question", "file", "submit", *chips, "load-example", *answer]
    assert names[-len(fields) - 3 :] == ["Notebook (download)", "tab-forecast", "panel-forecast", *fields]
    page.locator("#load-example").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#result-title")).to_have_text("Your closes")
    expect(page.locator("#table tbody tr")).to_have_count(20)


def test_page_weighs_less_than_150_kb_compressed(page, watch):
    open_backtest(page)
    open_monitoring(page)
    assert len(watch.requests) >= 10
    weights = []
    for url in watch.requests:
        with requests.get(url, headers={"Accept-Encoding": "gzip"}, stream=True, timeout=30) as response:
            compressed = response.headers.get("Content-Encoding") == "gzip"
            assert compressed or int(response.headers["Content-Length"]) < 500, url
            weights.append(len(response.raw.read(decode_content=False)))
    assert sum(weights) < 150_000


def expect_tab(page: Page, name: str) -> None:
    """The tab that is selected, in reach of the Tab key and whose panel alone is shown."""
    expect(page.get_by_role("tab", selected=True)).to_have_text(name)
    assert {tab: (selected, index != "-1") for tab, selected, index in page.get_by_role("tab").evaluate_all(TABS)} == {
        tab: (str(tab == name).lower(), tab == name) for tab in ("Forecast", "Watchlist", "Backtest", "Monitoring")
    }
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    expect(page.get_by_role("tabpanel", name=name)).to_be_visible()


def test_links_of_the_service_exist(page, server):
    links = page.get_by_role("navigation", name="Service").get_by_role("link")
    assert [link.get_attribute("href") for link in links.all()] == ["/apidocs", "/mlflow", "/notebook"]
    for path, status in (("/apidocs", 200), ("/mlflow", 503)):  # the MLflow UI is off here: how to start it
        assert requests.get(server + path, timeout=30).status_code == status
    with page.expect_download() as download:
        page.get_by_role("link", name="Notebook").click()
    assert download.value.suggested_filename == "forecast.ipynb"
    assert Path(download.value.path()).read_bytes() == (PROJECT / "jupyter" / "forecast.ipynb").read_bytes()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_mlflow_page_says_how_to_start_a_missing_ui(page, server, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 844})
    with page.expect_response("**/mlflow") as reply:
        page.get_by_role("link", name="Experiments").click()
    assert (reply.value.status, reply.value.headers["retry-after"]) == (503, "30")
    for sentence in ("The MLflow UI does not answer on this machine.", "MLFLOW_UI is off. Start the UI with python -m tracking.ui"):
        expect(page.get_by_role("main")).to_contain_text(sentence)
    expect(page.locator(".panel")).to_have_css("border-radius", "10px")  # the page's style
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert violations(page) == []
    page.get_by_role("link", name="Forecasts", exact=True).click()
    expect(page).to_have_url(f"{server}/")


@pytest.mark.parametrize("width", [320, 1280])
def test_unknown_address_has_a_page_for_browsers(lent_page, server, width):
    lent_page.set_viewport_size({"width": width, "height": 844})
    reply = lent_page.goto(f"{server}/nothing")
    assert reply.status == 404
    expect(lent_page).to_have_title(re.compile("^Not found .* Stock forecasts$"))
    expect(lent_page.get_by_role("main")).to_contain_text("There is nothing at this address.")
    assert lent_page.evaluate("document.documentElement.scrollWidth") <= width
    assert violations(lent_page) == []
    lent_page.get_by_role("link", name="Forecasts", exact=True).click()
    expect(lent_page).to_have_url(f"{server}/")


def test_page_can_be_installed(page, server):
    session = page.context.new_cdp_session(page)
    manifest = session.send("Page.getAppManifest")
    assert (manifest["url"], manifest["errors"]) == (f"{server}/static/manifest.webmanifest", [])
    assert manifest["manifest"]["startUrl"] == f"{server}/"
    for icon in json.loads(manifest["data"])["icons"]:
        assert requests.get(f"{server}/static/{icon['src']}", timeout=30).headers["Content-Type"].partition(";")[0] == icon["type"]


def test_paper_has_the_answer_without_forms_and_buttons(page):
    page.emulate_media(media="print")
    for selector in ("#result-title", ".range", "#chart canvas", "#track-record", "footer"):
        expect(page.locator(selector)).to_be_visible()
    for selector in ("#question", "button", "nav", "[role=tablist]", "#above", "#call"):
        assert not any(one.is_visible() for one in page.locator(selector).all()), selector


def test_links_of_the_service_work_with_an_api_key_set(guarded_page, guarded):
    guarded_page.goto(guarded)
    for link in guarded_page.get_by_role("navigation", name="Service").get_by_role("link").all():
        assert requests.get(guarded + (link.get_attribute("href") or ""), timeout=30).status_code != 401


def test_page_says_once_that_it_is_not_investment_advice(page):
    forecast(page)
    assert (page.locator("body").inner_text()).count("investment advice") == 1


def test_tabs_work_by_keyboard(page):
    page.get_by_role("tab", name="Forecast").focus()
    for key, name in (
        ("ArrowRight", "Watchlist"),
        ("ArrowRight", "Backtest"),
        ("ArrowRight", "Monitoring"),
        ("ArrowRight", "Forecast"),
        ("ArrowLeft", "Monitoring"),
        ("Home", "Forecast"),
        ("End", "Monitoring"),
        ("ArrowLeft", "Backtest"),
    ):
        page.keyboard.press(key)
        expect(page.get_by_role("tab", name=name)).to_be_focused()
        expect_tab(page, name)
        assert urlsplit(page.url).fragment == name.lower()
    page.keyboard.press("Tab")
    expect(page.get_by_role("tabpanel")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Whole period")).to_be_focused()


def test_tabs_follow_the_address(lent_page, server):
    opened = {
        "#watchlist": "Watchlist",
        "#backtest": "Backtest",
        "#monitoring": "Monitoring",
        "#forecast": "Forecast",
        "#nothing": "Forecast",
        "": "Forecast",
    }
    for fragment, name in opened.items():
        lent_page.goto("about:blank")
        lent_page.goto(f"{server}/{fragment}")
        expect_tab(lent_page, name)
    lent_page.get_by_role("tab", name="Backtest").click()
    expect_tab(lent_page, "Backtest")
    lent_page.go_back()
    expect_tab(lent_page, "Forecast")
    lent_page.go_forward()
    expect_tab(lent_page, "Backtest")
    assert lent_page.evaluate("scrollY") == 0


def test_api_key_is_requested_kept_and_never_shown(guarded_page, guarded):
    guarded_page.goto(guarded)
    key = guarded_page.get_by_label("API key")
    expect(key).to_be_hidden()
    guarded_page.get_by_role("button", name="60 closes").click()
    submit = guarded_page.get_by_role("button", name="Forecast", exact=True)
    expect(key).to_be_focused()
    expect(key).to_have_attribute("type", "password")
    expect(guarded_page.locator("#api-key-error")).to_have_text("This server asks for an API key.")
    assert violations(guarded_page) == []
    for wrong in ("wrong", "ключ"):  # the second cannot be sent in a header
        key.fill(wrong)
        expect(guarded_page.locator("#api-key-error")).to_be_hidden()
        submit.click()
        expect(guarded_page.locator("#api-key-error")).to_have_text("The server does not take this API key.")
    expect(guarded_page.locator("#result")).to_be_hidden()
    key.fill(KEY)
    key.press("Enter")  # makes the refused call once more
    expect(guarded_page.locator("#result")).to_be_visible()
    expect(key).to_be_hidden()
    expect(guarded_page.locator("#call")).to_contain_text("-H 'X-API-Key: YOUR-API-KEY'")
    assert KEY not in guarded_page.content()
    guarded_page.reload()
    with guarded_page.expect_response("**/predict?*") as reply:
        forecast(guarded_page)
    assert reply.value.status == 200
    assert KEY not in guarded_page.content() + guarded_page.url + guarded_page.evaluate("JSON.stringify(localStorage)")
    guarded_page.evaluate("sessionStorage.setItem('X-API-Key', 'of yesterday')")
    guarded_page.reload()
    guarded_page.get_by_role("button", name="60 closes").click()
    expect(guarded_page.locator("#api-key-error")).to_have_text("The server does not take this API key.")


def test_api_key_is_requested_only_if_needed(page):
    forecast(page)
    expect(page.get_by_label("API key")).to_be_hidden()
    expect(page.locator("#call")).not_to_contain_text("X-API-Key")
