"""Concurrent requests share a run of the network: each gets its own answer, even if others fail."""

import gevent
import numpy as np
import pytest

from api import batching
from api.batching import Batcher
from closes.snapshot import read_snapshot
from errors import InvalidClosesError, ModelUnavailableError
from forecast.forecaster import Forecaster
from models.holder import ModelHolder
from processData import make_windows
from settings import Settings

WINDOWS = make_windows(read_snapshot("MSFT").prices)[0][-50:]


@pytest.fixture
def models():
    return ModelHolder(Settings().MODEL_DIR)


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


def answers(batcher, windows):
    """What each of several requests at once gets: an answer or an error."""

    def ask(window):
        try:
            row = batcher.forecast(window)
        except Exception as error:  # noqa: BLE001
            return error
        return row.forecast.as_dict(row.row)

    return [greenlet.get(timeout=10) for greenlet in [gevent.spawn(ask, window) for window in windows]]


def test_concurrent_requests_share_a_run_and_get_exact_answers(models, sizes):
    given = answers(Batcher(models), WINDOWS[:5])
    assert sizes == [5]
    assert given == [models.current().forecast(window[None]).as_dict(0) for window in WINDOWS[:5]]


def test_single_request_is_answered(models, sizes):
    row = Batcher(models).forecast(WINDOWS[0])
    assert row.forecaster is models.current()
    assert row.forecast.last_closes[row.row] == WINDOWS[0, -1]
    assert sizes == [1]


def test_many_requests_are_answered_in_bounded_batches(models, sizes, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 16)
    given = answers(Batcher(models), WINDOWS)
    assert sizes == [16, 16, 16, 2]
    assert [answer["last_close"] for answer in given] == WINDOWS[:, -1].tolist()


def test_invalid_window_fails_only_its_own_request(models):
    wrong = np.ones(60)
    wrong[7] = np.nan
    first, second, third = answers(Batcher(models), [WINDOWS[0], wrong, WINDOWS[1]])
    assert isinstance(second, InvalidClosesError)
    assert [first["last_close"], third["last_close"]] == WINDOWS[:2, -1].tolist()


def test_every_request_of_a_batch_fails_without_a_model(tmp_path):
    batcher = Batcher(ModelHolder(tmp_path))
    assert [type(answer) for answer in answers(batcher, WINDOWS[:3])] == [ModelUnavailableError] * 3
    assert [type(answer) for answer in answers(batcher, WINDOWS[:1])] == [ModelUnavailableError]


def end_in_time(greenlet):
    """End one that is about to wait before whatever it waits for can come."""
    gevent.get_hub().loop.run_callback(greenlet.throw, gevent.GreenletExit)


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_request_does_not_affect_the_others(models, sizes, killed):
    batcher = Batcher(models)
    greenlets = [gevent.spawn(batcher.forecast, window) for window in WINDOWS[:3]]
    end_in_time(greenlets.pop(killed))  # all three wait by then, the first is to run the batch
    left = [row.forecast.last_closes[row.row] for row in (greenlet.get(timeout=10) for greenlet in greenlets)]
    assert sizes == [2]
    assert left == [close for number, close in enumerate(WINDOWS[:3, -1].tolist()) if number != killed]


def test_next_batch_is_run_by_its_own_first_request(models, sizes, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 2)
    batcher, later = Batcher(models), []

    def fill_and_send_another():
        row = batcher.forecast(WINDOWS[1])
        later.append(gevent.spawn(batcher.forecast, WINDOWS[3]))
        return row

    first = gevent.spawn(batcher.forecast, WINDOWS[0])
    filling = gevent.spawn(fill_and_send_another)
    third = gevent.spawn(batcher.forecast, WINDOWS[2])
    gevent.joinall([first, filling, third], timeout=10)
    rows = [first.get(), filling.get(), third.get(), later[0].get(timeout=10)]
    assert sizes == [2, 2]
    assert [row.forecast.last_closes[row.row] for row in rows] == WINDOWS[:4, -1].tolist()


@pytest.mark.parametrize("size", [2, 16, batching.MAX_BATCH])
def test_full_batch_gives_the_answers_of_single_windows(models, sizes, size, monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", size)
    given = answers(Batcher(models), WINDOWS[:size])
    assert sizes == [size]
    assert given == [models.current().forecast(window[None]).as_dict(0) for window in WINDOWS[:size]]
