"""How a worker handles the requests of a connection."""

import fcntl
import platform
import socket
import struct
import subprocess
import sys
import termios
import time
from types import SimpleNamespace

import gevent
import pytest
from gevent.socket import socket as GeventSocket  # noqa: N812
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

from server import sockets
from server.worker import GIVE_BACK_SECONDS, Worker
from settings import PROJECT_DIR

REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n"


class Direct:
    """A direct path that answers with the body."""

    def answer(self, head, body, client, is_last, started):
        return b"<%b %b>" % (body, b"last" if is_last else b"more")


class Exchange:
    """A client's end of a connection that a worker handles, and what gunicorn read of it."""

    def __init__(self, monkeypatch, direct=True, keepalive=30):
        self.to_gunicorn, self.was_late = None, False
        self.worker = Worker.__new__(Worker)
        self.worker.alive, self.worker.slot, self.worker.connections = True, 0, set()
        self.worker._gave_back_at = time.monotonic()
        self.worker.cfg = SimpleNamespace(keepalive=keepalive)
        self.worker.wsgi = SimpleNamespace(extensions={"direct": Direct()}) if direct else object()
        monkeypatch.setattr(GeventWorker, "handle", self._gunicorn)
        ours, theirs = socket.socketpair()
        self.client = GeventSocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
        self.client.settimeout(10)
        served = GeventSocket(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())
        listener = socket.socket()
        listener.close()  # as in a worker that is stopping
        self.done = gevent.spawn(self.worker.handle, listener, served, None)

    def _gunicorn(self, listener, connection, addr):
        listener.getsockname()  # gunicorn does, before it reads
        self.to_gunicorn = b""
        try:
            while received := connection.recv(100_000):
                self.to_gunicorn += received
        except RequestTimeout:
            self.was_late = True
            assert connection.recv(100_000) == b""

    def send(self, *parts):
        """Send each part once the worker has read the one before."""
        for part in parts:
            self.client.sendall(part)
            while struct.unpack("i", fcntl.ioctl(self.client.fileno(), termios.TIOCOUTQ, bytes(4))) != (0,):
                gevent.sleep(0)

    def end(self):
        """Everything that was answered, once the connection is silent."""
        self.client.shutdown(socket.SHUT_WR)
        return self.rest()

    def rest(self):
        answered = b""
        while received := self.client.recv(100_000):
            answered += received
        self.done.get(timeout=10)
        self.client.close()
        return answered


@pytest.fixture
def exchange(monkeypatch):
    return lambda **options: Exchange(monkeypatch, **options)


@pytest.mark.parametrize("cut", [1, len(REQUEST) - 1, len(REQUEST), len(REQUEST) + 1, len(REQUEST) + 4])
def test_direct_requests_are_answered_in_order_and_in_pieces(exchange, cut):
    one = exchange()
    one.send(REQUEST + b"1111")
    request = REQUEST + b"2222"
    one.send(request[:cut], request[cut:])
    if cut < len(REQUEST):  # a head in pieces is gunicorn's
        assert one.end() == b"<1111 more>"
        assert one.to_gunicorn == request
    else:
        assert one.end() == b"<1111 more><2222 more>"
        assert one.to_gunicorn is None


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", REQUEST + b"5555" + REQUEST, REQUEST.replace(b"4", b"4\r\nExpect: x")],
)
def test_other_request_and_its_followers_go_to_gunicorn_unchanged(exchange, request_):
    one = exchange()
    one.send(REQUEST + b"1111", request_, REQUEST + b"3333")
    assert one.end() == b"<1111 more>"
    assert one.to_gunicorn == request_ + REQUEST + b"3333"


def test_application_without_a_direct_path_is_left_to_gunicorn(exchange):
    one = exchange(direct=False)
    one.send(REQUEST + b"1111")
    assert one.end() == b""
    assert one.to_gunicorn == REQUEST + b"1111"


def test_incomplete_request_goes_to_gunicorn_with_its_timeout(exchange, monkeypatch):
    broken_off = exchange()
    broken_off.send(REQUEST + b"11")
    assert (broken_off.end(), broken_off.to_gunicorn, broken_off.was_late) == (b"", REQUEST + b"11", False)
    monkeypatch.setattr(sockets.Connection, "seconds", 0.05)
    late = exchange()
    late.send(REQUEST + b"11")
    assert (late.rest(), late.to_gunicorn, late.was_late) == (b"", REQUEST + b"11", True)


def test_silent_client_is_disconnected(exchange):
    idle = exchange(keepalive=0.05)
    assert (idle.rest(), idle.to_gunicorn) == (b"", None)


def test_client_that_reads_no_answer_is_disconnected(monkeypatch):
    monkeypatch.setattr(sockets.Connection, "seconds", 0.05)
    ours, theirs = socket.socketpair()
    with ours, sockets.Connection(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach()) as connection:
        connection.setblocking(True)
        with pytest.raises(ConnectionResetError):
            connection.sendall(b"x" * 50_000_000)


def test_shutdown_closes_only_idle_connections(exchange, monkeypatch):
    monkeypatch.setattr(GeventWorker, "notify", lambda worker: None)
    idle, busy = exchange(), exchange()
    for one in (idle, busy):
        one.send(REQUEST + b"1111")
    busy.send(REQUEST + b"22")
    idle.worker.notify()
    gevent.sleep(0.01)
    assert not idle.done.ready()
    for one in (idle, busy):
        one.worker.alive = False
        one.worker.notify()
    gevent.sleep(0.01)
    assert not idle.done.ready()  # a request may be on its way
    for one in (idle, busy):
        one.worker.notify()
    assert idle.rest() == b"<1111 more>"
    busy.send(b"22")
    assert busy.rest() == b"<1111 more><2222 last>"


def test_worker_returns_free_memory_periodically(exchange, monkeypatch):
    given = []
    monkeypatch.setattr(GeventWorker, "notify", lambda worker: None)
    monkeypatch.setattr("server.worker.give_back_memory", lambda: given.append(1))
    one = exchange()
    worker = one.worker
    worker.notify()
    assert given == []
    worker._gave_back_at -= GIVE_BACK_SECONDS
    worker.notify()
    worker.notify()
    assert given == [1]
    assert one.end() == b""


FREED = """
import psutil
from server.memory import give_back_memory
memory = psutil.Process().memory_info
many = [bytes(2_000) for _ in range(100_000)]
many = many[-1:]  # at the heap's end: what is free below it stays with the process
before = memory().rss
give_back_memory()
print(before - memory().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can return memory on request")
def test_free_memory_returns_to_the_system():
    done = subprocess.run([sys.executable, "-c", FREED], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000_000


def test_answer_closes_the_connection_on_request_or_shutdown(exchange):
    asks = exchange()
    asks.send(REQUEST.replace(b"4", b"4\r\nConnection: close") + b"1111")
    assert asks.rest() == b"<1111 last>"
    ending = exchange()
    ending.worker.alive = False
    ending.send(REQUEST + b"1111")
    assert ending.rest() == b"<1111 last>"


def test_disconnected_client_is_ignored(exchange):
    gone = exchange()
    gone.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    gone.client.sendall(REQUEST + b"1111")
    gone.client.close()
    gone.done.get(timeout=10)


UNCHANGED = """
import server.worker
from gevent.server import StreamServer
from gunicorn.workers import ggevent
print(ggevent.StreamServer is StreamServer)
"""


def test_import_does_not_change_gunicorns_own_worker():
    done = subprocess.run([sys.executable, "-c", UNCHANGED], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"
