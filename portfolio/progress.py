"""Progress of a training of many symbols: one line per finished step, with the time left. It reads the same in a terminal and in a file."""

import logging
import time

log = logging.getLogger(__name__)

FIT_COST = 15_000.0  # of building the graphs of one fit, in windows fitted once
FINISH_COST = 9_000.0  # of choosing, calibrating and testing one symbol


class Progress:
    """Counts finished work, in windows times epochs, and estimates the time left."""

    def __init__(self, costs: dict[str, float]) -> None:
        """Start the clock.

        Args:
            costs: of each step that is left, by its name.
        """
        self._costs, self._total, self._done, self._count = costs, sum(costs.values()), 0.0, 0
        self._started = time.monotonic()

    def step(self, name: str, what: str) -> None:
        """Log that a step is finished."""
        self._count += 1
        self._done += self._costs[name]
        passed = time.monotonic() - self._started
        left = passed / self._done * (self._total - self._done) if self._done else 0.0
        width = len(str(len(self._costs)))
        log.info("[%*d/%d]  %s  %s, about %s left", width, self._count, len(self._costs), what, duration(passed), duration(left))


def duration(seconds: float) -> str:
    """Return a duration for people: 42 s, 12 min, 3.4 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
