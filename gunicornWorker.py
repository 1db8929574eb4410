"""gunicorn's gevent worker, fair to its connections, and with a short road for the usual request.

Spread: a worker that is awake takes new connections faster than one that sleeps, so a few kept-alive clients may all end up with one
worker, and one core. Here the workers see how many each has taken, and who is ahead lets the others go first.

Turns: a client that sends its next request at once would be read at once, and again, while others wait to be looked at. Here every read
waits for the loop to say that there is something, and the loop goes through all connections.

One packet: gunicorn sends the headers, then the body. Each send wakes the client, and on a quick network that is the dearest thing in the
whole request. Corked, the kernel holds both back until the answer is complete.

Short road: as long as the requests of a connection are usual ones, fastPredict.py reads and answers them. The first other request goes to
gunicorn, byte for byte, and so do all that follow it on that connection, so there is no doubt whose turn it is to read.
"""

import mmap
import os
import socket
import time
from contextlib import suppress
from typing import Any

from gevent.socket import socket as GeventSocket  # noqa: N812
from gevent.socket import wait_read
from gunicorn.workers.ggevent import GeventWorker

import liveWorkers
from fastPredict import FastPredict, Head, read_head
from liveWorkers import MAX_SLOTS

CORK = getattr(socket, "TCP_CORK", None)  # Linux
ABSENT = -1
READ_BYTES = 16 * 1024
PATIENCE_SECONDS = 0.05  # a worker that does not take its connection within it hangs

# How many connections each worker has taken, by slot, in memory that the master shares with them all.
taken = memoryview(mmap.mmap(-1, 8 * MAX_SLOTS)).cast("q")
for _slot in range(MAX_SLOTS):
    taken[_slot] = ABSENT


class Listener(GeventSocket):  # type: ignore[misc]  # gevent has no types
    """The listening socket, as one worker sees it."""

    slot = 0
    waits_since: tuple[int, float] | None = None  # how many had been taken by all, and when

    def _accept(self) -> Any:
        """Take a connection, or say that there is none while it is another worker's turn: gevent asks again in the loop's next round."""
        own = taken[self.slot] if taken[self.slot] != ABSENT else max(*taken, 0)
        behind = [slot for slot, number in enumerate(taken) if ABSENT < number < own]
        if behind:
            total, now = sum(taken), time.monotonic()
            if self.waits_since is None or self.waits_since[0] != total:
                self.waits_since = total, now
            if now - self.waits_since[1] < PATIENCE_SECONDS:
                os.sched_yield()  # the other may need this core
                raise BlockingIOError
        self.waits_since = None
        connection = super()._accept()
        for slot in behind:
            taken[slot] = ABSENT  # nobody waits for it again until it gives a sign of life
        taken[self.slot] = own + 1
        return connection


class Connection(GeventSocket):  # type: ignore[misc]  # gevent has no types
    """A client's socket.

    Attributes:
        unread: what was read and put back, to be read again first.
    """

    unread = b""

    def recv(self, *args: Any) -> bytes:
        """Read what has come, once the loop says that something has."""
        if self.unread:
            received, self.unread = self.unread, b""
            return received
        wait_read(self.fileno())
        return super().recv(*args)  # type: ignore[no-any-return]


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process, one loop, many connections; gunicorn.conf.py sets its slot before the fork."""

    slot: int
    sockets: list[Any]

    def patch(self) -> None:
        """Make our listeners of gunicorn's."""
        super().patch()
        listeners = []
        for plain in self.sockets:
            listener = Listener(plain.family, plain.type, plain.proto, fileno=plain.detach())
            listener.slot = self.slot
            listeners.append(listener)
        self.sockets = listeners

    def notify(self) -> None:
        """Tell the master once a second that this worker lives, and the others that it takes connections."""
        super().notify()
        liveWorkers.show_life(self.slot)
        self._show_up()

    def _show_up(self) -> None:
        """Take turns again."""
        if self.alive and taken[self.slot] == ABSENT:
            taken[self.slot] = max(*taken, 0)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of a connection."""
        fast = getattr(self.wsgi, "extensions", {}).get("fastPredict")  # another application has none
        with Connection(client.family, client.type, client.proto, fileno=client.detach()) as connection:
            if fast is None or self._answer_usual(connection, addr[0] if addr else "", fast):
                super().handle(listener, connection, addr)

    def _answer_usual(self, connection: Connection, client: str, fast: FastPredict) -> bool:
        """Answer requests on the short road; whether another one has come, which is put back. Otherwise the connection is at its end."""
        with suppress(OSError):  # the client is gone
            while (request := self._read(connection)) is not None:
                self._show_up()
                received, head, body = request
                is_last = head is None or head.is_last or not self.alive
                answer = None if head is None else fast.answer(head, body, client, is_last, time.perf_counter())
                if answer is None:
                    connection.unread = received
                    return True
                connection.sendall(answer)
                if is_last:
                    break
        return False

    def _read(self, connection: Connection) -> tuple[bytes, Head | None, bytes] | None:
        """All that was read of the next request, with its head and its body where it is usual; None where no whole one comes."""
        with self.timeout_ctx():
            if received := connection.recv(READ_BYTES):
                before, found, body = received.partition(b"\r\n\r\n")
                head = read_head(before) if found else None
                while head is not None and len(body) < head.length:
                    if not (more := connection.recv(READ_BYTES)):
                        return None
                    received, body = received + more, body + more
                return received, head if head is not None and len(body) == head.length else None, body
        return None

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """Answer one request."""
        self._show_up()
        _cork(sock, on=True)
        try:
            return super().handle_request(listener_name, req, sock, addr)
        finally:
            _cork(sock, on=False)


def _cork(sock: Any, *, on: bool) -> None:
    """Hold back what is sent, or let it go."""
    if CORK is not None:
        with suppress(OSError):  # closed already, or no TCP
            sock.setsockopt(socket.IPPROTO_TCP, CORK, on)
