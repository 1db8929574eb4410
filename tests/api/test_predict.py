"""POST /predict: its answers, the requests that it rejects, and its log rows."""

import json
from datetime import datetime

import numpy as np
import pytest
from log_rows import logged

from api.body import LARGE_BYTES
from api.errors import MAX_BODY_BYTES
from app import STATE
from closes.snapshot import read_ranges, read_snapshot

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


def test_predict_answers_one_window(client):
    answer = client.post("/predict", json={"predict": CLOSES})
    assert answer.status_code == 200
    body = answer.json
    assert set(body) == {
        "predicted_price", "last_close", "intervals", "warnings", "response_time_sec", "memory_usage_percent", "model_version",
        "model_symbol",
    }  # fmt: skip
    assert body["last_close"] == CLOSES[-1]
    (low_80, high_80), (low_95, high_95) = body["intervals"]["80"], body["intervals"]["95"]
    assert low_95 < low_80 < body["predicted_price"] < high_80 < high_95
    assert body["warnings"] == []
    assert 0 < body["response_time_sec"] < 60
    assert 0 < body["memory_usage_percent"] <= 100


def test_first_step_of_the_path_is_the_predicted_price(client):
    body = client.post("/predict", json={"predict": CLOSES, "horizon": 20}).json
    assert [step["step"] for step in body["path"]] == list(range(1, 21))
    assert body["path"][0] == {"step": 1, "price": body["predicted_price"], "intervals": body["intervals"]}
    widths = [high - low for low, high in (step["intervals"]["80"] for step in body["path"])]
    assert widths[0] < widths[4] < widths[19]


def test_predict_gives_a_batch_the_answers_of_its_windows(client):
    prices = read_snapshot("AAPL").prices
    windows = [prices[i : i + 60].tolist() for i in range(0, 3000, 10)]  # 300: more than the network takes at once
    batch = client.post("/predict", json={"predict": windows}).json
    for window, prediction in zip(windows, batch["predictions"], strict=True):
        alone = client.post("/predict", json={"predict": window}).json
        assert set(prediction) == {"predicted_price", "last_close", "intervals", "warnings"}
        assert prediction == {name: alone[name] for name in prediction}


def test_levels_replace_the_default_intervals(client):
    body = client.post("/predict", json={"predict": CLOSES, "levels": [95, 50, 97.5], "horizon": 2}).json
    usual = client.post("/predict", json={"predict": CLOSES, "horizon": 2}).json
    for given, default in zip([body, *body["path"]], [usual, *usual["path"]], strict=True):
        assert list(given["intervals"]) == ["95", "50", "97.5"]
        assert given["intervals"]["95"] == pytest.approx(default["intervals"]["95"], rel=1e-9)
        (low_50, high_50), (low, high) = given["intervals"]["50"], given["intervals"]["97.5"]
        assert low < default["intervals"]["80"][0] < low_50 < high_50 < default["intervals"]["80"][1] < high


def test_levels_of_a_batch_are_those_of_its_windows(client):
    question = {"levels": [60, 90]}
    windows = [CLOSES, [2 * close for close in CLOSES]]
    batch = client.post("/predict", json={"predict": windows} | question).json
    for window, prediction in zip(windows, batch["predictions"], strict=True):
        alone = client.post("/predict", json={"predict": window} | question).json
        assert prediction == {name: alone[name] for name in prediction}


def test_above_adds_probabilities_to_each_step(client):
    last = CLOSES[-1]
    prices = [0.95 * last, last, 1.05 * last]
    body = client.post("/predict", json={"predict": CLOSES, "above": prices, "horizon": 20}).json
    for step in [body, *body["path"]]:
        below, middle, above = step["probability_above"]
        assert 1 > below > middle > above > 0
        assert middle == pytest.approx(0.5, abs=0.1)
    assert body["path"][0]["probability_above"] == body["probability_above"]
    assert body["path"][19]["probability_above"][2] > body["probability_above"][2]
    assert body["warnings"] == []


def test_probability_of_a_bound_is_that_of_its_level(client):
    low, high = client.post("/predict", json={"predict": CLOSES}).json["intervals"]["80"]
    found = client.post("/predict", json={"predict": CLOSES, "above": [low, high]}).json["probability_above"]
    assert found == pytest.approx([0.9, 0.1])


