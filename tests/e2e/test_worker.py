"""The workers behind one port: how they share connections, and that a killed worker loses no counts."""

import contextlib
import json
import re
import signal
import socket
from functools import partial

import psutil
import pytest
import requests
from serving import wait_until

from closes.snapshot import read_snapshot

BODY = json.dumps({"predict": read_snapshot("MSFT").prices[-60:].tolist()}).encode()
REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.fixture(scope="module")
def service(start_module):
    """A service that keeps its two workers: what stops one has it go on afterwards."""
    return with_two_workers(start_module())


def with_two_workers(running):
    """A service once both workers serve."""
    wait_until(lambda: requests.get(f"{running.url}/monitor", timeout=5).json()["SUMMARY"]["workers"] == 2, 30, "two workers that serve")
    return running


def workers(service):
    found = []
    for child in psutil.Process(service.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # gone since
            if child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def is_replaced(service, killed):
    """Whether there are two workers again, without the killed one."""
    return len(workers(service)) == 2 and killed.pid not in [worker.pid for worker in workers(service)]


def connect(service):
    return socket.create_connection(("127.0.0.1", service.port), timeout=30)


def answer(connection):
    """One whole answer, and whether it came in one piece."""
    received = connection.recv(65536)
    pieces = 1
    while b"\r\n\r\n" not in received or len(received.partition(b"\r\n\r\n")[2]) < int(re.findall(rb"Content-Length: (\d+)", received)[0]):
        received += connection.recv(65536)
        pieces += 1
    assert received.startswith(b"HTTP/1.1 200")
    return received, pieces == 1


def established(worker):
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in worker.net_connections("tcp"))


def spread(service, number):
    """The number of connections that each worker has after a burst."""
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(socket.socket()) for _ in range(number)]
        for connection in connections:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", service.port))
        for connection in connections:
            connection.settimeout(30)
            connection.sendall(REQUEST)
        for connection in connections:
            answer(connection)
        return sorted(established(worker) for worker in workers(service))


def test_bursts_of_connections_reach_both_workers(service):
    """The spread of one burst depends on the machine's load: tests/server/test_balance.py has the rule, benchWorker.py the effect."""

    def reaches_both():
        fewer, more = spread(service, 40)
        assert fewer + more == 40
        return fewer > 0

    wait_until(reaches_both, 30, "a burst that reaches both workers")


def test_hanging_worker_does_not_block_the_other(service):
    hanging = workers(service)[0]
    hanging.suspend()
    try:
        for _ in range(10):
            with connect(service) as connection:
                connection.sendall(REQUEST)
                answer(connection)
    finally:
        hanging.resume()


def test_answer_is_sent_in_one_packet(service):
    with connect(service) as connection:
        for _ in range(50):
            connection.sendall(REQUEST)
            assert answer(connection)[1]


def test_pipelined_requests_are_answered_in_order(service):
    with connect(service) as connection:
        connection.sendall(REQUEST * 3)
        received = b""
        while received.count(b'"model_version"') < 3:
            received += connection.recv(65536)
        assert received.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize(
    "pieces",
    [
        [REQUEST[:-500], REQUEST[-500:]],
        [REQUEST[:100], REQUEST[100:]],
        [bytes([byte]) for byte in REQUEST],
    ],
)
def test_request_in_pieces_is_answered(service, pieces):
    with connect(service) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for piece in pieces:
                connection.sendall(piece)
            assert b'"model_version"' in answer(connection)[0]


def test_direct_and_other_requests_alternate_on_one_connection(service):
    usual = requests.Session()
    before = len(service.log.read_text().splitlines())
    bodies = [BODY, BODY, json.dumps({"predict": []}).encode(), BODY, b"{", BODY]
    headers = {"Content-Type": "application/json"}
    answers = [usual.post(f"{service.url}/predict", data=body, headers=headers, timeout=30) for body in bodies]
    assert [one.status_code for one in answers] == [200, 200, 422, 200, 400, 200]
    assert len({one.json()["predicted_price"] for one in answers if one.ok}) == 1
    log = service.log.read_text().splitlines()[before:]
    assert [line.split(",")[3] for line in log] == ["200", "200", "422", "200", "400", "200"]


def test_every_request_has_a_line_on_stderr_with_the_id_of_its_answer(service):
    with connect(service) as connection:
        connection.sendall(REQUEST)
        fast = re.findall(rb"X-Request-ID: (\S+)", answer(connection)[0])[0].decode()
    flask = requests.post(f"{service.url}/predict", json={"predict": []}, timeout=30)
    lines = [json.loads(line) for line in service.said().splitlines() if line.startswith("{")]
    ids = (fast, flask.headers["X-Request-ID"])
    told = [(line["id"], line["client"], line["method"], line["path"], line["status"]) for line in lines if line["id"] in ids]
    assert told == [(ids[0], "127.0.0.1", "POST", "/predict", 200), (ids[1], "127.0.0.1", "POST", "/predict", 422)]


def test_live_workers_are_counted(service):
    def counted():
        return requests.get(f"{service.url}/monitor?limit=0", timeout=30).json()["SUMMARY"]["workers"]

    wait_until(lambda: counted() == 2, 10, "a sign of life of both workers")
    assert re.search(r"^forecast_workers 2.0$", requests.get(f"{service.url}/metrics", timeout=30).text, flags=re.M)
    hanging = workers(service)[0]
    hanging.suspend()
    try:
        wait_until(lambda: counted() == 1, 20, "the absence of a worker that hangs")
    finally:
        hanging.resume()
    wait_until(lambda: counted() == 2, 10, "its return")


def test_killed_worker_is_replaced_and_its_counts_are_kept(start):
    service = with_two_workers(start())

    def ask(times):
        for _ in range(times):
            assert requests.post(f"{service.url}/predict", data=BODY, headers={"Content-Type": "application/json"}, timeout=30).ok

    def counted():
        text = requests.get(f"{service.url}/metrics", timeout=30).text
        return float(re.findall(r'http_requests_total\{method="POST",route="/predict",status="200"\} (\S+)', text)[0])

    ask(20)
    for _ in range(2):
        killed = workers(service)[0]
        killed.send_signal(signal.SIGKILL)
        wait_until(partial(is_replaced, service, killed), 30, "a new worker")
        ask(20)
    assert [counted() for _ in range(4)] == [60] * 4
    wait_until(lambda: spread(service, 8)[0] >= 3, 10, "a share of the connections for the new worker")


def test_reload_loses_no_request_and_leaves_no_files(start, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    service = start(TMPDIR=str(folder))
    wait_until(lambda: len(workers(service)) == 2, 30, "two workers")
    before = {worker.pid for worker in workers(service)}
    for number in range(60):
        if number == 20:
            service.process.send_signal(signal.SIGHUP)
        assert requests.post(f"{service.url}/predict", data=BODY, headers={"Content-Type": "application/json"}, timeout=30).ok
    wait_until(lambda: len(workers(service)) == 2 and not before & {worker.pid for worker in workers(service)}, 30, "new workers")
    assert 'route="/predict",status="200"} 60.0' in requests.get(f"{service.url}/metrics", timeout=30).text
    assert service.stop() == 0
    assert list(folder.iterdir()) == []


def test_shutdown_is_quiet_and_removes_its_folder(start, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    service = start(TMPDIR=str(folder))
    requests.get(f"{service.url}/apidocs", timeout=30)
    assert list(folder.glob("stock-forecast-*/counter_*.db"))
    assert service.stop() == 0
    assert "Traceback" not in service.said()
    assert list(folder.iterdir()) == []
