"""Reads the request log: its newest rows, and its parts from a position on. Columns that an older log lacks are None."""

import hashlib
import os
from collections import Counter
from collections.abc import Generator, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = (
    "timestamp", "response_time", "memory_usage", "status", "windows", "horizon", "last_close", "predicted_price",
    "low_80", "high_80", "low_95", "high_95", "model_version", "closes_2_60", "closes_1_59", "last_return",
    "model_symbol", "symbol",
)  # fmt: skip
TEXTS = frozenset({"timestamp", "model_version", "closes_2_60", "closes_1_59", "model_symbol", "symbol"})
WHOLE_NUMBERS = frozenset({"status", "windows", "horizon"})
READERS = {column: str if column in TEXTS else int if column in WHOLE_NUMBERS else float for column in COLUMNS}
BLOCK_BYTES = 64 * 1024
HEAD_BYTES = 1024  # enough for a header
SUMMARY_ROWS = 1000
PERCENTILES = (50, 95, 99)


def open_parts(file: Path, parts: int) -> Generator[int, None, None]:
    """Yield descriptors of a log and of its old parts, newest first. Each is closed when the next one is requested.

    In this order, a rotation in between shows a file twice, and the second time it is skipped; no file is missed.
    """
    seen = set()
    for name in (str(file), *(f"{file}.{number}" for number in range(1, parts + 1))):
        try:
            descriptor = os.open(name, os.O_RDONLY)
        except OSError:  # mostly because there is none
            continue
        try:
            inode = os.fstat(descriptor).st_ino
            if inode not in seen:
                seen.add(inode)
                yield descriptor
        finally:
            os.close(descriptor)


def read_columns(head: bytes) -> tuple[str, ...]:
    """Return the columns of a log that begins with these bytes."""
    header, line_break, _ = head.partition(b"\n")
    return tuple(header.decode(errors="replace").split(",")) if line_break and header.startswith(b"timestamp,") else COLUMNS


def last_rows(descriptor: int, limit: int) -> list[dict[str, Any]]:
    """Return the newest `limit` rows of one file, oldest first. The time does not depend on the length of the file."""
    end = position = os.fstat(descriptor).st_size
    text = b""
    while position > 0 and text.count(b"\n") <= limit + 1:
        position = max(0, position - BLOCK_BYTES * (1 + (end - position) // BLOCK_BYTES))
        text = os.pread(descriptor, end - position, position)
    lines = text.decode(errors="replace").split("\n")[:-1]  # the last piece is a line that is being written
    lines = lines[1:]  # the first piece is the header or the rest of a line
    readers = [(column, READERS.get(column)) for column in read_columns(os.pread(descriptor, HEAD_BYTES, 0))]
    return [row for line in lines[-limit:] if (row := _parse(readers, line.split(",")))] if limit else []


def _parse(readers: Sequence[tuple[str, type[int | float | str] | None]], fields: list[str]) -> dict[str, Any] | None:
    """Return a row by column, numbers as numbers and empty fields as None; None for a line that a crash has torn.

    Args:
        readers: the columns of the file and the types of their values; None for a column that is not read.
        fields: of the line.
    """
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    try:
        for (column, reader), text in zip(readers, fields, strict=False):
            if text and reader:
                row[column] = reader(text)
    except ValueError:
        return None
    return row if row["timestamp"] else None


def summarise(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count rows of the log by status, and compute percentiles of the latency.

    Returns:
        requests: number of rows; by_status: number of requests by status; latency_seconds: p50, p95 and p99 of the requests with
        status 200, None if there are none.
    """
    times = [row["response_time"] for row in rows if row["status"] == 200 and row["response_time"] is not None]
    latency = dict(zip((f"p{p}" for p in PERCENTILES), np.percentile(times, PERCENTILES).tolist(), strict=True)) if times else None
    by_status = Counter(str(row["status"]) for row in rows if row["status"] is not None)  # the first version had no status
    return {"requests": len(rows), "by_status": dict(sorted(by_status.items())), "latency_seconds": latency}


class Part:
    """An open file of the log.

    Attributes:
        descriptor: of the file.
        size: in bytes.
        identity: stays the same when the file is renamed; a new file of the same name has another one.
        is_empty: whether it has no rows yet, so nothing that identifies it.
        n_columns: number of columns.
        pick: takes the wanted columns, then the optional ones, from the fields of a line and an empty one; None if a wanted one is missing.
    """

    def __init__(self, descriptor: int, wanted: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Inspect a file. The caller closes `self.descriptor`, a duplicate."""
        status, head = os.fstat(descriptor), os.pread(descriptor, HEAD_BYTES, 0)
        first = b"\n".join(head.split(b"\n", 2)[:2])
        self.descriptor, self.size = os.dup(descriptor), status.st_size
        self.is_empty = head.count(b"\n") < 2 and len(head) < HEAD_BYTES
        self.identity = f"{status.st_ino}-{hashlib.blake2b(first, digest_size=8).hexdigest()}"
        columns = read_columns(head)
        self.n_columns = len(columns)
        places = [columns.index(name) if name in columns else len(columns) for name in (*wanted, *optional)]
        self.pick = itemgetter(*places) if set(wanted) <= set(columns) else None

    def lines(self, position: int) -> bytes:
        """Return complete lines from a position on, at most a block; no bytes if only a line that is being written is left."""
        block = os.pread(self.descriptor, BLOCK_BYTES, position)
        end = block.rfind(b"\n") + 1
        return block[:end] if end or len(block) < BLOCK_BYTES else block  # no line of the log is as long as a block
