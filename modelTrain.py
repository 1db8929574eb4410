"""Train, evaluate, log to MLflow, publish: the one command that makes a model.

    python modelTrain.py --symbol MSFT --source snapshot

The days are split in time: 60% fit the network, the next 20% calibrate the intervals, and the last 20% test the model, which has not seen
them. The reference is persistence, the naive forecast that repeats the last close. A model that is worse than the published one is logged
but not published.
"""

import argparse
import hashlib
import io
import logging
import platform
import secrets
import shlex
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import cli
from closes.series import Closes, Floats
from closes.symbols import symbol_of
from errors import InvalidClosesError
from forecast.backtest import Backtest, backtest, write_backtest
from forecast.forecaster import Forecaster
from forecast.intervals import calibrate, window_volatility
from forecast.network import Fitted, fit
from forecast.runtime import Network
from forecast.scores import coverage_by, coverage_by_horizon, metrics, summary
from forecast.split import Split, split_in_time, walk_forward_splits
from models.gate import NotPromotedError, judge
from models.publishing import PublishedMeanwhileError, publish, rollback, staging_folder
from models.store import BACKTEST_FILE, KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, current_version
from processData import WINDOW, load_closes, make_windows, relative_to_last
from settings import Settings
from storage import write_json
from tracking.kept import RunRecord

log = logging.getLogger(__name__)
RETURN_QUANTILES = np.linspace(0, 1, 101)
EXIT_NOT_PROMOTED = 3


def train(closes: Closes, split: Split, folder: Path, options: argparse.Namespace, progress: bool = True) -> tuple[Forecaster, Fitted]:
    """Fit, compile and calibrate on the parts of `split` before its test. Write the files to `folder`.

    Args:
        closes: the whole series.
        split: where the parts begin.
        folder: an empty folder for my_model.keras, scaler.pkl and my_model.onnx.
        options: epochs, batch_size and seed.
        progress: whether to log one line per epoch.

    Returns:
        The forecaster, its metadata as far as it is known here, and what the fit gave.
    """
    import joblib

    from models.compiled import compile_files

    fitted = fit(closes.prices[: split.test + WINDOW], Split(split.calibration, split.test, split.test), options.epochs,
                 options.batch_size, options.seed, progress)  # fmt: skip
    fitted.model.save(folder / KERAS_FILE)
    joblib.dump(fitted.scaler, scaler_file := io.BytesIO())
    compiled = compile_files((folder / KERAS_FILE).read_bytes(), scaler_file.getvalue())
    (folder / SCALER_FILE).write_bytes(scaler_file.getvalue())
    (folder / ONNX_FILE).write_bytes(compiled)
    network = Network(compiled)
    seen = make_windows(closes.prices[: split.calibration + WINDOW])[0]
    before_test = closes.prices[: split.test + WINDOW]
    held_out, came_true = make_windows(before_test[split.calibration :])
    long_run = float(np.median(window_volatility(seen)))
    calibration = calibrate(held_out, network.path(held_out)[:, 0], came_true[:, 0], before_test, long_run)
    metadata = {
        "model_version": f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        "fitted_until": str(closes.dates[split.calibration + WINDOW - 1]),
        "tested_from": str(closes.dates[split.test + WINDOW]),
        "calibration": calibration.as_dict(),
        "training": describe_training(seen, closes.prices[: split.calibration + WINDOW]),
    }
    return Forecaster(network, metadata), fitted


def describe_training(windows: Floats, prices: Floats) -> dict[str, Any]:
    """Describe the days that the network was fitted on: ranges for warnings, returns for drift.

    Args:
        windows: (n, 60) float64, those that the network was fitted on.
        prices: (n_days,) float64, the closes in them and the targets.
    """
    relative, volatility = relative_to_last(windows), window_volatility(windows)
    return {
        "relative_close_range": [float(relative.min()), float(relative.max())],
        "volatility_range": [float(volatility.min()), float(volatility.max())],
        "daily_return_quantiles": np.quantile(np.diff(np.log(prices)), RETURN_QUANTILES).tolist(),
    }


