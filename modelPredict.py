"""Published files -> Forecaster -> prices and intervals.

    python modelPredict.py --csv PATH --horizon 5      forecasts from the last 60 closes of PATH, as JSON

ONNX Runtime runs the compiled network; neither TensorFlow nor scikit-learn is imported.
"""

import argparse
import hashlib
import json
import logging
import os
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, FiniteFloat, ValidationError

import commandLine
from errors import InvalidClosesError, ModelUnavailableError
from intervals import MAX_HORIZON, Calibration, bounds, window_volatility
from modelStore import KERAS_FILE, ONNX_FILE, SCALER_FILE, read_previous, read_published
from processData import (
    MAX_CLOSE,
    MAX_RANGE,
    MIN_CLOSE,
    SPLIT_JUMP,
    WINDOW,
    Floats,
    read_csv,
    relative_to_last,
    split_warnings,
    warn_of_oddities,
)
from settings import Settings

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger(__name__)

OUTPUTS = ["relative_forecast"]
MANY = 32  # windows from which on threads help
MAX_THREADS = 4
CHUNK = 128  # windows that the network takes at once: what it keeps of them between its layers stays small


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n windows over `horizon` trading days.

    Attributes:
        last_closes: (n,) float64, the windows' last closes, in the windows' currency like all prices here.
        prices: (n, horizon) float64, the expected closes of the 1st, 2nd, ... day after the window.
        bounds: for each level in percent the lower and upper bounds, each (n, horizon) float64.
        warnings: n lists of sentences about windows that the forecast should not be trusted on.
    """

    last_closes: Floats
    prices: Floats
    bounds: dict[int, tuple[Floats, Floats]]
    warnings: list[list[str]]

    def intervals(self, row: int, step: int) -> dict[str, list[float]]:
        """The intervals of one window and step (from 0): level -> [low, high]."""
        return {str(level): [float(low[row, step]), float(high[row, step])] for level, (low, high) in self.bounds.items()}

    def as_dict(self, row: int) -> dict[str, Any]:
        """One window's answer, as /predict gives it."""
        return {
            "predicted_price": float(self.prices[row, 0]),
            "last_close": float(self.last_closes[row]),
            "intervals": self.intervals(row, 0),
            "warnings": self.warnings[row],
        }

    def path(self, row: int) -> list[dict[str, Any]]:
        """One window's forecast day by day."""
        return [
            {"step": step + 1, "price": float(price), "intervals": self.intervals(row, step)} for step, price in enumerate(self.prices[row])
        ]


class Network:
    """The compiled network in memory: windows in, expected closes out."""

    def __init__(self, compiled: bytes) -> None:
        """Load the content of my_model.onnx."""
        self._one = _session(compiled, threads=1)  # for a few windows a hand-over costs more than it brings
        self._many = _session(compiled, threads=min(os.cpu_count() or 1, MAX_THREADS))
        self._last = import_runtime().RunOptions()  # of a batch: what it took goes back, 16 MB of it
        self._last.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    @property
    def made_from(self) -> dict[str, str]:
        """SHA-256 of the files that it was compiled from, by name."""
        properties = self._one.get_modelmeta().custom_metadata_map
        return {name.removeprefix("sha256:"): value for name, value in properties.items()}

    def path(self, windows: Floats, horizon: int = 1) -> Floats:
        """The expected closes (n, horizon) after windows (n, 60), float64.

        Later days are forecast from the window that the earlier forecasts extend.
        """
        if horizon == 1:
            return self._next(windows)
        closes = np.empty((len(windows), WINDOW + horizon))
        closes[:, :WINDOW] = windows
        for day in range(WINDOW, WINDOW + horizon):
            closes[:, day : day + 1] = self._next(closes[:, day - WINDOW : day])
        return closes[:, WINDOW:]

    def _next(self, windows: Floats) -> Floats:
        """The expected next closes (n, 1), float64."""
        relative = relative_to_last(windows).astype(np.float32)
        if len(relative) < MANY:
            single: Floats = self._one.run(OUTPUTS, {"relative_closes": relative})[0] * windows[:, -1:]
            return single
        chunks = [relative[start : start + CHUNK] for start in range(0, len(relative), CHUNK)]
        options = [None] * (len(chunks) - 1) + [self._last]
        parts = [self._many.run(OUTPUTS, {"relative_closes": chunk}, how)[0] for chunk, how in zip(chunks, options, strict=True)]
        forecast: Floats = np.concatenate(parts) * windows[:, -1:]
        return forecast


