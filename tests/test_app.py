"""HTTP: all calls except /predict and /forecast, with the published model."""

import json
import re
import shutil
from html import unescape

import numpy as np
import pytest
from log_rows import logged
from pydantic import SecretStr

from app import STATE, create_app
from closes.snapshot import read_snapshot
from forecast.metadata import Metadata
from settings import PROJECT_DIR

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


def test_monitor_shows_the_newest_requests_oldest_first(client):
    for _ in range(3):
        client.post("/predict", json={"predict": CLOSES})
    client.post("/predict", json={"predict": []})
    body = client.get("/monitor?limit=2").json
    assert set(body) == {"CURRENT CPU", "MEMORY %", "RESPONSES", "SUMMARY"}
    assert [row["status"] for row in body["RESPONSES"]] == [200, 422]
    assert body["SUMMARY"]["by_status"] == {"200": 3, "422": 1}
    assert body["SUMMARY"]["latency_seconds"]["p50"] > 0


def test_monitor_is_valid_before_the_first_request(client):
    body = client.get("/monitor").json
    assert body["RESPONSES"] == []
    summary = body["SUMMARY"]
    assert (summary["requests"], summary["by_status"], summary["latency_seconds"]) == (0, {}, None)
    assert (summary["live_accuracy"]["n"], summary["live_accuracy"]["rmse"], summary["live_accuracy"]["caught_up"]) == (0, None, True)
    assert summary["drift"]["verdict"] == "Not enough data: 0 of 20 closes."


def test_monitor_has_live_accuracy_and_drift_across_rotation(settings):
    client = create_app(settings.model_copy(update={"REQUEST_LOG_MAX_BYTES": 6000})).test_client()
    prices = read_snapshot("MSFT").prices
    for end in range(60, 100):
        for _ in range(2):
            assert client.post("/predict", json={"predict": prices[end - 60 : end].tolist(), "horizon": 2}).status_code == 200
    assert settings.REQUEST_LOG.with_name("log.csv.2").exists()
    body = client.get("/monitor?limit=80").get_json()
    assert len(body["RESPONSES"]) == 80
    live, drift = body["SUMMARY"]["live_accuracy"], body["SUMMARY"]["drift"]
    assert (live["n"], drift["n"], live["caught_up"]) == (39, 40, True)
    assert live["naive_rmse"] == pytest.approx(np.sqrt(np.mean(np.diff(np.log(prices[59:99])) ** 2)), rel=1e-9)
    assert "daily returns" in drift["verdict"]


def test_drift_without_a_model_says_so(settings, tmp_path):
    client = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client()
    assert "No model" in client.get("/monitor").get_json()["SUMMARY"]["drift"]["verdict"]
    assert client.get("/metrics").status_code == 200


@pytest.mark.parametrize("limit", ["-1", "x", "10001", "1e3", "", "9" * 5000, "٣"])
def test_monitor_rejects_an_invalid_limit(client, limit):
    answer = client.get("/monitor", query_string={"limit": limit})
    assert answer.status_code == 422
    assert "limit" in answer.json["error"]


@pytest.mark.parametrize("damage", ["none", "a byte", "a file"])
def test_page_gives_the_reason_of_ready_for_a_missing_model(settings, model_dir, damage):
    for version in (model_dir / "versions").iterdir():
        for file in version.glob("*.onnx") if damage != "none" else ():
            file.write_bytes(file.read_bytes()[:-1]) if damage == "a byte" else file.unlink()
    if damage == "none":
        (model_dir / "metadata.json").unlink()
    client = create_app(settings.model_copy(update={"MODEL_DIR": model_dir})).test_client()
    refusal = client.get("/ready")
    assert refusal.status_code == 503
    page = unescape(client.get("/").text)
    assert f"No forecast can be made: {refusal.get_json()['error']}" in page
    assert f"There is no backtest: {refusal.get_json()['error']}" in page
    assert ("No model is published yet" in page) == (damage == "none")


def test_api_key_is_required_if_set(settings):
    client = create_app(settings.model_copy(update={"API_KEY": SecretStr("key-1")})).test_client()
    for headers in ({}, {"X-API-Key": "key-2"}, {"X-API-Key": ""}, {"X-API-Key": "schlüssel"}):
        answer = client.post("/predict", json={"predict": CLOSES}, headers=headers)
        assert answer.status_code == 401
        assert "X-API-Key" in answer.get_json()["error"]
        assert client.get("/monitor", headers=headers).status_code == client.get("/forecast/MSFT", headers=headers).status_code == 401
    assert client.post("/predict", json={"predict": CLOSES}, headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/monitor", headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/forecast/MSFT", headers={"X-API-Key": "key-1"}).status_code == 200
    assert client.get("/health").status_code == client.get("/ready").status_code == client.get("/").status_code == 200
    assert [row["status"] for row in logged(settings)] == ["401"] * 8 + ["200"] * 2  # of /predict and /forecast
    assert "key-1" not in settings.REQUEST_LOG.read_text() + repr(settings.model_copy(update={"API_KEY": SecretStr("key-1")}))


def test_health_and_ready(client):
    assert client.get("/health").json == {"status": "ok"}
    ready = client.get("/ready").json
    version = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())["model_version"]
    assert ready == {"status": "ready", "model_version": version, "problem": None}


