"""Many clients at once, slow clients and overload: how other clients are affected, and what it costs.

How long they wait is measured by benchmarks/, not here. OVERLOAD_SECONDS=60 makes the overload last longer than the usual few seconds.
"""

import asyncio
import collections
import json
import os
import resource
import subprocess
import sys
import time

import psutil
import pytest
import requests
from serving import wait_until

from closes.snapshot import read_snapshot
from processData import make_windows
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

CLOSES = read_snapshot("MSFT").prices
WINDOW = json.dumps({"predict": CLOSES[-60:].tolist()}).encode()
BATCH = json.dumps({"predict": make_windows(CLOSES)[0][-1024:].tolist()}).encode()
OVERLOAD_SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "8"))
RECOVERY_SECONDS = 2


@pytest.fixture(autouse=True)
def _many_sockets():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))


async def ask(port, body, timeout=60):
    """Status and headers of one answer on a connection of its own."""
    async with asyncio.timeout(timeout):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(head % len(body) + body)
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if line)
            await reader.readexactly(int(headers["Content-Length"]))
            return int(lines[0].split()[1]), headers
        finally:
            writer.close()


def ready_workers(service):
    wait_until(lambda: len(service.children()) == 2, 30, "two workers")
    return service.children()


def test_thousand_connections_at_once_are_answered(start):
    service = start()

    async def crowd():
        return await asyncio.gather(*[ask(service.port, WINDOW) for _ in range(1000)])

    assert collections.Counter(status for status, _ in asyncio.run(crowd())) == {200: 1000}


def test_low_limit_of_open_files_is_raised_as_far_as_allowed(start):
    service = start(command=["sh", "-c", f"ulimit -Sn 256; ulimit -Hn 4096; exec {sys.executable} app.py"])
    for worker in ready_workers(service):
        assert worker.rlimit(psutil.RLIMIT_NOFILE) == (1200, 4096)


def test_others_are_answered_while_500_clients_send_slowly(start):
    service = start()
    command = [sys.executable, str(PROJECT_DIR / "benchmarks" / "slowClients.py"), str(service.port), "500"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as slow:
        assert slow.stdin is not None
        assert slow.stdout is not None
        try:
            assert slow.stdout.readline() == "all connected\n"
            end = time.monotonic() + 3
            while time.monotonic() < end:
                assert requests.post(f"{service.url}/predict", data=WINDOW, headers={"Content-Type": "application/json"}, timeout=5).ok
                time.sleep(0.01)
            slow.stdin.close()
            assert slow.stdout.readline() == "500\n"  # and none of them was sent away
        finally:
            slow.kill()


def test_slow_clients_are_disconnected(start):
    service = start(REQUEST_TIMEOUT="2")

    async def send_slowly():
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n")
        answer = asyncio.create_task(reader.read())
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.1)
        writer.close()
        return answer.result()

    async def crowd():
        return await asyncio.gather(*[send_slowly() for _ in range(20)])

    started = time.monotonic()
    answers = asyncio.run(crowd())
    assert 1.5 < time.monotonic() - started < 20
    assert all(answer.startswith(b"HTTP/1.1 408") and b"did not arrive in time" in answer for answer in answers)
    assert service.log.read_text().count(",408,") == 20


class Overload:
    """Send batches of 1,024 windows at a fixed rate, without waiting for earlier answers."""

    def __init__(self, port):
        self.port, self.retry_after, self.asked = port, set(), 0
        self.statuses: collections.Counter[int | str] = collections.Counter()

    async def _ask(self):
        try:
            status, headers = await ask(self.port, BATCH)
        except (OSError, asyncio.IncompleteReadError) as error:
            self.statuses[type(error).__name__] += 1
            return
        self.statuses[status] += 1
        if status == 503:
            self.retry_after.add(headers.get("Retry-After"))

    async def run(self, rate, seconds):
        started, waiting = time.monotonic(), set()
        while (passed := time.monotonic() - started) < seconds:
            while self.asked < rate * passed:
                self.asked += 1
                task = asyncio.create_task(self._ask())
                waiting.add(task)
                task.add_done_callback(waiting.discard)
            await asyncio.sleep(0.005)
        await asyncio.gather(*waiting)


def sustained(port, seconds=1.5):
    """Batches a second that two clients get answered."""

    async def client(end):
        done = 0
        while time.monotonic() < end:
            assert (await ask(port, BATCH))[0] == 200
            done += 1
        return done

    async def clients():
        end = time.monotonic() + seconds
        return await asyncio.gather(client(end), client(end))

    return sum(asyncio.run(clients())) / seconds


def test_tenfold_overload_is_rejected_in_part_and_soon_recovered(start):
    service = start()
    workers = ready_workers(service)
    rate = sustained(service.port)
    before = sum(worker.memory_info().rss for worker in workers)
    overload, peaks = Overload(service.port), []

    async def watch():
        while True:
            peaks.append(sum(worker.memory_info().rss for worker in workers))
            await asyncio.sleep(0.2)

    async def run():
        watching = asyncio.create_task(watch())
        await overload.run(10 * rate, OVERLOAD_SECONDS)
        watching.cancel()

    asyncio.run(run())
    time.sleep(RECOVERY_SECONDS)
    started = time.monotonic()
    for _ in range(20):
        assert requests.post(f"{service.url}/predict", data=WINDOW, headers={"Content-Type": "application/json"}, timeout=5).ok
    half = len(peaks) // 2
    print(
        f"sustained {rate:.0f} batches/s, asked {overload.asked} in {OVERLOAD_SECONDS:.0f} s, answered {dict(overload.statuses)}; "
        f"workers {before / 1e6:.0f} MB before, {max(peaks[:half]) / 1e6:.0f} and {max(peaks[half:]) / 1e6:.0f} MB at most in each half; "
        f"afterwards 20 requests in {time.monotonic() - started:.2f} s"
    )
    assert set(overload.statuses) == {200, 503}
    assert overload.retry_after == {"1"}
    assert overload.statuses[503] > overload.statuses[200] > 0
    assert max(peaks[half:]) < 1.2 * max(peaks[:half])
    assert max(peaks) - before < 2 * 75_000_000  # 16 MiB of bodies a worker, and what is made of two of them
    assert all(worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE for worker in workers)
