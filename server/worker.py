"""gunicorn's gevent worker with a direct path, balanced connections (balance.py), time limits (sockets.py), and JSON errors.

The application is any WSGI application. One with a direct path has an object under `extensions["direct"]` with two methods:

    answer(head, body, client, is_last, started) -> bytes     the complete answer to a usual request
    refuse(status, client) -> bytes                            the complete answer to what is not valid HTTP

While a connection's requests are usual (head.py), the direct path answers them. The first other request goes to gunicorn unchanged,
and so do all later ones of that connection.
"""

import socket
import time
from contextlib import suppress
from typing import Any, Protocol

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, LimitRequestLine, ParseException, UnsupportedTransferCoding
from gunicorn.workers import ggevent
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, RequestTimeout

from server.balance import Server
from server.head import Head, read_head
from server.memory import give_back_memory
from server.sockets import Connection

READ_BYTES = 16 * 1024
BODY_READ_BYTES = 64 * 1024  # gunicorn reads 8 kB at a time: a batch would take 75 rounds of the event loop
GIVE_BACK_SECONDS = 10.0

# Statuses of what is not valid HTTP; a subclass comes before its class.
STATUSES: dict[type[Exception], int] = {
    LimitRequestLine: 414,
    LimitRequestHeaders: 431,
    RequestEntityTooLarge: 431,  # of the head; the application answers for the body
    UnsupportedTransferCoding: 501,
    ExpectationFailed: 417,
    RequestTimeout: 408,
    ParseException: 400,
}


class Direct(Protocol):
    """The direct path of an application."""

    def answer(self, head: Head, body: bytes, client: str, is_last: bool, started: float) -> bytes:
        """Return the complete answer to a usual request."""

    def refuse(self, status: int, client: str) -> bytes:
        """Return the complete answer to what is not valid HTTP."""


class CheckedBody:
    """Reads a request's body. After an invalid one the connection is closed: what follows may be part of the body.

    Attributes:
        is_valid: whether the body was valid so far.
    """

    def __init__(self, request: Any, max_bytes: int) -> None:
        """Stand between gunicorn's body and its reader. A longer body than `max_bytes` is not read to its end."""
        self._request, self._reader, self.is_valid = request, request.body.reader, True
        request.body.reader = self
        if getattr(self._reader, "length", 0) > max_bytes:
            request.force_close()

    def read(self, size: int) -> bytes:
        """Read up to `size` bytes.

        Raises:
            HTTPException: the body is invalid, late or too long.
        """
        try:
            content: bytes = self._reader.read(size)
        except Exception as error:
            self.is_valid = False
            self._request.force_close()
            if isinstance(error, HTTPException):
                raise
            raise BadRequest from None
        return content


class StockWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own gevent worker, except for the answer to what is not valid HTTP."""

    @property
    def direct(self) -> Direct | None:
        """The direct path of the application, if it has one."""
        found: Direct | None = getattr(self.wsgi, "extensions", {}).get("direct")
        return found

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is not valid HTTP. gunicorn would quote it in its log, and it may contain keys and closes."""
        direct = self.direct
        if direct is None:
            super().handle_error(req, client, addr, exc)
            return
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), 500)
        if status == 500:
            self.log.exception("A connection failed.")
        with suppress(OSError):  # the client is gone
            client.sendall(direct.refuse(status, addr[0] if addr else ""))
            self.end(client)

    def end(self, client: Any) -> None:
        """End a connection whose last bytes were not valid HTTP."""
        client.shutdown(socket.SHUT_WR)


class Worker(StockWorker):
    """One process with one event loop and many connections.

    Attributes:
        slot: set by gunicorn.conf.py before the fork.
        max_body_bytes: of a request, with the overhead of chunks; set by gunicorn.conf.py.
    """

    slot: int
    max_body_bytes = 4 * 1024 * 1024

    def __init__(self, *args: Any, **options: Any) -> None:
        """Start without connections."""
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self._gave_back_at = time.monotonic()

    def run(self) -> None:
        """Serve until the worker is stopped."""
        ggevent.StreamServer = Server  # GeventWorker.run creates one and has no option for its class; this process alone
        Server.slot = self.slot
        Server.slots.accepted(self.slot)
        super().run()

    def notify(self) -> None:
        """Once a second: show a sign of life, return free memory, and end idle connections if the worker is stopping."""
        super().notify()
        Server.slots.show_life(self.slot)
        if time.monotonic() - self._gave_back_at >= GIVE_BACK_SECONDS:
            self._gave_back_at = time.monotonic()
            give_back_memory()
        if not self.alive:
            for connection in self.connections:
                connection.end_if_idle()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of a connection."""
        direct = self.direct
        with Connection(client.family, client.type, client.proto, fileno=client.detach()) as connection:
            connection.setblocking(True)
            self.connections.add(connection)
            try:
                if direct is None or self._answer_usual(connection, addr[0] if addr else "", direct):
                    super().handle(connection, connection, addr)  # gunicorn asks for the address; a stopping worker's listener is closed
            finally:
                self.connections.discard(connection)

    def _answer_usual(self, connection: Connection, client: str, direct: Direct) -> bool:
        """Answer requests on the direct path. Return whether another request has come, which is put back for gunicorn."""
        with suppress(OSError):  # the client is gone
            while (request := self._read(connection)) is not None:
                received, head, body = request
                if head is None:
                    connection.put_back(received)
                    return True
                is_last = head.is_last or not self.alive
                connection.sendall(direct.answer(head, body, client, is_last, time.perf_counter()))
                if is_last:
                    break
                connection.await_head()
        return False

    def _read(self, connection: Connection) -> tuple[bytes, Head | None, bytes] | None:
        """Read the next request: all bytes, and its head and body if it is usual and complete. Return None if there is no next request."""
        received = b""
        with self.timeout_ctx():
            received = connection.recv(READ_BYTES)
        if not received:
            return None
        before, found, body = received.partition(b"\r\n\r\n")
        head = read_head(before) if found else None
        if head is not None and len(body) < head.length:
            rest = connection.read_exactly(head.length - len(body))
            received, body = received + rest, body + rest
        return received, head if head is not None and len(body) == head.length else None, body

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> None:
        """Answer one request through the application. Its body must arrive in time.

        Raises:
            StopIteration: the connection is closed.
        """
        sock.await_body(self.max_body_bytes, BODY_READ_BYTES)
        body = CheckedBody(req, self.max_body_bytes)
        is_last = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            is_last = True
        with suppress(HTTPException):  # read what the application left of the body, up to the next request
            while req.body.read(READ_BYTES):
                pass
        if sock.is_late or not body.is_valid:
            sock.drain_and_close()
            is_last = True
        if is_last:
            raise StopIteration
        sock.await_head()

    def end(self, client: Connection) -> None:
        """End a connection, so that its client receives the answer even if it is still sending."""
        client.drain_and_close()
