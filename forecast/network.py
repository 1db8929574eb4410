"""The network and its fit: two LSTM layers on windows relative to their last close.

    fitted = fit(closes.prices, split_in_time(len(closes)), epochs=15, batch_size=32, seed=0)

The days are split in time: 60% to fit the network, 20% to calibrate the intervals, the last 20%, which nothing before has seen, to test.
"""

import logging
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cli import go_on_unless_interrupted
from closes.series import Floats
from errors import ForecastError
from forecast.split import Split
from processData import WINDOW, fit_scaler, make_windows, relative_to_last

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # whatever ~/.keras/keras.json says for other projects
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # says only that there is no GPU
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # the operations are so small that handing them to threads costs more than it gains
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
log = logging.getLogger(__name__)
UNITS = 50
DROPOUT = 0.2
SHRINKAGE = 0.5  # of the forecast change: half of it is noise, see benchmarks/README.md


class BackendError(ForecastError):
    """KERAS_BACKEND names a backend that is not TensorFlow."""


@dataclass(frozen=True)
class Fitted:
    """A network, its scaler (one feature, the relative close) and its losses after each epoch by name."""

    model: "keras.Model"
    scaler: "MinMaxScaler"
    losses: dict[str, list[float]]


def check_backend() -> None:
    """Check that Keras runs on TensorFlow, since blockLstm.py knows no other backend, and import it without what TensorFlow says meanwhile.

    Raises:
        BackendError: KERAS_BACKEND says otherwise.
    """
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise BackendError(
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: the network is trained and compiled on TensorFlow alone. Unset KERAS_BACKEND."
        )
    with _without_stderr():
        import keras  # noqa: F401


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Let nothing reach stderr, from C++ neither: that there is no GPU is said there before any setting counts."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def build_network(
    scaler: "MinMaxScaler", target_spread: float, lstm: "type[keras.layers.LSTM] | None" = None, steps_at_once: int = 1
) -> "keras.Model":
    """The network: scaled relative closes (n, 60, 1) -> scaled relative next close (n, 1).

    Args:
        scaler: of relative closes.
        target_spread: see below.
        lstm: the class of the LSTM layers; that of Keras if not given.
        steps_at_once: batches that a fit takes without going back to Python.

    The Dense layer starts at zero and its output counts in `target_spread`, the standard deviation of the relative next
    closes, around "no change"; so the untrained network repeats the last close, and training only adds what it finds.
    """
    import keras

    lstm = lstm or keras.layers.LSTM
    scale, offset = float(scaler.scale_[0]), float(scaler.min_[0])
    model = keras.Sequential(
        [
            keras.Input((WINDOW, 1)),
            lstm(UNITS, return_sequences=True),
            keras.layers.Dropout(DROPOUT),
            lstm(UNITS),
            keras.layers.Dropout(DROPOUT),
            keras.layers.Dense(1, kernel_initializer="zeros", name="change"),
            keras.layers.Rescaling(scale=scale * target_spread, offset=scale + offset),
        ]
    )
    model.compile(optimizer="adam", loss="mse", steps_per_execution=steps_at_once)
    return model


def fit(prices: Floats, split: Split, epochs: int, batch_size: int, seed: int, progress: bool = True) -> Fitted:
    """Fit scaler and network on the first part; the loss on the calibration part is watched, not learnt from.

    Args:
        prices: (n_days,) float64 closes, oldest first.
        split: where the parts begin.
        epochs: passes over the first part.
        batch_size: windows in a step.
        seed: of all random numbers; the same seed, closes and machine give the same network.
        progress: whether to log one line per epoch.

    The fit is on BlockLSTM layers, in less than half the time; the network given back has Keras' own, with the weights learnt.
    The forecast change is halved after the fit (SHRINKAGE): what a network finds in daily closes is mostly noise.

    Raises:
        BackendError: KERAS_BACKEND is not tensorflow.
    """
    check_backend()
    import keras

    from forecast.lstm import BlockLSTM

    keras.utils.set_random_seed(seed)
    windows, targets = make_windows(prices)
    relative, next_relative = relative_to_last(windows), targets / windows[:, -1:]
    fitted, watched = slice(0, split.calibration), slice(split.calibration, split.test)
    scaler = fit_scaler(relative[fitted])
    inputs = scaler.transform(relative.reshape(-1, 1)).reshape(*relative.shape, 1).astype(np.float32)
    outputs = scaler.transform(next_relative).astype(np.float32)
    spread = float(next_relative[fitted].std()) or 1.0  # a series flat from end to end has none
    learner = build_network(scaler, spread, BlockLSTM, steps_at_once=math.ceil(split.calibration / batch_size))
    history = learner.fit(
        inputs[fitted],
        outputs[fitted],
        validation_data=(inputs[watched], outputs[watched]),
        epochs=epochs,
        batch_size=batch_size,
        validation_batch_size=split.test - split.calibration,
        verbose=0,
        callbacks=[_progress(epochs)] if progress else [],
    )
    model = build_network(scaler, spread)
    model.set_weights(learner.get_weights())
    model.compile(optimizer=learner.optimizer, loss="mse")  # Adam's state is saved with the network
    change = model.get_layer("change")
    change.set_weights([SHRINKAGE * weights for weights in change.get_weights()])
    return Fitted(model, scaler, {name: [float(value) for value in values] for name, values in history.history.items()})


def _progress(epochs: int) -> "keras.callbacks.Callback":
    """A callback that logs one line per epoch: losses, seconds, and the time left."""
    import keras

    started = time.monotonic()

    def report(epoch: int, logs: dict[str, float]) -> None:
        go_on_unless_interrupted()
        passed = time.monotonic() - started
        left = passed / (epoch + 1) * (epochs - epoch - 1)
        log.info(
            "epoch %2d/%d  loss %.3e  on unseen days %.3e  %4.0f s, about %.0f s left",
            epoch + 1, epochs, logs["loss"], logs["val_loss"], passed, left,
        )  # fmt: skip

    return keras.callbacks.LambdaCallback(on_epoch_end=report)
