"""The training command: its output, its publication and its MLflow run."""

import importlib
import json
import logging
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training import PART, PRELOADED, SHORT, SMALL, after, begin, environment, train, train_here

import modelTrain
from closes.series import Closes
from closes.snapshot import read_snapshot
from forecast.split import split_in_time
from models.loading import load_forecaster
from models.store import ONNX_FILE, read_published
from modelTrain import parse, repeat_command
from processData import make_windows
from settings import PROJECT_DIR, Settings
from storage import sha256

DEFAULT = ["--source", "snapshot", "--start", "2019-06-01", "--epochs", "1"]  # SHORT with the documented network

OTHER_BACKEND = '{"backend": "jax"}'


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with one short training in it, by a user whose Keras is set to another backend, and what the command said."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "keras.json").write_text(OTHER_BACKEND)
    own = {name: value for name, value in environment(folder).items() if name != "MATPLOTLIBRC"}
    return folder, train(folder, *DEFAULT, env=own | {"KERAS_HOME": str(folder)})


@pytest.fixture
def metadata(trained):
    folder, _ = trained
    return json.loads((folder / "modelFiles" / "metadata.json").read_text())


@pytest.mark.slow
def test_training_publishes_the_documented_files(trained, metadata):
    folder, _ = trained
    published = folder / "modelFiles"
    for field in (
        "model_version", "created_at", "symbol", "source", "first_date", "last_date", "n_closes", "seed", "mlflow_run_id", "files",
        "versions", "metrics",
    ):  # fmt: skip
        assert metadata[field] not in (None, "", {})
    assert (metadata["symbol"], metadata["source"], metadata["last_date"]) == ("MSFT", "snapshot", "2022-12-28")
    for name in ("mse", "rmse", "mae", "mape", "r2"):
        assert {name, f"naive_{name}"} <= set(metadata["metrics"])
    assert {"rmse_ratio", "coverage_80", "coverage_95", "winkler_80", "winkler_95"} <= set(metadata["metrics"])
    version = published / "versions" / metadata["model_version"]
    assert {path.name for path in version.iterdir()} == {*metadata["files"], "metadata.json"}
    for name, digest in metadata["files"].items():
        assert sha256(version / name) == digest
    for name in ("my_model.keras", "scaler.pkl"):
        assert sha256(published / name) == metadata["files"][name]
    assert load_forecaster(published).version == metadata["model_version"]


