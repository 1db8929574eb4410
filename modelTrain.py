"""Train, evaluate, log to MLflow, publish: the one command that makes a model.

    python modelTrain.py --symbol MSFT --source snapshot

Two LSTM layers of 50 units see a window of 60 closes relative to the last one. The days are split in time: the network is fitted on the
first, its intervals are calibrated on later ones, and it is judged, beside repeating the last close, on the last 20%,
which nothing before has seen.
"""

import argparse
import hashlib
import logging
import os
import platform
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import commandLine
from intervals import MAX_HORIZON, calibrate, ewma_volatility
from modelEvaluate import backtest, metrics, plot_backtest, summary
from modelPredict import Forecaster, Network
from modelStore import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, publish, rollback, staging_folder, write_json
from processData import (
    WINDOW,
    Closes,
    Floats,
    InvalidClosesError,
    fit_scaler,
    load_closes,
    make_windows,
    relative_to_last,
)
from settings import Settings

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # says only that there is no GPU

log = logging.getLogger(__name__)

UNITS = 50
DROPOUT = 0.2
TRAIN_SHARE = 0.8  # of the windows; the rest is the test, unseen
CALIBRATION_SHARE = 0.2  # of the training windows: their last part calibrates the intervals
MIN_CALIBRATION = 40  # scores; 95% needs 19 at least
RETURN_QUANTILES = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Split:
    """Where the parts begin, counted in windows: fit [0, calibration), calibrate [calibration, test), test [test, n)."""

    calibration: int
    test: int
    n: int


def split_in_time(n_closes: int) -> Split:
    """Cut a series in time into fit, calibration and test.

    Raises:
        InvalidClosesError: too few closes for each part to have enough.
    """
    n = n_closes - WINDOW
    test = int(n * TRAIN_SHARE)
    calibration = int(test * (1 - CALIBRATION_SHARE))
    if test - calibration - MAX_HORIZON < MIN_CALIBRATION:
        needed = WINDOW + int(np.ceil(np.ceil((MIN_CALIBRATION + MAX_HORIZON) / CALIBRATION_SHARE) / TRAIN_SHARE))
        raise InvalidClosesError(f"{n_closes} closes are too few to train, calibrate and test on; it takes {needed}.")
    return Split(calibration, test, n)


