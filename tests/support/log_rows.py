"""What the tests of the request log share."""

import csv
import os
from collections.abc import Callable
from typing import Any

import pytest

from monitoring.logreader import COLUMNS
from settings import Settings

HEADER = ",".join(COLUMNS)
ROW: dict[str, Any] = {
    "timestamp": "2026-01-02T03:04:05.678901+00:00",
    "response_time": 0.00123,
    "memory_usage": 4.5,
    "status": 200,
    "windows": 1,
    "horizon": 5,
    "last_close": 100.25,
    "predicted_price": 100.5,
    "low_80": 99.0,
    "high_80": 102.0,
    "low_95": 98.0,
    "high_95": 103.0,
    "model_version": "20260101-000000-abcdef",
    "closes_2_60": "0123456789ab",
    "closes_1_59": "ba9876543210",
    "last_return": -0.0123,
    "model_symbol": "BRK-B",
    "symbol": "BRK-B",
}

# Python 3.12 on; what the children do needs none of the threads
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def at_once(work: Callable[[int], object], processes: int) -> None:
    """Do something in several processes at once."""
    children = []
    for number in range(processes):
        child = os.fork()
        if child == 0:
            try:
                work(number)
                os._exit(0)
            finally:
                os._exit(1)  # never back into pytest
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * processes


def logged(settings: Settings) -> list[dict[str, str]]:
    """The rows of a service's log."""
    with settings.REQUEST_LOG.open() as file:
        return list(csv.DictReader(file))
