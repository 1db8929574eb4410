"""gunicorn's gevent worker with fair sockets (server/sockets.py), the direct path for the usual request, and errors as JSON.

Direct path: as long as the requests of a connection are usual ones, api/direct.py reads and answers them. The first other request goes to
gunicorn, byte for byte, and so do all later requests of that connection. So only one of the two reads from a connection at a time.
"""

import ctypes
import time
from contextlib import suppress
from typing import Any

from gunicorn.http.errors import ExpectationFailed, LimitRequestHeaders, ParseException, UnsupportedTransferCoding
from gunicorn.workers import ggevent
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge, RequestTimeout

from api.body import MAX_BODY_BYTES
from api.direct import FastPredict, Head, read_head
from server import slots
from server.sockets import ABSENT, HEAD_BYTES, Connection, Server, held, taken

READ_BYTES = 16 * 1024
BODY_READ_BYTES = 64 * 1024  # gunicorn reads 8 kB, so a batch would wait for 75 rounds of the loop and hold its memory that long
GIVE_BACK_SECONDS = 10.0
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
MAX_REQUEST_BYTES = 2 * MAX_BODY_BYTES  # with chunk headers; a rejected body is skipped up to this size
# Statuses for invalid HTTP. A subclass comes before its base class.
STATUSES: dict[type[Exception], int] = {
    LimitRequestHeaders: 431,
    RequestEntityTooLarge: 431,  # of the head; app.py answers a body that is too large
    UnsupportedTransferCoding: 501,
    ExpectationFailed: 417,
    RequestTimeout: 408,
    ParseException: 400,
}
ggevent.StreamServer = Server  # GeventWorker.run creates one and has no option for its class


class CheckedBody:
    """Reads a request's body and notes whether it is valid. The connection ends after an invalid body, because the rest may belong to it.

    Attributes:
        is_valid: whether the body was valid so far.
    """

    def __init__(self, request: Any) -> None:
        """Wrap the reader of gunicorn's body."""
        self._request, self._reader, self.is_valid = request, request.body.reader, True
        request.body.reader = self
        if getattr(self._reader, "length", 0) > MAX_REQUEST_BYTES:  # it will be rejected, and is too large to skip
            request.force_close()

    def read(self, size: int) -> bytes:
        """Read like gunicorn's readers.

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


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process, one loop, many connections; gunicorn.conf.py sets its slot before the fork."""

    slot: int

    def __init__(self, *args: Any, **options: Any) -> None:
        """Start without connections."""
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self.gave_back_at = time.monotonic()

    def run(self) -> None:
        """Serve until shutdown."""
        Server.slot = self.slot
        taken[self.slot], held[self.slot] = max(*taken, 0), 0
        super().run()

    def notify(self) -> None:
        """Called once a second: show that this worker is alive, return free memory, and close idle connections on shutdown."""
        super().notify()
        slots.show_life(self.slot)
        if time.monotonic() - self.gave_back_at >= GIVE_BACK_SECONDS:
            self.gave_back_at = time.monotonic()
            _give_back_memory()
        if not self.alive:
            for connection in self.connections:
                connection.hang_up_if_idle()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Answer the requests of a connection."""
        fast = getattr(self.wsgi, "extensions", {}).get("fastPredict")  # other applications have none
        with Connection(client.family, client.type, client.proto, fileno=client.detach()) as connection:
            connection.setblocking(True)
            self.connections.add(connection)
            try:
                if fast is None or self._answer_usual(connection, addr[0] if addr else "", fast):
                    super().handle(listener, connection, addr)
            finally:
                self.connections.discard(connection)
                if held[self.slot] != ABSENT:  # it accepts no more and is not counted
                    held[self.slot] -= 1

    def _answer_usual(self, connection: Connection, client: str, fast: FastPredict) -> bool:
        """Answer requests on the direct path. True: another kind of request has arrived and is put back. False: the connection is done."""
        with suppress(OSError):  # the client has disconnected
            while (request := self._read(connection)) is not None:
                received, head, body = request
                is_last = head is None or head.is_last or not self.alive
                answer = None if head is None else fast.answer(head, body, client, is_last, time.perf_counter())
                if answer is None:
                    connection.unread = received
                    return True
                connection.sendall(answer)
                if is_last:
                    break
                connection.is_idle, connection.left = True, HEAD_BYTES
        return False

    def _read(self, connection: Connection) -> tuple[bytes, Head | None, bytes] | None:
        """Read the next request: the bytes, and its head and body if it is usual. None if the client sends no complete request."""
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
        """Read `length` more bytes of a body, or fewer if they do not arrive in time; gunicorn then sees the same timeout."""
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
        """Answer one request, whose body must arrive in time.

        Raises:
            StopIteration: the connection is done.
        """
        sock.ends, sock.left, sock.at_least = sock.ends or time.monotonic() + sock.seconds, MAX_REQUEST_BYTES, BODY_READ_BYTES
        body = CheckedBody(req)
        sock.cork(on="EXPECT" not in dict(req.headers))  # a client that sends Expect waits for the interim answer
        is_last = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            is_last = True
        finally:
            sock.cork(on=False)
        with suppress(HTTPException):  # skip a rejected body, up to the next request
            while req.body.read(READ_BYTES):
                pass
        if sock.is_late or not body.is_valid:
            sock.drain_and_close()
            is_last = True
        if is_last:
            raise StopIteration
        sock.ends, sock.left, sock.at_least, sock.is_idle = None, HEAD_BYTES, 0, True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer invalid HTTP as app.py answers errors. gunicorn would quote the request in its log, and it may contain keys and closes."""
        refuse = getattr(self.wsgi, "extensions", {}).get("refuse")
        if refuse is None:
            super().handle_error(req, client, addr, exc)
            return
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), 500)
        if status == 500:
            self.log.exception("A connection failed")
        with suppress(OSError):  # the client has disconnected
            client.sendall(refuse(status, addr[0] if addr else ""))
            client.drain_and_close()


def keep_memory_together() -> None:
    """Set glibc to one heap for all threads and separate large blocks. Otherwise it keeps freed memory in fragments.

    With one heap per thread, each new model added 5 MB per worker, because it did not fit into the fragments. Call this before threads
    start.
    """
    with suppress(OSError, AttributeError):  # not glibc
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_THRESHOLD, 256 * 1024)


def _give_back_memory() -> None:
    """Return free pages to the system. Takes about a millisecond."""
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