def train_and_publish(closes: Closes, options: argparse.Namespace, settings: Settings) -> None:
    """Train on closes, evaluate, judge, log and publish.

    Raises:
        InvalidClosesError: too few closes; nothing is published.
        NotPromotedError: the gate keeps the published model; the run is in MLflow.
    """
    from tracking.champion import point_champion
    from tracking.connection import check_tracking
    from tracking.runs import log_or_keep

    split = split_in_time(len(closes))
    check_movement(closes, split)
    log.info("Fit on %d windows of %d closes, calibrate on %d, test on %d.",
             split.calibration, WINDOW, split.test - split.calibration, split.n - split.test)  # fmt: skip
    check_tracking(settings)
    with staging_folder(options.model_dir) as folder:
        forecaster, fitted = train(closes, split, folder, options)
        result = backtest(forecaster, closes, first=forecaster.metadata["tested_from"])
        write_backtest(result, folder / BACKTEST_FILE)
        values = metrics(result)
        log.info("\n%s, %s to %s, unseen:\n%s\n", closes.symbol, result.dates[0], result.dates[-1], summary(values))
        cli.interruption.check()
        published_before = current_version(options.model_dir)
        verdict = judge(result, closes, options.model_dir, options.promote)
        metadata = forecaster.metadata | describe_run(closes, options) | {
            "metrics": {name: value if np.isfinite(value) else None for name, value in values.items()},
            "coverage": coverage_by(result) | {"horizon": coverage_by_horizon(forecaster, closes, forecaster.metadata["tested_from"])},
            "promotion": verdict.as_dict(),
        }  # fmt: skip
        write_json(folder / METADATA_FILE, metadata)
        title = f"{closes.symbol}: unseen closes and their forecasts"
        record = RunRecord(metadata, fitted.losses, plots_of(result, fitted.losses, title), folder, example=result.windows[-1:])
        log.info("Logging to MLflow at %s ...", settings.mlflow_shown)
        metadata["mlflow_run_id"] = log_or_keep(record, options.model_dir, settings)
        log.info("MLflow run: %s. Repeat it: %s", metadata["mlflow_run_id"] or "none yet", repeat_command(closes, options))
        log.info("%s", verdict.reason)
        if options.promote == "never":
            log.info("Not published (--promote never).")
            return
        if not verdict.publish:
            raise NotPromotedError(f"Not published. {verdict.reason}")
        try:
            publish(options.model_dir, metadata, folder, after=... if options.promote == "always" else published_before)
        except PublishedMeanwhileError as error:
            raise NotPromotedError(f"Not published. {error} It was not compared with this one. Train again.") from None
    log.info("Published %s to %s.", metadata["model_version"], options.model_dir)
    if metadata["mlflow_run_id"] and options.model_dir.resolve() == settings.MODEL_DIR.resolve():  # the folder that serves
        point_champion(options.model_dir, settings)


def plots_of(result: Backtest, losses: dict[str, list[float]], title: str) -> dict[str, bytes]:
    """Return the plots of a run: the content of PNG files by name. If matplotlib fails, log a warning and return none."""
    try:
        from forecast.plots import plot_run

        return plot_run(result, losses, title)
    except Exception as error:  # a training is not lost for a picture
        log.debug("matplotlib failed", exc_info=True)
        log.warning("There are no plots of this run: matplotlib failed (%s).", error or type(error).__name__)
        return {}


def check_movement(closes: Closes, split: Split) -> None:
    """Check that each part has closes that move.

    Raises:
        InvalidClosesError: on more than half of the days of a part the close does not change.
    """
    moved = np.diff(closes.prices) != 0
    parts = {"fit": (0, split.calibration), "calibrate": (split.calibration, split.test), "test": (split.test, split.n)}
    for name, (start, end) in parts.items():
        if moved[start + WINDOW - 1 : end + WINDOW - 1].mean() < 0.5:
            first, last = closes.dates[start + WINDOW], closes.dates[end + WINDOW - 1]
            raise InvalidClosesError(
                f"On more than half of the days to {name} on, {first} to {last}, the close is equal to the one before: "
                "there is nothing to learn from, and the intervals would promise too much."
            )


def describe_run(closes: Closes, options: argparse.Namespace) -> dict[str, Any]:
    """Describe a run: its data, its options and the versions of its libraries."""
    names = ("tensorflow", "keras", "numpy", "scikit-learn", "onnx", "onnxruntime", "mlflow")
    return {
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "symbol": closes.symbol,
        "source": closes.source,
        "first_date": closes.first_date,
        "last_date": closes.last_date,
        "n_closes": len(closes),
        "data_sha256": fingerprint(closes),
        "seed": options.seed,
        "epochs": options.epochs,
        "batch_size": options.batch_size,
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }


