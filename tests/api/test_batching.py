"""Concurrent requests share a run of the network: each gets its own answer, even if others fail."""

import gc
import weakref

import gevent
import numpy as np
import pytest

from api import batching
from api.batching import Batcher
from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from forecast.forecaster import Forecaster
from models.loading import load_forecaster
from processData import make_windows
from settings import Settings

WINDOWS = make_windows(read_snapshot("MSFT").prices)[0][-50:]


@pytest.fixture(scope="module")
def model():
    return load_forecaster(Settings().MODEL_DIR)


@pytest.fixture(scope="module")
def other():
    """Another model: here one with the same network."""
    return load_forecaster(Settings().MODEL_DIR)


@pytest.fixture
def sizes(monkeypatch):
    """How many windows each call of the forecaster had."""
    seen = []
    forecast = Forecaster.forecast

    def counted(self, windows, horizon=1):
        seen.append(len(windows))
        return forecast(self, windows, horizon)

    monkeypatch.setattr(Forecaster, "forecast", counted)
    return seen


def answers(windows, *models):
    """What each of several requests at once gets, an answer or an error. The windows are for the models in turn."""
    batcher = Batcher()

    def ask(model, window):
        try:
            row = batcher.forecast(model, window)
        except Exception as error:  # noqa: BLE001
            return error
        return row.forecast.as_dict(row.row)

    asked = [gevent.spawn(ask, models[number % len(models)], window) for number, window in enumerate(windows)]
    return [greenlet.get(timeout=10) for greenlet in asked]


def test_concurrent_requests_share_a_run_and_get_exact_answers(model, sizes):
    given = answers(WINDOWS[:5], model)
    assert sizes == [5]
    assert given == [model.forecast(window[None]).as_dict(0) for window in WINDOWS[:5]]


def test_single_request_is_answered(model, sizes):
    row = Batcher().forecast(model, WINDOWS[0])
    assert row.forecast.last_closes[row.row] == WINDOWS[0, -1]
    assert sizes == [1]


def test_many_requests_are_answered_in_bounded_batches(model, sizes, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 16)
    given = answers(WINDOWS, model)
    assert sizes == [16, 16, 16, 2]
    assert [answer["last_close"] for answer in given] == WINDOWS[:, -1].tolist()


def test_invalid_window_fails_only_its_own_request(model):
    wrong = np.ones(60)
    wrong[7] = np.nan
    first, second, third = answers([WINDOWS[0], wrong, WINDOWS[1]], model)
    assert isinstance(second, InvalidClosesError)
    assert second.details == ["window 1, close 8: nan is not between 1e-100 and 1e+100"]
    assert [first["last_close"], third["last_close"]] == WINDOWS[:2, -1].tolist()


def test_valid_windows_next_to_invalid_ones_share_a_run(model, sizes):
    wrong = np.zeros(60)
    given = answers([wrong, *WINDOWS[:3], wrong], model)
    assert sizes == [3]
    assert [isinstance(answer, InvalidClosesError) for answer in given] == [True, False, False, False, True]
    assert given[4].details[0].startswith("window 1, close 1: 0.0 ")
    assert given[0] is not given[4]
    assert given[1:4] == [model.forecast(window[None]).as_dict(0) for window in WINDOWS[:3]]


def test_batch_of_invalid_windows_fails_without_a_run(model, sizes):
    given = answers([np.zeros(60)] * 2, model)
    assert sizes == []
    assert all(isinstance(answer, InvalidClosesError) for answer in given)


def test_valid_windows_are_freed_after_the_error_of_an_invalid_one(model):
    batcher, contexts = Batcher(), []

    def ask(window):
        try:
            batcher.forecast(model, window)
        except InvalidClosesError as error:
            contexts.append(error.__context__)

    windows = [np.zeros(60), *(window.copy() for window in WINDOWS[:2])]
    valid = [weakref.ref(window) for window in windows[1:]]
    gc.disable()  # which would free them now and then
    try:
        gevent.joinall([gevent.spawn(ask, window) for window in windows], timeout=10)
        del windows
        assert contexts == [None]
        assert [reference() is None for reference in valid] == [True, True]
    finally:
        gc.enable()


def test_every_request_of_a_batch_that_fails_gets_the_error(model, monkeypatch):
    def fail(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr(Forecaster, "forecast", fail)
    assert [str(answer) for answer in answers(WINDOWS[:3], model)] == ["inside"] * 3
    assert [str(answer) for answer in answers(WINDOWS[:1], model)] == ["inside"]


def test_batch_never_mixes_models(model, other, monkeypatch):
    runs = []
    forecast = Forecaster.forecast

    def noted(self, windows, horizon=1):
        runs.append((self, windows[:, -1].tolist()))
        return forecast(self, windows, horizon)

    monkeypatch.setattr(Forecaster, "forecast", noted)
    given = answers(WINDOWS[:7], model, other)
    assert runs == [(model, WINDOWS[:7:2, -1].tolist()), (other, WINDOWS[1:7:2, -1].tolist())]
    assert [answer["last_close"] for answer in given] == WINDOWS[:7, -1].tolist()


def test_full_batch_of_one_model_leaves_the_other_one_waiting(model, other, sizes, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 3)
    given = answers(WINDOWS[:7], model, other)
    assert sizes == [3, 3, 1]
    assert [answer["last_close"] for answer in given] == WINDOWS[:7, -1].tolist()


def end_in_time(greenlet):
    """End one that is about to wait before whatever it waits for can come."""
    gevent.get_hub().loop.run_callback(greenlet.throw, gevent.GreenletExit)


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_request_does_not_affect_the_others(model, sizes, killed):
    batcher = Batcher()
    greenlets = [gevent.spawn(batcher.forecast, model, window) for window in WINDOWS[:3]]
    end_in_time(greenlets.pop(killed))  # all three wait by then, the first is to run the batch
    left = [row.forecast.last_closes[row.row] for row in (greenlet.get(timeout=10) for greenlet in greenlets)]
    assert sizes == [2]
    assert left == [close for number, close in enumerate(WINDOWS[:3, -1].tolist()) if number != killed]


def test_next_batch_is_run_by_its_own_first_request(model, sizes, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 2)
    batcher, later = Batcher(), []

    def fill_and_send_another():
        row = batcher.forecast(model, WINDOWS[1])
        later.append(gevent.spawn(batcher.forecast, model, WINDOWS[3]))
        return row

    first = gevent.spawn(batcher.forecast, model, WINDOWS[0])
    filling = gevent.spawn(fill_and_send_another)
    third = gevent.spawn(batcher.forecast, model, WINDOWS[2])
    gevent.joinall([first, filling, third], timeout=10)
    rows = [first.get(), filling.get(), third.get(), later[0].get(timeout=10)]
    assert sizes == [2, 2]
    assert [row.forecast.last_closes[row.row] for row in rows] == WINDOWS[:4, -1].tolist()


@pytest.mark.parametrize("size", [2, batching.MAX_BATCH, 31])
def test_full_batch_gives_the_answers_of_single_windows(model, sizes, size, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", size)
    given = answers(WINDOWS[:size], model)
    assert sizes == [size]
    assert given == [model.forecast(window[None]).as_dict(0) for window in WINDOWS[:size]]
