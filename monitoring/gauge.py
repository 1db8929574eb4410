"""CPU and memory of the machine."""

import time
from typing import Any

import psutil

GAUGE_SECONDS = 1.0  # how old a reading of CPU and memory may be


class Gauge:
    """CPU and memory of the machine in percent, read at most once a second."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._times, self._cpu, self._memory = psutil.cpu_times(), 0.0, psutil.virtual_memory().percent

    def read(self) -> tuple[float, float]:
        """CPU, since the reading before, and memory in percent."""
        now = time.monotonic()
        if now - self._read_at >= GAUGE_SECONDS:
            times, self._read_at = psutil.cpu_times(), now
            self._cpu, self._times = _busy_percent(self._times, times), times  # psutil.cpu_percent() keeps one before for each greenlet
            self._memory = psutil.virtual_memory().percent
        return self._cpu, self._memory


def _busy_percent(before: Any, now: Any) -> float:
    """The share of the time of all cores between two psutil.cpu_times() that was not idle."""
    names = set(now._fields) - {"guest", "guest_nice"}  # user and nice hold these too
    spent = {name: max(0.0, getattr(now, name) - getattr(before, name)) for name in names}
    total = sum(spent.values())
    idle = spent["idle"] + spent.get("iowait", 0.0)
    return round(100 * (total - idle) / total, 1) if total else 0.0
