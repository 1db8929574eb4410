"""log_predictions.csv: one line a /predict request, refused ones too; appended whole, read from its end.

    timestamp,response_time,memory_usage,status,windows,horizon,last_close,predicted_price,low_80,...,closes_2_60,closes_1_59

One `os.write` to a descriptor in append mode puts a line down whole, whatever other processes write. The last two columns are short hashes
of a window's relative closes without its first and without its last one: tomorrow's `closes_1_59` is today's `closes_2_60`, which
is how the close that came true is found later.
"""

import csv
import hashlib
import io
import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from processData import Floats

COLUMNS = (
    "timestamp", "response_time", "memory_usage", "status", "windows", "horizon", "last_close", "predicted_price",
    "low_80", "high_80", "low_95", "high_95", "model_version", "closes_2_60", "closes_1_59",
)  # fmt: skip
NUMBERS = frozenset(COLUMNS) - {"timestamp", "model_version", "closes_2_60", "closes_1_59"}
WHOLE_NUMBERS = frozenset({"status", "windows", "horizon"})
BLOCK_BYTES = 64 * 1024
SUMMARY_ROWS = 1000
PERCENTILES = (50, 95, 99)

log = logging.getLogger(__name__)


class RequestLog:
    """The log of one worker: a kept descriptor in append mode."""

    def __init__(self, path: Path) -> None:
        """Open the log, with its header if it is new."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._line_break = self._problem = ""
        _prepare(self._descriptor)

    def append(self, row: Mapping[str, Any]) -> None:
        """Append one line; columns that `row` does not name stay empty.

        A disk that takes no line, or half of one, costs that line and not the answer: it is said once, and logging goes on when it can.
        """
        line = (self._line_break + ",".join([str(row.get(column, "")) for column in COLUMNS]) + "\n").encode()
        try:
            written = os.write(self._descriptor, line)
            problem = "" if written == len(line) else "only half a line was taken"
            self._line_break = "" if written == len(line) else "\n"  # the next line starts on its own
        except OSError as error:
            problem = str(error.strerror)
        if problem and not self._problem:
            log.error("Requests are not logged to %s: %s.", self.path, problem)
        elif self._problem and not problem:
            log.warning("Requests are logged to %s again.", self.path)
        self._problem = problem

    def tail(self, limit: int) -> list[dict[str, Any]]:
        """The newest `limit` rows, oldest first; the time it takes does not depend on the log's length."""
        return [row for fields in _last_rows(self._descriptor, limit) if (row := _parse(fields))]

    def close(self) -> None:
        """Close the descriptor."""
        os.close(self._descriptor)


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


def _prepare(descriptor: int) -> None:
    """Write the header if the log is new, and end a line that a crash left without its end; one worker at a time."""
    try:
        import fcntl
    except ImportError:  # Windows: one process
        fcntl = None  # type: ignore[assignment]
    if fcntl:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        size = os.fstat(descriptor).st_size
        if size == 0:
            os.write(descriptor, (",".join(COLUMNS) + "\n").encode())
        elif os.pread(descriptor, 1, size - 1) != b"\n":
            os.write(descriptor, b"\n")
    finally:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_UN)


def _last_rows(descriptor: int, limit: int) -> Iterable[list[str]]:
    """The fields of the newest `limit` lines, oldest first, read backwards in blocks."""
    end = position = os.fstat(descriptor).st_size
    text = b""
    while position > 0 and text.count(b"\n") <= limit + 1:
        position = max(0, position - BLOCK_BYTES * (1 + (end - position) // BLOCK_BYTES))
        text = os.pread(descriptor, end - position, position)
    lines = text.decode(errors="replace").split("\n")[:-1]  # behind the last line break: a line being written
    lines = lines[1:]  # the header, or the rest of a line
    return csv.reader(io.StringIO("\n".join(lines[-limit:] if limit else [])), quoting=csv.QUOTE_NONE)


def _parse(fields: list[str]) -> dict[str, Any] | None:
    """A row with numbers as numbers; None for empty fields and those that an older log has not, and for a line that is no row."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    try:
        for column, text in zip(COLUMNS, fields, strict=False):
            if text:
                row[column] = int(text) if column in WHOLE_NUMBERS else float(text) if column in NUMBERS else text
    except ValueError:  # torn by a crash
        return None
    return row if row["timestamp"] else None