def test_service_without_a_model_says_what_to_do(settings, tmp_path):
    client = create_app(settings.model_copy(update={"MODEL_DIR": tmp_path / "none"})).test_client()
    for answer in (client.post("/predict", json={"predict": CLOSES}), client.get("/ready")):
        assert answer.status_code == 503
        assert "python modelTrain.py" in answer.get_json()["error"]
    assert client.get("/health").status_code == 200
    assert client.get("/").status_code == 200


def test_corrupt_model_is_rejected(settings, tmp_path):
    folder = shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles")
    (onnx_file,) = folder.glob("versions/*/my_model.onnx")
    onnx_file.write_bytes(onnx_file.read_bytes()[:-1])
    client = create_app(settings.model_copy(update={"MODEL_DIR": folder})).test_client()
    answer = client.get("/ready")
    assert answer.status_code == 503
    assert "my_model.onnx" in answer.get_json()["details"][0]


def test_apidocs_needs_no_other_host(client):
    page = client.get("/apidocs").text
    loaded = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="([^"]+)"', page)
    assert loaded
    assert all(address.startswith("/") for address in loaded)
    for address in loaded:
        with client.get(address) as answer:
            assert answer.status_code == 200


def test_answers_are_compressed_for_clients_that_accept_it(client):
    answer = client.get("/apispec_1.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"


def published_backtest():
    version = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())["model_version"]
    return PROJECT_DIR / "modelFiles" / "versions" / version / "backtest.csv"


def test_backtest_is_the_file_of_the_serving_model(client):
    answer = client.get("/backtest")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert answer.data == published_backtest().read_bytes()
    assert answer.text.startswith("date,actual,predicted,low_80,high_80,low_95,high_95\n")
    assert "Content-Disposition" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "identity"])
def test_backtest_is_compressed_and_cached_by_the_client(client, encoding):
    headers = {"Accept-Encoding": encoding}
    answer = client.get("/backtest", headers=headers)
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    assert client.get("/ready").json["model_version"] in answer.headers["ETag"]
    again = client.get("/backtest", headers=headers | {"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get("/backtest", headers=headers | {"If-None-Match": '"of another model"'}).status_code == 200


def test_backtest_with_the_pit_has_the_coverage_of_every_level(client):
    answer = client.get("/backtest?pit=1")
    header, *rows = answer.text.splitlines()
    assert header == "date,actual,predicted,low_80,high_80,low_95,high_95,pit"
    pit = [float(row.rpartition(",")[2]) for row in rows]
    metrics = client.application.extensions[STATE].service.models.current().metadata.metrics
    for level in (80, 95):
        held = sum(abs(value - 0.5) <= level / 200 for value in pit)
        assert held / len(pit) == getattr(metrics, f"coverage_{level}")
    assert answer.headers["ETag"] == client.get("/backtest").headers["ETag"][:-1] + '-pit"'
    assert client.get("/backtest?pit=0").data == published_backtest().read_bytes()
    assert client.get("/backtest?pit=yes").json["error"] == "pit must be a whole number from 0 to 1."


def test_missing_backtest_is_an_error(settings, model_dir):
    (model_dir / published_backtest().relative_to(PROJECT_DIR / "modelFiles")).unlink()
    without_file = create_app(settings.model_copy(update={"MODEL_DIR": model_dir})).test_client().get("/backtest")
    assert without_file.status_code == 404
    assert "has no backtest" in without_file.get_json()["error"]
    assert "python modelTrain.py" in without_file.get_json()["error"]
    without_model = create_app(settings.model_copy(update={"MODEL_DIR": model_dir / "none"})).test_client().get("/backtest")
    assert without_model.status_code == 503
    assert "python modelTrain.py" in without_model.get_json()["error"]


def test_page_of_a_model_without_a_backtest_is_complete(client):
    forecaster = client.application.extensions[STATE].service.models.current()
    content = forecaster.metadata.as_dict()
    content.pop("coverage")
    for name in [name for name in content["metrics"] if name.startswith(("naive_coverage", "naive_winkler", "dm_"))]:
        content["metrics"].pop(name)
    forecaster.metadata = Metadata.model_validate(content)
    page = client.get("/")
    assert page.status_code == 200
    assert 'id="coverage"' not in page.text


def test_changed_backtest_is_not_served(settings, model_dir):
    (backtest,) = model_dir.glob("versions/*/backtest.csv")
    backtest.write_text(backtest.read_text().replace("2020-06-12", "2020-06-11"))
    answer = create_app(settings.model_copy(update={"MODEL_DIR": model_dir})).test_client().get("/backtest")
    assert answer.status_code == 503
    assert "has changed since its publication" in answer.get_json()["error"]


def test_405_names_allowed_methods_and_a_trailing_slash_is_accepted(client):
    assert "POST" in client.delete("/predict").headers["Allow"]
    assert client.get("/apidocs/").status_code == client.get("/monitor/").status_code == 200


@pytest.mark.parametrize("horizon", [True, 1.0, "1", 2])
def test_batch_rejects_an_invalid_horizon(client, horizon):
    assert client.post("/predict", json={"predict": [CLOSES], "horizon": horizon}).status_code == 422