@pytest.mark.slow
def test_training_reports_its_steps(trained):
    _, done = trained
    repeat = done.stderr.partition("Repeat it: python modelTrain.py ")[2].splitlines()[0]
    assert repeat.startswith("--symbol MSFT --source snapshot --start 2019-06-03 --end 2022-12-28 --epochs 1")
    parse(Settings(), shlex.split(repeat))
    for words in ("snapshot", "epoch  1/1", "RMSE", "times that of persistence", "Importing TensorFlow", "validation loss", "Published"):
        assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_network_is_the_documented_one(trained):
    import joblib
    import keras

    folder, _ = trained
    model = keras.saving.load_model(folder / "modelFiles" / "my_model.keras")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["LSTM", "Dropout", "LSTM", "Dropout", "Dense", "Rescaling"]
    assert [layer.units for layer in model.layers if hasattr(layer, "units")] == [50, 50, 1]
    assert [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"] == [0.2, 0.2]
    assert model.input_shape == (None, 60, 1)
    assert (model.optimizer.name, model.loss) == ("adam", "mse")
    scaler = joblib.load(folder / "modelFiles" / "scaler.pkl")
    windows, _ = make_windows(read_snapshot("MSFT").between("2019-06-01", "2022-12-28").prices)
    fitted = (windows / windows[:, -1:])[: split_in_time(901).calibration]
    assert (scaler.data_min_[0], scaler.data_max_[0]) == (fitted.min(), fitted.max())


@pytest.mark.slow
def test_mlflow_keeps_parameters_metrics_plots_files_and_the_model(trained, metadata):
    import mlflow

    folder, _ = trained
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    run = client.get_run(metadata["mlflow_run_id"])
    names = {name: name for name in ("mse", "rmse", "mae", "mape", "r2")}
    names |= {"test/coverage_80": "coverage_80", "persistence/rmse": "naive_rmse", "drift/rmse": "drift_rmse"}
    for name, score in names.items():
        assert run.data.metrics[name] == pytest.approx(metadata["metrics"][score])
    assert len(run.data.metrics) < 30
    seconds = (run.info.end_time - run.info.start_time) / 1000
    assert seconds == pytest.approx(metadata["training_seconds"], abs=0.01)
    assert seconds > 1
    assert run.data.params["source"] == "snapshot"
    assert run.data.params["data_sha256"] == metadata["data_sha256"]
    assert {"epochs": "1", "units": "50", "layers": "2", "window": "60", "learning_rate": "0.001"}.items() <= run.data.params.items()
    assert run.data.params["version_keras"] == metadata["versions"]["keras"]
    assert run.data.tags["promotion"] == "published"
    assert len(client.get_metric_history(run.info.run_id, "loss")) == 1
    assert {file.path for file in client.list_artifacts(run.info.run_id, "plots")} == {
        f"plots/{name}.png" for name in ("backtest", "reliability", "residuals", "losses")
    }
    files = {Path(file.path).name for file in client.list_artifacts(run.info.run_id, "modelFiles")}
    assert files == {"my_model.keras", "my_model.onnx", "scaler.pkl", "metadata.json", "backtest.csv"}
    windows, _ = make_windows(read_snapshot("AAPL").prices)
    given = mlflow.pyfunc.load_model("models:/stock-forecast@champion").predict(windows[:5])
    expected = load_forecaster(folder / "modelFiles").forecast(windows[:5]).prices[:, 0]
    np.testing.assert_array_equal(given, expected)


@pytest.mark.slow
def test_second_training_can_be_rolled_back(trained, metadata, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "modelFiles", tmp_path / "modelFiles")
    shutil.copy(folder / "mlflow.db", tmp_path)
    train_here(tmp_path, *PART, "--seed", "1", "--promote", "always")
    second = json.loads((tmp_path / "modelFiles" / "metadata.json").read_text())
    assert second["model_version"] != metadata["model_version"]
    champion = "print(mlflow.MlflowClient().get_model_version_by_alias('stock-forecast', 'champion').run_id)"

    def serving_run():
        command = PRELOADED.command("-c", f"import mlflow; {champion}")
        done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True, check=True)
        return done.stdout.split()[-1]

    assert serving_run() == second["mlflow_run_id"]
    train_here(tmp_path, "--rollback")
    assert serving_run() == metadata["mlflow_run_id"]
    back = json.loads((tmp_path / "modelFiles" / "metadata.json").read_text())
    assert back["model_version"] == metadata["model_version"]
    assert sha256(tmp_path / "modelFiles" / "my_model.keras") == metadata["files"]["my_model.keras"]


@pytest.mark.slow
def test_worse_model_exits_with_code_3_and_stays_in_mlflow(trained, metadata, tmp_path):
    import mlflow

    folder, _ = trained
    shutil.copytree(folder / "modelFiles", tmp_path / "modelFiles")
    closes = read_snapshot("MSFT").between("2019-06-01", "2022-12-28")
    lure = np.exp(0.02 * np.minimum(np.arange(len(closes)), split_in_time(len(closes)).calibration + 60))  # a rise that ends after the fit
    rows = "".join(f"{day},{price!r}\n" for day, price in zip(closes.dates, (closes.prices * lure).tolist(), strict=True))
    (tmp_path / "closes.csv").write_text("date,close\n" + rows)
    done = train_here(tmp_path, "--csv", str(tmp_path / "closes.csv"), *SMALL, "--epochs", "2", check=False)
    assert done.returncode == 3
    assert "worse in rmse" in done.stderr.splitlines()[-1]
    assert json.loads((tmp_path / "modelFiles" / "metadata.json").read_text())["model_version"] == metadata["model_version"]
    assert not list((tmp_path / "modelFiles" / "versions").glob(".staging-*"))
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    (run,) = mlflow.search_runs(experiment_names=["stock-forecast"], output_format="list")
    assert run.data.tags["promotion"] == "refused"
    assert run.data.metrics["gate/new/rmse"] > run.data.metrics["gate/published/rmse"]


