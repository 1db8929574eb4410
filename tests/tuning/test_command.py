"""`modelTrain.py --tune N`: trials, training, MLflow and publication together."""

import csv
import dataclasses
import json
import logging
import shlex

import pytest
from training import environment, train_here

from closes.snapshot import read_snapshot
from forecast.network import FitOptions
from forecast.split import Dataset, split_in_time
from modelTrain import parse
from settings import Settings
from tuning.command import study_name, tune
from tuning.study import DATABASE
from tuning.validation import Validation

TINY = ["--source", "snapshot", "--start", "2020-05-01", "--epochs", "1", "--units", "2", "--layers", "1"]


@pytest.fixture
def closes():
    return read_snapshot("MSFT").between("2020-05-01", "2022-12-28")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A folder with a search of two trials and its training, and what the command said. The second trial is better; no trial fits."""
    folder = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validation, "ratios", lambda validation, options: iter((1.0, 1.0, 1.0 if options.units == 2 else 0.9)))
        return folder, train_here(folder, *TINY, "--tune", "2").stderr


@pytest.fixture
def metadata(tuned):
    return json.loads((tuned[0] / "modelFiles" / "metadata.json").read_text())


@pytest.mark.slow
def test_search_trains_and_publishes_the_chosen_settings(tuned, metadata):
    folder, said = tuned
    assert (folder / DATABASE).exists()
    tuning = metadata["tuning"]
    assert tuning["n_trials"] == 2
    assert {name: metadata[name] for name in tuning["best"]} == tuning["best"] != tuning["default"]
    assert "The best settings are used." in tuning["reason"]
    assert metadata["window"] == 60
    assert tuning["default"] == {
        "units": 2, "layers": 1, "dropout": 0.2, "learning_rate": 0.001, "epochs": 1, "features": "closes",
    }  # fmt: skip
    assert tuning["reason"] in said
    assert tuning["test_best"] == metadata["metrics"]["rmse_ratio"] != tuning["test_default"]
    for words in ("On the test", "trial   1  units 2, layers 1", "trial   2", "RMSE / persistence", "persistence ", "Published"):
        assert words in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_repeat_command_has_the_chosen_settings(tuned, metadata):
    repeat = tuned[1].partition("Repeat it: python modelTrain.py ")[2].splitlines()[0]
    fit = parse(Settings(), shlex.split(repeat)).fit
    given = dataclasses.asdict(fit)
    assert given == {name: metadata[name] for name in given}


@pytest.mark.slow
def test_mlflow_has_the_search_as_parent_run_with_table_and_plots(tuned, metadata):
    import mlflow

    folder, _ = tuned
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    child, parent = (client.get_run(given["mlflow_run_id"]) for given in (metadata, metadata["tuning"]))
    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (child.data.params["units"], child.data.params["window"]) == (str(metadata["units"]), "60")
    assert parent.info.status == "FINISHED"
    assert parent.data.params["default_units"] == "2"
    assert parent.data.metrics["test/default"] == metadata["tuning"]["test_default"]
    assert {file.path for file in client.list_artifacts(parent.info.run_id)} == {"trials.csv", "trials.png", "settings.png"}
    path = client.download_artifacts(parent.info.run_id, "trials.csv", str(folder))
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["trial"], row["state"]) for row in rows] == [("1", "complete"), ("2", "complete")]
    assert float(rows[0]["rmse_ratio"]) == pytest.approx(sum(float(rows[0][f"fold_{fold}"]) for fold in (1, 2, 3)) / 3)
    assert float(rows[0]["rmse_ratio"]) == metadata["tuning"]["validation_default"][0]
    history = client.get_metric_history(parent.info.run_id, "validation/ratio")
    assert [(metric.step, metric.value) for metric in history] == [
        (number + 1, float(row["rmse_ratio"])) for number, row in enumerate(rows)
    ]


@pytest.mark.slow
def test_ctrl_c_keeps_finished_trials_and_says_how_to_go_on(tmp_path, closes, monkeypatch, caplog):
    settings = Settings(MLFLOW_TRACKING_URI=environment(tmp_path)["MLFLOW_TRACKING_URI"])
    calls = []

    def press_ctrl_c(validation, options):
        calls.append(options)
        if len(calls) == 2:
            raise KeyboardInterrupt
        yield from (1.0, 1.0, 1.0)

    monkeypatch.setattr(Validation, "ratios", press_ctrl_c)
    default = FitOptions(epochs=1, units=2)
    with caplog.at_level(logging.INFO), pytest.raises(KeyboardInterrupt):
        tune(closes, default, 5, settings, "python modelTrain.py --symbol MSFT")
    assert caplog.messages[-1] == "Finished trials are kept: 1. Go on: python modelTrain.py --symbol MSFT --tune 4"
    with caplog.at_level(logging.INFO):
        result = tune(closes, default, 1, settings, "")
    assert "Trials so far: 1, to come: 1." in caplog.text
    assert result.outcome.n_trials == 2
    assert set(result.files) == {"trials.csv", "trials.png", "settings.png"}


@pytest.mark.slow
def test_failing_plot_loses_no_search(tmp_path, closes, monkeypatch, caplog):
    monkeypatch.setattr(Validation, "ratios", lambda validation, options: iter((1.0, 1.0, 1.0)))
    monkeypatch.setattr("tuning.plots.plot_trials", lambda study: 1 / 0)
    settings = Settings(MLFLOW_TRACKING_URI=environment(tmp_path)["MLFLOW_TRACKING_URI"])
    assert set(tune(closes, FitOptions(), 1, settings, "").files) == {"trials.csv"}
    assert "There are no plots of the trials" in caplog.text


def test_other_closes_seed_or_defaults_have_another_study(closes):
    def name(series, **options):
        return study_name(Dataset(series, split_in_time(len(series))), FitOptions(**options))

    assert name(closes) == name(closes)
    assert name(closes).startswith("MSFT-2022-12-28-")
    others = {name(closes.part(slice(1, None))), name(closes, seed=1), name(closes, batch_size=16), name(closes, units=8)}
    assert len(others | {name(closes)}) == 5
