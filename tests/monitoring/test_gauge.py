"""The gauge of CPU and memory."""

import threading
import time

import psutil
import pytest

from monitoring import gauge as gauge_module
from monitoring.gauge import Gauge, _busy_percent


def test_cpu_reading_does_not_depend_on_the_thread(monkeypatch):
    monkeypatch.setattr(gauge_module, "GAUGE_SECONDS", 0.0)
    gauge, told = Gauge(), []
    for _ in range(3):
        ends = time.perf_counter() + 0.2
        while time.perf_counter() < ends:
            pass
        thread = threading.Thread(target=lambda: told.append(gauge.read()))
        thread.start()
        thread.join()
    assert all(10 < cpu <= 100 for cpu, _ in told)
    assert all(0 < memory < 100 for _, memory in told)


def test_reading_is_cached_for_a_second(monkeypatch):
    gauge = Gauge()
    monkeypatch.setattr(psutil, "cpu_times", lambda: pytest.fail("read too soon"))
    assert gauge.read()[0] == 0.0


@pytest.mark.parametrize(
    ("spent", "percent"),
    [
        ({"user": 1, "idle": 3}, 25.0),
        ({"user": 2, "guest": 2, "idle": 2}, 50.0),
        ({"iowait": 1, "idle": 1}, 0.0),
        ({}, 0.0),
        ({"idle": -1}, 0.0),
    ],
)
def test_busy_time_is_counted_once(spent, percent):
    before = psutil.cpu_times()
    assert _busy_percent(before, before._replace(**{name: getattr(before, name) + value for name, value in spent.items()})) == percent
