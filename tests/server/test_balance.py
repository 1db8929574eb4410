"""Which worker accepts a connection, and how many at a time."""

import socket
from types import SimpleNamespace

import gevent
import pytest
from gevent.pool import Pool
from gevent.socket import socket as GeventSocket  # noqa: N812

from server import balance
from server.balance import MAX_SHARE, PATIENCE_SECONDS, WAITING, Server
from server.slots import Slots


@pytest.fixture
def slots(monkeypatch):
    """The slots of workers of which none accepts yet."""
    empty = Slots(8)
    monkeypatch.setattr(Server, "slots", empty)
    return empty


@pytest.fixture
def clock(monkeypatch):
    """The time of time.monotonic(), in seconds. It goes on by a microsecond a look, so that no two accepts are at the same time."""
    now = [100.0]

    def monotonic():
        now[0] += 1e-6
        return now[0]

    monkeypatch.setattr("time.monotonic", monotonic)
    return now


@pytest.fixture
def listener():
    """The socket that the servers share."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def listen(listener, slots, clock):
    """Servers of several workers at one port, by slot."""
    servers = []

    def make(slot):
        shared = GeventSocket(listener.family, listener.type, listener.proto, fileno=socket.dup(listener.fileno()))
        servers.append(Server(shared, handle=lambda *_: None, spawn=Pool()))
        servers[-1].init_socket()
        servers[-1].slot = slot
        slots.accepted(slot)
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def client(listener):
    """Opens connections to the port."""
    clients = []

    def connect(number=1):
        for _ in range(number):
            clients.append(socket.create_connection(listener.getsockname(), timeout=10))

    yield connect
    for connection in clients:
        connection.close()


def accepts(server):
    """Return whether a server accepts a connection when its event loop asks it to."""
    accepted = server.do_read()
    if accepted:
        accepted[0].close()
    return bool(accepted)


def test_worker_that_accepted_least_recently_accepts_next(listen, client):
    first, second = listen(0), listen(1)
    for _ in range(3):
        client()
        assert not accepts(second)
        assert accepts(first)
        client()
        assert not accepts(first)
        assert accepts(second)


def test_successive_connections_are_spread_evenly(listen, client):
    servers = [listen(slot) for slot in range(3)]
    count = [0, 0, 0]
    for _ in range(30):
        client()
        while not any(accepts(server) and (count.__setitem__(slot, count[slot] + 1) or True) for slot, server in enumerate(servers)):
            pass
    assert count == [10, 10, 10]


def test_worker_waits_only_briefly_for_another(listen, client, clock):
    _, second = listen(0), listen(1)
    for _ in range(2):
        client()
        assert not accepts(second)
        clock[0] += PATIENCE_SECONDS / 2
        assert not accepts(second)
        clock[0] += PATIENCE_SECONDS
        assert accepts(second)


def test_wait_starts_when_a_connection_arrives(listen, client, clock):
    first, second = listen(0), listen(1)
    client()
    assert accepts(first)
    assert not accepts(second)  # nothing waits
    clock[0] += 10 * PATIENCE_SECONDS
    client(2)
    assert accepts(second)
    assert not accepts(second)


def test_worker_accepts_its_share_of_waiting_connections(listen, client):
    first, second = listen(0), listen(1)
    client(6)
    assert [accepts(first) for _ in range(4)] == [True] * 3 + [False]
    assert accepts(second)


def test_share_of_connections_is_limited(listen, client):
    first, _ = listen(0), listen(1)
    client(2 * MAX_SHARE + 4)
    assert [accepts(first) for _ in range(MAX_SHARE + 1)] == [True] * MAX_SHARE + [False]


@pytest.mark.parametrize(
    ("name", "instead"), [("TCP_INFO", None), ("WAITING", SimpleNamespace(size=WAITING.size, unpack=lambda _: (0,)))]
)  # fmt: skip
def test_workers_accept_singly_if_the_backlog_is_unknown(listen, client, monkeypatch, name, instead):
    monkeypatch.setattr(balance, name, instead)
    first, second = listen(0), listen(1)
    client(2)
    assert accepts(first)
    assert not accepts(first)
    assert accepts(second)


def test_stopping_worker_is_not_waited_for(listen, client, slots):
    first, second = listen(0), listen(1)
    first.close()
    client()
    assert accepts(second)
    assert slots.others_before(1) == (0, False)


def test_single_worker_accepts_everything(listen, client):
    alone = listen(3)
    client(3)
    assert [accepts(alone) for _ in range(4)] == [True] * 3 + [False]


def test_unix_socket_is_served(slots, tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as connection:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        server = Server(GeventSocket(socket.AF_UNIX, fileno=listener.detach()), handle=lambda *_: None, spawn=Pool())
        server.init_socket()
        connection.connect(str(tmp_path / "socket"))
        assert accepts(server)
        server.close()


def test_backlog_is_accepted_in_groups_despite_gunicorns_setting(listen, client):
    server, rounds = listen(0), []

    def note_and_close(connection, _):
        rounds.append(gevent.get_hub().loop.now())
        connection.close()

    server.do_handle = note_and_close
    client(2 * MAX_SHARE)
    server.max_accept = 1
    server.start()
    gevent.sleep(0.1)
    assert len(rounds) == 2 * MAX_SHARE
    assert len(set(rounds)) <= 4


def test_closing_server_accepts_waiting_connections(listen, client):
    first, handled = listen(0), []
    _ = listen(1)
    first.do_handle = lambda connection, _: handled.append(connection.close())
    client(3)
    gevent.sleep(0.01)
    first.close()
    assert len(handled) == 3
    first.close()
