"""Finds the request whose window follows an earlier one: tomorrow's closes 1 to 59 are today's closes 2 to 60.

The request log keeps a key for both parts of each window. A key has the log returns between ten closes of a part, so it does not change
when a later dividend adjustment multiplies the whole series. Adjusted closes are rounded again, so keys are equal within a tolerance only.

Measured on the snapshot's 20 stocks (last 700 days, adjustments by 0.9, 0.995 and 0.99937): the following window is found for 98.3% of the
windows with two decimals (all of those above 20 USD) and for all with three decimals, four decimals or float32. Of 82 million pairs of
different windows, none match. A close below about 10 in units of its second decimal is rounded too coarsely to be found.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from closes.series import Floats

POINTS = np.array([58, 57, 56, 54, 51, 47, 40, 30, 15, 0])  # closes of a part (59,) whose returns are the key
_PLACES = np.stack([POINTS + 1, POINTS])  # in a window, of closes 2 to 60 and of closes 1 to 59
SPANS = (POINTS[:-1] - POINTS[1:]).astype(np.float64)  # days of each return
UNIT = 1e-5  # of the log returns in a key
MAX_TOLERANCE = 100  # UNITs, 0.1%; two decimals at a price of 20 are 4 roundings of 0.025%
TOLERANCE_SHARE = 0.2  # of the window's typical daily move: the keys of two successive days differ by about one such move
PREFIX = "r"  # of a key; logs of earlier versions have hashes of 12 hexadecimal digits, which match exactly or not at all
KEY = PREFIX + ".".join(["%d"] * len(SPANS))

Cell = tuple[int, int]


def window_keys(window: Floats) -> tuple[str, str]:
    """Return the keys of closes 2 to 60 and of closes 1 to 59 of a window (60,)."""
    logs = np.log(window[_PLACES])
    later, earlier = np.rint((logs[:, :-1] - logs[:, 1:]) / UNIT).astype(np.int64).tolist()
    return KEY % tuple(later), KEY % tuple(earlier)


class KeyIndex:
    """A set of keys that finds a key equal within the tolerance."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Start with some keys."""
        self._exact: set[str] = set()
        self._cells: dict[Cell, dict[str, tuple[int, ...]]] = {}
        for key in keys:
            self.add(key)

    def add(self, key: str) -> None:
        """Add a key."""
        self._exact.add(key)
        if returns := _returns(key):
            self._cells.setdefault(_cell(returns), {})[key] = returns

    def remove(self, key: str) -> None:
        """Remove a key."""
        self._exact.discard(key)
        if returns := _returns(key):
            cell = _cell(returns)
            keys = self._cells.get(cell, {})
            keys.pop(key, None)
            if not keys:
                self._cells.pop(cell, None)

    def find(self, key: str) -> str:
        """Return the key of this set that is equal within the tolerance; the given key if there is none."""
        if key in self._exact:
            return key
        returns = _returns(key)
        if not returns:
            return key
        tolerance = _tolerance(returns)
        for cell in _neighbours(_cell(returns)):
            for other, others in self._cells.get(cell, {}).items():
                if all(abs(a - b) <= tolerance for a, b in zip(returns, others, strict=True)):
                    return other
        return key


def is_key(text: str) -> bool:
    """Return whether a text is a key of this version, or a hash of an earlier one."""
    return _returns(text) is not None or (len(text) == 12 and text.isalnum())


def _returns(key: str) -> tuple[int, ...] | None:
    """Return the log returns of a key, in UNITs; None if it is not a key of this version."""
    if not key.startswith(PREFIX):
        return None
    try:
        returns = tuple(map(int, key[len(PREFIX) :].split(".")))
    except ValueError:
        return None
    return returns if len(returns) == len(POINTS) - 1 else None


def _tolerance(returns: tuple[int, ...]) -> float:
    """Return the tolerance for a key, in UNITs. In a quiet series even successive days have similar keys, so it is smaller there."""
    moves = np.array(returns, np.float64)
    residual = np.abs(moves - moves.sum() * SPANS / SPANS.sum()) / np.sqrt(SPANS)
    return min(float(MAX_TOLERANCE), TOLERANCE_SHARE * float(np.median(residual)))


def _cell(returns: tuple[int, ...]) -> Cell:
    """Return the cell of a grid over the first two returns; keys that match are in the same cell or in neighbours."""
    return returns[0] // (MAX_TOLERANCE + 1), returns[1] // (MAX_TOLERANCE + 1)


def _neighbours(cell: Cell) -> Iterator[Cell]:
    """Yield a cell and the eight around it."""
    yield from ((cell[0] + x, cell[1] + y) for x in (0, -1, 1) for y in (0, -1, 1))
