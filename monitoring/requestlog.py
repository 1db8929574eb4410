"""log_predictions.csv: one line per /predict and /forecast request, rejected ones too. Lines are appended whole; rotation is by size.

    timestamp,response_time,memory_usage,status,windows,horizon,last_close,predicted_price,low_80,...,closes_1_59,last_return,symbol

One `os.write` to a descriptor in append mode writes a line whole, even if other processes write too. If a worker is killed meanwhile, half
a line may be left, of a request without an answer; the next worker ends it. overlap.py describes closes_2_60 and
closes_1_59, which find the actual close of a forecast in a later request. last_return is the log return of the window's last day.

A full log is renamed to log_predictions.csv.1, .1 to .2, and so on, by one process under a lock. The others notice within a millisecond
that the name belongs to another file and open that one, also when somebody moves or deletes the log. What they write to the old file
meanwhile is at its end, so no line is lost.
"""

import errno
import fcntl
import logging
import math
import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from monitoring.logreader import COLUMNS, last_rows, open_parts

HEADER = (",".join(COLUMNS) + "\n").encode()
MAX_PARTS = 100  # old files
LOOK_SECONDS = 0.001  # between two looks at the log's name and size; a look costs more than a line
LINE_LOOKS, LINE_SECONDS = 5, 0.002  # for the end of a line that another process is writing, and the time between two

log = logging.getLogger(__name__)


class RequestLog:
    """The request log of one worker: an open descriptor in append mode.

    Attributes:
        problem: why the last line could not be written; empty if it was.
    """

    def __init__(self, path: Path, max_bytes: int = 0, parts: int = 5) -> None:
        """Open the log and write its header if it is new. If that fails, `problem` says why, and each line tries again.

        Args:
            path: the log; a link is followed.
            max_bytes: the size at which the log is rotated; 0: never.
            parts: number of old files that are kept.
        """
        self.path = path.resolve() if path.is_file() else path
        self.parts = parts
        self._name = str(self.path)  # what os.stat takes fastest
        self._max_bytes = max(max_bytes, len(HEADER) + 1) if max_bytes else math.inf  # a header alone is not full
        self._line_break = self.problem = ""
        self._descriptor = -1
        self._looked_at = -LOOK_SECONDS
        try:
            self._open()
        except OSError as error:
            self.problem = str(error.strerror)

    def append(self, row: Mapping[str, Any]) -> bool:
        """Append one line. Columns that `row` lacks are empty.

        If the disk does not take a whole line, the line is lost and the answer is not affected. The error is logged once, and logging
        resumes when possible.

        Returns:
            Whether the line was written.
        """
        text = ",".join([str(row.get(column, "")) for column in COLUMNS]) + "\n"
        try:
            if self._descriptor < 0:
                self._open()
            elif time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._follow()
            line = (self._line_break + text).encode()
            written = os.write(self._descriptor, line)
            problem = "" if written == len(line) else "only half a line was written"
            self._line_break = (
                "\n" if problem and not self._take_back(written) else ""
            )  # after half a line, the next one starts on a line of its own
        except OSError as error:
            problem = str(error.strerror)
        self._tell(problem)
        return not problem

    def tail(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest `limit` rows, oldest first, from old parts too. The time does not depend on the length of the log."""
        rows: list[dict[str, Any]] = []
        with closing(open_parts(self.path, self.parts)) as descriptors:
            for descriptor in descriptors:
                rows[:0] = last_rows(descriptor, limit - len(rows))
                if len(rows) >= limit:
                    break
        return rows

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _take_back(self, written: int) -> bool:
        """Cut half a line off the log, before another worker's line follows it. Return whether that worked."""
        with suppress(OSError):
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            if os.fstat(self._descriptor).st_size == end:
                os.ftruncate(self._descriptor, end - written)
                return True
        return False

    def _tell(self, problem: str) -> None:
        """Log once that lines are lost, and once that logging has resumed."""
        if problem and not self.problem:
            log.error("Requests are not logged to %s: %s.", self.path, problem)
        elif self.problem and not problem:
            log.warning("Requests are logged to %s again.", self.path)
        self.problem = problem

    def _follow(self) -> None:
        """Make sure that the descriptor belongs to the log's name, and that the file is not full."""
        try:
            status = os.stat(self._name)
        except FileNotFoundError:  # moved or deleted
            self._open()
            return
        if status.st_ino != self._inode or (status.st_size < len(HEADER) and self._is_file):  # another file, or emptied
            self._open()
        elif status.st_size >= self._limit:
            self._rotate(status.st_size)
        self._looked_at = time.monotonic()

    def _open(self) -> None:
        """Open the log. A file with other columns is renamed and a new one is started."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            try:
                with _locked(descriptor):
                    if _prepare(descriptor):
                        break
                    self._make_way(descriptor)
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        status = os.fstat(descriptor)
        self._descriptor, self._inode, self._is_file = descriptor, status.st_ino, stat.S_ISREG(status.st_mode)
        self._limit, self._line_break = self._max_bytes if self._is_file else math.inf, ""

    def _rotate(self, size: int) -> None:
        """Start a new file. If renaming is not allowed, continue in the old one until it has grown by as much again."""
        try:
            with _locked(self._descriptor):
                self._make_way(self._descriptor)
        except OSError as error:
            self._limit = size + self._max_bytes
            log.error("%s is full but cannot be renamed: %s. It continues to grow.", self.path, error.strerror)
            return
        self._open()

    def _make_way(self, descriptor: int) -> None:
        """Rename the log to .1, .1 to .2 and so on, unless another process has already done so."""
        with suppress(FileNotFoundError):
            if os.stat(self._name).st_ino != os.fstat(descriptor).st_ino:
                return
            for number in range(MAX_PARTS, 0, -1):
                with suppress(FileNotFoundError):
                    if number >= self.parts:
                        os.unlink(f"{self._name}.{number}")
                    else:
                        os.rename(f"{self._name}.{number}", f"{self._name}.{number + 1}")
            os.rename(self._name, f"{self._name}.1")


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a file's lock: one process at a time writes its header or renames it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _prepare(descriptor: int) -> bool:
    """Write the header of a new log, and end a line that a crash left unfinished. Return False if the columns are different."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        if os.write(descriptor, HEADER) < len(HEADER):
            os.ftruncate(descriptor, 0)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif os.pread(descriptor, len(HEADER), 0) != HEADER:
        return False
    elif not _ends_with_a_line(descriptor):
        os.write(descriptor, b"\n")
    return True


def _ends_with_a_line(descriptor: int) -> bool:
    """Return whether the last line is complete. A line that another process is writing at this moment gets some time."""
    for _ in range(LINE_LOOKS):
        if os.pread(descriptor, 1, os.fstat(descriptor).st_size - 1) == b"\n":
            return True
        time.sleep(LINE_SECONDS)
    return False
