"""Which workers live: each gives a sign of life once a second, in memory that the master shares with them all.

Imported by gunicorn's master before it forks; without gunicorn there is one worker, and nobody gives signs.
"""

import mmap
import time

MAX_SLOTS = 128  # twice the most workers: old and new ones at a reload
ALIVE_SECONDS = 3.0  # since the last sign
_seen_at = memoryview(mmap.mmap(-1, 8 * MAX_SLOTS)).cast("d")  # by slot: time.monotonic() of the last sign, 0 for none


def show_life(slot: int) -> None:
    """A worker lives."""
    _seen_at[slot] = time.monotonic()


def forget(slot: int) -> None:
    """A worker is gone."""
    _seen_at[slot] = 0


def count() -> int:
    """How many workers live and do not hang: at least the one that asks."""
    now = time.monotonic()
    return max(1, sum(now - seen_at < ALIVE_SECONDS for seen_at in _seen_at if seen_at))
