"""Splits, the network and its fit: no look-ahead, and the same results for the same seed."""

import numpy as np
import pytest

from closes.series import Closes
from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from forecast.backtest import backtest
from forecast.network import SHRINKAGE, FitOptions, build_network, fit
from forecast.scores import score
from forecast.split import Dataset, Split, split_in_time, walk_forward_splits
from models.training import train
from processData import WINDOW, fit_scaler, make_windows, relative_to_last


def test_time_split_is_60_percent_fit_20_calibration_20_test():
    assert split_in_time(WINDOW + 1000) == Split(calibration=600, test=800, n=1000)


@pytest.mark.parametrize("n_closes", [0, 61, 300])
def test_time_split_rejects_too_few_closes_naming_the_minimum(n_closes):
    with pytest.raises(InvalidClosesError, match="testing need") as failure:
        split_in_time(n_closes)
    needed = int(str(failure.value).removesuffix(" closes.").split()[-1])
    split_in_time(needed)
    with pytest.raises(InvalidClosesError):
        split_in_time(needed - 5)


def test_walk_forward_tests_follow_each_other_and_their_calibration():
    splits = walk_forward_splits(WINDOW + 1000, 4)
    assert [(split.test, split.n) for split in splits] == [(500, 625), (625, 750), (750, 875), (875, 1000)]
    assert all(split.calibration == int(split.test * 0.75) for split in splits)


@pytest.mark.parametrize(("n_closes", "folds"), [(200, 4), (460, 4), (1060, 600)])
def test_walk_forward_rejects_too_few_closes(n_closes, folds):
    with pytest.raises(InvalidClosesError, match="walk-forward"):
        walk_forward_splits(n_closes, folds)


