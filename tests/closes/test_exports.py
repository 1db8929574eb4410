"""Exports of other kinds are read alike by the three commands and by POST /predict, or refused with what was seen."""

import json
import logging

import numpy as np
import pytest
from exports import EXPORTS, REFUSED
from price_files import ROWS, USED

import modelEvaluate
import modelPredict
from app import create_app
from closes.files import read_prices
from errors import InvalidClosesError
from processData import load_closes
from settings import Settings


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return create_app(Settings(REQUEST_LOG=folder / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL="http://127.0.0.1:1")).test_client()


def printed(command, path, capsys, *options):
    command.main(["--csv", str(path), *options])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", EXPORTS)
def test_export_gives_its_closes_to_every_reader(client, tmp_path, capsys, caplog, name):
    export, path = EXPORTS[name], tmp_path / "export.csv"
    caplog.set_level(logging.INFO)
    path.write_bytes(export.content)
    options = dict(export.options)
    file = read_prices(path, column=options.get("column"))
    np.testing.assert_allclose(file.closes.prices, [export.scale * close for _, close in ROWS], rtol=1e-4)
    assert file.closes.dates.astype(object).tolist() == [day for day, _ in ROWS]
    assert file.columns["close"] == export.column
    answer = client.post("/predict", data=export.content, content_type="text/csv", query_string=options)
    assert answer.status_code == 200, answer.json
    assert answer.json["columns"] == file.columns
    chosen = [f"--{key}={value}" for key, value in options.items()]
    predicted = printed(modelPredict, path, capsys, *chosen)
    said, logged = json.dumps([answer.json[key] for key in ("guesses", "left_out", "warnings")], ensure_ascii=False), caplog.text
    for words in export.said:
        assert words in said
        assert words in logged
    assert (predicted["as_of"], predicted["predicted_price"]) == (answer.json["as_of"], answer.json["predicted_price"])
    assert len(load_closes("ACME", source="csv", csv_path=path, column=options.get("column"))) == len(ROWS)
    evaluated = printed(modelEvaluate, path, capsys, "--out", str(tmp_path / "out.csv"), *chosen)
    assert evaluated["n_days"] == len(ROWS) - USED


@pytest.mark.parametrize("name", [name for name, export in EXPORTS.items() if export.refused])
def test_export_that_needs_a_choice_says_so(client, name):
    export = EXPORTS[name]
    answer = client.post("/predict", data=export.content, content_type="text/csv")
    assert answer.status_code == 422
    assert export.refused in answer.json["error"]


@pytest.mark.parametrize("name", REFUSED)
def test_export_that_could_be_misread_is_refused_with_what_was_seen(client, tmp_path, name):
    _, content, options, words = REFUSED[name]
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(content, column=options.get("column"))
    assert words in f"{caught.value} {caught.value.details}"
    answer = client.post("/predict", data=content, content_type="text/csv", query_string=options)
    assert answer.status_code == 422
    assert words in f"{answer.json['error']} {answer.json['details']}"
