"""What the workers of one master know about each other."""

import pytest

from server import slots
from server.slots import ALIVE_SECONDS, SignOfLife, Slots, free_slot


@pytest.fixture
def clock(monkeypatch):
    """The time of time.monotonic(), in seconds."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_count_without_gunicorn_is_one():
    assert Slots(4).count() == 1


def test_worker_counts_until_it_is_removed_or_silent(clock):
    workers = Slots(8)
    for slot in (0, 1, 2, 7):
        workers.show_life(slot)
    assert workers.count() == 4
    workers.forget(2)
    assert workers.count() == 3
    clock[0] += ALIVE_SECONDS + 0.1
    workers.show_life(0)
    workers.show_life(1)
    assert workers.count() == 2


def test_stock_worker_sends_a_sign_of_life(monkeypatch):
    workers = Slots(8)
    monkeypatch.setattr(slots, "workers", workers)
    for slot in (3, 4):
        SignOfLife(slot).show()
    assert workers.count() == 2


def test_worker_knows_if_another_accepted_less_recently(clock):
    workers = Slots(4)
    assert workers.others_before(0) == (0, False)
    for slot in (0, 1):
        clock[0] += 1
        workers.accepted(slot)
    assert workers.others_before(0) == (1, False)
    assert workers.others_before(1) == (1, True)
    assert workers.last_accept() == 1002.0
    workers.stop_accepting(0)
    assert workers.others_before(1) == (0, False)


@pytest.mark.parametrize(("taken", "free"), [([], 0), ([0, 1], 2), ([1, 2], 0), ([0, 2, 3], 1)])
def test_new_worker_gets_the_lowest_free_slot(taken, free):
    assert free_slot(taken) == free
