"""The data of the global model: no window ends in a validation or test day of any symbol."""

from datetime import date

import numpy as np
import pytest

from closes.series import Closes
from forecast.split import Dataset, split_in_time
from portfolio import pooled
from portfolio.pooled import plan_pool, pool_windows


def series(symbol, first, n_days):
    """A random walk on consecutive days."""
    steps = np.random.default_rng(len(symbol) + n_days).normal(0, 0.01, n_days)
    return Closes(symbol, "snapshot", np.datetime64(first) + np.arange(n_days), 100 * np.exp(steps.cumsum()))


def dataset(*given):
    closes = series(*given)
    return Dataset(closes, split_in_time(len(closes)))


def planned(datasets):
    plan = plan_pool(datasets)
    assert plan is not None
    return plan


def test_cut_is_the_earliest_last_fit_day():
    datasets = [dataset("LONG", "2010-01-01", 2000), dataset("YOUNG", "2012-01-01", 1000), dataset("OTHER", "2010-01-01", 2000)]
    plan = planned(datasets)
    assert plan.symbols == ["LONG", "YOUNG", "OTHER"]
    assert plan.cut == min(data.fitted_until for data in datasets)
    assert plan.tested_from == min(data.tested_from for data in datasets)
    assert plan.left_out == []


def test_no_window_to_fit_on_ends_after_the_cut_and_none_that_is_watched_in_a_test(monkeypatch):
    datasets = [dataset("LONG", "2010-01-01", 2000), dataset("YOUNG", "2012-01-01", 1000)]
    plan = planned(datasets)
    windows, targets, n_fit = pool_windows([data.closes for data in datasets], plan)
    days = {price: (data.closes.symbol, day) for data in datasets for day, price in zip(data.closes.dates, data.closes.prices, strict=True)}
    forecast = [days[price] for price in targets[:, 0]]
    assert max(day for _, day in forecast[:n_fit]) == np.datetime64(plan.cut)
    assert {symbol for symbol, _ in forecast[:n_fit]} == {"LONG", "YOUNG"}
    for data in datasets:
        assert np.datetime64(plan.cut) <= np.datetime64(data.fitted_until)
    assert len(windows) > n_fit
    assert min(day for _, day in forecast[n_fit:]) > np.datetime64(plan.cut)
    assert max(day for _, day in forecast[n_fit:]) < min(np.datetime64(data.tested_from) for data in datasets)
    assert n_fit == plan.n_windows
    closes, place = datasets[0].closes, 10
    np.testing.assert_array_equal(windows[place], closes.prices[place : place + 60])
    assert targets[place, 0] == closes.prices[place + 60]


def test_symbol_that_ended_before_the_others_began_is_left_out():
    datasets = [dataset("OLD", "2000-01-01", 1000), dataset("NEW", "2010-01-01", 2000), dataset("NEWER", "2011-01-01", 2000)]
    plan = planned(datasets)
    assert plan.symbols == ["NEW", "NEWER"]
    assert plan.left_out == ["OLD"]
    assert plan.cut == datasets[1].fitted_until


def test_one_symbol_has_no_global_model():
    assert plan_pool([dataset("ONE", "2010-01-01", 2000)]) is None
    assert plan_pool([]) is None
    assert plan_pool([dataset("OLD", "2000-01-01", 800), dataset("NEW", "2015-01-01", 2000)]) is None


@pytest.mark.parametrize("limit", [100, 1000])
def test_windows_beyond_the_limit_are_thinned_evenly(monkeypatch, limit):
    monkeypatch.setattr(pooled, "MAX_WINDOWS", limit)
    datasets = [dataset("LONG", "2010-01-01", 2000), dataset("YOUNG", "2012-01-01", 1000)]
    plan = planned(datasets)
    _, targets, n_fit = pool_windows([data.closes for data in datasets], plan)
    assert 0.5 * limit <= n_fit <= limit + len(datasets)
    last = datasets[0].closes.dates[np.isin(datasets[0].closes.prices, targets[:n_fit, 0])][-1]
    assert last > np.datetime64(plan.cut) - 60
    assert isinstance(plan.cut, date)
