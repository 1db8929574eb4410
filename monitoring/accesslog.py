"""The access log: one JSON line per request on stderr, with the id of the X-Request-ID header.

    {"time":"2026-11-24T21:56:12.123Z","id":"8f3a9c01-1f","client":"127.0.0.1","method":"POST","path":"/predict","status":200,"seconds":0.0005}

A line has no body, query or headers, so it has no closes and no API key. If stderr does not accept a line at once, the line is dropped and
the next one counts the dropped lines: {..., "lost": 12}.
"""

import itertools
import re
import secrets
import sys
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic_core import to_json

from monitoring.stderr import write_if_ready

ID_HEADER = "X-Request-ID"
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # ids that are accepted from a proxy or client
MAX_PATH = 200  # characters of a path that are logged


class RequestInfo(NamedTuple):
    """What the access log says of a request: its id, the client's address, method and path."""

    id: str
    client: str
    method: str
    path: str


class AccessLog:
    """The access log of one worker."""

    def __init__(self, is_on: bool, descriptor: int | None = None) -> None:
        """Write to a file descriptor, by default that of stderr. Write nothing if `is_on` is false."""
        self._descriptor = (sys.__stderr__.fileno() if sys.__stderr__ else -1) if descriptor is None else descriptor
        self._is_on, self._lost = is_on, 0
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def id_for(self, given: str = "") -> str:
        """Return the id of a request: the given one if it is valid, otherwise a new one."""
        return given if ID.fullmatch(given) else f"{self._prefix}-{next(self._numbers):x}"

    def write(self, info: RequestInfo, status: int, seconds: float) -> None:
        """Write the line of an answered request in one piece."""
        if not self._is_on:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "id": info.id, "client": info.client, "method": info.method, "path": info.path[:MAX_PATH],
            "status": status, "seconds": round(seconds, 6),
        }  # fmt: skip
        if self._lost:
            line["lost"] = self._lost
        self._lost = 0 if write_if_ready(self._descriptor, to_json(line) + b"\n") else self._lost + 1
