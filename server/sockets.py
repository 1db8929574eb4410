"""The sockets of the worker: connections are spread evenly over the workers, take turns, and have time limits.

Spread: an awake worker accepts new connections faster than one that sleeps, so all keep-alive clients may end up with one worker and one
core. Here the workers share how many connections each has accepted and has open. A worker that is ahead waits a moment before it
accepts. A worker accepts its share of the waiting connections at once: with one at a time, 128 clients without keep-alive got 2,700
answers per second instead of 7,000.

Turns: without turns, a client that sends its next request at once would be read again and again while others wait. Here every read waits
for the loop, and the loop goes through all connections.

Limits: a slow body, an endless request and an answer that the client does not read are aborted after a while, which frees their memory.
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
WAITING = struct.Struct("24xI")  # tcpi_unacked in linux/tcp.h's tcp_info: for a listening socket, the number of waiting connections
ABSENT = -1
HEAD_BYTES = 64 * 1024  # of a request's head, with the part of the body that arrives with it
PARTING_SECONDS = 1.0
PARTING_BYTES = 64 * 1024
AT_ONCE = 16  # connections accepted in one round of the loop
FEW = 16  # connections of a worker: with fewer, the workers take strict turns, so that idle connections do not count
MAX_BEHIND = 4  # turns that a worker may catch up on; turns missed while it hung or had many connections are forgotten
LEAD = 32  # connections by which a busy worker may be ahead; waiting for less costs more than even shares gain
PATIENCE_SECONDS = 0.001  # for which a worker waits for the others: at least one round of its loop
# Shared memory, by slot: the connections that each worker has accepted while it had few, and those that it has open; and the slot that
# accepted the last one while it had few.
taken, held, last = (memoryview(mmap.mmap(-1, 8 * size)).cast("q") for size in (MAX_SLOTS, MAX_SLOTS, 1))
for _slot in range(MAX_SLOTS):
    taken[_slot] = held[_slot] = ABSENT
last[0] = ABSENT


class Server(StreamServer):  # type: ignore[misc]  # gevent has no types
    """gevent's server in one worker: accepts connections in turn with the other workers, and all waiting ones on shutdown.

    Attributes:
        slot: the slot of the worker.
        waits_for: the counts of the workers that it waits for, which change when one of them accepts; empty: it does not wait.
        waits_since: when it started to wait, time.monotonic().
        may_take: how many connections it accepts before it compares again: its share of the waiting ones, or AT_ONCE if it has many.
        tells_waiting: whether the system reports waiting connections.
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
        """The number of waiting connections to accept now; 0 if none waits or another worker should accept them."""
        waiting = self._waiting()
        if waiting == 0:
            return 0
        numbers, most = (taken, taken[self.slot] + (last[0] == self.slot)) if has_few else (held, held[self.slot] - LEAD)
        others = [slot for slot, number in enumerate(numbers) if number != ABSENT and slot != self.slot]
        behind = [numbers[slot] for slot in others if numbers[slot] < most and not (has_few and held[slot] >= FEW)]
        if not self._has_waited_for(behind):
            os.sched_yield()  # the other may need this core
            return 0
        return max(1, min(AT_ONCE, waiting // (len(others) + 1))) if has_few else AT_ONCE

    def _waiting(self) -> int:
        """The number of waiting connections if the system reports it, otherwise 1, although there may be none or more."""
        number = 0
        if TCP_INFO is not None:
            with suppress(OSError):  # no TCP
                (number,) = WAITING.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, WAITING.size))
        self.tells_waiting = self.tells_waiting or number > 0
        return number if self.tells_waiting else 1

    def _has_waited_for(self, behind: Sequence[int]) -> bool:
        """Whether this worker has waited PATIENCE_SECONDS for the workers that are behind, given by their counts."""
        now = time.monotonic()
        if behind != self.waits_for:  # one of them has accepted, or they are different workers
            self.waits_for, self.waits_since = behind, now
        if behind and now - self.waits_since < PATIENCE_SECONDS:
            return False
        self.waits_for = ()
        return True

    def _take(self) -> Any:
        """Accept a waiting connection, and count it until the worker closes it."""
        waiting = super().do_read()
        if waiting:
            held[self.slot] += 1
        return waiting

    def close(self) -> None:
        """Accept the waiting connections, which would be reset otherwise, and then no more."""
        while not self.closed and not self.full() and (waiting := self._take()):
            self.do_handle(*waiting)
        taken[self.slot] = held[self.slot] = ABSENT  # the others do not wait for it
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
        """Hold back output or send it, so headers and body leave in one packet. Each packet wakes the client, which is the largest cost."""
        if CORK is not None:
            with suppress(OSError):  # closed already, or no TCP
                self.setsockopt(socket.IPPROTO_TCP, CORK, on)

    def drain_and_close(self) -> None:
        """Close the sending side and read for a moment. If unread bytes remain at the close, the client may lose the answer."""
        ends = time.monotonic() + PARTING_SECONDS
        with suppress(OSError, RequestTimeout):
            self.shutdown(socket.SHUT_WR)
            while (left := ends - time.monotonic()) > 0:
                wait_read(self.fileno(), left, RequestTimeout)
                if not super().recv(PARTING_BYTES):
                    return

    def hang_up_if_idle(self) -> None:
        """Accept no more requests if none has begun since the last call, a second ago. The next read sees the end of the connection."""
        if self.is_idle and self.was_idle:
            with suppress(OSError):
                self.shutdown(socket.SHUT_RD)
        self.was_idle = self.is_idle
