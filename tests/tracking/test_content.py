"""What a run has in MLflow: parameters, metrics, data set, tables and times."""

import csv
import io
import json

import pytest

from tracking.content import dataset, description, metrics, parameters, run_name, run_times, tables, tags


def test_run_is_named_by_symbol_and_time(record):
    metadata = record.metadata
    assert run_name(metadata) == f"MSFT {metadata.created_at:%Y-%m-%d %H:%M}"
    assert tags(metadata)["model_version"] == metadata.model_version


def test_run_takes_as_long_as_its_training(record):
    start, end = run_times(record.metadata.changed(training_seconds=50.0))
    assert end is not None
    assert (end - start, end) == (50_000, round(record.metadata.created_at.timestamp() * 1000))
    assert run_times(record.metadata) == (end, None)  # the model in git does not say how long it took


def test_parameters_have_the_network_the_fit_and_the_closes(record):
    given = parameters(record.metadata)
    expected = {
        "symbol": "MSFT", "source": "snapshot", "first_date": "2010-01-04", "last_date": "2022-12-28", "window": 60, "features": "closes",
        "units": 50, "layers": 2, "dropout": 0.2, "learning_rate": 0.001, "epochs": 15, "batch_size": 32, "seed": 0, "fitted_on": "MSFT",
    }  # fmt: skip
    assert expected.items() <= given.items()
    many = record.metadata.changed(units=8, fitted_on=[f"S{n}" for n in range(500)])
    assert (parameters(many)["units"], parameters(many)["fitted_on"]) == (8, "500 symbols")


def test_metrics_are_few_and_grouped(record):
    judged = {"rmse": 1.0, "winkler_80": 2.0, "winkler_95": 3.0}
    metadata = record.metadata.changed(promotion=record.metadata.promotion.model_copy(update={"new": judged, "published": judged}))
    given = metrics(metadata)
    assert {name.rpartition("/")[0] for name in given} == {"", "test", "persistence", "drift", "gate/new", "gate/published"}
    assert {name for name in given if "/" not in name} == {"mse", "rmse", "mae", "mape", "r2"}
    assert given["persistence/rmse"] == metadata.metrics.model_dump()["naive_rmse"]
    assert len(given) < 30


def test_tables_have_every_score_and_the_whole_coverage(record):
    found = {name: list(csv.DictReader(io.StringIO(content.decode()))) for name, content in tables(record.metadata).items()}
    scores = record.metadata.metrics.model_dump()
    given = {row["score"]: row for row in found["scores.csv"]}
    assert float(given["rmse"]["model"]) == scores["rmse"]
    assert float(given["rmse"]["persistence"]) == scores["naive_rmse"]
    assert float(given["rmse"]["drift"]) == scores["drift_rmse"]
    assert sum(bool(row[column]) for row in given.values() for column in ("model", "persistence", "drift")) == len(scores)
    assert len(found["coverage.csv"]) == sum(map(len, record.metadata.coverage.values()))
    assert {"group": "volatility", "part": "calm"}.items() <= found["coverage.csv"][3].items()


@pytest.mark.slow
def test_data_set_has_name_digest_and_source(record):
    found = dataset(record.metadata).dataset
    assert found.name == "MSFT closes"
    assert record.metadata.data_sha256.startswith(found.digest)
    assert json.loads(found.source)["uri"] == "data/closes.csv.gz"
    assert json.loads(found.profile)["num_rows"] == 3270
    yahoo = json.loads(dataset(record.metadata.changed(source="yahoo")).dataset.source)
    assert yahoo["uri"] == "https://finance.yahoo.com/quote/MSFT/history"


def test_description_says_what_the_model_is_and_how_it_did(record):
    said = description(record.metadata)
    assert said.startswith(
        "MSFT, closes from 2010-01-04 to 2022-12-28 (snapshot). On 642 test days, RMSE was 1.0000 times that of persistence"
    )
