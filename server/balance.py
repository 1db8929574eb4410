"""Spreads new connections over the workers.

All workers accept from one listening socket. Without a rule, a worker that is awake accepts faster than one that sleeps, and all
keep-alive connections may end up at one worker, on one core. The rule: the worker that accepted least recently is next; the others wait
for it, up to a millisecond. The worker whose turn it is accepts its share of the waiting connections, so that a crowd is served fast.
"""

import os
import socket
import struct
import time
from contextlib import suppress
from typing import Any

from gevent.server import StreamServer

from server.slots import Slots, workers

TCP_INFO = getattr(socket, "TCP_INFO", None)  # Linux
WAITING = struct.Struct("24xI")  # tcpi_unacked in tcp_info of linux/tcp.h: for a listening socket, the connections that wait
MAX_SHARE = 16  # connections accepted in one round of the event loop
PATIENCE_SECONDS = 0.001  # for which a worker waits for another one to accept


class Server(StreamServer):  # type: ignore[misc]  # gevent has no types
    """gevent's server in one worker. On close it accepts the connections that still wait, which would be reset otherwise.

    Attributes:
        slot: the worker's.
        slots: of all workers.
    """

    slot = 0
    slots: Slots = workers

    def __init__(self, *args: Any, **options: Any) -> None:
        """Set up as gevent does."""
        super().__init__(*args, **options)
        self._may_accept = 0  # connections left of this worker's share
        self._last_accept = 0.0  # of any worker, when this one began to wait
        self._waits_since = 0.0
        self._knows_waiting = False  # whether the system has ever told how many connections wait

    def start(self) -> None:
        """Start to accept, several connections in a round of the event loop; gunicorn sets one."""
        self.max_accept = MAX_SHARE
        super().start()

    def do_read(self) -> Any:
        """Accept a connection. Return None if none waits or another worker should accept it; gevent then asks again."""
        self._may_accept = self._may_accept or self._share()
        accepted = super().do_read() if self._may_accept else None
        self._may_accept = self._may_accept - 1 if accepted else 0
        if accepted:
            self.slots.accepted(self.slot)
        return accepted

    def _share(self) -> int:
        """Return how many of the waiting connections this worker may accept now."""
        waiting = self._waiting()
        if waiting == 0:
            return 0
        others, is_behind = self.slots.others_before(self.slot)
        if is_behind and not self._has_waited():
            os.sched_yield()  # the other worker may need this core
            return 0
        return max(1, min(MAX_SHARE, waiting // (others + 1)))

    def _has_waited(self) -> bool:
        """Return whether no worker has accepted for PATIENCE_SECONDS since this one began to wait."""
        now, last = time.monotonic(), self.slots.last_accept()
        if last != self._last_accept:
            self._last_accept, self._waits_since = last, now
        return now - self._waits_since >= PATIENCE_SECONDS

    def _waiting(self) -> int:
        """Return how many connections wait. Where the system does not tell, return 1: there may be none or more."""
        number = 0
        if TCP_INFO is not None:
            with suppress(OSError):  # not a TCP socket
                (number,) = WAITING.unpack(self.socket.getsockopt(socket.IPPROTO_TCP, TCP_INFO, WAITING.size))
        self._knows_waiting = self._knows_waiting or number > 0
        return number if self._knows_waiting else 1

    def close(self) -> None:
        """Accept the connections that wait, then stop."""
        while not self.closed and not self.full() and (accepted := super().do_read()):
            self.do_handle(*accepted)
        self.slots.stop_accepting(self.slot)
        super().close()
