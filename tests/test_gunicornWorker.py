"""Whose turn it is to take a connection."""

import socket

import pytest

import gunicornWorker
from gunicornWorker import ABSENT, MAX_SLOTS, Listener, taken


@pytest.fixture
def listen():
    """Listeners of several workers at one port, by slot; and the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        listeners = []

        def make(slot):
            listener = Listener(server.family, server.type, server.proto, fileno=socket.dup(server.fileno()))
            listener.setblocking(False)
            listener.slot = slot
            listeners.append(listener)
            return listener

        make.port = server.getsockname()[1]
        yield make
        for listener in listeners:
            listener.close()


@pytest.fixture(autouse=True)
def _nobody_has_taken_any(monkeypatch):
    monkeypatch.setattr(gunicornWorker, "PATIENCE_SECONDS", 60)
    for slot in range(MAX_SLOTS):
        taken[slot] = ABSENT


@pytest.fixture
def client(listen):
    clients = []

    def connect():
        clients.append(socket.create_connection(("127.0.0.1", listen.port), timeout=10))

    yield connect
    for connection in clients:
        connection.close()


def take(listener):
    descriptor, _ = listener._accept()
    socket.close(descriptor)


def test_workers_take_turns(listen, client):
    first, second = listen(0), listen(1)
    taken[0] = taken[1] = 7
    client()
    take(first)
    client()
    with pytest.raises(BlockingIOError):
        take(first)
    take(second)
    client()
    take(first)
    assert (taken[0], taken[1]) == (9, 8)


def test_where_nothing_comes_nothing_is_counted(listen):
    taken[0] = taken[1] = 7
    with pytest.raises(BlockingIOError):
        take(listen(0))
    assert taken[0] == 7


def test_a_worker_alone_takes_all(listen, client):
    alone = listen(3)
    for _ in range(3):
        client()
        take(alone)
    assert taken[3] == 3


def test_who_does_not_take_its_connection_is_waited_for_once_and_then_left_out(listen, client, monkeypatch):
    first = listen(0)
    taken[0], taken[1] = 8, 7
    client()
    with pytest.raises(BlockingIOError):
        take(first)
    monkeypatch.setattr(gunicornWorker, "PATIENCE_SECONDS", 0)
    take(first)
    monkeypatch.setattr(gunicornWorker, "PATIENCE_SECONDS", 60)
    client()
    take(first)
    assert (taken[0], taken[1]) == (10, ABSENT)


def test_waiting_begins_anew_with_each_connection(listen, client, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(gunicornWorker.time, "monotonic", lambda: clock[0])
    first, second = listen(0), listen(1)
    taken[0], taken[1] = 8, 7
    client()
    with pytest.raises(BlockingIOError):
        take(first)
    take(second)
    clock[0] += 1000
    client()
    take(first)
    client()
    with pytest.raises(BlockingIOError):
        take(first)


def test_who_was_left_out_comes_back_as_one_who_has_taken_as_many_as_the_others(listen, client):
    taken[0], taken[1] = 50, ABSENT
    client()
    take(listen(1))
    assert taken[1] == 51
