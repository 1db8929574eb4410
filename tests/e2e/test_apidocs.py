"""The interactive documentation in a real Chromium: it renders without internet, and "Try it out" works."""

import json

from browsing import CHROMIUM, MARKS
from playwright.sync_api import sync_playwright

pytestmark = MARKS


def test_try_it_out_answers_a_forecast(start):
    service = start()
    asked, problems = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"])
        page = browser.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type in {"error", "warning"} else None)
        page.goto(f"{service.url}/apidocs")
        call = page.locator("#operations-forecast-predict")
        call.locator(".opblock-summary").first.click()
        call.get_by_role("button", name="Try it out").click()
        call.get_by_role("button", name="Execute").click()
        shown = call.locator(".live-responses-table tr.response").first.locator("pre").first
        shown.wait_for()
        assert call.locator(".live-responses-table tr.response .response-col_status").first.inner_text().strip() == "200"
        answer = json.loads(shown.text_content() or "")
        browser.close()
    assert [step["step"] for step in answer["path"]] == [1, 2, 3, 4, 5]
    assert problems == []
    assert all(url.startswith((service.url, "data:")) for url in asked)
