"""log_predictions.csv: one line a /predict request, refused ones too; appended whole, rotated by size, read from its end.

    timestamp,response_time,memory_usage,status,windows,horizon,last_close,predicted_price,low_80,...,closes_2_60,closes_1_59,last_return

One `os.write` to a descriptor in append mode puts a line down whole, whatever other processes write. closes_2_60 and closes_1_59 are short
hashes of a window's relative closes without its first and without its last one: tomorrow's `closes_1_59` is today's `closes_2_60`, which
is how the close that came true is found later. last_return is the log return of the window's last day.

A full log becomes log_predictions.csv.1, which was .1 becomes .2, and so on. The process that finds it full renames under a lock; the
others see within a millisecond that the name stands for another file, and open that; likewise where somebody moved or deleted the log.
Whatever a process still writes to the old file meanwhile stands at its end: no line is lost.
"""

import csv
import errno
import hashlib
import io
import logging
import math
import os
import stat
import time
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from closes.series import Floats

COLUMNS = (
    "timestamp", "response_time", "memory_usage", "status", "windows", "horizon", "last_close", "predicted_price",
    "low_80", "high_80", "low_95", "high_95", "model_version", "closes_2_60", "closes_1_59", "last_return",
)  # fmt: skip
HEADER = (",".join(COLUMNS) + "\n").encode()
NUMBERS = frozenset(COLUMNS) - {"timestamp", "model_version", "closes_2_60", "closes_1_59"}
WHOLE_NUMBERS = frozenset({"status", "windows", "horizon"})
BLOCK_BYTES = 64 * 1024
HEAD_BYTES = 1024  # holds a header
MAX_PARTS = 100
LOOK_SECONDS = 0.001  # how often the log's name and size are looked at: a look costs more than a line
SUMMARY_ROWS = 1000
PERCENTILES = (50, 95, 99)
log = logging.getLogger(__name__)


class RequestLog:
    """The log of one worker: a kept descriptor in append mode.

    Attributes:
        problem: why the last line was not taken, or why none can be; empty while all is well.
    """

    def __init__(self, path: Path, max_bytes: int = 0, parts: int = 5) -> None:
        """Open the log, with its header if it is new; where that fails, `problem` says why, and each line tries again.

        Args:
            path: the log; a link to a file stands for that file.
            max_bytes: the size at which the log is rotated; 0: never.
            parts: how many old files are kept.
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
        """Append one line; columns that `row` does not name stay empty.

        If the disk does not take a whole line, the line is lost and the answer is not affected. The error is logged once, and logging
        resumes when possible.

        Returns:
            Whether the line was taken.
        """
        text = ",".join([str(row.get(column, "")) for column in COLUMNS]) + "\n"
        try:
            if self._descriptor < 0:
                self._open()
            elif time.monotonic() - self._looked_at >= LOOK_SECONDS:
                self._follow()
            line = (self._line_break + text).encode()
            written = os.write(self._descriptor, line)
            problem = "" if written == len(line) else "only half a line was taken"
            self._line_break = "\n" if problem and not self._take_back(written) else ""  # behind half a line the next starts on its own
        except OSError as error:
            problem = str(error.strerror)
        self._tell(problem)
        return not problem

    def tail(self, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` rows, oldest first, old parts included; the time it takes does not depend on the log's length."""
        rows: list[dict[str, Any]] = []
        with closing(open_parts(self.path, self.parts)) as descriptors:
            for descriptor in descriptors:
                rows[:0] = _last_rows(descriptor, limit - len(rows))
                if len(rows) >= limit:
                    break
        return rows

    def close(self) -> None:
        """Close the descriptor."""
        if self._descriptor >= 0:
            os.close(self._descriptor)

    def _take_back(self, written: int) -> bool:
        """Cut half a line off the log again, before another worker's follows it; whether that could be done."""
        with suppress(OSError):
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            if os.fstat(self._descriptor).st_size == end:
                os.ftruncate(self._descriptor, end - written)
                return True
        return False

    def _tell(self, problem: str) -> None:
        """Say once that lines are lost, and once that they are not any more."""
        if problem and not self.problem:
            log.error("Requests are not logged to %s: %s.", self.path, problem)
        elif self.problem and not problem:
            log.warning("Requests are logged to %s again.", self.path)
        self.problem = problem

    def _follow(self) -> None:
        """See that the descriptor is that of the file which the log's name stands for, and that this one is not full."""
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
        """Open the file that the log's name stands for; one with other columns makes way for a new one."""
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
        """Continue in a new file; where renaming is not allowed, in the old one, until it is as long again."""
        try:
            with _locked(self._descriptor):
                self._make_way(self._descriptor)
        except OSError as error:
            self._limit = size + self._max_bytes
            log.error("%s is full but cannot be renamed: %s. It grows on.", self.path, error.strerror)
            return
        self._open()

    def _make_way(self, descriptor: int) -> None:
        """Rename the log to .1, .1 to .2 and so on, unless another process, which had the lock before, has done so."""
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


