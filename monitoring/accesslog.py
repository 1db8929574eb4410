"""The access log: one line of JSON per request on stderr, with the id that the answer's header X-Request-ID has too.

    {"time":"2026-11-24T21:56:12.123Z","id":"8f3a9c01-1f","client":"127.0.0.1","method":"POST","path":"/predict","status":200,"seconds":0.0005}

Neither body nor query nor headers are in it, so no closes and no API key. Lines that stderr has no room for are left out, and the next one
says how many: {..., "lost": 12}.
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
ID = re.compile(r"[A-Za-z0-9._-]{1,64}")  # what a proxy or a client may give as an id
MAX_PATH = 200  # characters of an address that are logged


class Asked(NamedTuple):
    """A request as the log names it: its id, the client's address, method and path."""

    id: str
    client: str
    method: str
    path: str


class AccessLog:
    """The lines of one worker."""

    def __init__(self, is_on: bool, descriptor: int | None = None) -> None:
        """Write to a descriptor, stderr's if none is given, or nothing at all."""
        self._descriptor = (sys.__stderr__.fileno() if sys.__stderr__ else -1) if descriptor is None else descriptor
        self._is_on, self._lost = is_on, 0
        self._prefix, self._numbers = secrets.token_hex(4), itertools.count(1)

    def id_for(self, given: str = "") -> str:
        """The id of a request: what came with it, if that can be an id, else a new one."""
        return given if ID.fullmatch(given) else f"{self._prefix}-{next(self._numbers):x}"

    def write(self, asked: Asked, status: int, seconds: float) -> None:
        """Write the line of an answered request, in one piece, whatever other workers write."""
        if not self._is_on:
            return
        line = {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "id": asked.id, "client": asked.client, "method": asked.method, "path": asked.path[:MAX_PATH],
            "status": status, "seconds": round(seconds, 6),
        }  # fmt: skip
        if self._lost:
            line["lost"] = self._lost
        self._lost = 0 if write_if_ready(self._descriptor, to_json(line) + b"\n") else self._lost + 1
