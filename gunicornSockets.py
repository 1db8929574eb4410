"""The sockets of gunicornWorker.py: connections are spread evenly, take turns, and are bounded in time.

Spread: a worker that is awake takes new connections faster than one that sleeps, so a few kept-alive clients may all end up with one
worker, and one core. Here the workers see how many each has taken, and who is ahead lets the others go first.

Turns: a client that sends its next request at once would be read at once, and again, while others wait to be looked at. Here every read
waits for the loop to say that there is something, and the loop goes through all connections.

Time: a body that trickles in and an answer that nobody takes end after a while, and with them what they hold in memory.
"""

import errno
import mmap
import os
import socket
import time
from contextlib import suppress
from typing import Any

from gevent.socket import socket as GeventSocket  # noqa: N812
from gevent.socket import wait_read
from werkzeug.exceptions import RequestTimeout

from liveWorkers import MAX_SLOTS

CORK = getattr(socket, "TCP_CORK", None)  # Linux
ABSENT = -1
PARTING_SECONDS = 1.0
PARTING_BYTES = 64 * 1024
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
        seconds: how long an answer may take to be sent.
        ends: when the request that is being read must have come, time.monotonic(); None: somebody else sees to it.
        is_late: whether it had not.
        is_idle: whether the next thing to come is the first byte of a request.
        unread: what was read and put back, to be read again first.
    """

    seconds = 30.0
    ends: float | None = None
    is_late = False
    is_idle = True
    unread = b""

    def recv(self, *args: Any) -> bytes:
        """Read what has come, once the loop says that something has.

        Raises:
            RequestTimeout: the request has not come in time; from then on nothing more comes.
        """
        if self.unread:
            again, self.unread = self.unread, b""
            return again
        if self.is_late:
            return b""
        try:
            wait_read(self.fileno(), None if self.ends is None else max(0, self.ends - time.monotonic()), RequestTimeout)
        except RequestTimeout:
            self.is_late = True
            raise
        received: bytes = super().recv(*args)
        self.is_idle = False
        return received

    def setblocking(self, flag: bool) -> None:
        """Wait when reading and writing, as gunicorn asks for, but not for ever."""
        self.settimeout(self.seconds if flag else 0)

    def sendall(self, *args: Any) -> None:
        """Send all, unless the client does not take it in time."""
        try:
            super().sendall(*args)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "The client did not take its answer.") from None

    def cork(self, *, on: bool) -> None:
        """Hold back what is sent, or let it go: headers and body leave in one packet. Each wakes the client, which costs most of all."""
        if CORK is not None:
            with suppress(OSError):  # closed already, or no TCP
                self.setsockopt(socket.IPPROTO_TCP, CORK, on)

    def see_off(self) -> None:
        """Say that no more is answered, and read on for a moment: closed on unread bytes, a client may lose the answer too."""
        ends = time.monotonic() + PARTING_SECONDS
        with suppress(OSError, RequestTimeout):
            self.shutdown(socket.SHUT_WR)
            while (left := ends - time.monotonic()) > 0:
                wait_read(self.fileno(), left, RequestTimeout)
                if not super().recv(PARTING_BYTES):
                    return

    def hang_up_if_idle(self) -> None:
        """Take no further request: whoever waits for one reads the end."""
        if self.is_idle:
            with suppress(OSError):
                self.shutdown(socket.SHUT_RD)
