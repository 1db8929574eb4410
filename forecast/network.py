"""The network and its fit: LSTM layers, two by default, on windows relative to their last close.

    fitted = fit(closes.prices, split_in_time(len(closes)), FitOptions(epochs=15, seed=0))

The days are split in time: 60% to fit the network, 20% to calibrate the intervals, and the last 20%, which no earlier
step has used, to test.
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

from cli import interruption
from closes.series import Floats
from errors import ForecastError
from forecast.features import Features, feature_layers
from forecast.split import Split
from processData import WINDOW, fit_scaler, make_windows, relative_to_last

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # ~/.keras/keras.json may name another one, for other projects
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # the messages are about a missing GPU
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")  # the operations are too small for threads
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
log = logging.getLogger(__name__)

MAX_WATCHED_AT_ONCE = 4096  # windows; bounds the memory of the validation loss
MAX_STEPS_AT_ONCE = 500  # batches between two returns to Python, which can be interrupted there
SHORT_FIT = 200  # batches of all epochs; TensorFlow takes longer to build a loop over batches than it saves in so few
SHRINKAGE = 0.5  # of the learned change; the rest is noise, see benchmarks/README.md


class BackendError(ForecastError):
    """KERAS_BACKEND names a backend that is not TensorFlow."""


@dataclass(frozen=True)
class FitOptions:
    """How to fit a network.

    Attributes:
        epochs: passes over the windows.
        batch_size: windows in a step.
        seed: of all random numbers; the same seed, closes and machine give the same network.
        units: of each LSTM layer.
        layers: number of LSTM layers.
        dropout: fraction of each layer's outputs that are dropped during the fit.
        learning_rate: of Adam.
        features: what the LSTM layers see of a window, see forecast/features.py.
    """

    epochs: int = 15
    batch_size: int = 32
    seed: int = 0
    units: int = 50
    layers: int = 2
    dropout: float = 0.2
    learning_rate: float = 0.001
    features: Features = "closes"


@dataclass(frozen=True)
class Fitted:
    """A network, its scaler (one feature, the relative close) and its losses after each epoch by name."""

    model: "keras.Model"
    scaler: "MinMaxScaler"
    losses: dict[str, list[float]]


def import_keras() -> None:
    """Import Keras without TensorFlow's messages, after a check that it runs on TensorFlow, the only backend of forecast/lstm.py.

    Raises:
        BackendError: KERAS_BACKEND names another backend.
    """
    check_backend()
    if "tensorflow" not in sys.modules:
        log.info("Importing TensorFlow, which takes some seconds ...")
    with _without_stderr():
        import keras  # noqa: F401
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of retracing if many networks are built, as by --walk-forward


def check_backend() -> None:
    """Check that KERAS_BACKEND does not name another backend than TensorFlow.

    Raises:
        BackendError: it does.
    """
    if os.environ["KERAS_BACKEND"] != "tensorflow":
        raise BackendError(
            f"KERAS_BACKEND={os.environ['KERAS_BACKEND']}: the network is trained and compiled only with TensorFlow. Unset it."
        )


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Discard stderr, also of C++: TensorFlow reports a missing GPU there before it reads any setting."""
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
    scaler: "MinMaxScaler",
    target_spread: float,
    options: FitOptions,
    lstm: "type[keras.layers.LSTM] | None" = None,
    steps_at_once: int = 1,
) -> "keras.Model":
    """Build the network: scaled relative closes (n, 60, 1) -> scaled relative next close (n, 1).

    Args:
        scaler: of relative closes.
        target_spread: standard deviation of the relative next closes.
        options: the layers and Adam's learning rate.
        lstm: class of the LSTM layers; by default that of Keras.
        steps_at_once: batches of a fit between two returns to Python.

    The Dense layer starts at zero, and its output is in units of `target_spread` around "no change". So the untrained network is
    persistence: it repeats the last close, and training adds to that.
    """
    import keras

    lstm = lstm or keras.layers.LSTM
    scale, offset = float(scaler.scale_[0]), float(scaler.min_[0])
    model = keras.Sequential([keras.Input((WINDOW, 1)), *feature_layers(options.features, scale * target_spread)])
    for number in range(1, options.layers + 1):
        model.add(lstm(options.units, return_sequences=number < options.layers))
        model.add(keras.layers.Dropout(options.dropout))
    model.add(keras.layers.Dense(1, kernel_initializer="zeros", name="change"))
    model.add(keras.layers.Rescaling(scale=scale * target_spread, offset=scale + offset))
    model.compile(optimizer=keras.optimizers.Adam(options.learning_rate), loss="mse", steps_per_execution=steps_at_once)
    return model


