"""Client connections with time and size limits, and fair reads.

Fair reads: a client that sends its next request at once would be read again and again while others wait. Here every read waits for the
event loop, which goes through all connections.

Limits: the connection ends if a body arrives too slowly, a request never ends, or the client does not read its answer. Its memory is then
freed.
"""

import errno
import socket
import time
from contextlib import suppress
from typing import Any

from gevent.socket import cancel_wait_ex, wait, wait_read
from gevent.socket import socket as GeventSocket  # noqa: N812
from werkzeug.exceptions import RequestEntityTooLarge, RequestTimeout

HEAD_BYTES = 64 * 1024  # limit for a head and what arrives with it
DRAIN_SECONDS = 1.0
DRAIN_BYTES = 64 * 1024  # read at a time while draining


class Connection(GeventSocket):  # type: ignore[misc]  # gevent has no types
    """A client's socket. It waits for a head, then for a body, then for the next head.

    Attributes:
        seconds: time limit for a body to arrive and for an answer to be read by the client.
        is_late: whether a body did not arrive in time; nothing is read after that.
    """

    seconds = 30.0
    is_late = False
    _deadline: float | None = None  # of the body, time.monotonic(); None while a head is awaited
    _bytes_left = HEAD_BYTES  # that may still arrive
    _read_at_least = 0  # bytes read at a time, even if the caller asks for fewer
    _is_idle = True  # no byte of the next request has arrived
    _was_idle = False  # the same at the last call of end_if_idle
    _unread = b""  # put back, to be read again first

    def await_head(self) -> None:
        """Expect the head of the next request."""
        self._deadline, self._bytes_left, self._read_at_least, self._is_idle = None, HEAD_BYTES, 0, True

    def await_body(self, max_bytes: int, read_at_least: int) -> None:
        """Expect the body of the current request: `max_bytes` in `seconds`, counted from the first call for the same request."""
        self._deadline = self._deadline or time.monotonic() + self.seconds
        self._bytes_left, self._read_at_least = max_bytes, read_at_least

    def read_exactly(self, length: int) -> bytes:
        """Read `length` bytes of a body, or fewer if they do not arrive in time. The next reader then meets the same deadline."""
        content = b""
        self._deadline = time.monotonic() + self.seconds
        try:
            while len(content) < length and (more := self.recv(length - len(content))):
                content += more
        except RequestTimeout:
            self.is_late = False
        else:
            self._deadline = None
        return content

    def put_back(self, received: bytes) -> None:
        """Return bytes to the connection; the next read returns them."""
        self._unread = received

    def recv(self, size: int) -> bytes:
        """Read what has arrived, once the event loop reports it.

        Raises:
            RequestTimeout: the body did not arrive in time.
            RequestEntityTooLarge: more bytes arrived than the limit.
        """
        if self._unread:
            again, self._unread = self._unread, b""
            return again
        if self.is_late:
            return b""
        if self._bytes_left <= 0:
            raise RequestEntityTooLarge
        seconds = None if self._deadline is None else self._deadline - time.monotonic()
        try:
            if seconds is not None and seconds <= 0:  # also if bytes have arrived
                raise RequestTimeout
            wait(self._read_event, seconds, RequestTimeout)
        except RequestTimeout:
            self.is_late = True
            raise
        except cancel_wait_ex:  # end_if_idle
            return b""
        received: bytes = super().recv(max(size, self._read_at_least))
        self._bytes_left -= len(received)
        self._is_idle = False
        return received

    def setblocking(self, flag: bool) -> None:
        """Block, as gunicorn asks for, but with the time limit."""
        self.settimeout(self.seconds if flag else 0)

    def sendall(self, *args: Any) -> None:
        """Send everything.

        Raises:
            ConnectionResetError: the client did not read its answer in time.
        """
        try:
            super().sendall(*args)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "The client did not read its answer.") from None

    def drain_and_close(self) -> None:
        """Say that no more is answered, then read for a moment: if unread bytes are left, the client may lose the answer."""
        deadline = time.monotonic() + DRAIN_SECONDS
        with suppress(OSError, RequestTimeout):
            self.shutdown(socket.SHUT_WR)
            while (left := deadline - time.monotonic()) > 0:
                wait_read(self.fileno(), left, RequestTimeout)
                if not super().recv(DRAIN_BYTES):
                    return

    def end_if_idle(self) -> None:
        """End the connection if it has been idle since the last call, a second ago: the next read returns no bytes."""
        if self._is_idle and self._was_idle:
            with suppress(OSError):
                self.shutdown(socket.SHUT_RD)
        self._was_idle = self._is_idle
