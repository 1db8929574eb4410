"""A server on a real socket that answers each request as a test says: with these bytes, late, or not at all."""

import contextlib
import json
import socket
import struct
import threading
from typing import Any, Self

CLOSE = "close"  # reads the request and closes the connection
RESET = "reset"  # reads the request and resets the connection
HANG = "hang"  # reads the request and never answers


def answer(status: int, body: Any = None, kind: str = "application/json", **headers: str) -> bytes:
    """Return an HTTP answer; a body that is not text becomes JSON. Underscores in names of headers become dashes."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode()
    lines = [f"HTTP/1.1 {status} Status", f"Content-Type: {kind}", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


class FailingServer:
    """Answers one connection after the other with `outcomes`; `requests` has the heads that arrived, `url` the address."""

    def __init__(self, *outcomes: bytes | str, listening: bool = True) -> None:
        self.outcomes = list(outcomes)
        self.requests: list[str] = []
        self._open: list[socket.socket] = []
        self._server = socket.socket()
        self._server.bind(("127.0.0.1", 0))
        self._listens = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        if listening:
            self.listen()

    def listen(self) -> None:
        """Accept connections, which are refused until then."""
        with contextlib.suppress(OSError):  # the test has ended
            self._server.listen()
        self._listens.set()

    def __enter__(self) -> Self:
        """Start to answer."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all connections."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._listens.set()  # if nothing listened so far
        self._thread.join()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        """Answer connections until the server is closed."""
        self._listens.wait()
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self.requests.append(_read_request(connection))
            outcome = self.outcomes.pop(0)
            if outcome == HANG:
                self._open.append(connection)
                continue
            if outcome == RESET:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif isinstance(outcome, bytes):
                connection.sendall(outcome)
            connection.close()


def _read_request(connection: socket.socket) -> str:
    """Read one request with its body, and return its head."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += connection.recv(65536)
    head, _, body = content.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    while lengths and len(body) < lengths[0]:
        body += connection.recv(65536)
    return head.decode()
