"""Killed workers, a killed master and shutdowns under load: what is lost, and what is left behind."""

import collections
import csv
import fcntl
import json
import mmap
import os
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest
import requests
from serving import Service, answers, wait_until

from closes.snapshot import read_snapshot
from monitoring.logreader import COLUMNS

pytestmark = pytest.mark.slow

CLOSES = read_snapshot("MSFT").prices[-60:]
KILLS = 20  # of workers
CONNECTIONS = 8
PATIENT = "--graceful-timeout 200 --keep-alive 200"  # seconds: a shutdown that needed one of these would not end before stop() gives up


class Load:
    """Clients that ask without end on kept-alive connections, each question with a last close of its own."""

    def __init__(self, service):
        self.service = service
        self.answered, self.broken, self.refused = [], [], 0
        self._numbers, self._stop = iter(range(1, 10**9)), threading.Event()
        self._threads = [threading.Thread(target=self._ask_on) for _ in range(CONNECTIONS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for_answers(self, count):
        """Wait for this number of further answers."""
        wanted = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= wanted, 60, f"{count} answers")

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _ask_on(self):
        while not self._stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.service.port), timeout=30) as connection:
                    while not self._stop.is_set() and self._ask(connection):
                        pass
            except ConnectionRefusedError:
                self.refused += 1
                time.sleep(0.01)
            except OSError:
                pass  # counted where it broke

    def _ask(self, connection):
        """Whether the connection goes on after a question."""
        last = float(CLOSES[-1]) + next(self._numbers) / 1e6
        body = json.dumps({"predict": [*CLOSES[:-1].tolist(), last]}).encode()
        head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
        received = b""
        try:
            connection.sendall(head + body)
            while b'"model_version"' not in received:
                if not (more := connection.recv(65536)):
                    raise ConnectionResetError
                received += more
        except OSError:
            self.broken.append(last)
            raise
        assert received.startswith(b"HTTP/1.1 200")
        self.answered.append(last)
        return b"Connection: close" not in received


def workers(service):
    living = []
    for child in psutil.Process(service.pid).children():
        with suppress(psutil.NoSuchProcess):  # it ended a moment ago
            living += [child] if child.status() != psutil.STATUS_ZOMBIE else []
    return living


def logged(service, kills=0):
    """How often each last close is in the log, whose every line is whole.

    Each killed worker may leave one line cut off, that of a request in flight: SIGKILL ends a write at the end of a page of the file.
    """
    with service.log.open() as file:
        header, *lines = filter(None, csv.reader(file))
    assert tuple(header) == COLUMNS
    rows = [line for line in lines if len(line) == len(COLUMNS)]
    assert len(lines) - len(rows) <= kills
    assert {row[3] for row in rows} == {"200"}
    return collections.Counter(float(row[6]) for row in rows)


def test_killed_workers_lose_only_requests_in_flight(start):
    service = start()
    chance = random.Random(0)
    with Load(service) as load:
        for _ in range(KILLS):
            wait_until(lambda: len(workers(service)) == 2, 30, "two workers")
            load.wait_for_answers(30)
            time.sleep(chance.uniform(0, 0.2))
            chance.choice(workers(service)).send_signal(signal.SIGKILL)
        load.wait_for_answers(30)
    lines = logged(service, kills=KILLS)
    assert {last for last in load.answered if lines[last] != 1} == set()
    assert set(lines) <= {*load.answered, *load.broken}
    assert 0 < len(load.broken) <= KILLS * CONNECTIONS  # of each worker, at most one question a connection
    assert load.refused == 0
    assert service.stop() == 0


def test_killed_master_leaves_no_orphan_and_a_clean_next_start(start, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    service = start(TMPDIR=str(folder))
    children = service.children()
    with Load(service) as load:
        load.wait_for_answers(30)
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(child.is_running() for child in children), 60, "the end of the workers")
    with socket.create_server(("127.0.0.1", service.port)):
        pass  # nobody listens there
    assert len(list(folder.glob("stock-forecast-*"))) == 1
    again = start(TMPDIR=str(folder), PORT=str(service.port))
    assert answers(f"{service.url}/ready")
    assert len(list(folder.glob("stock-forecast-*"))) == 1  # the other one's is gone
    logged(service)
    assert again.stop() == 0
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_shutdown_under_load_answers_every_accepted_request(start, number):
    service = start(GUNICORN_CMD_ARGS=PATIENT)
    with Load(service) as load:
        load.wait_for_answers(100)
        assert service.stop(number) == 0
    assert set(logged(service)) == set(load.answered)
    assert not answers(f"{service.url}/health")