def test_price_beyond_the_calibration_has_a_warning(client):
    body = client.post("/predict", json={"predict": CLOSES, "above": [CLOSES[-1], 3 * CLOSES[-1]]}).json
    assert body["probability_above"][1] == 0.005
    (warning,) = body["warnings"]
    assert warning["code"] == "beyond_calibration"


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ({"levels": [49.9]}, "levels[0]: must be at least 50"),
        ({"levels": [80, 99.1]}, "levels[1]: must be at most 99"),
        ({"levels": [80, 95, 80]}, "levels: no value may appear twice"),
        ({"levels": []}, "levels: must not be empty"),
        ({"levels": list(range(60, 70))}, "levels: at most 9 are accepted; got 10"),
        ({"levels": 80}, "levels: must be a list"),
        ({"levels": ["80"]}, "levels[0]: must be a number"),
        ({"above": [100, 0]}, "above[1]: must be greater than 0"),
        ({"above": [-5]}, "above[0]: "),
        ({"above": [True]}, "above[0]: "),
        ({"above": [1, 1]}, "above: no value may appear twice"),
        ({"above": []}, "above: "),
        ({"above": list(range(1, 22))}, "above: at most 20 are accepted; got 21"),
    ],
)
def test_invalid_levels_and_prices_are_rejected_naming_their_place(client, question, named):
    answer = client.post("/predict", json={"predict": CLOSES} | question)
    assert answer.status_code == 422
    assert any(detail.startswith(named) for detail in answer.json["details"]), answer.json


def test_above_is_rejected_for_a_batch(client):
    answer = client.post("/predict", json={"predict": [CLOSES], "above": [IBM.prices[-1]]})
    assert answer.status_code == 422
    assert "above" in answer.json["details"][0]


def test_predict_works_in_any_currency(client):
    dollars = client.post("/predict", json={"predict": CLOSES}).json
    cents = client.post("/predict", json={"predict": [100 * close for close in CLOSES]}).json
    assert cents["predicted_price"] == pytest.approx(100 * dollars["predicted_price"], rel=1e-6)
    np.testing.assert_allclose(cents["intervals"]["95"], np.multiply(100, dollars["intervals"]["95"]), rtol=1e-6)


def test_predict_warns_of_a_window_unlike_the_training_data(client):
    wild = [100.0 if i % 2 else 40.0 for i in range(60)]
    warnings = client.post("/predict", json={"predict": wild}).json["warnings"]
    assert {"unlike_training_range", "possible_split"} <= {warning["code"] for warning in warnings}
    assert all(warning["day"] is None and warning["text"] for warning in warnings)


