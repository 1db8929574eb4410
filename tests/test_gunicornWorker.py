"""Whose turn it is to take a connection, and what becomes of the requests that come on it."""

import platform
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import gevent
import pytest
from gevent.pool import Pool
from gevent.socket import socket as GeventSocket  # noqa: N812
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

import gunicornSockets
from gunicornSockets import ABSENT, AT_ONCE, FEW, LEAD, PATIENCE_SECONDS, WAITING, Server, held, last, taken
from gunicornWorker import GIVE_BACK_SECONDS, Worker
from liveWorkers import MAX_SLOTS
from settings import PROJECT_DIR


@pytest.fixture
def listen():
    """Servers of several workers at one port, by slot; and the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        servers = []

        def make(slot):
            shared = GeventSocket(listener.family, listener.type, listener.proto, fileno=socket.dup(listener.fileno()))
            servers.append(Server(shared, handle=lambda *_: None, spawn=Pool()))
            servers[-1].init_socket()
            servers[-1].slot = slot
            return servers[-1]

        make.port = listener.getsockname()[1]
        yield make
        for server in servers:
            server.close()


@pytest.fixture(autouse=True)
def _nobody_has_taken_any():
    for slot in range(MAX_SLOTS):
        taken[slot] = held[slot] = ABSENT
    last[0] = ABSENT


@pytest.fixture
def crowd():
    """Gives a server as many connections as are many."""
    servers = []

    def give(server):
        servers.append(server)
        for _ in range(FEW):
            server.pool.spawn(gevent.sleep, 10)

    yield give
    for server in servers:
        server.pool.kill()


@pytest.fixture
def client(listen):
    clients = []

    def connect():
        clients.append(socket.create_connection(("127.0.0.1", listen.port), timeout=10))

    yield connect
    for connection in clients:
        connection.close()


def takes(server):
    """Whether a server takes a connection when its loop asks it to."""
    waiting = server.do_read()
    if waiting:
        waiting[0].close()
    return bool(waiting)


def test_workers_take_turns(listen, client):
    first, second = listen(0), listen(1)
    taken[0] = taken[1] = 7
    client()
    assert takes(first)
    client()
    assert not takes(first)
    assert takes(second)
    client()
    assert takes(first)
    assert (taken[0], taken[1]) == (9, 8)


def test_of_two_that_have_taken_as_many_it_is_the_others_turn(listen, client):
    first, second = listen(0), listen(1)
    taken[0], taken[1] = 7, 8
    client()
    assert takes(first)
    client()
    assert not takes(first)
    assert takes(second)
    client()
    assert not takes(second)
    assert takes(first)


def test_a_worker_begins_to_wait_when_a_connection_is_there_and_not_before(listen, client, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gunicornSockets.time, "monotonic", lambda: clock[0])
    first = listen(0)
    taken[0] = taken[1] = 7
    client()
    assert takes(first)
    assert not takes(first)  # gevent asks until there is none
    clock[0] += 2 * PATIENCE_SECONDS
    client()
    assert not takes(first)
    clock[0] += PATIENCE_SECONDS
    assert takes(first)


def test_of_several_that_wait_a_worker_takes_its_share(listen, client):
    first, second = listen(0), listen(1)
    taken[0] = taken[1] = 7
    for _ in range(6):
        client()
    assert [takes(first) for _ in range(4)] == [True] * 3 + [False]
    assert [takes(second) for _ in range(4)] == [True] * 3 + [False]
    client()
    assert not takes(second)
    assert takes(first)


@pytest.mark.parametrize(
    ("name", "instead"), [("TCP_INFO", None), ("WAITING", SimpleNamespace(size=WAITING.size, unpack=lambda _: (0,)))]
)  # fmt: skip
def test_where_the_system_does_not_tell_how_many_wait_each_is_taken_in_turn(listen, client, monkeypatch, name, instead):
    monkeypatch.setattr(gunicornSockets, name, instead)
    first, second = listen(0), listen(1)
    taken[0] = taken[1] = 7
    for _ in range(2):
        client()
    assert takes(first)
    assert not takes(first)
    assert takes(second)


def test_where_nothing_comes_nothing_is_counted(listen):
    taken[0] = taken[1] = 7
    assert not takes(listen(0))
    assert taken[0] == 7


def test_a_worker_alone_takes_all(listen, client):
    alone = listen(3)
    taken[3] = 0
    for _ in range(3):
        client()
        assert takes(alone)
    assert taken[3] == 3


def test_who_does_not_take_its_connection_is_waited_for_a_moment_each_time(listen, client, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gunicornSockets.time, "monotonic", lambda: clock[0])
    first = listen(0)
    taken[0], taken[1] = 8, 7
    for _ in range(2):
        client()
        assert not takes(first)
        clock[0] += PATIENCE_SECONDS / 2
        assert not takes(first)
        clock[0] += PATIENCE_SECONDS
        assert takes(first)
    assert (taken[0], taken[1]) == (10, 7)


def test_who_let_another_go_first_does_so_the_next_time_too(listen, client, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gunicornSockets.time, "monotonic", lambda: clock[0])
    first, second = listen(0), listen(1)
    taken[0], taken[1] = 9, 7
    client()
    assert not takes(first)
    assert takes(second)
    clock[0] += 2 * PATIENCE_SECONDS
    client()
    assert not takes(first)
    clock[0] += PATIENCE_SECONDS
    assert takes(first)


def test_a_worker_with_many_connections_does_not_take_turns_and_is_not_behind_for_it_later(listen, client, crowd):
    first = listen(0)
    crowd(first)
    taken[0], taken[1] = 8, 7
    held[0], held[1] = LEAD, 0
    client()
    assert takes(first)
    assert (taken[0], taken[1]) == (8, 7)
    assert held[0] == LEAD + 1


def test_a_worker_with_many_more_connections_than_another_waits_for_it_a_moment_and_then_takes_several(
    listen, client, crowd, monkeypatch
):  # fmt: skip
    clock = [100.0]
    monkeypatch.setattr(gunicornSockets.time, "monotonic", lambda: clock[0])
    first = listen(0)
    crowd(first)
    held[0], held[1] = LEAD + 1, 0
    for _ in range(AT_ONCE + 2):
        client()
    assert not takes(first)
    clock[0] += PATIENCE_SECONDS
    assert [takes(first) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    held[0] = LEAD
    assert takes(first)


def test_what_a_worker_may_take_without_waiting_is_for_those_that_wait_then(listen, client, crowd, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gunicornSockets.time, "monotonic", lambda: clock[0])
    first = listen(0)
    crowd(first)
    held[0], held[1] = LEAD + 1, 0
    client()
    assert not takes(first)
    clock[0] += PATIENCE_SECONDS
    assert [takes(first), takes(first)] == [True, False]
    client()
    assert not takes(first)


def test_a_crowd_is_taken_several_at_a_time_whatever_gunicorn_sets(listen, client):
    server, rounds = listen(0), []
    server.do_handle = lambda connection, _: rounds.append(gevent.get_hub().loop.now()) or connection.close()
    for _ in range(2 * AT_ONCE):
        client()
    server.max_accept = 1
    server.start()
    gevent.sleep(0.1)
    assert len(rounds) == 2 * AT_ONCE
    assert len(set(rounds)) <= 4


def test_a_connection_counts_until_the_worker_has_done_with_it(exchange):
    held[0] = 3
    connection = exchange()
    connection.client.sendall(REQUEST + b"last")
    connection.client.recv(100)
    assert held[0] == 3
    connection.client.close()
    connection.done.get(timeout=10)
    assert held[0] == 2


def test_at_its_end_a_server_takes_all_that_wait(listen, client):
    first, handled = listen(0), []
    first.do_handle = lambda connection, _: handled.append(connection.close())
    taken[0], taken[1] = 8, 7
    for _ in range(3):
        client()
    gevent.sleep(0.01)
    first.close()
    assert len(handled) == 3
    first.close()


REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n"


class Fast:
    """A short road that answers with the body, and leaves "flsk" to Flask."""

    def answer(self, head, body, client, is_last, started):
        return None if body == b"flsk" else b"<%b %b>" % (body, b"last" if is_last else b"more")


class Exchange:
    """A client's end of a connection that a worker handles, and what gunicorn read of it."""

    def __init__(self, monkeypatch, fast=True, keepalive=30):
        self.to_gunicorn, self.was_late = None, False
        self.worker = Worker.__new__(Worker)
        self.worker.alive, self.worker.slot, self.worker.connections = True, 0, set()
        self.worker.gave_back_at = time.monotonic()
        self.worker.cfg = SimpleNamespace(keepalive=keepalive)
        self.worker.wsgi = SimpleNamespace(extensions={"fastPredict": Fast()}) if fast else object()
        monkeypatch.setattr(GeventWorker, "handle", self._gunicorn)
        ours, theirs = socket.socketpair()
        self.client = GeventSocket(ours.family, ours.type, ours.proto, fileno=ours.detach())
        self.client.settimeout(10)
        served = GeventSocket(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach())
        self.done = gevent.spawn(self.worker.handle, None, served, None)

    def _gunicorn(self, listener, connection, addr):
        self.to_gunicorn = b""
        try:
            while received := connection.recv(100_000):
                self.to_gunicorn += received
        except RequestTimeout:
            self.was_late = True
            assert connection.recv(100_000) == b""

    def send(self, *parts):
        for part in parts:
            self.client.sendall(part)
            gevent.sleep(0.01)

    def end(self):
        """All that was answered, once nothing more comes."""
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
def test_usual_requests_are_answered_one_after_the_other_in_whatever_pieces_they_come(exchange, cut):
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
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", REQUEST + b"flsk", REQUEST + b"5555" + REQUEST, REQUEST.replace(b"4", b"4\r\nExpect: x")],
)
def test_another_request_and_all_that_follow_it_go_to_gunicorn_byte_for_byte(exchange, request_):
    one = exchange()
    one.send(REQUEST + b"1111", request_, REQUEST + b"3333")
    assert one.end() == b"<1111 more>"
    assert one.to_gunicorn == request_ + REQUEST + b"3333"


