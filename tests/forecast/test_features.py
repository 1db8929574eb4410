"""The features that fixed layers compute, against NumPy."""

import numpy as np
import pytest

from forecast.features import VOLATILITY_DAYS, feature_layers
from processData import WINDOW

pytestmark = pytest.mark.slow  # imports TensorFlow
CHANGE = 0.03


@pytest.fixture
def scaled():
    """Scaled closes (7, 60)."""
    return np.random.default_rng(0).normal(0.5, 0.05, (7, WINDOW))


def computed(features, scaled):
    value = scaled[..., None].astype(np.float32)
    layers = feature_layers(features, CHANGE)
    for layer in layers:
        value = layer(value)
        assert layer.trainable_weights == []
    return np.asarray(value)


def test_closes_need_no_layer():
    assert feature_layers("closes", CHANGE) == []


def test_changes_are_closes_and_daily_changes(scaled):
    given = computed("changes", scaled)
    assert given.shape == (7, WINDOW - 1, 2)
    np.testing.assert_allclose(given[..., 0], scaled[:, 1:], rtol=1e-6)
    np.testing.assert_allclose(given[..., 1], np.diff(scaled) / CHANGE, atol=1e-5)


def test_volatility_adds_the_mean_absolute_change_of_the_last_days(scaled):
    given = computed("volatility", scaled)
    changes = np.diff(scaled) / CHANGE
    rolling = np.lib.stride_tricks.sliding_window_view(np.abs(changes), VOLATILITY_DAYS, axis=1).mean(axis=-1)
    assert given.shape == (7, WINDOW - VOLATILITY_DAYS, 3)
    np.testing.assert_allclose(given[..., 0], scaled[:, VOLATILITY_DAYS:], rtol=1e-6)
    np.testing.assert_allclose(given[..., 1], changes[:, VOLATILITY_DAYS - 1 :], atol=1e-5)
    np.testing.assert_allclose(given[..., 2], rolling, rtol=1e-5)
