"""gunicorn's gevent worker, with connections spread evenly, each answer in one packet, and a turn for each connection.

A worker that is awake takes new connections faster than one that sleeps, so a few kept-alive clients may all end up with one worker, and
one core. Here the workers see each other's number of connections, and who has more lets the others go first.

gunicorn sends an answer's headers, then its body. Each send wakes the client, and on a quick network that is the dearest thing in the whole
request. Corked, the kernel holds both back until the answer is complete.
"""

import mmap
import socket
import time
from contextlib import suppress
from typing import Any

import gevent
from gevent.socket import socket as GeventSocket  # noqa: N812
from gunicorn.workers.ggevent import GeventWorker

CORK = getattr(socket, "TCP_CORK", getattr(socket, "TCP_NOPUSH", None))  # Linux; macOS and BSD
MAX_SLOTS = 256
GONE = -1
PATIENCE_SECONDS = 0.002  # a worker that has fewer connections but does not take this one within it is busy

# The connections of each worker by slot, in memory that the master shares with them all.
connections = memoryview(mmap.mmap(-1, 4 * MAX_SLOTS)).cast("i")
for _slot in range(MAX_SLOTS):
    connections[_slot] = GONE


class Listener(GeventSocket):  # type: ignore[misc]  # gevent has no types
    """The listening socket, as one worker sees it."""

    slot = 0
    waits_until = 0.0

    def _accept(self) -> Any:
        """Take a connection, or say that there is none while another worker should: gevent asks again in the loop's next round."""
        own, now = connections[self.slot], time.monotonic()
        if any(GONE < other < own for other in connections):
            if not self.waits_until:
                self.waits_until = now + PATIENCE_SECONDS
            if now < self.waits_until:
                raise BlockingIOError
        self.waits_until = 0.0
        taken = super()._accept()
        connections[self.slot] += 1
        return taken


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process, one loop, many connections; its slot is set by gunicorn.conf.py before the fork."""

    slot: int
    sockets: list[Any]

    def patch(self) -> None:
        """Make gevent's sockets of gunicorn's."""
        super().patch()
        connections[self.slot] = 0
        listeners = []
        for plain in self.sockets:
            listener = Listener(plain.family, plain.type, plain.proto, fileno=plain.detach())
            listener.slot = self.slot
            listeners.append(listener)
        self.sockets = listeners

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of a connection."""
        try:
            super().handle(listener, client, addr)
        finally:
            connections[self.slot] -= 1

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer one request."""
        _cork(sock, on=True)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            _cork(sock, on=False)
            gevent.sleep(0)  # else a connection that sends at once again would starve the others


def _cork(sock: Any, *, on: bool) -> None:
    """Hold back what is sent, or let it go."""
    if CORK is not None:
        with suppress(OSError):  # closed already, or no TCP
            sock.setsockopt(socket.IPPROTO_TCP, CORK, on)