def test_an_application_without_a_short_road_is_left_to_gunicorn(exchange):
    one = exchange(fast=False)
    one.send(REQUEST + b"1111")
    assert one.end() == b""
    assert one.to_gunicorn == REQUEST + b"1111"


def test_a_request_that_stays_incomplete_is_gunicorns_which_is_told_whether_it_came_too_late(exchange, monkeypatch):
    broken_off = exchange()
    broken_off.send(REQUEST + b"11")
    assert (broken_off.end(), broken_off.to_gunicorn, broken_off.was_late) == (b"", REQUEST + b"11", False)
    monkeypatch.setattr(gunicornSockets.Connection, "seconds", 0.05)
    late = exchange()
    late.send(REQUEST + b"11")
    assert (late.rest(), late.to_gunicorn, late.was_late) == (b"", REQUEST + b"11", True)


def test_a_client_that_sends_nothing_is_not_waited_for_for_ever(exchange):
    idle = exchange(keepalive=0.05)
    assert (idle.rest(), idle.to_gunicorn) == (b"", None)


def test_a_client_that_does_not_take_its_answer_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(gunicornSockets.Connection, "seconds", 0.05)
    ours, theirs = socket.socketpair()
    with ours, gunicornSockets.Connection(theirs.family, theirs.type, theirs.proto, fileno=theirs.detach()) as connection:
        connection.setblocking(True)
        with pytest.raises(ConnectionResetError):
            connection.sendall(b"x" * 50_000_000)


