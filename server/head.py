"""Reads the head of a request that the direct path can answer.

A request with anything unusual in its head goes to gunicorn's parser unchanged, so gunicorn alone decides what is valid HTTP.
"""

import re
from functools import lru_cache
from typing import NamedTuple

REQUEST_LINE = b"POST /predict HTTP/1.1"
HEADER = re.compile(rb"([A-Za-z-]+):[ \t]*([\x21-\x7e]+(?:[ \t]+[\x21-\x7e]+)*)[ \t]*")
# Headers that the direct path handles, or that do not change the meaning of the request.
KNOWN = frozenset({
    b"host", b"user-agent", b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"connection",
    b"content-type", b"content-length", b"x-api-key",
    b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-prefix", b"x-forwarded-server",
    b"x-real-ip", b"x-amzn-trace-id", b"forwarded", b"via",
})  # fmt: skip
SMALL_BODY_BYTES = 10_000  # enough for one window
MAX_LINE_BYTES = 8190  # of a header, as in gunicorn
CACHED_HEADS = 256  # a client sends the same head again and again


class Head(NamedTuple):
    """The head of a usual request.

    Attributes:
        length: of the body, in bytes.
        key: the API key, empty for none.
        is_last: whether the client asks to close the connection after the answer.
        forwarded_for: X-Forwarded-For, empty for none.
    """

    length: int
    key: str
    is_last: bool
    forwarded_for: str = ""


@lru_cache(maxsize=CACHED_HEADS)
def read_head(head: bytes) -> Head | None:
    """Read a request's head, without the empty line after it. Return None if the request is not usual."""
    line, *lines = head.split(b"\r\n")
    matches = [HEADER.fullmatch(line) for line in lines]
    headers = {match[1].lower(): match[2] for match in matches if match}
    length, connection = headers.get(b"content-length", b""), headers.get(b"connection", b"keep-alive").lower()
    is_usual = (
        line == REQUEST_LINE
        and len(headers) == len(lines)  # each line is a header, and none comes twice
        and all(len(line) <= MAX_LINE_BYTES for line in lines)
        and headers.keys() <= KNOWN
        and b"host" in headers
        and headers.get(b"content-type") == b"application/json"
        and length.isdigit()
        and len(length) < 10
        and int(length) <= SMALL_BODY_BYTES
        and connection in (b"keep-alive", b"close")
    )
    if not is_usual:
        return None
    key, forwarded_for = (headers.get(name, b"").decode() for name in (b"x-api-key", b"x-forwarded-for"))
    return Head(int(length), key, connection == b"close", forwarded_for)