@pytest.mark.slow
def test_untrained_network_repeats_the_last_close():
    windows, _ = make_windows(read_snapshot("MSFT").prices)
    relative = relative_to_last(windows[:200])
    scaler = fit_scaler(relative)
    model = build_network(scaler, 0.015, FitOptions())
    scaled = scaler.transform(relative.reshape(-1, 1)).reshape(*relative.shape, 1)
    np.testing.assert_allclose(scaler.inverse_transform(model.predict(scaled, verbose=0)), 1, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("return_sequences", [True, False])
def test_own_lstm_has_the_outputs_and_gradients_of_keras(return_sequences):
    import keras
    import tensorflow as tf

    from forecast.lstm import BlockLSTM

    random = np.random.default_rng(0)
    steps = tf.constant(random.normal(size=(5, WINDOW, 3)), tf.float32)
    layers = [kind(4, return_sequences=return_sequences) for kind in (keras.layers.LSTM, BlockLSTM)]
    given = []
    for layer in layers:
        layer.build(steps.shape)
        layer.set_weights([np.random.default_rng(len(weights)).normal(size=weights.shape) / 2 for weights in layers[0].get_weights()])
        with tf.GradientTape() as tape:
            tape.watch(steps)
            outputs = layer(steps)
            loss = tf.reduce_sum(tf.sin(3 * outputs))  # no two outputs count alike
        given.append([outputs, *tape.gradient(loss, [steps, *(variable.value for variable in layer.trainable_variables)])])
    for theirs, ours in zip(*given, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_fitted_network_equals_one_fitted_by_plain_keras(closes, monkeypatch):
    import keras

    split = Split(calibration=200, test=260, n=260)
    ours = fit(closes.prices[: split.n + WINDOW], split, FitOptions(epochs=2), progress=False)
    monkeypatch.setattr("forecast.lstm.BlockLSTM", keras.layers.LSTM)
    theirs = fit(closes.prices[: split.n + WINDOW], split, FitOptions(epochs=2), progress=False)
    assert [type(layer) for layer in ours.model.layers] == [type(layer) for layer in theirs.model.layers]
    assert type(ours.model.layers[0]) is keras.layers.LSTM
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(ours.losses[name], theirs.losses[name], rtol=1e-4)
    for mine, reference in zip(ours.model.get_weights(), theirs.model.get_weights(), strict=True):
        np.testing.assert_allclose(mine, reference, atol=1e-3)


@pytest.mark.slow
def test_default_options_give_the_documented_network_bit_for_bit():
    """Layers written out as the contract names them, with the same seed: the same weights before and after a step of Adam."""
    import keras

    relative = relative_to_last(make_windows(read_snapshot("MSFT").prices)[0][:40])
    scaler, spread = fit_scaler(relative), 0.015
    inputs = scaler.transform(relative.reshape(-1, 1)).reshape(*relative.shape, 1).astype(np.float32)
    scale, offset = float(scaler.scale_[0]), float(scaler.min_[0])
    keras.utils.set_random_seed(0)
    documented = keras.Sequential([
        keras.Input((WINDOW, 1)),
        keras.layers.LSTM(50, return_sequences=True),
        keras.layers.Dropout(0.2),
        keras.layers.LSTM(50),
        keras.layers.Dropout(0.2),
        keras.layers.Dense(1, kernel_initializer="zeros"),
        keras.layers.Rescaling(scale=scale * spread, offset=scale + offset),
    ])  # fmt: skip
    documented.compile(optimizer="adam", loss="mse", run_eagerly=True)  # for one step, a graph takes longer to build than it saves
    losses = [documented.train_on_batch(inputs, inputs[:, 0])]
    keras.utils.set_random_seed(0)
    ours = build_network(scaler, spread, FitOptions())
    ours.run_eagerly = True
    losses.append(ours.train_on_batch(inputs, inputs[:, 0]))
    assert (FitOptions().epochs, FitOptions().batch_size) == (15, 32)
    assert losses[0] == losses[1]
    assert len(ours.get_weights()) == 8
    for mine, reference in zip(ours.get_weights(), documented.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, reference)


@pytest.mark.slow
def test_options_set_the_layers_and_the_optimizer():
    scaler = fit_scaler(np.linspace(0.9, 1.1, 60)[None])
    model = build_network(scaler, 0.015, FitOptions(units=7, layers=3, dropout=0.4, learning_rate=0.01, features="volatility"))
    assert [layer.units for layer in model.layers if type(layer).__name__ == "LSTM"] == [7, 7, 7]
    assert [layer.rate for layer in model.layers if type(layer).__name__ == "Dropout"] == [0.4, 0.4, 0.4]
    assert float(model.optimizer.learning_rate.numpy()) == pytest.approx(0.01)


@pytest.mark.slow
def test_ctrl_c_swallowed_by_a_library_ends_the_fit_after_its_epoch(closes, monkeypatch):
    split = Split(calibration=200, test=260, n=260)
    monkeypatch.setattr("cli.interruption._happened", True)
    with pytest.raises(KeyboardInterrupt):
        fit(closes.prices[: split.n + WINDOW], split, FitOptions(epochs=2, units=8, layers=1))


@pytest.fixture(scope="module")
def closes():
    return read_snapshot("MSFT").between("2020-01-01", "2022-12-28")


def artefacts(closes, split, folder):
    """Everything that a forecast depends on: weights, scaler and metadata, and the forecasts of the test days."""
    folder.mkdir()
    forecaster, fitted = train(Dataset(closes, split), FitOptions(epochs=1, units=8), folder, progress=False)
    metadata = forecaster.metadata.model_dump(exclude={"model_version"})
    weights = np.concatenate([array.ravel() for array in fitted.model.get_weights()])
    return weights, fitted.scaler, metadata, backtest(forecaster, closes, first=str(metadata["tested_from"]))


@pytest.mark.slow
def test_forecast_ignores_later_days_and_a_seed_is_repeatable(closes, tmp_path):
    split = split_in_time(len(closes))
    day = split.test + WINDOW  # the first test day
    altered = closes.prices.copy()
    altered[day:] *= np.random.default_rng(0).uniform(0.5, 2, len(altered) - day)
    before = artefacts(closes, split, tmp_path / "before")
    again = artefacts(closes, split, tmp_path / "again")
    after = artefacts(Closes("MSFT", "csv", closes.dates, altered), split, tmp_path / "after")
    assert score(before[3]) == score(again[3])
    assert score(before[3]) != score(after[3])
    np.testing.assert_array_equal(before[0], after[0])
    for name in ("scale_", "min_", "data_min_", "data_max_"):
        np.testing.assert_array_equal(getattr(before[1], name), getattr(after[1], name))
    assert before[2] == after[2]  # calibration and what is known of the training days
    assert before[3].predicted[0] == after[3].predicted[0]
    assert before[3].actual[0] != after[3].actual[0]
    for level in (80, 95):
        for old, new in zip(before[3].bounds[level], after[3].bounds[level], strict=True):
            assert old[0] == new[0]


@pytest.mark.slow
def test_network_depends_on_the_seed_and_not_on_the_batches_between_returns_to_python(closes, monkeypatch):
    split = Split(calibration=200, test=260, n=260)
    prices = closes.prices[: split.n + WINDOW]

    def weights(seed):
        fitted = fit(prices, split, FitOptions(epochs=1, seed=seed, units=8, layers=1), progress=False)
        return np.concatenate([array.ravel() for array in fitted.model.get_weights()])

    batch_by_batch = weights(0)
    assert not np.array_equal(batch_by_batch, weights(1))
    monkeypatch.setattr("forecast.network.SHORT_FIT", 0)
    np.testing.assert_allclose(weights(0), batch_by_batch, atol=1e-6)


@pytest.mark.slow
def test_shifted_target_is_detected(tmp_path):
    """Rises and falls in turn: a network that learns the right day's target beats persistence, one that is off by a day is worse."""
    returns = np.where(np.arange(700) % 2 == 0, 0.02, -0.02) + np.random.default_rng(0).normal(0, 0.002, 700)
    dates = np.datetime64("2020-01-01") + np.arange(700)
    series = Closes("TEST", "csv", dates, 100 * np.exp(np.cumsum(returns)))
    forecaster, _ = train(Dataset(series, split_in_time(700)), FitOptions(units=20, layers=1, learning_rate=0.01), tmp_path, progress=False)
    result = backtest(forecaster, series, first=str(forecaster.metadata.tested_from))
    assert score(result)["rmse_ratio"] < 1 - SHRINKAGE / 2
    assert score(result)["directional_accuracy"] > 0.9
