"""The training of many symbols as a command: what it publishes and logs, and that interruptions lose nothing."""

import csv
import shlex
import shutil
import signal
import subprocess

import psutil
import pytest
from disks import can_mount_alone
from training import MANY, PART, PRELOADED, after, arguments, begin, copy_empty_database, environment, how, train_here

from models.loading import load_forecaster
from models.store import read_published, symbol_folder
from portfolio.journal import one_training

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(trained_many):
    """A folder with a training of MANY, and what the command said."""
    return trained_many


def leaderboard(folder):
    """The rows by symbol, without what is new in each training."""
    text = (folder / "modelFiles" / "symbols" / "leaderboard.csv").read_text()
    rows = {row["symbol"]: row for row in csv.DictReader(text.splitlines())}
    return {symbol: {name: row[name] for name in row if name not in ("model_version", "mlflow_run_id")} for symbol, row in rows.items()}


def test_failures_are_named_at_the_end_and_the_others_are_published(trained):
    folder, done = trained
    assert done.returncode == 4
    assert done.stderr.splitlines()[-2:] == [
        "1 of 3 symbols failed:",
        next(line for line in done.stderr.splitlines() if line.startswith("  NOPE: NOPE is not in the embedded snapshot")),
    ]
    assert "Traceback" not in done.stderr
    for symbol in ("MSFT", "AAPL"):
        place = symbol_folder(folder / "modelFiles", symbol)
        published = read_published(place)
        assert load_forecaster(place).version == published.version
        files = {path.name for path in published.folder.iterdir()}
        assert files == {"my_model.keras", "scaler.pkl", "my_model.onnx", "backtest.csv", "metadata.json"}
        assert (place / "my_model.keras").is_file()
        assert published.metadata["symbol"] == symbol
        assert published.metadata["mlflow_run_id"]
    assert not (folder / "modelFiles" / "metadata.json").exists()  # the default model stays as it is: here, there is none
    left = {path.name for path in (folder / "modelFiles" / "symbols").iterdir()}
    assert left == {"MSFT", "AAPL", "leaderboard.csv", ".lock"}


def test_progress_and_leaderboard_are_readable_without_a_terminal(trained):
    _, done = trained
    assert "The global model is fitted on 708 windows of 2 symbols, up to 2022-01-19." in done.stderr
    steps = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert [line[:5] for line in steps] == [f"[{n}/5]" for n in range(1, 6)]
    assert all(" left" in line for line in steps)
    assert "symbol  model   RMSE ratio  held 80%" in done.stderr.replace("model  RMSE", "model   RMSE")
    assert "Peak memory: 2 worker processes of at most " in done.stderr


def test_better_model_on_validation_days_is_published(trained):
    folder, _ = trained
    for symbol, row in leaderboard(folder).items():
        better = "global" if float(row["validation_global"]) < float(row["validation_own"]) else "own"
        assert row["model"] == better
        metadata = read_published(symbol_folder(folder / "modelFiles", symbol)).metadata
        assert metadata["fitted_on"] == (["MSFT", "AAPL"] if better == "global" else [symbol])
        assert metadata["metrics"]["rmse_ratio"] == float(row["rmse_ratio"])


def test_own_model_is_that_of_a_training_of_one_symbol(trained, trained_part):
    folder, _ = trained
    assert leaderboard(folder)["MSFT"]["model"] == "own"
    own, alone = read_published(symbol_folder(folder / "modelFiles", "MSFT")), read_published(trained_part / "modelFiles")
    assert alone.metadata["symbol"] == "MSFT"
    assert own.metadata["metrics"] == alone.metadata["metrics"]
    assert own.metadata["calibration"] == alone.metadata["calibration"]
    assert own.metadata["files"]["backtest.csv"] == alone.metadata["files"]["backtest.csv"]


def test_mlflow_has_a_parent_run_with_nested_children(trained):
    import mlflow

    folder, done = trained
    mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
    client = mlflow.MlflowClient()
    parent_id = done.stderr.partition("MLflow run: ")[2].split(".")[0]
    parent = client.get_run(parent_id)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["source"] == "snapshot"
    assert parent.data.metrics["n_symbols"] == 2
    assert [file.path for file in client.list_artifacts(parent_id)] == ["leaderboard.csv"]
    runs = mlflow.search_runs(
        experiment_names=["stock-forecast"], output_format="list", filter_string=f"tags.mlflow.parentRunId = '{parent_id}'"
    )
    assert {run.data.params["symbol"] for run in runs} == {"MSFT", "AAPL"}
    for run in runs:
        published = read_published(symbol_folder(folder / "modelFiles", run.data.params["symbol"]))
        assert published.metadata["mlflow_run_id"] == run.info.run_id
        assert run.data.metrics["test/rmse_ratio"] == published.metadata["metrics"]["rmse_ratio"]
        assert run.data.tags["promotion"] == "published"
    assert client.search_registered_models() == []