def fit(prices: Floats, split: Split, options: FitOptions, progress: bool = True) -> Fitted:
    """Fit scaler and network on the first part. The loss on the calibration part, the validation loss, is reported, not used.

    Args:
        prices: (n_days,) float64 closes, oldest first; those of the test are not used and may be missing.
        split: where the parts begin, in windows.
        options: how to fit.
        progress: whether to log one line per epoch.

    Returns:
        The network, its scaler, and the losses after each epoch.

    Raises:
        BackendError: KERAS_BACKEND is not tensorflow.
    """
    windows, targets = make_windows(prices[: split.test + WINDOW])
    return fit_windows(windows, targets, split.calibration, options, progress)


def fit_windows(windows: Floats, targets: Floats, n_fit: int, options: FitOptions, progress: bool = True) -> Fitted:
    """Fit scaler and network on the first `n_fit` windows. The loss on the others is reported, not used.

    Args:
        windows: (n, 60) float64 closes, of any number of symbols.
        targets: (n, 1) float64, the close after each window.
        n_fit: how many to fit on; less than n.
        options: how to fit.
        progress: whether to log one line per epoch.

    The fit uses BlockLSTM layers, which take less than half the time; the returned network has Keras' own layers with the learned weights.
    The learned change is halved after the fit (SHRINKAGE), because half of it is noise.

    Returns and raises what `fit` does.
    """
    import_keras()
    import keras

    from forecast.lstm import BlockLSTM

    keras.utils.set_random_seed(options.seed)
    relative, next_relative = relative_to_last(windows), targets / windows[:, -1:]
    fitted, watched = slice(0, n_fit), slice(n_fit, None)
    scaler = fit_scaler(relative[fitted])
    inputs = scaler.transform(relative.reshape(-1, 1)).reshape(*relative.shape, 1).astype(np.float32)
    outputs = scaler.transform(next_relative).astype(np.float32)
    spread = float(next_relative[fitted].std()) or 1.0  # a flat series has none
    n_batches = math.ceil(n_fit / options.batch_size)
    steps_at_once = 1 if n_batches * options.epochs <= SHORT_FIT else min(n_batches, MAX_STEPS_AT_ONCE)
    learner = build_network(scaler, spread, options, BlockLSTM, steps_at_once)
    learner.optimizer.build(learner.trainable_variables)  # otherwise in the first step, which TensorFlow would trace twice
    history = learner.fit(
        inputs[fitted],
        outputs[fitted],
        validation_data=(inputs[watched], outputs[watched]),
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_batch_size=min(len(windows) - n_fit, MAX_WATCHED_AT_ONCE),
        verbose=0,
        callbacks=[_progress(options.epochs)] if progress else [],
    )
    model = build_network(scaler, spread, options)
    model.set_weights(learner.get_weights())
    model.compile(optimizer=learner.optimizer, loss="mse")  # saves Adam's state with the network
    change = model.get_layer("change")
    change.set_weights([SHRINKAGE * weights for weights in change.get_weights()])
    return Fitted(model, scaler, {name: [float(value) for value in values] for name, values in history.history.items()})


def _progress(epochs: int) -> "keras.callbacks.Callback":
    """Return a callback that logs one line per epoch: losses, seconds, and the time left."""
    import keras

    log.info("Fitting the network. The validation loss is that of the calibration days, which take no part in the fit.")
    started = time.monotonic()

    def report(epoch: int, logs: dict[str, float]) -> None:
        interruption.check()
        passed = time.monotonic() - started
        left = passed / (epoch + 1) * (epochs - epoch - 1)
        log.info(
            "epoch %2d/%d  training loss %.3e  validation loss %.3e  %4.0f s, about %.0f s left",
            epoch + 1, epochs, logs["loss"], logs["val_loss"], passed, left,
        )  # fmt: skip

    return keras.callbacks.LambdaCallback(on_epoch_end=report)
