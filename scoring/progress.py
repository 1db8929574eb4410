"""How far a run is: a progress bar on a terminal, otherwise a log line every half minute."""

import logging
import sys
import time
from types import TracebackType

from tqdm import tqdm

LOG_SECONDS = 30

log = logging.getLogger(__name__)


class Progress:
    """Counts rows."""

    def __init__(self, done: int, total: int | None) -> None:
        """Start at `done` of `total` rows; the total may become known later."""
        self._bar = tqdm(total=total, initial=done, unit=" rows", unit_scale=True, disable=not sys.stderr.isatty(), dynamic_ncols=True)
        self._first, self._done, self._total = done, done, total
        self._start = self._logged = time.monotonic()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._bar.close()

    def add(self, rows: int, total: int | None) -> None:
        """Count rows. `total` is the newest estimate."""
        self._done, self._total = self._done + rows, total
        self._bar.total = total
        self._bar.update(rows)
        now = time.monotonic()
        if self._bar.disable and now - self._logged >= LOG_SECONDS:
            self._logged = now
            log.info("%s", self._line(now - self._start))

    def _line(self, seconds: float) -> str:
        """Return a line for the log."""
        rate = (self._done - self._first) / seconds
        if self._total is None:
            return f"{self._done:,} rows, {rate:,.0f} per second."
        left = tqdm.format_interval(max(self._total - self._done, 0) / rate) if rate else "?"
        return f"{self._done:,} of {self._total:,} rows, {rate:,.0f} per second, {left} left."
