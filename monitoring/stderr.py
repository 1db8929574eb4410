"""A non-blocking stderr.

If the reader of stderr hangs, a normal write blocks, and with it the worker and all its connections, or the master at
its end. Here what finds no room is left out.
"""

import io
import os

from gevent.monkey import get_original

poll, POLLOUT = get_original("select", "poll"), get_original("select", "POLLOUT")
PIECE_BYTES = 4096  # what a pipe that is ready takes for sure: PIPE_BUF


def write_if_ready(descriptor: int, content: bytes) -> bool:
    """Write as far as that goes without waiting; whether all was taken."""
    if descriptor < 0:
        return False
    try:
        for start in range(0, len(content), PIECE_BYTES):
            if not _is_ready(descriptor):
                return False
            piece = content[start : start + PIECE_BYTES]
            if os.write(descriptor, piece) < len(piece):
                return False
    except OSError:  # nobody reads it any more, or the disk is full
        return False
    return True


def _is_ready(descriptor: int) -> bool:
    """Whether a descriptor takes a piece now."""
    look = poll()
    look.register(descriptor, POLLOUT)
    return bool(look.poll(0))


class ErrorStream(io.TextIOBase):
    """In sys.stderr's place: for logging and tracebacks, of this process and of those that it forks."""

    def __init__(self, descriptor: int = 2) -> None:
        """Write to a descriptor."""
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Write what finds room."""
        write_if_ready(self._descriptor, text.encode(errors="backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        """The descriptor, for children."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)
