"""POST /predict with a price file, and bodies of other shapes that clients send."""

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from log_rows import logged

import modelEvaluate
import modelPredict
from app import STATE
from closes.snapshot import read_ranges, read_snapshot
from errors import ModelUnavailableError
from processData import load_closes

SNAPSHOT = read_snapshot("MSFT")
CLOSES = SNAPSHOT.prices[-60:].tolist()
ROWS = [f"{day},{price!r}" for day, price in zip(SNAPSHOT.dates[-100:], SNAPSHOT.prices[-100:].tolist(), strict=True)]
FILE = "\n".join(["Date,Close", *ROWS, ""])


def post(client, content=FILE, **query):
    return client.post("/predict", data=content, content_type="text/csv", query_string=query)


def test_file_gets_the_forecast_of_its_newest_60_closes(client):
    query = {"horizon": 3, "levels": "50,90", "above": "230,240"}
    answer = post(client, **query).json
    same = client.post("/predict", json={"predict": CLOSES, "horizon": 3, "levels": [50, 90], "above": [230, 240]}).json
    for field in ("predicted_price", "last_close", "intervals", "path", "probability_above", "model_version"):
        assert answer[field] == same[field]
    assert [warning for warning in answer["warnings"] if warning["code"] != "old_data"] == same["warnings"]
    assert answer["as_of"] == SNAPSHOT.last_date
    assert answer["columns"] == {"date": "Date", "close": "Close"}
    assert answer["left_out"] == answer["guesses"] == []


def test_answer_says_how_many_closes_the_file_has_and_returns_the_newest_on_request(client):
    answer = post(client).json
    assert (answer["total"], answer["used"]) == (100, 60)
    assert answer.keys().isdisjoint({"dates", "closes"})
    shown = post(client, closes=75).json
    assert shown["closes"] == SNAPSHOT.prices[-75:].tolist()
    assert shown["dates"] == SNAPSHOT.dates[-75:].astype(str).tolist()
    assert post(client, closes=1000).json["closes"] == SNAPSHOT.prices[-100:].tolist()
    undated = post(client, json.dumps({"predict": CLOSES}), closes=70).json
    assert (undated["closes"], undated["dates"]) == (CLOSES, [])


@pytest.mark.parametrize(
    ("days_ago", "query", "said"),
    [
        (1, {}, ""),
        (90, {}, " weekdays ago."),
        (90, {"symbol": "MSFT"}, " trading days ago."),
    ],
)
def test_old_file_says_how_old_its_last_close_is(client, tmp_path, caplog, days_ago, query, said):
    today = np.datetime64(datetime.now(UTC).date())
    days = np.busday_offset(today - days_ago, np.arange(-99, 1), roll="backward")
    content = "\n".join(["date,close", *(f"{day},{price}" for day, price in zip(days, SNAPSHOT.prices[-100:], strict=True))])
    old = [warning for warning in post(client, content, **query).json["warnings"] if warning["code"] == "old_data"]
    (tmp_path / "file.csv").write_text(content)
    modelPredict.main(["--csv", str(tmp_path / "file.csv"), *(f"--{key}={value}" for key, value in query.items())])
    if not said:
        assert old == []
        assert " ago." not in caplog.text
        return
    assert old[0]["day"] == str(days[-1])
    assert old[0]["text"].startswith(f"The last close is from {days[-1]}, ")
    assert old[0]["text"].endswith(said)
    assert old[0]["text"] in caplog.text


@pytest.mark.parametrize(("days", "compared"), [(1, True), (7, False), (30, False)])
def test_closes_that_are_not_daily_are_not_compared_with_those_of_training(client, tmp_path, capsys, days, compared):
    dates = np.datetime64("2024-01-01") + days * np.arange(60)
    content = "\n".join(["date,close", *(f"{day},{100 * 1.4 ** (number % 2) * 0.98**number}" for number, day in enumerate(dates))])
    (tmp_path / "file.csv").write_text(content)
    modelPredict.main(["--csv", str(tmp_path / "file.csv")])
    answers = post(client, content).json, json.loads(capsys.readouterr().out)
    for answer in answers:
        unlike = {"unlike_training_range", "unlike_training_volatility"} & {warning["code"] for warning in answer["warnings"]}
        assert len(unlike) == (2 if compared else 0)
    assert ("not_daily" in {warning["code"] for warning in answers[0]["warnings"]}) != compared


@pytest.mark.slow
def test_commands_of_past_closes_do_not_say_that_they_are_old(tmp_path, caplog):
    (tmp_path / "file.csv").write_text(FILE)
    assert len(load_closes("ACME", source="csv", csv_path=tmp_path / "file.csv")) == 100
    modelEvaluate.main(["--csv", str(tmp_path / "file.csv"), "--out", str(tmp_path / "out.csv")])
    assert " ago." not in caplog.text


def test_open_high_and_low_of_a_file_are_used(client):
    stock = read_ranges()[3].part(slice(500, 560))
    closes, ranges = stock.prices, stock.ranges
    assert ranges is not None
    rows = [f"{day},{','.join(map(repr, row))}" for day, row in zip(stock.dates, np.column_stack([ranges, closes]).tolist(), strict=True)]
    answer = post(client, "\n".join(["date,open,high,low,close", *rows])).json
    alone = {"predict": closes.tolist()}
    body = {**alone, **dict(zip(("open", "high", "low"), ranges.T.tolist(), strict=True))}
    assert answer["intervals"] == client.post("/predict", json=body).json["intervals"]
    assert answer["intervals"] != client.post("/predict", json=alone).json["intervals"]


