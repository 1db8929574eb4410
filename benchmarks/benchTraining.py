"""Benchmark of training: an epoch of our fit and of plain Keras, and the whole command (about 5 minutes on two cores).

    python benchmarks/benchTraining.py            3 rounds
    python benchmarks/benchTraining.py --quick    1 round of fewer epochs, without the whole command (half a minute)

"Plain Keras" is model.fit on keras.layers.LSTM as a project would usually write it, with TensorFlow's own number of threads. The same
network, closes, batches and seed; the two take turns, each in a fresh process, so that a busy moment of the machine does not meet one
alone. The first epoch of a fit, in which TensorFlow builds its graphs, is left out of the median and has its own column. Prints a table
in Markdown.
"""

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PLAIN, OURS = "plain Keras", "forecast.network.fit"


def epoch_seconds(way: str, epochs: int) -> list[float]:
    """Seconds of each epoch of a fit in this process; the first is from the start of the fit."""
    import keras

    from closes.snapshot import read_snapshot
    from forecast import lstm, network
    from forecast.split import split_in_time

    if way == PLAIN:
        lstm.BlockLSTM = keras.layers.LSTM  # type: ignore[misc]
        plain_compile, plain_fit = keras.Model.compile, keras.Model.fit
        keras.Model.compile = lambda model, **kwargs: plain_compile(model, **kwargs | {"steps_per_execution": 1})
        keras.Model.fit = lambda model, *data, **kwargs: plain_fit(model, *data, **kwargs | {"validation_batch_size": None})
    closes = read_snapshot("MSFT")
    split = split_in_time(len(closes))
    marks = [time.perf_counter()]
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: marks.append(time.perf_counter()))
    network._progress = lambda epochs: clock
    network.fit(closes.prices, split, network.FitOptions(epochs))
    return [end - start for start, end in itertools.pairwise(marks)]


def in_fresh_process(way: str, epochs: int) -> list[float]:
    """epoch_seconds() in a process of its own; plain Keras with as many threads as TensorFlow likes."""
    threads = {"TF_NUM_INTRAOP_THREADS": "0", "TF_NUM_INTEROP_THREADS": "0"} if way == PLAIN else {}
    command = [sys.executable, __file__, "--way", way, "--epochs", str(epochs)]
    done = subprocess.run(command, env=os.environ | threads, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    seconds: list[float] = json.loads(done.stdout.splitlines()[-1])
    return seconds


def command_seconds() -> float:
    """Seconds of `python modelTrain.py` from start to publication, with an MLflow of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "modelTrain.py", "--source", "snapshot", "--model-dir", f"{folder}/modelFiles"]
        own = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        started = time.monotonic()
        subprocess.run(command, cwd=ROOT, env=own, stderr=subprocess.DEVNULL, check=True)
        return time.monotonic() - started


def table(seconds: dict[str, list[list[float]]]) -> str:
    """The table in Markdown; `seconds` are those of each epoch, by way and round."""
    later = {way: statistics.median(value for epochs in rounds for value in epochs[1:]) for way, rounds in seconds.items()}
    lines = ["| fit | s an epoch, median | first epoch, s | times plain Keras |", "| --- | ---: | ---: | ---: |"]
    for way, rounds in seconds.items():
        first = statistics.median(epochs[0] for epochs in rounds)
        lines.append(f"| {way} | {later[way]:.2f} | {first:.1f} | {later[way] / later[PLAIN]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measure an epoch of our fit and of plain Keras, and the whole command.")
    parser.add_argument("--quick", action="store_true", help="1 round of 3 epochs, without the whole command")
    parser.add_argument("--way", choices=[PLAIN, OURS], help=argparse.SUPPRESS)  # what the fresh processes are asked for
    parser.add_argument("--epochs", type=int, default=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(epoch_seconds(options.way, options.epochs)))
        return
    rounds, epochs = (1, 3) if options.quick else (3, options.epochs)
    seconds: dict[str, list[list[float]]] = {PLAIN: [], OURS: []}
    for _ in range(rounds):
        for way, done in seconds.items():
            done.append(in_fresh_process(way, epochs))
    print(table(seconds))
    if not options.quick:
        print(f"\n`python modelTrain.py --source snapshot`: {command_seconds():.0f} s from start to publication.")


if __name__ == "__main__":
    main()
