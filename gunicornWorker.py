"""gunicorn's gevent worker, with fair sockets (gunicornSockets.py), a short road for the usual request, and errors in our own form.

Short road: as long as the requests of a connection are usual ones, fastPredict.py reads and answers them. The first other request goes to
gunicorn, byte for byte, and so do all that follow it on that connection, so there is no doubt whose turn it is to read.
"""

import ctypes
import time
from contextlib import suppress
from typing import Any

from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import RequestTimeout

import liveWorkers
from fastPredict import FastPredict, Head, read_head
from gunicornSockets import ABSENT, Connection, Listener, taken
from requestBody import MAX_BODY_BYTES

READ_BYTES = 16 * 1024
GIVE_BACK_SECONDS = 30.0
MAX_REST_BYTES = 2 * MAX_BODY_BYTES


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process, one loop, many connections; gunicorn.conf.py sets its slot before the fork."""

    slot: int
    sockets: list[Any]

    def __init__(self, *args: Any, **options: Any) -> None:
        """Have no connection yet, and all memory still to use."""
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self.gave_back_at = time.monotonic()

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
        """Once a second: tell the master that this worker lives and the others that it takes connections, or hang up on the idle."""
        super().notify()
        liveWorkers.show_life(self.slot)
        self._show_up()
        if time.monotonic() - self.gave_back_at >= GIVE_BACK_SECONDS:
            self.gave_back_at = time.monotonic()
            _give_back_memory()
        if not self.alive:
            for connection in self.connections:
                connection.hang_up_if_idle()

    def _show_up(self) -> None:
        """Take turns again."""
        if self.alive and taken[self.slot] == ABSENT:
            taken[self.slot] = max(*taken, 0)

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of a connection."""
        fast = getattr(self.wsgi, "extensions", {}).get("fastPredict")  # another application has none
        with Connection(client.family, client.type, client.proto, fileno=client.detach()) as connection:
            connection.setblocking(True)
            self.connections.add(connection)
            try:
                if fast is None or self._answer_usual(connection, addr[0] if addr else "", fast):
                    super().handle(listener, connection, addr)
            finally:
                self.connections.discard(connection)

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
                connection.is_idle = True
        return False

    def _read(self, connection: Connection) -> tuple[bytes, Head | None, bytes] | None:
        """All that was read of the next request, with its head and its body where it is usual; None where no whole one comes."""
        received = b""
        with self.timeout_ctx():
            received = connection.recv(READ_BYTES)
        if not received:
            return None
        before, found, body = received.partition(b"\r\n\r\n")
        head = read_head(before) if found else None
        if head is not None and len(body) < head.length:
            rest = self._read_rest(connection, head.length - len(body))
            received, body = received + rest, body + rest
        return received, head if head is not None and len(body) == head.length else None, body

    def _read_rest(self, connection: Connection, length: int) -> bytes:
        """So many further bytes of a body, or fewer where no more come in time: gunicorn is then told the same."""
        rest = b""
        connection.ends = time.monotonic() + connection.seconds
        try:
            while len(rest) < length and (more := connection.recv(READ_BYTES)):
                rest += more
        except RequestTimeout:
            connection.is_late = False
        else:
            connection.ends = None
        return rest

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> None:
        """Answer one request, whose body must come in time.

        Raises:
            StopIteration: the connection is at its end.
        """
        self._show_up()
        sock.ends = sock.ends or time.monotonic() + sock.seconds
        sock.cork(on=True)
        is_last = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            is_last = True
        finally:
            sock.cork(on=False)
        if not self._pass_over_rest(req) or sock.is_late:
            sock.see_off()
            is_last = True
        if is_last:
            raise StopIteration
        sock.ends, sock.is_idle = None, True

    def _pass_over_rest(self, req: Any) -> bool:
        """Read what is left of a body that was refused unread, so that the next request can be made out, unless it is too long or late."""
        left = MAX_REST_BYTES
        with suppress(RequestTimeout, OSError):
            while left >= 0:
                rest = req.body.read(READ_BYTES)
                if not rest:
                    return True
                left -= len(rest)
        return False

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no sound HTTP, as app.py answers its errors."""
        refuse = getattr(self.wsgi, "extensions", {}).get("refuse")
        if refuse is None:
            super().handle_error(req, client, addr, exc)
            return
        told = StatusOnly()
        super().handle_error(req, told, addr, exc)
        with suppress(OSError):  # the client is gone
            client.sendall(refuse(told.status, addr[0] if addr else ""))
            client.see_off()


def _give_back_memory() -> None:
    """Give pages that are free back to the system, in a millisecond or so.

    The C library keeps them, in pieces that the next model does not fit into: with a model a minute a worker grew by 5 MB each.
    """
    with suppress(OSError, AttributeError):  # another one than glibc
        ctypes.CDLL(None).malloc_trim(0)


class StatusOnly:
    """In a socket's place when gunicorn answers an error: of that answer only the status is of use."""

    status = 500

    def gettimeout(self) -> float:
        """As a socket that does not wait."""
        return 0.0

    def sendall(self, answer: bytes) -> None:
        """Take gunicorn's answer."""
        self.status = int(answer.split(None, 2)[1])