def test_column_and_symbol_choose_what_is_read(client):
    rows = [f"{row},{float(row.split(',')[1]) * 2!r},{name}" for name in ("A", "B") for row in ROWS]
    content = "\n".join(["Date,Close,Mean,Name", *rows])
    refused = post(client, content)
    assert refused.status_code == 422
    assert refused.json == {"error": "The input has several stocks: A, B.", "details": ["Choose one: symbol=A."]}
    assert post(client, content, symbol="b").json["last_close"] == CLOSES[-1]
    assert post(client, content, symbol="b", column="mean").json["last_close"] == 2 * CLOSES[-1]


def test_split_has_its_day_and_undated_closes_have_none(client):
    rows = [row if index < 90 else f"{row.split(',')[0]},{float(row.split(',')[1]) / 2}" for index, row in enumerate(ROWS)]
    (dated,) = [one for one in post(client, "\n".join(["date,close", *rows])).json["warnings"] if one["code"] == "possible_split"]
    assert dated["day"] == rows[90].split(",")[0]
    undated = post(client, "\n".join(["close", *(row.split(",")[1] for row in rows)])).json
    assert undated["as_of"] is None
    codes = {one["code"]: one["day"] for one in undated["warnings"]}
    assert codes["possible_split"] is None
    assert "unknown_dates" in codes


@pytest.mark.parametrize(
    ("content", "query", "said"),
    [
        ("", {}, "The input is empty."),
        ("\n".join(FILE.split("\n")[:31]), {}, "The input has 30 closes; a forecast needs 60."),
        (FILE, {"column": "Median"}, "has no column 'Median'"),
        (FILE, {"column": ""}, "column must be"),
        (FILE, {"symbol": "../x"}, "is not a symbol"),
        (FILE, {"closes": "1001"}, "closes must be a whole number from 0 to 1000"),
        (FILE, {"horizon": "21"}, "horizon must be a whole number from 1 to 20"),
        (FILE, {"levels": "1"}, "levels must be"),
        (FILE, {"above": "x"}, "above must be"),
        (b"PK\x03\x04 xl/", {}, "is an Excel workbook"),
    ],
)
def test_wrong_file_or_option_is_a_422(client, content, query, said):
    answer = post(client, content, **query)
    assert answer.status_code == 422
    assert said in answer.json["error"]
    assert answer.json.keys() == {"error", "details"}


def test_file_is_logged_as_other_requests_are(client, settings):
    good = post(client)
    post(client, "")
    first, second = logged(settings)
    assert (first["status"], second["status"]) == ("200", "422")
    assert float(first["predicted_price"]) == good.json["predicted_price"]
    assert (first["windows"], first["symbol"]) == ("1", "")


def test_file_over_2_mib_is_rejected(client):
    assert post(client, b" " * (2 * 1024 * 1024 + 1)).status_code == 413


def test_without_a_model_no_file_is_read(client, monkeypatch):
    def missing():
        raise ModelUnavailableError("No model.")

    monkeypatch.setattr(client.application.extensions[STATE].service.models, "current", missing)
    assert post(client, "").status_code == 503


def test_form_is_rejected_saying_what_to_send(client):
    answer = client.post("/predict", data={"file": (__file__, "prices.csv")}, content_type="multipart/form-data")
    assert answer.status_code == 415
    assert "multipart/form-data" in answer.json["error"]
    assert "curl --data-binary @prices.csv -H 'Content-Type: text/csv'" in answer.json["details"][0]


def test_byte_order_mark_before_json_is_skipped(client):
    body = b"\xef\xbb\xbf" + json.dumps({"predict": CLOSES}).encode()
    answer = client.post("/predict", data=body, content_type="application/json")
    assert answer.status_code == 200
    assert answer.json["last_close"] == CLOSES[-1]


def test_json_in_utf_16_is_rejected_by_name(client):
    answer = client.post("/predict", data=json.dumps({"predict": CLOSES}).encode("utf-16"), content_type="application/json")
    assert (answer.status_code, answer.json["error"]) == (400, "The body is in UTF-16. JSON must be in UTF-8.")


@pytest.mark.parametrize(
    ("kind", "said"), [("application/vnd.ms-excel", "sent as application/vnd.ms-excel."), ("", "without a Content-Type")]
)
def test_other_content_type_is_named(client, kind, said):
    answer = client.post("/predict", data=FILE, content_type=kind)
    assert answer.status_code == 415
    assert said in answer.json["error"]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("horzon=3", "There is no parameter 'horzon'. A price file takes horizon, levels, above, closes, column, symbol."),
        ("horizon=3&horizon=4", "horizon is given 2 times. Give it once."),
    ],
)
def test_unknown_and_repeated_parameters_of_a_file_are_rejected(client, query, said):
    answer = client.post(f"/predict?{query}", data=FILE, content_type="text/csv")
    assert (answer.status_code, answer.json["error"]) == (422, said)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"instances": [CLOSES]}, "must be in `predict`, not in `instances`"),
        ({"predict": CLOSES, "inputs": CLOSES}, "must be in `predict`, not in `inputs`"),
        ({"Predict": CLOSES}, "must be in `predict`, not in `Predict`"),
        ([[[close] for close in CLOSES]], "The body must be an object"),
        ({"predict": [[[close] for close in CLOSES]]}, "must not wrap each close in a list, as Keras takes them"),
        ({"predict": [[close] for close in CLOSES]}, "must not wrap each close in a list, as Keras takes them"),
    ],
)
def test_shapes_of_other_servers_are_rejected_naming_the_right_one(client, body, said):
    answer = client.post("/predict", json=body)
    assert answer.status_code == 422
    assert said in answer.json["error"]
    assert '{"predict": [60 closes]}' in answer.json["error"]
