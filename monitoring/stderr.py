"""A non-blocking stderr.

If the program that reads stderr stops reading, an ordinary write blocks, and with it a worker and all its connections. Here, output that
stderr does not accept at once is dropped.
"""

import io
import os

from gevent.monkey import get_original

poll, POLLOUT = get_original("select", "poll"), get_original("select", "POLLOUT")
PIECE_BYTES = 4096  # PIPE_BUF: a pipe that is ready accepts this much without blocking


def write_if_ready(descriptor: int, content: bytes) -> bool:
    """Write as much as the descriptor accepts without blocking. Return whether that was all."""
    if descriptor < 0:
        return False
    try:
        for start in range(0, len(content), PIECE_BYTES):
            if not _is_ready(descriptor):
                return False
            piece = content[start : start + PIECE_BYTES]
            if os.write(descriptor, piece) < len(piece):
                return False
    except OSError:  # the reader is gone, or the disk is full
        return False
    return True


def _is_ready(descriptor: int) -> bool:
    """Return whether the descriptor accepts a piece now."""
    poller = poll()
    poller.register(descriptor, POLLOUT)
    return bool(poller.poll(0))


class ErrorStream(io.TextIOBase):
    """A replacement for sys.stderr, for the log and tracebacks of this process and its forks."""

    def __init__(self, descriptor: int = 2) -> None:
        """Write to a file descriptor."""
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        """Write what the descriptor accepts and drop the rest."""
        write_if_ready(self._descriptor, text.encode(errors="backslashreplace"))
        return len(text)

    def fileno(self) -> int:
        """Return the descriptor, for child processes."""
        return self._descriptor

    def isatty(self) -> bool:
        """Return whether the descriptor is a terminal."""
        return os.isatty(self._descriptor)
