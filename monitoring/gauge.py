"""CPU and memory of the machine, in percent."""

import time
from typing import Any

import psutil

GAUGE_SECONDS = 1.0  # how long a reading is reused


class Gauge:
    """CPU and memory in percent, read at most once a second."""

    def __init__(self) -> None:
        self._read_at = time.monotonic()
        self._times, self._cpu, self._memory = psutil.cpu_times(), 0.0, psutil.virtual_memory().percent

    def read(self) -> tuple[float, float]:
        """Return the CPU use since the last reading and the memory use, in percent."""
        now = time.monotonic()
        if now - self._read_at >= GAUGE_SECONDS:
            times, self._read_at = psutil.cpu_times(), now
            self._cpu, self._times = _busy_percent(self._times, times), times  # psutil.cpu_percent() keeps its state per thread
            self._memory = psutil.virtual_memory().percent
        return self._cpu, self._memory


def _busy_percent(before: Any, now: Any) -> float:
    """Return the share of time that all cores were busy between two results of psutil.cpu_times(), in percent."""
    names = set(now._fields) - {"guest", "guest_nice"}  # already part of user and nice
    spent = {name: max(0.0, getattr(now, name) - getattr(before, name)) for name in names}
    total = sum(spent.values())
    idle = spent["idle"] + spent.get("iowait", 0.0)
    return round(100 * (total - idle) / total, 1) if total else 0.0
