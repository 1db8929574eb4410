"""How many workers are counted as living."""

import pytest

from server import slots


@pytest.fixture(autouse=True)
def _nobody_lives():
    for slot in range(slots.MAX_SLOTS):
        slots.forget(slot)
    yield
    for slot in range(slots.MAX_SLOTS):
        slots.forget(slot)


def test_without_gunicorn_there_is_the_one_that_asks():
    assert slots.count() == 1


def test_who_gave_a_sign_is_counted_until_it_is_gone_or_silent(monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(slots.time, "monotonic", lambda: clock[0])
    for slot in (0, 1, 2, slots.MAX_SLOTS - 1):
        slots.show_life(slot)
    assert slots.count() == 4
    slots.forget(2)
    assert slots.count() == 3
    clock[0] += slots.ALIVE_SECONDS + 0.1
    slots.show_life(0)
    slots.show_life(1)
    assert slots.count() == 2