def build_network(scaler: "MinMaxScaler", target_spread: float) -> "keras.Model":
    """The network: scaled relative closes (n, 60, 1) -> scaled relative next close (n, 1).

    The Dense layer starts at zero and its output counts in `target_spread`, the standard deviation of the relative next
    closes, around "no change"; so the untrained network repeats the last close, and training only adds what it finds.
    """
    import keras

    scale, offset = float(scaler.scale_[0]), float(scaler.min_[0])
    model = keras.Sequential(
        [
            keras.Input((WINDOW, 1)),
            keras.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dropout(DROPOUT),
            keras.layers.LSTM(UNITS),
            keras.layers.Dropout(DROPOUT),
            keras.layers.Dense(1, kernel_initializer="zeros"),
            keras.layers.Rescaling(scale=scale * target_spread, offset=scale + offset),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    return model


def train_network(
    windows: Floats, targets: Floats, split: Split, epochs: int, batch_size: int, seed: int
) -> tuple["keras.Model", "MinMaxScaler", dict[str, list[float]]]:
    """Fit scaler and network on the first part; the loss on the calibration part is watched, not learnt from.

    Args:
        windows: (n, 60) float64 closes, oldest first.
        targets: (n,) float64, the closes after them.
        split: where the parts begin.
        epochs: passes over the first part.
        batch_size: windows in a step.
        seed: of all random numbers.

    Returns:
        The network, the scaler and the losses after each epoch.
    """
    import keras

    keras.utils.set_random_seed(seed)
    relative, next_relative = relative_to_last(windows), targets / windows[:, -1]
    fit, watched = slice(0, split.calibration), slice(split.calibration, split.test)
    scaler = fit_scaler(relative[fit])
    inputs = scaler.transform(relative.reshape(-1, 1)).reshape(*relative.shape, 1).astype(np.float32)
    outputs = scaler.transform(next_relative.reshape(-1, 1)).astype(np.float32)
    model = build_network(scaler, float(next_relative[fit].std()))
    history = model.fit(
        inputs[fit],
        outputs[fit],
        validation_data=(inputs[watched], outputs[watched]),
        epochs=epochs,
        batch_size=batch_size,
        verbose=0,
        callbacks=[_progress(epochs)],
    )
    return model, scaler, {name: [float(value) for value in values] for name, values in history.history.items()}


def _progress(epochs: int) -> "keras.callbacks.Callback":
    """A line an epoch: losses, seconds, and what is left."""
    import keras

    started = time.monotonic()

    def report(epoch: int, logs: dict[str, float]) -> None:
        passed = time.monotonic() - started
        left = passed / (epoch + 1) * (epochs - epoch - 1)
        log.info(
            "epoch %2d/%d  loss %.3e  on unseen days %.3e  %4.0f s, about %.0f s left",
            epoch + 1, epochs, logs["loss"], logs["val_loss"], passed, left,
        )  # fmt: skip

    return keras.callbacks.LambdaCallback(on_epoch_end=report)


def describe_training(closes: Closes, windows: Floats, split: Split) -> dict[str, Any]:
    """What serving must know of the days that the network was fitted on: ranges for warnings, returns for drift."""
    seen = windows[: split.calibration]
    relative, volatility = relative_to_last(seen), ewma_volatility(seen)
    returns = np.diff(np.log(closes.prices[: split.calibration + WINDOW]))
    return {
        "relative_close_range": [float(relative.min()), float(relative.max())],
        "volatility_range": [float(volatility.min()), float(volatility.max())],
        "daily_return_quantiles": np.quantile(returns, RETURN_QUANTILES).tolist(),
    }


def train_and_publish(closes: Closes, options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Train on closes, evaluate, log and publish; the metadata of the published version.

    Raises:
        InvalidClosesError: too few closes; nothing is published.
    """
    import joblib

    from modelCompile import compile_files
    from modelTrack import RunRecord, log_run, set_champion

    started = datetime.now(UTC)
    model_version = f"{started:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
    split = split_in_time(len(closes))
    windows, targets = make_windows(closes.prices)
    model, scaler, losses = train_network(windows, targets[:, 0], split, options.epochs, options.batch_size, options.seed)
    with staging_folder(options.model_dir) as folder:
        model.save(folder / KERAS_FILE)
        joblib.dump(scaler, folder / SCALER_FILE)
        compile_files(folder)
        network = Network((folder / ONNX_FILE).read_bytes())
        # The last MAX_HORIZON windows before the test would look into it.
        held_out, came_true = make_windows(closes.prices[split.calibration : split.test + WINDOW], MAX_HORIZON)
        long_run = float(np.median(ewma_volatility(windows[: split.calibration])))
        calibration = calibrate(held_out, network.path(held_out, MAX_HORIZON), came_true, long_run)
        metadata: dict[str, Any] = {
            "model_version": model_version,
            "created_at": started.isoformat(timespec="seconds"),
            "symbol": closes.symbol,
            "source": closes.source,
            "first_date": closes.first_date,
            "last_date": closes.last_date,
            "n_closes": len(closes),
            "data_sha256": fingerprint(closes),
            "seed": options.seed,
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "fitted_until": str(closes.dates[split.calibration + WINDOW - 1]),
            "tested_from": str(closes.dates[split.test + WINDOW]),
            "calibration": calibration.as_dict(),
            "training": describe_training(closes, windows, split),
            "versions": library_versions(),
        }
        result = backtest(Forecaster(network, metadata), closes, first=metadata["tested_from"])
        metadata["metrics"] = metrics(result)
        log.info("\n%s, %s to %s, unseen:\n%s\n", closes.symbol, result.dates[0], result.dates[-1], summary(metadata["metrics"]))
        write_json(folder / METADATA_FILE, metadata)
        scalars = {name: value for name, value in metadata.items() if not isinstance(value, dict)}
        title = f"{closes.symbol}: unseen closes and their forecasts"
        metadata["mlflow_run_id"] = log_run(
            RunRecord(
                name=model_version,
                parameters=scalars,
                metrics=metadata["metrics"],
                losses=losses,
                figures={"backtest.png": plot_backtest(result, title)},
                folder=folder,
                example=windows[-1:],
            ),
            settings,
        )
        published = publish(options.model_dir, metadata, folder)
    set_champion(metadata["mlflow_run_id"], settings)
    return published.metadata


def fingerprint(closes: Closes) -> str:
    """SHA-256 of dates and closes: equal for the same data, whatever file it came from."""
    digest = hashlib.sha256(closes.dates.astype("datetime64[D]").astype(np.int64).tobytes())
    digest.update(np.ascontiguousarray(closes.prices, np.float64).tobytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str]:
    """What the run was made with."""
    names = ("tensorflow", "keras", "numpy", "scikit-learn", "onnx", "onnxruntime", "mlflow")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command's options."""
    parser = argparse.ArgumentParser(
        description="Train on a symbol's closes, evaluate, log to MLflow and publish.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--symbol", default="MSFT", help="ticker")
    parser.add_argument("--start", type=commandLine.iso_date, default="2010-01-01", help="first day")
    parser.add_argument("--end", type=commandLine.iso_date, help="last day; yesterday if not given")
    parser.add_argument(
        "--source",
        choices=["auto", "yahoo", "snapshot", "csv"],
        default="auto",
        help="auto: Yahoo Finance, then its cache, then the embedded snapshot",
    )
    parser.add_argument("--csv", type=Path, help="file with a header and the columns date, close")
    parser.add_argument("--epochs", type=commandLine.positive_int, default=15, help="passes over the data")
    parser.add_argument("--batch-size", type=commandLine.positive_int, default=32, help="windows in a step")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model; MODEL_DIR if not given")
    parser.add_argument("--rollback", action="store_true", help="put the previously published version back, and end")
    options = parser.parse_args(arguments)
    if (options.source == "csv") != (options.csv is not None) and options.source != "auto":
        parser.error("--source csv and --csv PATH go together")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Train and publish, or roll back."""
    options = parse(arguments)
    settings = Settings.from_environment()
    options.model_dir = options.model_dir or settings.MODEL_DIR
    if options.rollback:
        back = rollback(options.model_dir)
        log.info("Version %s serves again.", back.version)
        return
    closes = load_closes(options.symbol, options.start, options.end, options.source, options.csv, settings)
    split = split_in_time(len(closes))
    log.info(
        "Fit on %d windows of %d closes, calibrate on %d, test on %d.",
        split.calibration, WINDOW, split.test - split.calibration, split.n - split.test,
    )  # fmt: skip
    metadata = train_and_publish(closes, options, settings)
    log.info("Published %s to %s; MLflow run %s.", metadata["model_version"], options.model_dir, metadata["mlflow_run_id"])


if __name__ == "__main__":
    commandLine.run(main)
