"""Walk-forward validation: on the days before the test alone, each block judged by a network of the days before it."""

import dataclasses
import itertools

import numpy as np
import pytest

from closes.series import Closes
from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from forecast.backtest import backtest
from forecast.network import FitOptions
from forecast.scores import score
from forecast.split import Dataset, split_in_time
from models.training import train
from processData import WINDOW
from tuning.validation import FOLDS, Validation, validation_of

TINY = FitOptions(epochs=1, units=2, layers=1)


@pytest.fixture(scope="module")
def closes():
    return read_snapshot("MSFT").between("2020-05-01", "2022-12-28")  # 670 closes


def data_of(closes, prices=None):
    series = closes if prices is None else Closes("MSFT", "csv", closes.dates, prices)
    return Dataset(series, split_in_time(len(series)))


def from_day(prices, day):
    """Other closes from a day on."""
    altered = prices.copy()
    altered[day:] *= np.random.default_rng(0).uniform(0.5, 2, len(altered) - day)
    return altered


@pytest.fixture(scope="module")
def first_ratio(closes):
    """The ratio of the first block with the settings TINY."""
    return next(validation_of(data_of(closes)).ratios(TINY))


def test_test_part_is_not_known_to_the_validation(closes):
    data = data_of(closes)
    given, altered = validation_of(data), validation_of(data_of(closes, from_day(closes.prices, data.split.test + WINDOW)))
    assert np.datetime64(data.tested_from) > given.closes.dates[-1]
    assert given.splits == altered.splits
    np.testing.assert_array_equal(given.closes.prices, altered.closes.prices)


def test_blocks_follow_each_other_to_the_last_day_before_the_test(closes):
    data = data_of(closes)
    splits = validation_of(data).splits
    assert len(splits) == FOLDS
    assert splits[-1].n == data.split.test
    assert all(earlier.n == later.test for earlier, later in itertools.pairwise(splits))


@pytest.mark.slow
def test_block_is_judged_by_a_network_of_the_days_before_it(closes, first_ratio, tmp_path):
    """The ratio is that of a training that ends before the block; days after the block do not matter, days in the block do."""
    validation = validation_of(data_of(closes))
    first = validation.splits[0]

    def ratio(prices):
        series = Closes("MSFT", "csv", validation.closes.dates, prices)
        return next(Validation(series, [first]).ratios(TINY))

    given = first_ratio
    assert given == ratio(from_day(validation.closes.prices, first.n + WINDOW))
    assert given != ratio(from_day(validation.closes.prices, first.n + WINDOW - 1))
    dataset = Dataset(validation.closes, first)
    forecaster, _ = train(dataset, TINY, tmp_path, progress=False)
    result = backtest(forecaster, validation.closes, first=str(dataset.tested_from), last=str(dataset.tested_to))
    assert given == pytest.approx(score(result)["rmse_ratio"], rel=1e-6)


@pytest.mark.slow
def test_settings_change_the_ratio(closes, first_ratio):
    assert next(validation_of(data_of(closes)).ratios(dataclasses.replace(TINY, learning_rate=0.1))) != first_ratio


def test_too_few_closes_are_an_error_in_one_sentence(closes):
    with pytest.raises(InvalidClosesError, match=r"500 closes are too few for --tune: the 412 before the test do not fill 3"):
        validation_of(data_of(closes.part(slice(500))))


def test_block_without_movement_is_an_error(closes):
    prices = closes.prices.copy()
    prices[WINDOW + 330 : WINDOW + 420] = prices[WINDOW + 330]
    with pytest.raises(InvalidClosesError, match="days to test on"):
        validation_of(data_of(closes, prices))
