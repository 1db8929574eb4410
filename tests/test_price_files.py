"""Each price file has the same, right outcome for the three commands and for POST /predict."""

import json
import logging
import re

import numpy as np
import pytest
from price_files import CONTENTS, OUTCOMES, USED

import modelEvaluate
import modelPredict
from app import create_app
from closes.files import Part, read_prices
from errors import ForecastError
from processData import load_closes
from settings import PROJECT_DIR, Settings

SHARED = PROJECT_DIR.parent / "shared" / "cases"
FILES = [("made", name) for name in OUTCOMES] + [("shared", name) for name in OUTCOMES if (SHARED / name).is_file()]
REFUSED = [(kind, name) for kind, name in FILES if OUTCOMES[name].refused]
OF_COMMANDS, OF_QUERIES = re.compile(r"--(column|symbol)\b"), re.compile(r"\b(column|symbol)=")
ACCEPTED = [(kind, name) for kind, name in FILES if not OUTCOMES[name].refused or OUTCOMES[name].symbol]  # with a symbol, if it needs one


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return create_app(Settings(REQUEST_LOG=folder / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL="http://127.0.0.1:1")).test_client()


def content_of(kind, name):
    return CONTENTS[name] if kind == "made" else (SHARED / name).read_bytes()


def by_api(client, content, symbol):
    query = {"symbol": symbol} if symbol else {}
    return client.post("/predict", data=content, content_type="text/csv", query_string=query)


def by_command(command, path, symbol, capsys, *options):
    """What a command prints, or its error with the details."""
    try:
        command.main(["--csv", str(path), *(("--symbol", symbol) if symbol else ()), *options])
    except ForecastError as error:
        return f"{error} {error.details}"
    return json.loads(capsys.readouterr().out)


def training_closes(path, symbol, start):
    try:
        return load_closes(symbol or "ACME", start=start, source="csv", csv_path=path)
    except ForecastError as error:
        return f"{error} {error.details}"


@pytest.mark.parametrize(("kind", "name"), REFUSED)
def test_refused_file_is_refused_by_every_reader(client, tmp_path, capsys, kind, name):
    outcome, path = OUTCOMES[name], tmp_path / name
    path.write_bytes(content_of(kind, name))
    answer = by_api(client, path.read_bytes(), "")
    assert answer.status_code == 422
    said = [by_command(modelPredict, path, "", capsys), by_command(modelEvaluate, path, "", capsys, "--out", str(tmp_path / "out.csv"))]
    answered = f"{answer.json['error']} {answer.json['details']}"
    assert outcome.refused in answered
    assert not OF_COMMANDS.search(answered)
    assert not OF_QUERIES.search(str(said))
    assert "file " not in answered.replace("CSV file", "").replace("that file", "")
    assert outcome.refused in said[0]
    assert outcome.refused in said[1] or "30 closes" in outcome.refused
    assert "codec" not in str(said)
    trained = training_closes(path, "", None)
    assert outcome.refused in trained if isinstance(trained, str) else len(trained) < USED


@pytest.mark.parametrize(("kind", "name"), ACCEPTED)
def test_accepted_file_gives_the_same_closes_to_every_reader(client, tmp_path, capsys, caplog, kind, name):
    outcome, path = OUTCOMES[name], tmp_path / name
    caplog.set_level(logging.INFO)
    path.write_bytes(content_of(kind, name))
    answer = by_api(client, path.read_bytes(), outcome.symbol)
    assert answer.status_code == 200, answer.json
    file = read_prices(path, outcome.symbol or "CSV", part=Part(newest=USED))
    expected = read_prices(content_of(kind, "ok.csv"), part=Part(newest=USED))
    if outcome.scale is not None:
        np.testing.assert_allclose(file.closes.prices, outcome.scale * expected.closes.prices, rtol=outcome.digits)
    assert file.total == outcome.total
    assert file.dated == outcome.dated
    assert not outcome.column or file.columns["close"] == outcome.column
    predicted = by_command(modelPredict, path, outcome.symbol, capsys)
    logged = caplog.text
    for field in ("predicted_price", "last_close", "intervals", "as_of"):
        assert predicted[field] == answer.json[field]
    assert answer.json["last_close"] == file.closes.prices[-1]
    assert answer.json["columns"] == file.columns
    for words in outcome.said:
        assert words in json.dumps([answer.json["guesses"], answer.json["left_out"], answer.json["warnings"]], ensure_ascii=False)
        assert words in logged
    check_commands_of_whole_files(path, outcome, file, tmp_path, capsys)


def check_commands_of_whole_files(path, outcome, file, folder, capsys):
    trained = training_closes(path, outcome.symbol, outcome.from_here or None)
    np.testing.assert_array_equal(trained.prices[-USED:], file.closes.prices)
    if outcome.from_here:
        assert "line 5" in training_closes(path, outcome.symbol, None)
    if outcome.total > USED:
        since = ("--from", file.as_of) if file.dated else ()
        assert by_command(modelEvaluate, path, outcome.symbol, capsys, "--out", str(folder / "out.csv"), *since)["n_days"] >= 1


def test_every_shared_file_has_an_outcome():
    if not SHARED.is_dir():
        pytest.skip("the shared files are not here")
    assert {file.name for file in SHARED.iterdir()} - {"README.md", "body_bom.json"} <= set(OUTCOMES)