BODY = json.dumps({"predict": CLOSES.tolist()}).encode()
PREDICT = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
MONITOR = b"GET /monitor HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("request_", [PREDICT % (len(BODY), BODY), MONITOR], ids=["direct path", "Flask"])
def test_waiting_connections_are_answered_at_shutdown(start, request_):
    """The worker finds the signal and 400 connections at once: it answers them all before it ends."""
    service = start(WEB_CONCURRENCY="1", GUNICORN_CMD_ARGS=PATIENT)
    (worker,) = workers(service)
    worker.suspend()
    connections = []
    for _ in range(400):
        connections.append(socket.create_connection(("127.0.0.1", service.port), timeout=30))
        connections[-1].sendall(request_)
    worker.terminate()
    worker.resume()

    def receive(connection):
        with connection:
            received = b""
            while more := connection.recv(65536):
                received += more
        return received

    with ThreadPoolExecutor(16) as pool:
        received = list(pool.map(receive, connections))
    assert sum(one.startswith(b"HTTP/1.1 200") for one in received) == 400
    assert service.stop() == 0


def test_new_connections_are_answered_until_shutdown(start):
    """Clients that open a connection for each request: every accepted connection gets an answer, and the others are refused."""
    service, answered, broken = start(GUNICORN_CMD_ARGS=PATIENT), [], []
    body = json.dumps({"predict": CLOSES.tolist()}).encode()
    request = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def ask_on():
        while True:
            try:
                connection = socket.create_connection(("127.0.0.1", service.port), timeout=30)
            except ConnectionRefusedError:
                return
            with connection:
                try:
                    connection.sendall(request)
                    answered.append(connection.recv(65536))
                except ConnectionError as error:
                    broken.append(repr(error))

    with ThreadPoolExecutor(12) as pool:
        for _ in range(12):
            pool.submit(ask_on)
        wait_until(lambda: len(answered) >= 200, 60, "200 answers")
        assert service.stop() == 0
    assert all(answer.startswith(b"HTTP/1.1 200") for answer in answered)
    assert len(broken) <= 1, broken  # between the last look for connections and the end of the port


def test_replacement_worker_keeps_the_keys_of_the_start(start, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("one\n")
    service = start(API_KEY_FILE=str(keys))
    keys.write_text("")  # a secret that is being rewritten
    before = workers(service)
    for worker in before:
        worker.kill()
    wait_until(lambda: len({*workers(service)} - {*before}) == 2 and answers(f"{service.url}/ready"), 30, "new workers")
    asked = [requests.get(f"{service.url}/monitor", headers={"X-API-Key": key}, timeout=30).status_code for key in ("one", "two", "")]
    assert asked == [200, 401, 401]
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "The settings are unchanged" in service.said(), 30, "word of the broken file")
    wait_until(lambda: answers(f"{service.url}/ready"), 30, "an answer")
    keys.write_text("two\n")
    service.process.send_signal(signal.SIGHUP)
    new_key = {"X-API-Key": "two"}
    wait_until(lambda: requests.get(f"{service.url}/monitor", headers=new_key, timeout=30).ok, 30, "the new key")
    assert service.stop() == 0


def test_unread_stderr_delays_neither_requests_nor_shutdown(tmp_path):
    reader, writer = os.pipe()
    size = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, mmap.PAGESIZE)  # the smallest
    service = Service(tmp_path, stderr=writer)
    try:
        wait_until(lambda: answers(f"{service.url}/health"), 60, "an answer")
        with requests.Session() as session:
            for _ in range(7 * size // 100):  # lines of more than 100 bytes: seven times as much as fits
                assert session.get(f"{service.url}/health", timeout=10).ok
        assert service.stop() == 0
    finally:
        if service.process.poll() is None:
            os.killpg(service.process.pid, signal.SIGKILL)
        service.stderr.close()
        os.close(reader)
        os.close(writer)


def test_idle_connections_do_not_delay_shutdown(start):
    service = start(GUNICORN_CMD_ARGS=PATIENT)
    sessions = [requests.Session() for _ in range(4)]
    for session in sessions[:2]:
        session.get(f"{service.url}/health", timeout=30)
    for session in sessions[2:]:
        session.post(f"{service.url}/predict", json={"predict": CLOSES.tolist()}, timeout=30)
        session.post(f"{service.url}/predict", data=b"x" * 100_000, timeout=30)  # refused unread
    with socket.create_connection(("127.0.0.1", service.port)):
        assert service.stop() == 0
    assert "Traceback" not in service.said()