@pytest.mark.slow
def test_promote_never_logs_without_publishing(tmp_path):
    done = train_here(tmp_path, *PART, "--promote", "never")
    assert "MLflow run" in done.stderr
    assert " --promote never" in done.stderr.partition("Repeat it: ")[2].splitlines()[0]
    assert done.stderr.splitlines()[-1] == "Not published (--promote never)."
    assert "oneDNN" not in done.stderr  # nor what else TensorFlow says
    assert not (tmp_path / "modelFiles" / "metadata.json").exists()


@pytest.mark.slow
def test_silent_tracking_server_ends_the_run_before_training(tmp_path):
    command = PRELOADED.command("modelTrain.py", *SHORT)
    own = environment(tmp_path) | {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    done = subprocess.run(command, cwd=PROJECT_DIR, env=own, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: MLflow at http://127.0.0.1:9 does not answer")
    assert "Traceback" not in done.stderr
    assert "epoch" not in done.stderr


@pytest.mark.slow
def test_walk_forward_prints_a_row_per_fold_and_publishes_nothing(tmp_path):
    done = train_here(tmp_path, *SHORT, "--walk-forward", "2")
    assert logging.getLogger("tensorflow").level == logging.ERROR  # it would warn of retracing between the rows
    assert "RMSE ratio: RMSE divided by that of persistence, which repeats the last close." in done.stderr
    rows = [line for line in done.stderr.splitlines() if line[:2] == "20"]
    assert len(rows) == 2
    assert not (tmp_path / "modelFiles" / "metadata.json").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--epochs", "0"],
        ["--start", "yesterday"],
        ["--source", "moon"],
        ["--source", "csv"],
        ["--csv", "x", "--source", "yahoo"],
        ["--column", "x"],
        ["--seed", "-1"],
        ["--dropout", "1"],
        ["--learning-rate", "0"],
        ["--learning-rate", "fast"],
        ["--features", "moon"],
        ["--tune", "0"],
        ["--tune", "2", "--rollback"],
        ["--tune", "2", "--walk-forward", "2"],
        ["--keep-running"],
        ["--nightly", "--rollback"],
        ["--nightly", "--walk-forward", "2"],
        ["--nightly", "--tune", "2"],
        ["--nightly", "--csv", "x"],
        ["--nightly", "--source", "snapshot"],
        ["--nightly", "--source", "cache"],
        ["--nightly", "--end", "2026-01-02"],
    ],
)
def test_wrong_usage_exits_with_code_2(options, capsys):
    with pytest.raises(SystemExit) as end:
        parse(Settings(), options)
    assert end.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["modelTrain", "modelEvaluate", "modelPredict", "tracking.runs", "models.compiled"])
def test_help_names_the_folder_that_is_the_default(module, monkeypatch, capsys, tmp_path):
    main = importlib.import_module(module).main
    for value, shown in (("modelFiles", "modelFiles"), (str(tmp_path / "100%"), f"{tmp_path}/100%")):
        monkeypatch.setenv("MODEL_DIR", value)
        monkeypatch.setenv("COLUMNS", "500")
        with pytest.raises(SystemExit):
            main(["--help"])
        assert f"(default: {shown}, the setting MODEL_DIR)" in capsys.readouterr().out


def test_command_that_repeats_a_run_has_every_option_that_changes_it():
    words = [
        "--symbol", "KO", "--source", "snapshot", "--start", "2015-01-02", "--end", "2022-12-28", "--epochs", "3", "--batch-size", "16",
        "--seed", "7", "--units", "8", "--layers", "1", "--dropout", "0.1", "--learning-rate", "0.01", "--features", "changes",
        "--model-dir", "elsewhere", "--promote", "never",
    ]  # fmt: skip
    options = parse(Settings(), words)
    closes = Closes("KO", "snapshot", np.array(["2015-01-02", "2022-12-28"], "datetime64[D]"), np.ones(2))
    assert parse(Settings(), shlex.split(repeat_command(closes, options))[2:]) == options


