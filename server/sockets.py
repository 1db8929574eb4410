"""The sockets of gunicornWorker.py: connections are spread evenly, take turns, and are bounded in time.

Spread: a worker that is awake takes new connections faster than one that sleeps, so kept-alive clients may all end up with one worker, and
one core. Here the workers see how many each has taken, or has where it has many; who is ahead lets the others go first, for a moment. Who
takes, takes its share of those that wait: one at a time, 128 clients without kept-alive connections had 2,700 answers a second, not 7,000.

Turns: a client that sends its next request at once would be read at once, and again, while others wait to be looked at. Here every read
waits for the loop to say that there is something, and the loop goes through all connections.

Bounds: a body that trickles in, a request without end and an answer that nobody takes end after a while, and with them what they hold in
memory.
"""

import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from gevent.server import StreamServer
from gevent.socket import socket as GeventSocket  # noqa: N812
from gevent.socket import wait, wait_read
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

from server.slots import MAX_SLOTS

CORK, TCP_INFO = getattr(socket, "TCP_CORK", None), getattr(socket, "TCP_INFO", None)  # Linux
WAITING = struct.Struct("24xI")  # tcpi_unacked of linux/tcp.h's tcp_info: of a socket that listens, how many wait
ABSENT = -1
HEAD_BYTES = 64 * 1024  # and what comes along with it
PARTING_SECONDS = 1.0
PARTING_BYTES = 64 * 1024
AT_ONCE = 16  # connections that are taken in a round of the loop
FEW = 16  # connections of a worker: with fewer they take strict turns, so that idle ones do not count
MAX_BEHIND = 4  # turns that a worker may make up for: what it missed while it stood still or had many is forgiven
LEAD = 32  # connections by which a worker with many may be ahead: waiting for less would cost more than evenness brings
PATIENCE_SECONDS = 0.001  # for which a worker lets the others go first: a round of its loop at least
# By slot, in memory that the master shares with the workers: how many connections each has taken while it had few, and how many it has.
# Beside them the slot that took the last one while it had few.
taken, held, last = (memoryview(mmap.mmap(-1, 8 * size)).cast("q") for size in (MAX_SLOTS, MAX_SLOTS, 1))
for _slot in range(MAX_SLOTS):
    taken[_slot] = held[_slot] = ABSENT
last[0] = ABSENT


class Server(StreamServer):  # type: ignore[misc]  # gevent has no types
    """gevent's server, as one worker has it: takes connections in turn with the other workers', and at its end all that still wait.

    Attributes:
        slot: the worker's.
        waits_for: the numbers of those that it lets go first, which change where one takes what was left to it; empty: it does not wait.
        waits_since: when it began to, time.monotonic().
        may_take: how many it takes before it looks at the others again: its share of those that wait, with many AT_ONCE.
        tells_waiting: whether the system has told of one that waits.
    """

    slot = 0
    waits_for: Sequence[int] = ()
    waits_since = 0.0
    may_take = 0
    tells_waiting = False

    def start(self) -> None:
        """Begin to accept, several in a round of the loop: with one, as gunicorn sets, the last of a crowd wait for seconds."""
        self.max_accept = AT_ONCE
        super().start()

    def do_read(self) -> Any:
        """A connection and its client's address; None where there is none, or where another worker should take it: gevent asks again."""
        has_few = len(self.pool) < FEW
        self.may_take = self.may_take or self._share(has_few)
        accepted = self._take() if self.may_take else None
        self.may_take = self.may_take - 1 if accepted else 0
        if accepted and has_few:
            taken[self.slot] = max(taken[self.slot] + 1, max(taken) - MAX_BEHIND)
            last[0] = self.slot
        return accepted

    def _share(self, has_few: bool) -> int:
        """How many of those that wait are this worker's now; 0: none waits, or another one should take them."""
        waiting = self._waiting()
        if waiting == 0:
            return 0
        numbers, most = (taken, taken[self.slot] + (last[0] == self.slot)) if has_few else (held, held[self.slot] - LEAD)
        others = [slot for slot, number in enumerate(numbers) if number != ABSENT and slot != self.slot]
        behind = [numbers[slot] for slot in others if numbers[slot] < most and not (has_few and held[slot] >= FEW)]  # its turns stand still
        if not self._has_waited_for(behind):
            os.sched_yield()  # the other may need this core
            return 0
        return max(1, min(AT_ONCE, waiting // (len(others) + 1))) if has_few else AT_ONCE

    def _waiting(self) -> int:
        """How many connections wait to be taken, where the system tells; elsewhere 1, though there may be none or more."""
        number = 0
        if TCP_INFO is not None:
            with suppress(OSError):  # no TCP
                (number,) = WAITING.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, WAITING.size))
        self.tells_waiting = self.tells_waiting or number > 0
        return number if self.tells_waiting else 1

    def _has_waited_for(self, behind: Sequence[int]) -> bool:
        """Whether those that are behind, by their numbers, have let a connection wait for longer than this worker lets them go first."""
        now = time.monotonic()
        if behind != self.waits_for:  # one of them took what was left to it, or they are others
            self.waits_for, self.waits_since = behind, now
        if behind and now - self.waits_since < PATIENCE_SECONDS:
            return False
        self.waits_for = ()
        return True

    def _take(self) -> Any:
        """A connection that waits, which counts until the worker has done with it."""
        waiting = super().do_read()
        if waiting:
            held[self.slot] += 1
        return waiting

    def close(self) -> None:
        """Take what waits, since it would be reset, and nothing more."""
        while not self.closed and not self.full() and (waiting := self._take()):
            self.do_handle(*waiting)
        taken[self.slot] = held[self.slot] = ABSENT  # nobody need wait for it
        super().close()


class Connection(GeventSocket):  # type: ignore[misc]  # gevent has no types
    """A client's socket.

    Attributes:
        seconds: how long an answer may take to be sent.
        ends: when the request that is being read must have come, time.monotonic(); None: somebody else sees to it.
        is_late: whether it had not.
        left: how many bytes of it may still come.
        is_idle: whether the next thing to come is the first byte of a request; was_idle: the same when the end was last at hand.
        unread: what was read and put back, to be read again first.
        at_least: how many bytes are read at a time, even if fewer are asked for.
    """

    seconds = 30.0
    ends: float | None = None
    is_late = False
    left = HEAD_BYTES
    is_idle = True
    was_idle = False
    unread = b""
    at_least = 0

    def recv(self, size: int) -> bytes:
        """Read what has come, once the loop says that something has.

        Raises:
            RequestTimeout: the request has not come in time; from then on nothing more comes.
            RequestEntityTooLarge: more has come than may.
        """
        if self.unread:
            again, self.unread = self.unread, b""
            return again
        if self.is_late:
            return b""
        if self.left <= 0:
            raise RequestEntityTooLarge
        seconds = None if self.ends is None else self.ends - time.monotonic()
        try:
            if seconds is not None and seconds <= 0:  # also where something has come
                raise RequestTimeout
            wait(self._read_event, seconds, RequestTimeout)
        except RequestTimeout:
            self.is_late = True
            raise
        received: bytes = super().recv(max(size, self.at_least))
        self.left -= len(received)
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
        """Take no further request if none has begun since the last call, a second ago: who reads on then reads the end."""
        if self.is_idle and self.was_idle:
            with suppress(OSError):
                self.shutdown(socket.SHUT_RD)
        self.was_idle = self.is_idle
