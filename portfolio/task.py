"""What one worker process does: three steps, each from bytes to bytes, so that they run alike in any process on any machine.

    fit      closes of a symbol -> its own model
    pool     the plan, closes of all its symbols -> the global model
    finish   closes, own network, plan and global network -> the better one, tested

The bytes are pickles that the client or another worker of the same run has made. A failure that concerns a symbol is a value, not an
exception: the other symbols go on.
"""

import logging
import os
import pickle
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from closes.series import Closes
from errors import ForecastError
from forecast import runtime
from forecast.backtest import Backtest
from forecast.forecaster import Forecaster
from forecast.metadata import FitMetadata
from forecast.network import FitOptions, Fitted, fit, fit_windows
from forecast.runtime import Network
from forecast.scores import rmse_ratio
from forecast.split import Dataset, split_in_time
from forecast.volatility import window_volatility
from models.evaluation import evaluate
from models.store import ONNX_FILE
from models.training import describe_fit, new_version, write_network
from portfolio.pooled import PoolPlan, pool_windows
from processData import make_windows, relative_to_last
from storage import DISK_FULL

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Usage:
    """What a step cost: seconds of wall time, seconds of CPU, the process and its peak memory in bytes."""

    seconds: float
    cpu_seconds: float
    process: str
    peak_bytes: int


@dataclass(frozen=True)
class Failure:
    """Why a step of a symbol failed, in one sentence."""

    reason: str


@dataclass(frozen=True)
class Net:
    """What the last step needs of a fitted network: its version, my_model.onnx, and the ranges and seconds of Candidate."""

    version: str
    compiled: bytes
    ranges: dict[str, tuple[float, float]]
    seconds: float = 0.0


@dataclass(frozen=True)
class Candidate:
    """A fitted network.

    Attributes:
        version: of the model, if it is published.
        files: content by name: my_model.keras, scaler.pkl, my_model.onnx.
        losses: after each epoch, by name.
        ranges: smallest and largest relative close and volatility of the windows that it was fitted on.
        n_windows: number of these windows.
        seconds: that the fit took.
    """

    version: str
    files: dict[str, bytes]
    losses: dict[str, list[float]]
    ranges: dict[str, tuple[float, float]]
    n_windows: int
    seconds: float = 0.0

    @property
    def net(self) -> Net:
        """The part that the last step needs."""
        return Net(self.version, self.files[ONNX_FILE], self.ranges, self.seconds)


@dataclass(frozen=True)
class Finished:
    """The better model of a symbol, tested.

    Attributes:
        chosen: own or global.
        result: its backtest on the test days.
        content: of metadata.json, without the outcome of the promotion gate.
        validation: RMSE against persistence on the validation days, by model.
        crps_ratio: CRPS on the test days divided by that of persistence.
    """

    chosen: str
    result: Backtest
    content: dict[str, Any]
    validation: dict[str, float]
    crps_ratio: float


@dataclass(frozen=True)
class Outcome:
    """What a step returns."""

    value: Candidate | Finished | Failure
    usage: Usage = field(default_factory=lambda: Usage(0, 0, "", 0))


def work(step: str, options: FitOptions, inputs: Sequence[bytes]) -> bytes:
    """Do one step. Return a pickled Outcome; an exception becomes a Failure.

    Raises:
        OSError: the disk is full, which concerns all symbols.
    """
    runtime.MAX_THREADS = 1  # other processes use the other cores
    _schedule_as_batch()
    started, cpu = time.monotonic(), time.process_time()
    value: Candidate | Finished | Failure
    try:
        value = STEPS[step](options, *(pickle.loads(content) for content in inputs))  # noqa: S301 - of this run alone
    except ForecastError as error:
        value = Failure("; ".join([str(error), *error.details]))
    except Exception as error:  # of TensorFlow, for example too little memory: this symbol fails, the others go on
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise
        log.debug("%s failed", step, exc_info=True)
        value = Failure(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}")
    usage = Usage(time.monotonic() - started, time.process_time() - cpu, f"{os.uname().nodename}:{os.getpid()}", peak_memory())
    return pickle.dumps(Outcome(value, usage))


