"""The interactive documentation in a real Chromium: it renders without internet, and "Try it out" works."""

import json

from browsing import MARKS, Watch

pytestmark = MARKS


def test_try_it_out_answers_a_forecast(browser, server):
    page = browser.new_page()
    watch = Watch(page)
    page.goto(f"{server}/apidocs")
    call = page.locator("#operations-forecast-predict")
    call.locator(".opblock-summary").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    shown = call.locator(".live-responses-table tr.response").first.locator("pre").first
    shown.wait_for()
    assert call.locator(".live-responses-table tr.response .response-col_status").first.inner_text().strip() == "200"
    answer = json.loads(shown.text_content() or "")
    page.close()
    assert [step["step"] for step in answer["path"]] == [1, 2, 3, 4, 5]
    assert watch.complaints == []
    assert all(url.startswith((server, "data:")) for url in watch.requests)


def test_documentation_fits_a_phone_and_the_dark_and_leads_back(browser, server):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page.goto(f"{server}/apidocs")
    page.locator("#operations-forecast-predict").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    heights = page.locator(".opblock-summary-path").evaluate_all("paths => paths.map((path) => path.getBoundingClientRect().height)")
    assert max(heights) < 32, "a path is broken into lines"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 20, 20)"
    assert "invert" in page.evaluate("getComputedStyle(document.getElementById('swagger-ui')).filter")
    groups = page.locator(".opblock-tag").evaluate_all("tags => tags.map(({ dataset }) => dataset.tag)")
    assert groups == ["forecast", "operation", "pages"]
    mlflow = page.locator("#operations-pages-mlflow")
    mlflow.locator(".opblock-summary").click()
    link = mlflow.get_by_role("link", name="open it instead")
    link.wait_for()
    assert link.evaluate("link => link.href") == f"{server}/mlflow"
    assert mlflow.get_by_role("button", name="Try it out").count() == 0
    page.get_by_role("link", name="Stock forecasts").click()
    page.wait_for_url(f"{server}/")
    page.close()
