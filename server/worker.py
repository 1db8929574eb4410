"""gunicorn's gevent worker, with fair sockets (gunicornSockets.py), a short road for the usual request, and errors in our own form.

Short road: as long as the requests of a connection are usual ones, fastPredict.py reads and answers them. The first other request goes to
gunicorn, byte for byte, and so do all that follow it on that connection, so there is no doubt whose turn it is to read.
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
BODY_READ_BYTES = 64 * 1024  # gunicorn asks for 8 kB: a batch would wait for 75 rounds of the loop, and hold what it has meanwhile
GIVE_BACK_SECONDS = 10.0
M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8  # of glibc's malloc.h
MAX_REQUEST_BYTES = 2 * MAX_BODY_BYTES  # with what chunks have about them; a body that is refused is passed over up to there
# Statuses of what is no sound request; a subclass comes before its class.
STATUSES: dict[type[Exception], int] = {
    LimitRequestHeaders: 431,
    RequestEntityTooLarge: 431,  # the head, as a body's is answered by app.py
    UnsupportedTransferCoding: 501,
    ExpectationFailed: 417,
    RequestTimeout: 408,
    ParseException: 400,
}
ggevent.StreamServer = Server  # GeventWorker.run makes one, with no way to say of which class


class CheckedBody:
    """Reads a request's body as far as it is sound; what follows one that is not may be part of it, so the connection ends then.

    Attributes:
        is_sound: whether it was so far.
    """

    def __init__(self, request: Any) -> None:
        """Stand between gunicorn's body and its reader."""
        self._request, self._reader, self.is_sound = request, request.body.reader, True
        request.body.reader = self
        if getattr(self._reader, "length", 0) > MAX_REQUEST_BYTES:  # it will be refused, and not be passed over
            request.force_close()

    def read(self, size: int) -> bytes:
        """As gunicorn's readers.

        Raises:
            HTTPException: it is not sound, too late or too long.
        """
        try:
            content: bytes = self._reader.read(size)
        except Exception as error:
            self.is_sound = False
            self._request.force_close()
            if isinstance(error, HTTPException):
                raise
            raise BadRequest from None
        return content


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """One process, one loop, many connections; gunicorn.conf.py sets its slot before the fork."""

    slot: int

    def __init__(self, *args: Any, **options: Any) -> None:
        """Have no connection yet, and all memory still to use."""
        super().__init__(*args, **options)
        self.connections: set[Connection] = set()
        self.gave_back_at = time.monotonic()

    def run(self) -> None:
        """Serve until the end."""
        Server.slot = self.slot
        taken[self.slot], held[self.slot] = max(*taken, 0), 0
        super().run()

    def notify(self) -> None:
        """Once a second: show that this worker lives, give memory back, and at its end hang up on the idle."""
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
        fast = getattr(self.wsgi, "extensions", {}).get("fastPredict")  # another application has none
        with Connection(client.family, client.type, client.proto, fileno=client.detach()) as connection:
            connection.setblocking(True)
            self.connections.add(connection)
            try:
                if fast is None or self._answer_usual(connection, addr[0] if addr else "", fast):
                    super().handle(listener, connection, addr)
            finally:
                self.connections.discard(connection)
                if held[self.slot] != ABSENT:  # it takes no more, and counts no more
                    held[self.slot] -= 1

    def _answer_usual(self, connection: Connection, client: str, fast: FastPredict) -> bool:
        """Answer requests on the short road; whether another one has come, which is put back. Otherwise the connection is at its end."""
        with suppress(OSError):  # the client is gone
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
        sock.ends, sock.left, sock.at_least = sock.ends or time.monotonic() + sock.seconds, MAX_REQUEST_BYTES, BODY_READ_BYTES
        body = CheckedBody(req)
        sock.cork(on="EXPECT" not in dict(req.headers))  # whoever sends that waits for a first word
        is_last = False
        try:
            super().handle_request(listener_name, req, sock, addr)
        except StopIteration:
            is_last = True
        finally:
            sock.cork(on=False)
        with suppress(HTTPException):  # a body that was refused unread, up to the next request
            while req.body.read(READ_BYTES):
                pass
        if sock.is_late or not body.is_sound:
            sock.see_off()
            is_last = True
        if is_last:
            raise StopIteration
        sock.ends, sock.left, sock.at_least, sock.is_idle = None, HEAD_BYTES, 0, True

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is no sound HTTP, as app.py answers its errors. gunicorn would quote it in its log: keys and closes may be in it."""
        refuse = getattr(self.wsgi, "extensions", {}).get("refuse")
        if refuse is None:
            super().handle_error(req, client, addr, exc)
            return
        status = next((status for kind, status in STATUSES.items() if isinstance(exc, kind)), 500)
        if status == 500:
            self.log.exception("A connection failed")
        with suppress(OSError):  # the client is gone
            client.sendall(refuse(status, addr[0] if addr else ""))
            client.see_off()


def keep_memory_together() -> None:
    """Let the C library have one heap for all threads, and large blocks for themselves: it would keep what is freed, in pieces.

    A heap a thread, with pieces that the next model does not fit into, grew by 5 MB a worker and model. To be called before threads start.
    """
    with suppress(OSError, AttributeError):  # another one than glibc
        library = ctypes.CDLL(None)
        library.mallopt(M_ARENA_MAX, 1)
        library.mallopt(M_MMAP_THRESHOLD, 256 * 1024)


def _give_back_memory() -> None:
    """Give pages that are free back to the system, in a millisecond or so."""
    with suppress(OSError, AttributeError):  # another one than glibc
        ctypes.CDLL(None).malloc_trim(0)
