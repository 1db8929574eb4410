"""Each price file has the same outcome on the page as for POST /predict, in a real Chromium."""

import pytest
import requests
from browsing import MARKS
from playwright.sync_api import expect
from price_files import CONTENTS, OUTCOMES

pytestmark = MARKS


@pytest.mark.parametrize("name", OUTCOMES)
def test_page_shows_what_the_reader_says_of_a_file(open_page, server, name):
    page, outcome, content = open_page, OUTCOMES[name], CONTENTS[name]
    query = {"horizon": "20", "closes": "250"} | ({"symbol": outcome.symbol} if outcome.symbol else {})
    answer = requests.post(f"{server}/predict", data=content, headers={"Content-Type": "text/csv"}, params=query, timeout=30)
    page.locator("#file-symbol").evaluate("(field, symbol) => { field.value = symbol; }", outcome.symbol)
    with page.expect_response("**/predict?*") as response:
        page.get_by_label("Choose a price file").set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})
    assert response.value.status == answer.status_code == (422 if outcome.refused and not outcome.symbol else 200)
    if answer.status_code == 422:
        expect(page.locator("#question-error")).to_contain_text(answer.json()["error"].replace("`", ""))  # the page shows code as code
        expect(page.locator("#result")).to_be_hidden()
        return
    expect(page.locator('[data-out="price"]')).to_have_attribute("value", str(answer.json()["predicted_price"]))
    reading = page.locator("#closes-origin")
    for guess in answer.json()["guesses"]:
        expect(reading).to_contain_text(guess)
    for item in answer.json()["left_out"]:
        expect(reading).to_contain_text(item["reason"])
    for words in outcome.said:
        expect(page.locator("#closes-origin, #warnings").filter(has_text=words)).not_to_have_count(0)