def with_close(close):
    return [*CLOSES[:30], close, *CLOSES[31:]]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"predict": CLOSES[:59]}, "60 closes are needed; got"),
        ({"predict": [*CLOSES, 1.0]}, "60 closes are needed; got"),
        ({"predict": []}, "predict"),
        ({"predict": with_close("12")}, "predict[30]"),
        ({"predict": with_close(True)}, "predict[30]"),
        ({"predict": with_close(None)}, "predict[30]"),
        ({"predict": with_close(0)}, "predict[30]"),
        ({"predict": with_close(-1.5)}, "predict[30]"),
        ({"predict": with_close(1e-310)}, "close 31"),
        ({"predict": with_close(1e308)}, "close 31"),
        ({"predict": with_close(1e30)}, "smallest"),
        ({"predict": with_close([1.0])}, "predict[30]"),
        ({"predict": "text"}, "predict"),
        ({"predict": None}, "predict"),
        ({"predict": {}}, "predict"),
        ({}, "predict"),
        ({"predict": CLOSES, "horizon": 0}, "horizon"),
        ({"predict": CLOSES, "horizon": 21}, "horizon"),
        ({"predict": CLOSES, "horizon": 1.5}, "horizon"),
        ({"predict": CLOSES, "horizon": True}, "horizon"),
        ({"predict": CLOSES, "symbols": "MSFT"}, "symbols"),
        ({"predict": CLOSES, "symbol": ""}, "symbol: '' is not a symbol"),
        ({"predict": CLOSES, "symbol": "../KO"}, "symbol: '../KO' is not a symbol"),
        ({"predict": CLOSES, "symbol": ".."}, "symbol"),
        ({"predict": CLOSES, "symbol": 1}, "symbol"),
        ({"predict": [CLOSES], "symbol": "a/b"}, "symbol: 'a/b' is not a symbol"),
        ({"predict": [CLOSES, CLOSES[:59]]}, "predict[1]"),
        ({"predict": [CLOSES, 1.0]}, "predict[1]"),
        ({"predict": [CLOSES], "horizon": 2}, "up to 1024 windows and no horizon"),
        ({"predict": [CLOSES] * 1025}, "at most 1024"),
    ],
)
def test_predict_rejects_invalid_values_naming_their_place(client, body, named):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert set(answer.json) == {"error", "details"}
    assert named in " ".join([answer.json["error"], *answer.json["details"]])


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400", "9" * 4000])
def test_predict_rejects_numbers_that_json_parsers_accept(client, literal):
    text = json.dumps({"predict": with_close(123456.5)}).replace("123456.5", literal)
    answer = client.post("/predict", data=text, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["details"]


@pytest.mark.parametrize("text", ["", "{", '{"predict": [1, 2', "not json", "\xff", "[" * 100_000])
def test_predict_rejects_invalid_json(client, text):
    answer = client.post("/predict", data=text.encode("latin-1"), content_type="application/json")
    assert answer.status_code == 400
    assert answer.json["error"] == "The body is not JSON."


@pytest.mark.parametrize("text", ["[]", "1", '"text"', "null"])
def test_predict_rejects_json_that_is_not_an_object(client, text):
    assert client.post("/predict", data=text, content_type="application/json").status_code == 422


def test_predict_without_content_type_is_rejected_with_a_hint(client):
    answer = client.post("/predict", data=json.dumps({"predict": CLOSES}), content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 415
    assert "-H 'Content-Type: application/json'" in answer.json["details"][0]


def test_predict_rejects_a_body_over_2_mib(client):
    answer = client.post("/predict", data=b" " * (MAX_BODY_BYTES + 1), content_type="application/json")
    assert answer.status_code == 413
    assert "2 MiB" in answer.json["error"]


def test_predict_limits_the_details_of_a_body_with_many_problems(client):
    answer = client.post("/predict", json={"predict": [[None] * 60] * 1000})
    assert answer.status_code == 422
    assert len(answer.json["details"]) <= 6
    assert len(answer.data) < 2000


def test_errors_are_json_and_point_to_the_documentation(client):
    missing, method = client.get("/nothing"), client.delete("/predict")
    assert (missing.status_code, method.status_code) == (404, 405)
    assert "/apidocs" in missing.json["error"]
    assert "/apidocs" in method.json["error"]


def test_unexpected_failure_reveals_no_internals(client, monkeypatch, caplog):
    def fail(*arguments):
        raise ZeroDivisionError("secret path /srv/x")

    monkeypatch.setattr(client.application.extensions[STATE].service.models, "current", fail)
    answer = client.post("/predict", json={"predict": CLOSES})
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "secret" in caplog.text


def test_every_predict_request_is_logged(client, settings):
    good = client.post("/predict", json={"predict": CLOSES})
    client.post("/predict", json={"predict": CLOSES[:5]})
    client.post("/predict", data="x")
    client.post("/predict", json={"predict": [CLOSES, CLOSES]})
    client.get("/predict")
    rows = logged(settings)
    assert [row["status"] for row in rows] == ["200", "422", "415", "200"]
    assert list(rows[0])[:3] == ["timestamp", "response_time", "memory_usage"]
    first = rows[0]
    assert datetime.fromisoformat(first["timestamp"]).utcoffset() is not None
    assert float(first["predicted_price"]) == good.json["predicted_price"]
    assert float(first["last_close"]) == CLOSES[-1]
    assert [float(first["low_80"]), float(first["high_80"])] == good.json["intervals"]["80"]
    assert [float(first["low_95"]), float(first["high_95"])] == good.json["intervals"]["95"]
    assert first["model_version"] == good.json["model_version"]
    assert rows[3]["windows"] == "2"


def test_log_links_tomorrows_window_to_todays(client, settings):
    prices = read_snapshot("MSFT").prices
    client.post("/predict", json={"predict": prices[-61:-1].tolist()})
    client.post("/predict", json={"predict": (prices[-60:] * 0.97).tolist()})  # as after a dividend
    today, tomorrow = logged(settings)
    assert today["closes_2_60"] == tomorrow["closes_1_59"]
    assert today["closes_1_59"] != tomorrow["closes_2_60"]


# Daily ranges

IBM = read_ranges()[3].part(slice(500, 560))
WINDOW_WITH_RANGES = {
    "predict": IBM.prices.tolist(),
    **{name: [] if IBM.ranges is None else IBM.ranges[:, column].tolist() for column, name in enumerate(("open", "high", "low"))},
}


def test_ranges_change_the_intervals_alone(client):
    plain = client.post("/predict", json={"predict": WINDOW_WITH_RANGES["predict"], "horizon": 3}).json
    body = client.post("/predict", json=WINDOW_WITH_RANGES | {"horizon": 3, "levels": [80, 95], "above": [IBM.prices[-1]]}).json
    assert [step["price"] for step in body["path"]] == [step["price"] for step in plain["path"]]
    forecaster = client.application.extensions[STATE].service.models.current()
    expected = forecaster.forecast_one(IBM.prices, 3, IBM.ranges)
    for step, other, place in zip(body["path"], plain["path"], range(3), strict=True):
        for level in (80, 95):
            assert step["intervals"][str(level)] == pytest.approx([float(bound[0, place]) for bound in expected.bounds[level]])
            assert step["intervals"][str(level)] != other["intervals"][str(level)]
    assert body["warnings"] == plain["warnings"]


@pytest.mark.parametrize("damaged", [{"open": [0] * 60, "high": [0] * 60, "low": [0] * 60}, {"high": WINDOW_WITH_RANGES["low"]}])
def test_unusable_ranges_leave_the_intervals_of_the_closes_with_a_warning(client, damaged):
    plain = client.post("/predict", json={"predict": WINDOW_WITH_RANGES["predict"]}).json
    body = client.post("/predict", json=WINDOW_WITH_RANGES | damaged).json
    assert body["intervals"] == plain["intervals"]
    (warning,) = body["warnings"]
    assert (warning["code"], warning["day"]) == ("unusable_ranges", None)
    assert warning["text"].startswith("Open, high and low are not used: on ")
    assert warning["text"].endswith(" The intervals come from the closes alone.")


@pytest.mark.parametrize(
    ("changed", "error", "details"),
    [
        ({"low": None}, "open, high and low must be given together.", ["low: is missing"]),
        ({"high": None, "open": None}, "open, high and low must be given together.", ["open: is missing", "high: is missing"]),
        ({"high": [1.0] * 60}, "A high must not be below the low of its day.", [f"high[{day}]: is below low[{day}]" for day in range(5)]),
        ({"open": [1.0] * 59}, "The body must have the form", ["open: 60 values are needed; got 59"]),
        ({"low": [-1.0] * 60}, "The body must have the form", ["low[0]: must be at least 0"]),
    ],
)
@pytest.mark.parametrize("padding", [0, LARGE_BYTES])
def test_invalid_ranges_are_rejected_naming_the_place(client, changed, error, details, padding):
    body = {name: value for name, value in (WINDOW_WITH_RANGES | changed).items() if value is not None}
    answer = client.post("/predict", data=json.dumps(body) + " " * padding, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json["error"].startswith(error)
    assert len(answer.json["details"]) >= len(details)
    for given, expected in zip(answer.json["details"], details, strict=False):
        assert given.startswith(expected)


def test_large_body_with_one_window_is_one_forecast(client):
    body = json.dumps(WINDOW_WITH_RANGES) + " " * LARGE_BYTES
    large, plain = client.post("/predict", data=body, content_type="application/json"), client.post("/predict", json=WINDOW_WITH_RANGES)
    assert large.json["intervals"] == plain.json["intervals"]


def test_batch_takes_no_ranges(client):
    answer = client.post("/predict", json={"predict": [CLOSES], "high": CLOSES})
    assert answer.status_code == 422
    assert answer.json["details"] == ["high: is not a known field here"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"predict": CLOSES[:2]}, "predict: 60 closes are needed; got 2"),
        ({"predict": [CLOSES, CLOSES[:59]]}, "predict[1]: 60 closes are needed; got 59"),
        ({"predict": [CLOSES] * 1025}, "predict: at most 1024 are accepted; got 1025"),
        ({"predict": []}, "predict: 60 closes are needed; got 0"),
        ({"predict": 5}, "predict: must be a list"),
        ({"predict": [True, *CLOSES[1:]]}, "predict[0]: must be a number"),
        ({"predict": CLOSES, "horizon": "5"}, "horizon: must be a whole number"),
        ({"predict": CLOSES, "horizon": 21}, "horizon: must be at most 20"),
        ({"predict": CLOSES, "symbol": 5}, "symbol: must be a text"),
        ({}, "predict: is missing"),
        ({"predict": CLOSES, "days": 1}, "days: is not a known field here"),
    ],
)
def test_details_are_in_the_services_own_words(client, body, detail):
    answer = client.post("/predict", json=body)
    assert (answer.status_code, answer.json["details"]) == (422, [detail])


def test_wrong_items_are_not_also_counted_as_missing(client):
    answer = client.post("/predict", json={"predict": CLOSES, "levels": [101], "above": [-1]})
    assert answer.json["details"] == ["levels[0]: must be at most 99", "above[0]: must be greater than 0"]
    answer = client.post("/predict", json={"predict": CLOSES, "levels": []})
    assert answer.json["details"] == ["levels: must not be empty"]