def import_runtime() -> ModuleType:
    """ONNX Runtime, which only a Network needs; it takes a while to import."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it would report to its maker
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def _session(compiled: bytes, threads: int) -> "onnxruntime.InferenceSession":
    """The network in ONNX Runtime."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # threads that wait would take the other workers' time
    return onnxruntime.InferenceSession(compiled, options, providers=["CPUExecutionProvider"])


class _Trained(BaseModel):
    """What forecasting needs to know of a model's training: the ranges that closes and volatility had."""

    relative_close_range: tuple[FiniteFloat, FiniteFloat]
    volatility_range: tuple[FiniteFloat, FiniteFloat]


class _Tested(BaseModel):
    """What is told of a model's test."""

    n_days: int
    rmse_ratio: FiniteFloat
    coverage_80: FiniteFloat
    coverage_95: FiniteFloat


class Description(BaseModel):
    """What metadata.json must say of a model that serves; it says more."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    symbol: str
    source: str
    first_date: date
    last_date: date
    created_at: AwareDatetime
    metrics: _Tested


class Forecaster:
    """A published model in memory: windows of closes in, forecasts with intervals and warnings out."""

    def __init__(self, network: Network, metadata: dict[str, Any]) -> None:
        """Take a network and what metadata.json says of it.

        Raises:
            KeyError, TypeError, ValueError: it does not say all that forecasting takes.
        """
        self.metadata = metadata
        self.version = str(metadata["model_version"])
        self._network = network
        self.calibration = Calibration.from_dict(metadata["calibration"])
        trained = _Trained.model_validate(metadata["training"])
        self._trained_range, self._trained_volatility = trained.relative_close_range, trained.volatility_range

    def forecast(self, windows: Floats, horizon: int = 1) -> Forecast:
        """Forecast `horizon` closes after each window (n, 60), float64, oldest first, any currency.

        Raises:
            InvalidClosesError: closes that no forecast can be made from.
        """
        low, high = check_windows(windows)
        last_closes, volatility = windows[:, -1], window_volatility(windows)
        prices = self._network.path(windows, horizon)
        warnings = self._warnings(windows, low / last_closes, high / last_closes, volatility)
        return Forecast(last_closes, prices, bounds(volatility, prices, self.calibration), warnings)

    def _warnings(self, windows: Floats, low: Floats, high: Floats, volatility: Floats) -> list[list[str]]:
        """For each window, what makes its forecast less trustworthy; `low` and `high` are its extremes relative to its last close."""
        (low_limit, high_limit), (calm, wild) = self._trained_range, self._trained_volatility
        unlike = (low < low_limit) | (high > high_limit) | (volatility < calm) | (volatility > wild)
        split = low < (1 - SPLIT_JUMP) * high  # it may have one: a model may have seen closes that far apart without any
        warnings: list[list[str]] = [[] for _ in windows]
        for row in np.flatnonzero(unlike | split):
            found = warnings[row]
            if low[row] < low_limit or high[row] > high_limit:
                found.append(
                    f"The window is unlike all that the model was trained on: its closes are {low[row]:.3g} to {high[row]:.3g} "
                    f"times its last close, in training {low_limit:.3g} to {high_limit:.3g}."
                )
            if not calm <= volatility[row] <= wild:
                found.append(
                    f"The window is unlike all that the model was trained on: its daily volatility is {volatility[row]:.2%}, "
                    f"in training {calm:.2%} to {wild:.2%}."
                )
            found.extend(split_warnings(windows[row]))
        return warnings


def check_windows(windows: Floats) -> tuple[Floats, Floats]:
    """Check that windows have the shape (n, 60) and positive closes that lie within what can be computed.

    Returns:
        The lowest and the highest close of each window, each (n,).

    Raises:
        InvalidClosesError: with the first problems as details; windows and closes are counted from 1.
    """
    if windows.ndim != 2 or windows.shape[1] != WINDOW:
        raise InvalidClosesError(f"A window has {WINDOW} closes; these have the shape {windows.shape}.")
    low, high = windows.min(axis=1), windows.max(axis=1)
    if ((low >= MIN_CLOSE) & (high <= MAX_CLOSE) & (high <= low * MAX_RANGE)).all():
        return low, high
    wrong = ~((windows >= MIN_CLOSE) & (windows <= MAX_CLOSE))
    details = [
        f"window {row + 1}, close {column + 1}: {float(windows[row, column])!r} is not between {MIN_CLOSE:g} and {MAX_CLOSE:g}"
        for row, column in np.argwhere(wrong)[:5]
    ] or [
        f"window {row + 1}: the largest close is more than {MAX_RANGE:,.0f} times the smallest"
        for row in np.flatnonzero(high > low * MAX_RANGE)[:5]
    ]
    raise InvalidClosesError("Some closes cannot be those of one stock in one currency.", details)


def load_forecaster(model_dir: Path, *, previous: bool = False) -> Forecaster:
    """The published model, or the one before it, once its sums and those that its compiled form was made from are checked.

    Raises:
        ModelUnavailableError: there is none that can be trusted; the message says what to do.
    """
    published = (read_previous if previous else read_published)(model_dir, only=(KERAS_FILE, SCALER_FILE))
    sums = published.metadata["files"]
    try:
        compiled = (published.folder / ONNX_FILE).read_bytes()
    except OSError:
        raise ModelUnavailableError(
            f"The published model {published.version} has no compiled form. Make it: python modelCompile.py",
            [f"{ONNX_FILE} is missing"],
        ) from None
    if hashlib.sha256(compiled).hexdigest() != sums.get(ONNX_FILE):
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} is not as published. Make it anew: python modelCompile.py",
            [f"{ONNX_FILE} has another SHA-256 than it was published with"],
        )
    try:
        network = Network(compiled)
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        log.debug("ONNX Runtime failed", exc_info=True)
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} cannot be loaded. Make it anew: python modelCompile.py",
            [str(error).partition("\n")[0][:200]],
        ) from None
    if network.made_from != {name: sums[name] for name in (KERAS_FILE, SCALER_FILE)}:
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} was made from other files. Make it anew: python modelCompile.py"
        )
    try:
        Description.model_validate(published.metadata)
        return Forecaster(network, published.metadata)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors(include_input=False)[:5]]
    except (KeyError, TypeError, ValueError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    raise ModelUnavailableError(
        f"metadata.json of the published model {published.version} lacks what serving needs. Publish anew: python modelTrain.py", problems
    )


def main(arguments: list[str] | None = None) -> None:
    """Forecast from the last 60 closes of a CSV file; JSON on stdout."""
    parser = argparse.ArgumentParser(description="Forecast the closes after the last 60 of a CSV file; JSON on stdout.")
    parser.add_argument("--csv", type=Path, required=True, help="file with a header and the columns date, close")
    parser.add_argument("--horizon", type=int, default=1, help=f"trading days ahead, 1 to {MAX_HORIZON} (default: 1)")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model (default: MODEL_DIR)")
    options = parser.parse_args(arguments)
    if not 1 <= options.horizon <= MAX_HORIZON:
        parser.error(f"--horizon must be 1 to {MAX_HORIZON}")
    forecaster = load_forecaster(options.model_dir or Settings.from_environment().MODEL_DIR)
    closes = read_csv(options.csv)
    warn_of_oddities(closes)
    if len(closes) < WINDOW:
        raise InvalidClosesError(f"{options.csv} has {len(closes)} closes; a forecast takes {WINDOW}.")
    forecast = forecaster.forecast(closes.prices[None, -WINDOW:], options.horizon)
    answer = {"as_of": closes.last_date, **forecast.as_dict(0), "model_version": forecaster.version}
    if options.horizon > 1:
        answer["path"] = forecast.path(0)
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    commandLine.run(main)