def fingerprint(closes: Closes) -> str:
    """Return the SHA-256 of dates and closes. It is equal for the same data in different files."""
    digest = hashlib.sha256(closes.dates.astype("datetime64[D]").astype(np.int64).tobytes())
    digest.update(np.ascontiguousarray(closes.prices, np.float64).tobytes())
    return digest.hexdigest()


def repeat_command(closes: Closes, options: argparse.Namespace) -> str:
    """Return the command that repeats a run. Yahoo Finance may have adjusted its closes since; data_sha256 shows that."""
    source = f"--csv {shlex.quote(str(options.csv))}" if options.csv else f"--source {closes.source}"
    return (
        f"python modelTrain.py --symbol {closes.symbol} {source} --start {closes.first_date} --end {closes.last_date} "
        f"--epochs {options.epochs} --batch-size {options.batch_size} --seed {options.seed} "
        f"--model-dir {shlex.quote(str(options.model_dir))}"
    )


def walk_forward(closes: Closes, options: argparse.Namespace) -> None:
    """Train again before each of several successive test blocks and print the results. Publishes nothing."""
    log.info("%-10s  %-10s  %5s  %10s  %8s  %8s", "from", "to", "days", "RMSE ratio", "held 80%", "held 95%")
    for split in walk_forward_splits(len(closes), options.walk_forward):
        with tempfile.TemporaryDirectory() as folder:
            forecaster, _ = train(closes, split, Path(folder), options, progress=False)
        last = str(closes.dates[split.n + WINDOW - 1])
        values = metrics(backtest(forecaster, closes, first=forecaster.metadata["tested_from"], last=last))
        log.info("%-10s  %-10s  %5d  %10.4f  %8.1f  %8.1f", forecaster.metadata["tested_from"], last, values["n_days"],
                 values["rmse_ratio"], 100 * values["coverage_80"], 100 * values["coverage_95"])  # fmt: skip


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command's options."""
    parser = argparse.ArgumentParser(
        description="Train on a symbol's closes, evaluate, log to MLflow and publish. "
        f"Exit code {EXIT_NOT_PROMOTED}: the new model is worse than the published one, which stays.",
    )
    parser.add_argument("--symbol", help="ticker (default: MSFT; of a CSV file, its name)")
    parser.add_argument("--start", type=cli.iso_date, default="2010-01-01", help="first day (default: %(default)s)")
    parser.add_argument("--end", type=cli.iso_date, help="last day (default: yesterday)")
    parser.add_argument(
        "--source",
        choices=["auto", "yahoo", "cache", "snapshot", "csv"],
        default="auto",
        help="auto, the default: Yahoo Finance, then its cache, then the embedded snapshot",
    )
    parser.add_argument("--csv", type=Path, help="file with a header and the columns date, close")
    parser.add_argument("--epochs", type=cli.positive_int, default=15, help="passes over the data (default: %(default)s)")
    parser.add_argument("--batch-size", type=cli.positive_int, default=32, help="windows in a step (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers (default: %(default)s)")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model (default: MODEL_DIR)")
    parser.add_argument(
        "--promote",
        choices=["if-better", "always", "never"],
        default="if-better",
        help="publish if not worse than the published model on days that neither has seen, the default; always; or never",
    )
    parser.add_argument("--rollback", action="store_true", help="put the previously published version back, and end")
    parser.add_argument("--walk-forward", type=cli.positive_int, metavar="FOLDS", help="judge on successive test blocks, and end")
    options = parser.parse_args(arguments)
    if (options.source == "csv") != (options.csv is not None) and options.source != "auto":
        parser.error("--source csv and --csv PATH go together")
    if not 0 <= options.seed < 2**32:
        parser.error("--seed must be 0 to 4294967295")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Train and publish, walk forward, or roll back."""
    options = parse(arguments)
    settings = Settings.from_environment()
    options.model_dir = options.model_dir or settings.MODEL_DIR
    if options.rollback:
        back = rollback(options.model_dir)
        log.info("Version %s serves again.", back.version)
        if options.model_dir.resolve() == settings.MODEL_DIR.resolve():
            from tracking.champion import point_champion

            point_champion(options.model_dir, settings)
        return
    symbol = options.symbol or (symbol_of(options.csv) if options.csv else "MSFT")
    closes = load_closes(symbol, options.start, options.end, options.source, options.csv, settings)
    if options.walk_forward:
        walk_forward(closes, options)
        return
    try:
        train_and_publish(closes, options, settings)
    except NotPromotedError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_NOT_PROMOTED)


if __name__ == "__main__":
    cli.run(main)
