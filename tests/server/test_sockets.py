"""Whose turn it is to take a connection."""

import socket
from types import SimpleNamespace

import gevent
import pytest
from gevent.pool import Pool
from gevent.socket import socket as GeventSocket  # noqa: N812

from server import sockets
from server.slots import MAX_SLOTS
from server.sockets import ABSENT, AT_ONCE, FEW, LEAD, MAX_BEHIND, PATIENCE_SECONDS, WAITING, Server, held, last, taken


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
def clock(monkeypatch):
    """What the sockets take for the time, in seconds."""
    now = [100.0]
    monkeypatch.setattr(sockets.time, "monotonic", lambda: now[0])
    return now


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


def test_workers_take_turns_and_of_two_that_have_taken_as_many_it_is_the_others(listen, client):
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
    assert (taken[0], taken[1]) == (9, 9)


def test_a_worker_begins_to_wait_when_a_connection_is_there_and_not_before(listen, client, clock):
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


def test_of_a_long_queue_a_worker_takes_no_more_than_it_takes_in_a_round(listen, client):
    first = listen(0)
    taken[0] = taken[1] = 7
    for _ in range(2 * AT_ONCE + 4):
        client()
    assert [takes(first) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]


@pytest.mark.parametrize(
    ("name", "instead"), [("TCP_INFO", None), ("WAITING", SimpleNamespace(size=WAITING.size, unpack=lambda _: (0,)))]
)  # fmt: skip
def test_where_the_system_does_not_tell_how_many_wait_each_is_taken_in_turn(listen, client, monkeypatch, name, instead):
    monkeypatch.setattr(sockets, name, instead)
    first, second = listen(0), listen(1)
    taken[0] = taken[1] = 7
    for _ in range(2):
        client()
    assert takes(first)
    assert not takes(first)
    assert takes(second)


def test_what_a_worker_missed_is_forgiven_but_for_a_few_turns(listen, client):
    first, second = listen(0), listen(1)
    taken[0], taken[1] = 7, 1000
    for _ in range(MAX_BEHIND + 4):
        client()
        assert takes(first) or takes(second)
    assert abs(taken[0] - taken[1]) <= 1
    assert taken[1] > 1000


def test_a_worker_with_few_does_not_wait_for_one_with_many(listen, client):
    first = listen(0)
    taken[0], taken[1] = 8, 7
    held[0], held[1] = 1, FEW
    client()
    assert takes(first)


def test_a_worker_that_takes_no_more_is_not_waited_for(listen, client):
    first, second = listen(0), listen(1)
    taken[0], taken[1] = 8, 7
    second.close()
    client()
    assert takes(first)
    assert (taken[1], held[1]) == (ABSENT, ABSENT)


def test_a_unix_socket_which_does_not_tell_how_many_wait_is_served_too(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        server = Server(GeventSocket(socket.AF_UNIX, fileno=listener.detach()), handle=lambda *_: None, spawn=Pool())
        server.init_socket()
        client.connect(str(tmp_path / "socket"))
        assert takes(server)
        server.close()


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


def test_who_does_not_take_its_connection_is_waited_for_a_moment_each_time(listen, client, clock):
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


def test_who_let_another_go_first_does_so_the_next_time_too(listen, client, clock):
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
    listen, client, crowd, clock
):  # fmt: skip
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


def test_what_a_worker_may_take_without_waiting_is_for_those_that_wait_then(listen, client, crowd, clock):
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
