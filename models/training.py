"""Trains a model: fits the network, compiles it and calibrates its intervals, on the days before the test."""

import io
import secrets
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from closes.series import Closes, Floats
from closes.snapshot import read_ranges, read_whole_snapshot
from forecast.calibration import calibrate
from forecast.forecaster import Forecaster
from forecast.metadata import N_RETURN_QUANTILES, FitMetadata, Training
from forecast.network import FitOptions, Fitted, fit
from forecast.runtime import Network
from forecast.split import Dataset
from forecast.volatility import window_volatility
from models.store import KERAS_FILE, ONNX_FILE, SCALER_FILE
from processData import WINDOW, make_windows, relative_to_last


def train(data: Dataset, options: FitOptions, folder: Path, progress: bool = True) -> tuple[Forecaster, Fitted]:
    """Fit, compile and calibrate a model. Write my_model.keras, scaler.pkl and my_model.onnx to `folder`.

    Args:
        data: the closes; those of the test are not used.
        options: how to fit.
        folder: an empty folder.
        progress: whether to log one line per epoch.

    Returns:
        The forecaster and the fitted network.
    """
    fitted = fit(data.closes.prices, data.split, options, progress)
    network = write_network(fitted, folder)
    return Forecaster(network, describe_fit(data, new_version())), fitted


def write_network(fitted: Fitted, folder: Path) -> Network:
    """Write my_model.keras, scaler.pkl and my_model.onnx to a folder, and return the compiled network.

    Raises:
        CompileError: the compiled form does not say what Keras says.
    """
    import joblib

    from models.compiled import compile_files

    fitted.model.save(folder / KERAS_FILE)
    joblib.dump(fitted.scaler, scaler_file := io.BytesIO())
    compiled = compile_files((folder / KERAS_FILE).read_bytes(), scaler_file.getvalue())
    (folder / SCALER_FILE).write_bytes(scaler_file.getvalue())
    (folder / ONNX_FILE).write_bytes(compiled)
    return Network(compiled)


def new_version() -> str:
    """Return the name of a new version: unique, and in the order of time."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def describe_fit(data: Dataset, version: str) -> FitMetadata:
    """Calibrate the intervals and describe the fit days. The calibration does not depend on the network.

    Args:
        data: the closes; those of the test are not used.
        version: name of the version.
    """
    moves = np.diff(np.log(data.calibration_prices[WINDOW - 1 :]))
    return FitMetadata(
        model_version=version,
        fitted_until=data.fitted_until,
        tested_from=data.tested_from,
        calibration=calibrate(calibration_pool(data), moves, range_pool(data)),
        training=describe_training(data.fit_prices),
    )


def calibration_pool(data: Dataset) -> list[Closes]:
    """Return the series whose scores are pooled: the closes before the test, and those of the snapshot's other stocks to the same day."""
    own = data.before_test
    others = [series for series in read_whole_snapshot() if series.symbol != own.symbol]
    return [own, *(other.part(other.dates <= own.dates[-1]) for other in others if other.dates[0] <= own.dates[-1])]


def range_pool(data: Dataset) -> list[Closes]:
    """Return the days before the test of the series with daily ranges: the embedded ones, and the own if it has some."""
    own = data.before_test
    embedded = [series.part(series.dates <= own.dates[-1]) for series in read_ranges() if series.dates[0] <= own.dates[-1]]
    return embedded if own.ranges is None else [own, *(series for series in embedded if series.symbol != own.symbol)]


def describe_training(prices: Floats) -> Training:
    """Describe the closes (n_days,) that the network was fitted on: ranges for warnings, returns for drift."""
    windows, _ = make_windows(prices)
    relative, volatility = relative_to_last(windows), window_volatility(windows)
    return Training(
        relative_close_range=(float(relative.min()), float(relative.max())),
        volatility_range=(float(volatility.min()), float(volatility.max())),
        daily_return_quantiles=np.quantile(np.diff(np.log(prices)), np.linspace(0, 1, N_RETURN_QUANTILES)).tolist(),
    )
