"""The page says which model answered, and lists the published ones, in a real Chromium."""

import shutil

import pytest
from browsing import MARKS, PROJECT, example_closes, forecast, forecast_symbol, metadata, open_monitoring, serve, violations
from playwright.sync_api import expect
from publishing import publish_symbol

pytestmark = MARKS


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A service with a default model and one of KO."""
    folder = tmp_path_factory.mktemp("server")
    model_dir = shutil.copytree(PROJECT / "modelFiles", folder / "modelFiles", ignore=shutil.ignore_patterns(".*"))
    publish_symbol(model_dir, "KO", "20260101-000000-abcdef")
    yield from serve(folder / "log.csv", MODEL_DIR=str(model_dir))


def answered_by(page):
    return page.locator("#answered-by")


def test_result_names_the_symbol_whose_own_model_answered(page):
    forecast_symbol(page, "KO")
    expect(answered_by(page)).to_contain_text("Model 20260101-000000-abcdef, published for KO, answered in", use_inner_text=True)
    forecast_symbol(page, "PEP")
    expect(answered_by(page)).to_contain_text(f"Model {metadata()['model_version']}, answered in", use_inner_text=True)


def test_call_for_pasted_closes_of_a_symbol_names_it(page):
    closes = example_closes(page)
    forecast(page)
    expect(answered_by(page)).to_contain_text(f"Model {metadata()['model_version']}, answered in", use_inner_text=True)
    expect(page.locator("#call")).not_to_contain_text("symbol")
    page.locator("#file-symbol").evaluate("field => { field.closest('details').open = true; field.value = 'KO'; }")
    page.get_by_role("button", name="Forecast", exact=True).click()
    expect(answered_by(page)).to_contain_text("published for KO", use_inner_text=True)
    expect(page.locator("#call")).to_contain_text('"symbol":"KO"')
    expect(page.locator("#call")).to_contain_text(str(closes[-1]))


def test_monitoring_lists_the_published_models_and_shows_which_answered(page):
    forecast_symbol(page, "PEP")
    forecast_symbol(page, "KO")
    open_monitoring(page)
    rows = page.locator("#models-table tbody tr")
    expect(rows).to_have_count(2)
    listed = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    assert [row[:3] for row in listed] == [
        ["Default (MSFT)", metadata()["model_version"], metadata()["created_at"][:10]],
        ["KO", "20260101-000000-abcdef", metadata()["created_at"][:10]],
    ]
    assert listed[1][3:] == [metadata()["last_date"], "1.0000", "79.9%", "95.2%"]
    newest = page.locator("#requests-table tbody tr")
    assert [newest.nth(row).locator("td").all_inner_texts()[3:5] for row in (0, 1)] == [["KO", "KO"], ["PEP", "\N{EN DASH}"]]
    assert violations(page) == []


def test_long_list_of_models_is_cut(page):
    model = {"default": False, "model_version": "v", "created_at": "2026-01-01T00:00:00Z", "last_date": "2025-12-31", "metrics": {}}
    models = [model | {"symbol": f"S{number}"} for number in range(1100)]
    page.route("**/models", lambda route: route.fulfill(json={"models": models, "problems": ["KO: metadata.json cannot be read"]}))
    open_monitoring(page)
    expect(page.locator("#models-table tbody tr")).to_have_count(100)
    expect(page.locator("#models-more")).to_have_text("1,000 more are in the answer of /models.")
    expect(page.locator("#models-problems")).to_have_text("KO: metadata.json cannot be read")


def test_refresh_does_not_wait_for_the_list_of_models(clocked_page):
    held = []

    def hold(route):
        held.append(route)  # never answered

    clocked_page.route("**/models", hold)
    open_monitoring(clocked_page)
    for _ in range(2):
        with clocked_page.expect_response("**/monitor?limit=100"):
            clocked_page.clock.run_for(5000)
        clocked_page.wait_for_timeout(200)  # until the answer is shown and the next question is due in 5 s
    assert held
