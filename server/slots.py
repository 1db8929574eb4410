"""Slots: what the workers of one gunicorn master know of each other, in memory that they share.

Each worker has a slot, the lowest one that is free when it starts. A worker writes to its own slot only, so no lock is needed. The
memory is created when this module is imported, which gunicorn's master does before it starts the workers.
"""

import mmap
import time
from collections.abc import Iterable

MAX_SLOTS = 128  # twice the most workers: during a reload, old and new ones run together
ALIVE_SECONDS = 3.0  # since the last sign of life
ABSENT = -1.0  # of a slot without a worker that accepts connections


class Slots:
    """Signs of life and accept times of all workers, by slot; times are time.monotonic() in seconds."""

    def __init__(self, size: int = MAX_SLOTS) -> None:
        """Reserve shared memory for `size` workers."""
        self._seen_at, self._accepted_at = (memoryview(mmap.mmap(-1, 8 * size)).cast("d") for _ in range(2))
        for slot in range(size):
            self._accepted_at[slot] = ABSENT

    def show_life(self, slot: int) -> None:
        """Say that a worker lives; each does so once a second."""
        self._seen_at[slot] = time.monotonic()

    def count(self) -> int:
        """Return how many workers live and are not stuck: at least the one that asks."""
        now = time.monotonic()
        return max(1, sum(now - seen_at < ALIVE_SECONDS for seen_at in self._seen_at if seen_at))

    def accepted(self, slot: int) -> None:
        """Say that a worker has just accepted a connection, or is ready to."""
        self._accepted_at[slot] = time.monotonic()

    def last_accept(self) -> float:
        """Return when any worker last accepted a connection."""
        return max(self._accepted_at)

    def others_before(self, slot: int) -> tuple[int, bool]:
        """Return how many other workers accept connections, and whether one of them accepted its last one before this worker did."""
        own = self._accepted_at[slot]
        others = [time for other, time in enumerate(self._accepted_at) if time != ABSENT and other != slot]
        return len(others), any(time < own for time in others)

    def stop_accepting(self, slot: int) -> None:
        """Say that a worker accepts no more connections."""
        self._accepted_at[slot] = ABSENT

    def forget(self, slot: int) -> None:
        """Free the slot of a worker that has ended."""
        self._seen_at[slot], self._accepted_at[slot] = 0.0, ABSENT


workers = Slots()


class SignOfLife:
    """The sign of life of a worker whose class does not show one itself."""

    def __init__(self, slot: int) -> None:
        self._slot = slot

    def show(self) -> None:
        """Show that the worker lives."""
        workers.show_life(self._slot)


def free_slot(taken: Iterable[int]) -> int:
    """Return the lowest slot that is not taken."""
    taken = set(taken)
    return next(slot for slot in range(len(taken) + 1) if slot not in taken)
