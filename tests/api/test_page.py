"""The page's opening: the example's forecast, computed once per model, neither logged nor counted."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from api import page
from api.page import OpeningForecast, embedded
from app import STATE, create_app
from closes import age
from closes.series import Closes
from closes.snapshot import read_snapshot
from models.loading import load_forecaster
from settings import PROJECT_DIR


@pytest.fixture
def forecaster():
    return load_forecaster(PROJECT_DIR / "modelFiles")


def opening_of(client) -> dict[str, Any]:
    """What the page has to open with."""
    (content,) = re.findall(r'<script type="application/json" id="opening">(.*?)</script>', client.get("/").text)
    opening: dict[str, Any] = json.loads(content)
    return opening


def test_opening_equals_the_forecast_of_the_snapshot(client):
    opening = opening_of(client)
    assert opening.pop("key_needed") is False
    header, *rows = opening.pop("past").splitlines()
    assert header == "date,low_80,high_80,low_95,high_95"
    whole = client.get("/backtest/MSFT?days=250").text.splitlines()[1:]
    for row, exact in zip(rows, whole, strict=True):
        day, *bounds = row.split(",")
        assert day == exact.split(",")[0]
        assert list(map(float, bounds)) == pytest.approx(list(map(float, exact.split(",")[3:])), rel=1e-4)
    answer = client.get("/forecast/MSFT?horizon=20&closes=250&levels=50,80,95").json
    assert answer["source"] == "snapshot"  # nothing else is at hand here
    for name in ("response_time_sec", "memory_usage_percent"):
        answer.pop(name)
    assert answer["warnings"].pop(0)["text"].endswith("These closes are from the snapshot and end on 2022-12-28.")
    assert opening == answer


def test_opening_is_computed_once_per_version(forecaster, monkeypatch):
    made = []

    def forecast(windows, horizon=1):
        if len(windows) == 1:  # the others are of the track record
            made.append(forecaster.version)
        return type(forecaster).forecast(forecaster, windows, horizon)

    monkeypatch.setattr(forecaster, "forecast", forecast)
    opening = OpeningForecast()
    assert opening.by(forecaster) == opening.by(forecaster)
    assert made == [forecaster.version]
    forecaster.version = "20990101-000000-abcdef"
    assert opening.by(forecaster)["model_version"] == "20990101-000000-abcdef"
    assert len(made) == 2


def test_opening_updates_the_age_of_its_closes_each_day(forecaster, monkeypatch):
    opening = OpeningForecast()
    before = opening.by(forecaster)["warnings"]

    class NextWeek(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + timedelta(days=7)

    monkeypatch.setattr(age, "datetime", NextWeek)
    after = opening.by(forecaster)["warnings"]
    days = [int(re.findall(r", ([\d,]+) trading days ago", warnings[0]["text"])[0].replace(",", "")) for warnings in (before, after)]
    assert days[0] + 3 <= days[1] <= days[0] + 5
    assert len(before) == len(after) == 1


def test_closes_of_the_previous_day_are_not_called_old():
    yesterday = np.datetime64(datetime.now(UTC).date()) - np.arange(60)[::-1] - 1
    assert age.age_warnings(Closes("ACME", "csv", yesterday, np.linspace(1, 2, 60))) == []


def test_page_is_not_logged_or_counted_as_a_prediction(client, settings):
    for address in ("/", "/predict"):
        assert client.get(address).status_code == 200
    assert client.get("/monitor").json["SUMMARY"]["requests"] == 0
    assert not settings.REQUEST_LOG.exists() or len(settings.REQUEST_LOG.read_text().splitlines()) <= 1
    counted = re.findall(r'http_requests_total\{method="(.*?)",route="(.*?)"', client.get("/metrics").text)
    assert ("POST", "/predict") not in counted


def test_page_without_a_model_has_no_opening(settings, tmp_path):
    client = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client()
    assert opening_of(client) is None


def test_page_reveals_that_a_key_is_needed_but_not_the_key(settings):
    client = create_app(settings.model_copy(update={"API_KEY": SecretStr("key-of-the-test")})).test_client()
    assert opening_of(client)["key_needed"] is True
    assert "key-of-the-test" not in client.get("/").text


def test_comparison_is_omitted_without_its_metrics(client):
    assert 'id="comparison"' in client.get("/").text
    client.application.extensions[STATE].service.models.current().metadata.metrics.__pydantic_extra__.pop("naive_mape")
    answer = client.get("/")
    assert answer.status_code == 200
    assert 'id="comparison"' not in answer.text


def test_unknown_address_has_json_for_programs_and_a_page_for_browsers(client):
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for headers, kind in (({}, "application/json"), ({"Accept": "*/*"}, "application/json"), (browser, "text/html")):
        answer = client.get("/nothing", headers=headers)
        assert (answer.status_code, answer.mimetype) == (404, kind)
        assert "There is nothing at this address." in answer.text
        assert answer.vary.find("Accept") >= 0
    for address in ("/forecast/..", "/forecast/MSFT?horizon=99", "/backtest/NOSUCH"):  # calls of the API answer JSON to browsers too
        assert client.get(address, headers=browser).is_json


def test_favicon_is_an_icon(client):
    with client.get("/favicon.ico") as answer:
        assert answer.status_code == 200
        assert answer.data.startswith(b"\0\0\1\0")
        assert answer.mimetype in {"image/vnd.microsoft.icon", "image/x-icon"}


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("", "Stock forecasts"),
        ("?symbol=ko", "KO: forecast of the next closes"),
        ('?symbol="><b>', "Stock forecasts"),
        ("?symbol=..", "Stock forecasts"),
    ],
)
def test_shared_link_is_described_with_its_symbol(client, query, title):
    page = client.get(f"/{query}").text
    described = dict(re.findall(r'<meta property="og:(\w+)" content="(.*?)">', page))
    assert described["title"] == title
    assert described["image"] == "http://localhost/static/screenshot.png"
    with client.get("/static/screenshot.png") as picture:
        assert picture.status_code == 200


def test_modules_of_the_first_tab_are_preloaded(client):
    page = client.get("/").text
    preloaded = re.findall(r'<link rel="modulepreload" href="/assets/\w+/js/(.*?)">', page)
    assert {"main.js", "forecast/opening.js", "chart/chart.js", "shared/dom.js"} <= set(preloaded)
    assert not [module for module in preloaded if module.startswith(("backtest/", "monitoring/", "watchlist/"))]


def test_example_is_the_last_window_of_the_snapshot():
    assert embedded()["example"]["closes"] == read_snapshot(page.EXAMPLE_SYMBOL).prices[-60:].tolist()