def test_at_its_end_a_worker_hangs_up_on_the_idle_alone(exchange, monkeypatch):
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


def test_a_worker_gives_memory_back_now_and_then(exchange, monkeypatch):
    given = []
    monkeypatch.setattr(GeventWorker, "notify", lambda worker: None)
    monkeypatch.setattr("gunicornWorker._give_back_memory", lambda: given.append(1))
    one = exchange()
    worker = one.worker
    worker.notify()
    assert given == []
    worker.gave_back_at -= GIVE_BACK_SECONDS
    worker.notify()
    worker.notify()
    assert given == [1]
    assert one.end() == b""


FREED = """
import psutil
from gunicornWorker import _give_back_memory
memory = psutil.Process().memory_info
many = [bytes(2_000) for _ in range(100_000)]
many = many[-1:]  # at the heap's end: what is free below it stays with the process
before = memory().rss
_give_back_memory()
print(before - memory().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to give memory back")
def test_memory_that_is_free_goes_back_to_the_system():
    done = subprocess.run([sys.executable, "-c", FREED], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 100_000_000


def test_a_client_that_asks_for_the_end_or_whose_worker_ends_gets_it_with_the_answer(exchange):
    asks = exchange()
    asks.send(REQUEST.replace(b"4", b"4\r\nConnection: close") + b"1111")
    assert asks.rest() == b"<1111 last>"
    ending = exchange()
    ending.worker.alive = False
    ending.send(REQUEST + b"1111")
    assert ending.rest() == b"<1111 last>"


def test_a_client_that_is_gone_does_no_harm(exchange):
    gone = exchange()
    gone.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    gone.client.sendall(REQUEST + b"1111")
    gone.client.close()
    gone.done.get(timeout=10)
