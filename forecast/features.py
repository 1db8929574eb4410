"""What the LSTM layers see of a window: its closes alone, or also its daily changes and their recent size.

Fixed layers of the network compute the features from the scaled relative closes. So every network has the same input, (n, 60, 1), and the
compiled form computes the same features.
"""

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from processData import WINDOW

if TYPE_CHECKING:
    import keras

Features = Literal["closes", "changes", "volatility"]
FEATURES: tuple[Features, ...] = get_args(Features)
VOLATILITY_DAYS = 10  # whose mean absolute change is the feature


def feature_layers(features: Features, change: float) -> "list[keras.Layer]":
    """Return the layers that compute the features of scaled relative closes (n, 60, 1). Their weights are fixed.

    Args:
        features: closes: no layer; changes: closes and daily changes (n, 59, 2); volatility: also the mean absolute change of the last
            10 days (n, 50, 3). Each step has the features of one day; the first days, which have no change or no 10 changes, are left out.
        change: standard deviation of a daily change of the scaled closes, the unit of changes and volatility.
    """
    import keras

    if features == "closes":
        return []
    n_features = 2 if features == "changes" else 3
    differences = np.zeros((2, 1, n_features), np.float32)  # (days, features, new features)
    differences[1, 0, 0] = 1  # the close itself
    differences[:, 0, 1:] = [[-1 / change], [1 / change]]
    layers = [_fixed(keras.layers.Conv1D(n_features, 2, use_bias=False, name="changes"), (WINDOW, 1), differences)]
    if features == "volatility":
        absolute = keras.layers.PReLU(shared_axes=[1], name="absolute")
        layers.append(_fixed(absolute, (WINDOW - 1, 3), np.array([[1, 1, -1]], np.float32)))  # the third feature loses its sign
        means = np.zeros((VOLATILITY_DAYS, 3, 3), np.float32)
        means[-1, 0, 0] = means[-1, 1, 1] = 1  # the last day's close and change
        means[:, 2, 2] = 1 / VOLATILITY_DAYS
        layers.append(_fixed(keras.layers.Conv1D(3, VOLATILITY_DAYS, use_bias=False, name="volatility"), (WINDOW - 1, 3), means))
    return layers


def _fixed(layer: "keras.Layer", shape: tuple[int, int], weights: np.ndarray) -> "keras.Layer":
    """Build a layer for inputs (n, *shape) with weights that the fit does not change."""
    layer.build((None, *shape))
    layer.set_weights([weights])
    layer.trainable = False
    return layer
