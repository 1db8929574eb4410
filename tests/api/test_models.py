"""A symbol's own model over HTTP: /predict, /forecast, /backtest and /models say which model answered."""

import json
import time
from typing import Any

import pytest
from log_rows import logged
from publishing import publish_symbol
from pydantic import SecretStr

from app import create_app
from closes.snapshot import read_snapshot
from models.holder import ModelHolder
from models.store import ONNX_FILE, read_published, symbol_folder
from server.head import Head

CLOSES = read_snapshot("KO").prices[-60:].tolist()
FILE = "\n".join(["date,close", *(f"2022-{1 + day // 28:02}-{1 + day % 28:02},{close}" for day, close in enumerate(CLOSES))])
MEASURED = ("response_time_sec", "memory_usage_percent")


@pytest.fixture
def settings(settings, model_dir):
    """A service with a default model and one of KO."""
    publish_symbol(model_dir, "KO", "own")
    return settings.model_copy(update={"MODEL_DIR": model_dir})


@pytest.fixture
def default_version(model_dir):
    return read_published(model_dir).version


def which(answer):
    """The model of an answer."""
    assert answer.status_code == 200, answer.text
    return answer.json["model_symbol"], answer.json["model_version"]


def without_measurements(answer):
    return {name: value for name, value in answer.items() if name not in MEASURED}


BODIES = [
    {"predict": CLOSES},
    {"predict": CLOSES, "horizon": 3},
    {"predict": CLOSES, "open": CLOSES, "high": CLOSES, "low": CLOSES},
    {"predict": [CLOSES, CLOSES]},
]


@pytest.mark.parametrize("body", BODIES)
def test_predict_names_the_model_that_answered(client, default_version, body):
    assert which(client.post("/predict", json=body)) == (None, default_version)
    assert which(client.post("/predict", json=body | {"symbol": None})) == (None, default_version)
    assert which(client.post("/predict", json=body | {"symbol": "ko"})) == ("KO", "own")
    assert which(client.post("/predict", json=body | {"symbol": "PEP"})) == (None, default_version)


def test_price_file_is_forecast_by_the_model_of_its_symbol(client, default_version):
    def post(address):
        return which(client.post(address, data=FILE, content_type="text/csv"))

    assert post("/predict") == (None, default_version)
    assert post("/predict?symbol=KO") == ("KO", "own")
    assert post("/predict?symbol=PEP") == (None, default_version)
    assert client.post("/predict?symbol=../KO", data=FILE, content_type="text/csv").status_code == 422


def test_forecast_and_backtest_of_a_symbol_use_its_model(client, default_version):
    assert which(client.get("/forecast/ko?horizon=2")) == ("KO", "own")
    assert which(client.get("/forecast/PEP")) == (None, default_version)
    own, other = client.get("/backtest/KO?days=5"), client.get("/backtest/PEP?days=5")
    assert (own.headers["X-Model-Version"], own.headers["X-Model-Symbol"]) == ("own", "KO")
    assert other.headers["X-Model-Version"] == default_version
    assert "X-Model-Symbol" not in other.headers


def test_own_model_has_its_own_record(client, model_dir):
    """A model of the same version as the default one, but with another calibration, must not share its intervals."""
    published = read_published(model_dir)
    quantiles = [[2 * value for value in row] for row in published.metadata["calibration"]["quantiles"]]
    changed = published.metadata["calibration"] | {"quantiles": quantiles, "ranges": None}
    before = client.get("/forecast/PEP").json
    publish_symbol(model_dir, "PEP", published.version, calibration=changed)
    client.application.extensions["stock-forecast"].service.symbols._absent.clear()
    after = client.get("/forecast/PEP").json
    assert (after["model_symbol"], after["model_version"]) == ("PEP", before["model_version"])
    assert after["intervals"]["80"] != before["intervals"]["80"]


@pytest.mark.parametrize("body", [*BODIES, {"predict": CLOSES[1:]}])
@pytest.mark.parametrize("symbol", ["KO", "ko", "PEP", "../KO", "", 7])
def test_direct_path_answers_and_logs_as_flask_does(client, settings, body, symbol):
    content = json.dumps(body | {"symbol": symbol}).encode()
    direct = client.application.extensions["direct"]
    answer = direct.answer(Head(len(content), "", False), content, "127.0.0.1", False, time.perf_counter())
    flask = client.post("/predict", data=content, content_type="application/json")
    assert answer.startswith(f"HTTP/1.1 {flask.status_code} ".encode())
    assert without_measurements(json.loads(answer.partition(b"\r\n\r\n")[2])) == without_measurements(flask.json)
    first, second = ({name: row[name] for name in row if name not in ("timestamp", "response_time")} for row in logged(settings))
    assert first | {"memory_usage": ""} == second | {"memory_usage": ""}