def open_parts(path: Path, parts: int) -> Generator[int, None, None]:
    """Descriptors of a log and of its old parts, newest first; each is open until the next is asked for.

    Newest first, since a rotation meanwhile then shows a file twice, which the second time is passed over, and hides none.
    """
    seen = set()
    for name in (str(path), *(f"{path}.{number}" for number in range(1, parts + 1))):
        try:
            descriptor = os.open(name, os.O_RDONLY)
        except OSError:  # mostly: there is none
            continue
        try:
            inode = os.fstat(descriptor).st_ino
            if inode not in seen:
                seen.add(inode)
                yield descriptor
        finally:
            os.close(descriptor)


def read_columns(head: bytes) -> tuple[str, ...]:
    """The columns of a log that begins with these bytes; an older version's had fewer."""
    header, line_break, _ = head.partition(b"\n")
    return tuple(header.decode(errors="replace").split(",")) if line_break and header.startswith(b"timestamp,") else COLUMNS


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts by status and latency over rows of the log.

    Returns:
        requests: how many rows; by_status: requests by status; latency_seconds: p50, p95, p99 of the answered ones, or null
        where there is none.
    """
    times = [row["response_time"] for row in rows if row["status"] == 200 and row["response_time"] is not None]
    latency = dict(zip((f"p{p}" for p in PERCENTILES), np.percentile(times, PERCENTILES).tolist(), strict=True)) if times else None
    by_status = Counter(str(row["status"]) for row in rows if row["status"] is not None)  # a log of the first version has none
    return {"requests": len(rows), "by_status": dict(sorted(by_status.items())), "latency_seconds": latency}


def window_hashes(window: Floats) -> tuple[str, str]:
    """Short hashes of a window's closes 2 to 60 and 1 to 59 (60,), each relative to its own last, to six digits.

    Relative, so that a later dividend adjustment of the whole series does no harm.
    """
    return _hash(window[1:]), _hash(window[:-1])


def _hash(closes: Floats) -> str:
    rounded = np.rint(closes / closes[-1] * 1e6).astype(np.int64)
    return hashlib.blake2b(rounded.tobytes(), digest_size=6).hexdigest()


@contextmanager
def _locked(descriptor: int) -> Iterator[None]:
    """Hold a file's lock: one process at a time makes its header or renames it."""
    try:
        import fcntl
    except ImportError:  # Windows: one process
        yield
        return
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def _prepare(descriptor: int) -> bool:
    """Write the header if the log is new, and end a line that a crash left without its end; False if its columns are others."""
    size = os.fstat(descriptor).st_size
    if size == 0:
        if os.write(descriptor, HEADER) < len(HEADER):
            os.ftruncate(descriptor, 0)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif os.pread(descriptor, len(HEADER), 0) != HEADER:
        return False
    elif os.pread(descriptor, 1, size - 1) != b"\n":
        os.write(descriptor, b"\n")
    return True


def _last_rows(descriptor: int, limit: int) -> list[dict[str, Any]]:
    """The newest `limit` rows of one file, oldest first, read backwards in blocks."""
    end = position = os.fstat(descriptor).st_size
    text = b""
    while position > 0 and text.count(b"\n") <= limit + 1:
        position = max(0, position - BLOCK_BYTES * (1 + (end - position) // BLOCK_BYTES))
        text = os.pread(descriptor, end - position, position)
    lines = text.decode(errors="replace").split("\n")[:-1]  # behind the last line break: a line being written
    lines = lines[1:]  # the header, or the rest of a line
    columns = read_columns(os.pread(descriptor, HEAD_BYTES, 0))
    table: Iterable[list[str]] = csv.reader(io.StringIO("\n".join(lines[-limit:] if limit else [])), quoting=csv.QUOTE_NONE)
    return [row for fields in table if (row := _parse(columns, fields))]


def _parse(columns: tuple[str, ...], fields: list[str]) -> dict[str, Any] | None:
    """A row with numbers as numbers; None for empty fields and for columns that an older log lacks. None if the line is not a row."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    try:
        for column, text in zip(columns, fields, strict=False):
            if text and column in row:
                row[column] = int(text) if column in WHOLE_NUMBERS else float(text) if column in NUMBERS else text
    except ValueError:  # torn by a crash
        return None
    return row if row["timestamp"] else None
