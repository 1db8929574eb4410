"""How many workers are counted as living."""

import pytest

import liveWorkers


@pytest.fixture(autouse=True)
def _nobody_lives():
    for slot in range(liveWorkers.MAX_SLOTS):
        liveWorkers.forget(slot)
    yield
    for slot in range(liveWorkers.MAX_SLOTS):
        liveWorkers.forget(slot)


def test_without_gunicorn_there_is_the_one_that_asks():
    assert liveWorkers.count() == 1


def test_who_gave_a_sign_is_counted_until_it_is_gone_or_silent(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(liveWorkers.time, "monotonic", lambda: clock[0])
    for slot in (0, 1, 2, liveWorkers.MAX_SLOTS - 1):
        liveWorkers.show_life(slot)
    assert liveWorkers.count() == 4
    liveWorkers.forget(2)
    assert liveWorkers.count() == 3
    clock[0] += liveWorkers.ALIVE_SECONDS + 0.1
    liveWorkers.show_life(0)
    liveWorkers.show_life(1)
    assert liveWorkers.count() == 2