def _schedule_as_batch() -> None:
    """Let Linux interrupt this process less often: two fits on two cores then take 8% less time."""
    with suppress(AttributeError, OSError):  # not on macOS, or forbidden
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def peak_memory() -> int:
    """Return the largest amount of memory that this process has had, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def fit_own(options: FitOptions, closes: Closes) -> Candidate:
    """Fit a symbol's own network."""
    started, data = time.monotonic(), Dataset(closes, split_in_time(len(closes)))
    return _candidate(fit(closes.prices, data.split, options, progress=False), make_windows(data.fit_prices)[0], started)


def fit_pool(options: FitOptions, plan: PoolPlan, *series: Closes) -> Candidate:
    """Fit the global network."""
    started, (windows, targets, n_fit) = time.monotonic(), pool_windows(series, plan)
    return _candidate(fit_windows(windows, targets, n_fit, options, progress=False), windows[:n_fit], started)


def _candidate(fitted: Fitted, windows: Any, started: float) -> Candidate:
    """Return the files and the description of a network fitted on windows (n, 60); `started` is when, by time.monotonic."""
    import keras

    with tempfile.TemporaryDirectory() as folder:
        write_network(fitted, Path(folder))
        files = {path.name: path.read_bytes() for path in Path(folder).iterdir()}
    keras.backend.clear_session()  # the next fit in this process starts with no graphs in memory
    relative, volatility = relative_to_last(windows), window_volatility(windows)
    ranges = {name: (float(values.min()), float(values.max())) for name, values in (("relative", relative), ("volatility", volatility))}
    return Candidate(new_version(), files, fitted.losses, ranges, len(windows), time.monotonic() - started)


def finish(options: FitOptions, closes: Closes, own: Net, plan: PoolPlan | None = None, pooled: Net | None = None) -> Finished:
    """Choose the better network on the validation days, calibrate it, and test it once.

    The validation days are the calibration part. The calibration does not use the network, so the choice does not bias it.
    """
    started, data = time.monotonic(), Dataset(closes, split_in_time(len(closes)))
    nets = {"own": own} if pooled is None else {"own": own, "global": pooled}
    networks = {name: Network(net.compiled) for name, net in nets.items()}
    validation = {name: validation_ratio(network, data) for name, network in networks.items()}
    chosen = min(validation, key=lambda name: validation[name])  # the own one if both are equal
    metadata, fitted_on = describe_fit(data, own.version), [closes.symbol]
    if chosen == "global" and plan is not None:
        metadata, fitted_on = _of_pool(metadata, plan, nets[chosen]), plan.symbols
    evaluation = evaluate(Forecaster(networks[chosen], metadata), closes, options)
    seconds = nets[chosen].seconds + time.monotonic() - started
    content = evaluation.content | {"fitted_on": fitted_on, "validation_rmse_ratio": validation, "training_seconds": round(seconds, 1)}
    return Finished(chosen, evaluation.result, content, validation, crps_ratio(evaluation.result))


def validation_ratio(network: Network, data: Dataset) -> float:
    """Return the RMSE of a network on the validation days divided by that of persistence."""
    windows, targets = make_windows(data.calibration_prices)
    return rmse_ratio(targets[:, 0], network.path(windows)[:, 0], windows[:, -1])


def _of_pool(metadata: FitMetadata, plan: PoolPlan, net: Net) -> FitMetadata:
    """Return a symbol's metadata for the global network: fitted up to the cut, on the windows of all symbols."""
    ranges = {"relative_close_range": net.ranges["relative"], "volatility_range": net.ranges["volatility"]}
    training = metadata.training.model_copy(update=ranges)
    return metadata.model_copy(update={"fitted_until": plan.cut, "training": training})


def crps_ratio(result: Backtest) -> float:
    """Return the CRPS of a backtest divided by that of persistence, which is its absolute error: persistence has no distribution."""
    naive = np.abs(result.actual - result.last_close)
    return float(np.mean(result.verification.crps / result.last_close) / np.mean(naive / result.last_close))


STEPS: dict[str, Callable[..., Candidate | Finished]] = {"fit": fit_own, "pool": fit_pool, "finish": finish}