def test_request_log_has_the_symbol_and_whether_its_own_model_answered(client, settings):
    client.post("/predict", json={"predict": CLOSES})
    client.post("/predict", json={"predict": CLOSES, "symbol": "ko"})
    client.post("/predict", json={"predict": [CLOSES], "symbol": "PEP"})
    client.post("/predict?symbol=KO", data=FILE, content_type="text/csv")
    client.get("/forecast/KO")
    rows = logged(settings)
    assert [(row["symbol"], row["model_symbol"]) for row in rows] == [("", ""), ("KO", "KO"), ("PEP", ""), ("KO", "KO"), ("KO", "KO")]
    assert list(rows[0])[-1] == "symbol"


@pytest.mark.parametrize("body", BODIES)
def test_untrusted_model_is_named_in_the_warnings(settings, model_dir, body, default_version):
    (symbol_folder(model_dir, "KO") / "versions" / "own" / ONNX_FILE).write_bytes(b"corrupt")
    client = create_app(settings).test_client()
    answer = client.post("/predict", json=body | {"symbol": "KO"})
    assert which(answer) == (None, default_version)
    content: Any = answer.json
    for prediction in content.get("predictions", [content]):
        assert [warning["code"] for warning in prediction["warnings"] if warning["code"] == "untrusted_model"] == ["untrusted_model"]
    forecast: Any = client.get("/forecast/KO").json
    assert [warning["code"] for warning in forecast["warnings"]].count("untrusted_model") == 1
    assert which(client.post("/predict", json=body)) == (None, default_version)
    assert "forecast_untrusted_model_answers_total 2.0" in client.get("/metrics").text


def test_models_lists_what_is_published(client, default_version):
    answer = client.get("/models")
    assert [(model["symbol"], model["model_version"], model["default"]) for model in answer.json["models"]] == [
        ("MSFT", default_version, True),
        ("KO", "own", False),
    ]
    assert answer.json["models"][1]["metrics"]["coverage_80"] > 0.7
    assert answer.json["problems"] == []


def test_models_are_sent_again_only_if_they_have_changed(client, model_dir, monkeypatch):
    monkeypatch.setattr("models.listing.LOOK_SECONDS", 0)
    etag = client.get("/models").headers["ETag"]
    again = client.get("/models", headers={"If-None-Match": etag})
    assert (again.status_code, again.data) == (304, b"")
    publish_symbol(model_dir, "KO", "newer")
    assert client.get("/models", headers={"If-None-Match": etag}).json["models"][1]["model_version"] == "newer"


def test_models_need_the_api_key(settings):
    client = create_app(settings.model_copy(update={"API_KEY": SecretStr("secret")})).test_client()
    assert client.get("/models").status_code == 401
    assert client.get("/models", headers={"X-API-Key": "secret"}).status_code == 200


def test_max_models_bounds_what_is_loaded(settings, model_dir):
    publish_symbol(model_dir, "PEP", "own")
    app = create_app(settings.model_copy(update={"MAX_MODELS": 1}))
    client, symbols = app.test_client(), app.extensions["stock-forecast"].service.symbols
    for symbol in ("KO", "PEP", "KO"):
        assert which(client.post("/predict", json={"predict": CLOSES, "symbol": symbol})) == (symbol, "own")
        assert symbols.loaded == [symbol]


def test_metrics_count_answers_and_loads_of_own_models(client):
    for symbol in ("KO", "KO", "PEP", None):
        client.post("/predict", json={"predict": CLOSES, "symbol": symbol})
    text = client.get("/metrics").text
    assert "forecast_symbol_model_answers_total 2.0" in text
    assert "forecast_symbol_model_loads_total 1.0" in text


def test_models_are_not_loaded_at_the_start(settings, model_dir, monkeypatch):
    publish_symbol(model_dir, "PEP", "own")
    loaded = []
    load = ModelHolder._load

    def load_and_note(self):
        if self._model_dir.is_relative_to(model_dir):  # services of other tests retry their damaged models
            loaded.append(self._model_dir)
        load(self)

    monkeypatch.setattr(ModelHolder, "_load", load_and_note)
    create_app(settings)
    assert loaded == [model_dir]
