"""Full and read-only disks: real file systems, mounted for the test (as root)."""

import json
import re
import subprocess
from contextlib import suppress

import psutil
import pytest
import requests
from disks import small_disk
from serving import wait_until

from closes.snapshot import read_snapshot
from monitoring.requestlog import HEADER

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


@pytest.fixture
def disk(tmp_path):
    """A folder of its own file system with 200 kB."""
    with small_disk(tmp_path / "disk", "200k") as folder:
        yield folder


def predict(service):
    answer = requests.post(f"{service.url}/predict", json={"predict": CLOSES}, timeout=30)
    assert answer.status_code == 200
    return answer.json()["predicted_price"]


def lost(service):
    text = requests.get(f"{service.url}/metrics", timeout=30).text
    return float(re.findall(r"^request_log_lost_lines_total (\S+)", text, flags=re.M)[0])


def rows(log):
    lines = log.read_bytes().split(b"\n")
    assert lines[0] + b"\n" == HEADER
    return [line for line in lines[1:] if line.count(b",") == HEADER.count(b",")]


def fill(ballast):
    """Leave no space on its disk."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(1000))


def wait_for_both(service):
    """A worker that starts late opens the log late."""
    wait_until(lambda: requests.get(f"{service.url}/monitor?limit=0", timeout=60).json()["SUMMARY"]["workers"] == 2, 60, "two at work")


def kill_workers(service):
    """Let new workers start while the disk is as it is."""
    before = {child.pid for child in psutil.Process(service.pid).children()}
    for pid in before:
        psutil.Process(pid).kill()

    def are_new():
        with suppress(psutil.NoSuchProcess):
            children = {child.pid for child in psutil.Process(service.pid).children() if child.status() != psutil.STATUS_ZOMBIE}
            return len(children) == 2 and not children & before
        return False

    wait_until(are_new, 30, "new workers")
    wait_for_both(service)


@pytest.mark.parametrize("workers_die", [False, True])
def test_full_disk_loses_log_lines_until_there_is_room_again(start, disk, workers_die):
    log = disk / "log.csv"
    service = start(REQUEST_LOG=str(log))
    assert [predict(service) for _ in range(5)]
    assert (len(rows(log)), lost(service)) == (5, 0)
    ballast = disk / "ballast"
    fill(ballast)
    if workers_die:
        kill_workers(service)
    for _ in range(40):  # the rest of the last block is still free
        predict(service)
    assert lost(service) > 0
    assert re.search(r"Requests are not logged to \S+: (No space left on device|only half a line was written)\.", service.said())
    ballast.unlink()
    was_lost = lost(service)
    for _ in range(10):
        predict(service)
    assert lost(service) == was_lost
    assert len(rows(log)) == 55 - was_lost
    assert "are logged to" in service.said()
    assert json.loads(requests.get(f"{service.url}/monitor?limit=1", timeout=30).text)["RESPONSES"][0]["status"] == 200


def test_disk_too_small_for_counters_loses_counts_but_no_answers(start, disk):
    service = start(TMPDIR=str(disk))  # of 200 kB, less than the files for counts take
    prices = {predict(service) for _ in range(20)}
    assert len(prices) == 1
    assert "not counted in /metrics: no room in" in service.said()
    assert "SIGBUS" not in service.said()
    assert len(rows(service.log)) == 20
    text = requests.get(f"{service.url}/metrics", timeout=30).text
    assert "forecast_model_ready 1.0" in text
    kill_workers(service)
    predict(service)
    assert service.stop() == 0


def test_disk_that_fills_up_under_the_counters_loses_no_answers(tmp_path, start):
    """With room for the files of one worker."""
    with small_disk(tmp_path / "small", "700k") as folder:
        service = start(TMPDIR=str(folder))
        fill(folder / "ballast")
        for path in ("/", "/health", "/nothing", "/metrics", "/monitor", "/backtest", "/static/icon.svg", "/apispec_1.json"):
            for method in ("GET", "HEAD", "PUT"):
                assert requests.request(method, service.url + path, timeout=30).status_code in {200, 404, 405}
        predict(service)
        assert "SIGBUS" not in service.said()
        assert service.said().count("not counted in /metrics") == 1
        assert service.stop() == 0


def test_read_only_folder_loses_log_lines_until_it_is_writable_again(start, disk):
    log = disk / "log.csv"
    service = start(REQUEST_LOG=str(log))
    wait_for_both(service)
    predict(service)
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)  # on top of it, so that open files do not keep it writable
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
        kill_workers(service)
        for _ in range(5):
            predict(service)
        assert lost(service) == 5
        assert "Read-only file system" in service.said()
        assert requests.get(f"{service.url}/monitor?limit=9", timeout=30).status_code == 200
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    for _ in range(10):
        predict(service)
    assert lost(service) == 5
    assert len(rows(log)) == 11