def test_model_that_is_not_promoted_does_not_fail_the_command(trained, tmp_path):
    folder, _ = trained
    shutil.copytree(folder / "modelFiles", tmp_path / "modelFiles")
    done = train_here(tmp_path, "--symbols", "MSFT", *PART, "--promote", "never")
    assert "There is no global model: it needs two symbols" in done.stderr
    assert "Published 0 of 1 models" in done.stderr
    before, after = (read_published(symbol_folder(place / "modelFiles", "MSFT")).version for place in (folder, tmp_path))
    assert before == after


def test_all_symbols_failing_exits_with_code_4(tmp_path):
    done = train_here(tmp_path, "--symbols", "NOPE,MSFT", "--source", "snapshot", "--start", "2022-06-01", check=False)
    assert done.returncode == 4
    assert "2 of 2 symbols failed:" in done.stderr
    assert "MSFT: 146 closes are too few" in done.stderr.splitlines()[-1]


def test_second_training_on_the_same_folder_ends_at_once(tmp_path):
    with one_training(tmp_path / "modelFiles" / "symbols"):
        done = train_here(tmp_path, *MANY, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: Another training of many symbols is writing to ")


# Interruptions


def start(folder):
    """Start the command, and read to its first finished step. Return it, what it said and its worker processes."""
    process = begin(folder, *MANY)
    said = after(process, "[")
    children = psutil.Process(PRELOADED.fork_of(process.pid)).children(recursive=True)
    workers = [child for child in children if "LokyProcess" in " ".join(child.cmdline())]  # launchers of preloaded processes
    assert workers, said
    return process, said, [*children, *(psutil.Process(PRELOADED.fork_of(worker.pid)) for worker in workers)]


def ended(processes):
    """Whether processes end by themselves."""
    _, alive = psutil.wait_procs(processes, timeout=60)
    return not alive


@pytest.mark.timeout(600)
def test_interrupted_training_continues_and_gives_the_same_result(trained, tmp_path):
    process, said, children = start(tmp_path)
    assert "Continues" not in said
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert rest.splitlines()[-2:] == ["0 of 3 symbols are finished; 0 models are published. The same command continues.", "interrupted"]
    assert "Traceback" not in rest
    assert ended(children)

    process, said, children = start(tmp_path)
    assert "Continuing the training of " in said
    process.kill()
    process.communicate()
    assert ended(children)

    process, said, children = start(tmp_path)
    assert "[1/3]" in said  # two of the three fits are not done again
    worker = next(child for child in children if "LokyProcess" in " ".join(child.cmdline()))
    worker.kill()
    rest = process.communicate(timeout=300)[1]
    assert process.returncode == 4, rest
    assert "A worker process died. Its task runs again." in rest
    assert leaderboard(tmp_path) == leaderboard(trained[0])
    assert not list((tmp_path / "modelFiles" / "symbols").glob(".training-*"))


@pytest.mark.timeout(600)
@pytest.mark.skipif(not can_mount_alone(), reason="a small disk takes a mount, which is not allowed here")
def test_full_disk_is_one_sentence_and_the_same_command_continues(tmp_path):
    copy_empty_database(tmp_path)
    disk = tmp_path / "modelFiles"
    disk.mkdir()
    words = shlex.join(PRELOADED.command(*arguments(tmp_path, *MANY)))
    steps = [
        f"mount -t tmpfs -o size=400k none {disk}", words, "echo first $? >&2", f"mount -o remount,size=64m {disk}", words,
        f"cat {disk}/symbols/leaderboard.csv",
    ]  # fmt: skip
    run = how(tmp_path) | {"stdout": subprocess.PIPE, "env": environment(tmp_path) | PRELOADED.with_children()}
    done = subprocess.run(["unshare", "-rm", "sh", "-c", "; ".join(steps)], **run, check=False)
    first, _, second = done.stderr.partition("first 1\n")
    assert first.splitlines()[-1] == (
        "error: The disk is full. 0 of 3 symbols are finished; 0 models are published. Free some space, then give the same command again."
    )
    assert "Traceback" not in first
    assert "Continuing" in second
    assert "Published 2 of 2 models" in second
    assert done.stdout.count("\n") == 3