def interrupt_after(folder, version):
    """Ctrl-C during a training, after the publication of a version; None for no publication."""
    with modelTrain._interruption_explained(folder):
        if version:
            (folder / "metadata.json").write_text(json.dumps({"model_version": version}))
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("version", "said"), [(None, "Nothing was published."), ("v2", "Version v2 was published before the interruption.")]
)
def test_interruption_says_what_was_published(tmp_path, caplog, version, said):
    caplog.set_level(logging.INFO)
    with pytest.raises(KeyboardInterrupt):
        interrupt_after(tmp_path, version)
    assert caplog.messages == [said]


def test_command_that_repeats_a_run_can_be_pasted_into_a_shell():
    options = parse(Settings(), ["--symbol", "M&M.NS", "--model-dir", "my models"])
    closes = Closes("M&M.NS", "yahoo", np.arange("2024-01-01", "2024-01-03", dtype="datetime64[D]"), np.ones(2))
    words = shlex.split(repeat_command(closes, options))
    assert words[:4] == ["python", "modelTrain.py", "--symbol", "M&M.NS"]
    assert "'M&M.NS'" in repeat_command(closes, options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--source", "snapshot", "--symbol", "NOPE"], "NOPE is not in the embedded snapshot"),
        (["--source", "snapshot", "--start", "2022-06-01"], "too few"),
        (["--source", "csv", "--csv", "missing.csv"], "missing.csv"),
        (["--source", "yahoo"], "Yahoo Finance"),
        (["--rollback"], "No model is published yet"),
    ],
)
def test_failure_is_one_line_and_publishes_nothing(tmp_path, options, said):
    done = train_here(tmp_path, *options, check=False)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert said in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "modelFiles" / "metadata.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("command", [["modelTrain.py"], ["-m", "models.compiled"]], ids=lambda command: command[-1])
@pytest.mark.parametrize("backend", ["jax", "nonsense"])
def test_other_keras_backend_is_rejected_in_one_line(tmp_path, command, backend):
    options = SHORT
    if command[0] == "-m":  # which needs no Keras where a compiled form is there
        folder = Path(shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles"))
        (read_published(folder).folder / ONNX_FILE).unlink()
        options = ["--model-dir", str(folder)]
    own = environment(tmp_path) | {"KERAS_BACKEND": backend, "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}  # MLflow is not asked before
    done = subprocess.run([sys.executable, *command, *options], cwd=PROJECT_DIR, env=own, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: KERAS_BACKEND={backend}: the network is trained and compiled only with TensorFlow. Unset it."
    )
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_keras_configuration_of_the_user_is_ignored(trained):
    folder, done = trained
    assert (folder / "keras.json").read_text() == OTHER_BACKEND
    assert "Published" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prices", "turned", "said"),
    [
        (np.full(500, 20.0), 0, "equal"),
        (np.append(np.linspace(10, 11, 400), np.full(100, 11.0)), 0, "days to test on"),
        (np.linspace(10, 11, 61), 0, "too few"),
        (np.linspace(10, 11, 500), 100, "sort the rows by date"),
        (np.linspace(-1, 11, 500), 0, "must be a positive"),
    ],
)
def test_unsuitable_closes_are_rejected_in_one_line(tmp_path, prices, turned, said):
    dates = np.roll(np.datetime64("2020-01-01") + np.arange(len(prices)), turned)
    (tmp_path / "closes.csv").write_text("date,close\n" + "".join(f"{day},{price}\n" for day, price in zip(dates, prices, strict=True)))
    done = train_here(tmp_path, "--csv", str(tmp_path / "closes.csv"), check=False)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "modelFiles" / "metadata.json").exists()


@pytest.mark.slow
def test_interrupted_training_exits_with_code_130_and_publishes_nothing(tmp_path):
    process = begin(tmp_path, *PART, "--epochs", "200", "--batch-size", "512")  # seconds of short epochs
    after(process, "epoch")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.splitlines()[-2:] == ["Nothing was published.", "interrupted"]
    assert "Traceback" not in said
    assert not (tmp_path / "modelFiles" / "metadata.json").exists()
