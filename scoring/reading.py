"""Parquet and CSV files -> blocks of rows, in order and in bounded memory."""

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from closes.table import DELIMITERS
from errors import DataUnavailableError, InvalidClosesError
from forecast.bulk import BLOCK

READ_BYTES = 1 << 20  # of a file at a time
CSV_BLOCK = 8 << 20  # bytes of a CSV file that are parsed at a time; no row may be longer
MAX_INVALID = 100_000  # rows in a row with another number of fields than the header


@dataclass(frozen=True)
class Block:
    """Some rows of a file.

    Attributes:
        rows: n rows.
        numbers: (n,) int64, which rows they are; counted from 1, without the header.
        invalid: rows that are not rows of the table, with the reason.
    """

    rows: pa.RecordBatch
    numbers: NDArray[np.int64]
    invalid: list[tuple[int, str]] = field(default_factory=list)


class Source(Protocol):
    """A file of rows."""

    schema: pa.Schema

    def total(self) -> int | None:
        """Return how many rows the file has, or an estimate; None: not known yet."""

    def blocks(self, skip: int) -> Iterator[Block]:
        """Return the rows after the first `skip`."""


def open_source(path: Path) -> Source:
    """Open a file by its ending: .parquet or .csv.

    Raises:
        DataUnavailableError: it cannot be read.
        InvalidClosesError: it is not such a file.
    """
    try:
        return ParquetSource(path) if path.suffix.lower() == ".parquet" else CsvSource(path)
    except pa.ArrowInvalid as error:
        raise unreadable(path, error) from None
    except OSError as error:
        raise DataUnavailableError(f"{path} cannot be read: {error.strerror or error}") from None


def unreadable(path: Path, error: Exception) -> InvalidClosesError:
    """Return the error for a file that Arrow cannot read."""
    kind = "Parquet" if path.suffix.lower() == ".parquet" else "CSV"
    return InvalidClosesError(f"{path} cannot be read as {kind}.", [str(error).partition("\n")[0][:300]])


class ParquetSource:
    """The rows of a Parquet file."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its schema."""
        # The buffer keeps a large row group out of memory.
        self._file = pq.ParquetFile(path, buffer_size=READ_BYTES, pre_buffer=False)
        self.schema = self._file.schema_arrow

    def total(self) -> int:
        """Return how many rows the file has."""
        return int(self._file.metadata.num_rows)

    def blocks(self, skip: int) -> Iterator[Block]:
        """Return the rows after the first `skip`."""
        metadata, group, start = self._file.metadata, 0, 0
        while group < metadata.num_row_groups and start + metadata.row_group(group).num_rows <= skip:
            start += metadata.row_group(group).num_rows
            group += 1
        groups = range(group, metadata.num_row_groups)
        for rows in self._file.iter_batches(BLOCK, row_groups=groups, use_threads=False) if groups else ():
            new = rows.slice(max(skip - start, 0))
            if len(new):
                yield Block(new, np.arange(start + len(rows) - len(new) + 1, start + len(rows) + 1))
            start += len(rows)


class CsvSource:
    """The rows of a CSV file. All cells are text; those without a number are found later, row by row."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its header."""
        self._path, self._size = path, path.stat().st_size
        with path.open("rb") as file:
            line = file.readline(CSV_BLOCK).decode("utf-8-sig", "replace").rstrip("\r\n")
        if not line.strip():
            raise InvalidClosesError(
                f"{path} is empty." if not self._size else f"{path} begins with an empty line. The first line is the header."
            )
        self._delimiter = max(DELIMITERS, key=line.count)
        names = next(csv.reader([line], delimiter=self._delimiter))
        self._generated = all(_is_number(name) for name in names) and len(set(names)) > 1 and not _counts(names)
        if self._generated:  # the first line is a window
            names = [f"f{index}" for index in range(len(names))]
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self._invalid: deque[tuple[int, str]] = deque()
        self._position, self._read = 0, 0

    def total(self) -> int | None:
        """Return an estimate of how many rows the file has, from the size of those that were read."""
        return round(self._read * self._size / self._position) if self._position else None

    def blocks(self, skip: int) -> Iterator[Block]:
        """Return the rows after the first `skip`."""
        self._invalid.clear()
        with pa.OSFile(str(self._path)) as file:
            for rows in self._open(file):
                self._position = min(file.tell(), self._size)
                for start in range(0, len(rows), BLOCK):
                    yield from self._from(self._block(rows.slice(start, BLOCK)), skip)
            self._position = self._size
            empty = pa.RecordBatch.from_pylist([], self.schema)
            yield from self._from(self._block(empty, last=True), skip)

    def _open(self, file: pa.NativeFile) -> Iterator[pa.RecordBatch]:
        """Return the rows that have as many fields as the header."""
        names = self.schema.names
        return pyarrow.csv.open_csv(  # type: ignore[no-any-return]
            file,
            # With threads, Arrow does not count the rows that it rejects.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK, column_names=names if self._generated else None),
            pyarrow.csv.ParseOptions(delimiter=self._delimiter, invalid_row_handler=self._on_invalid, ignore_empty_lines=True),
            pyarrow.csv.ConvertOptions(column_types=self.schema, strings_can_be_null=False),
        )

    def _on_invalid(self, row: Any) -> str:
        """Remember a row with another number of fields, and continue."""
        if len(self._invalid) >= MAX_INVALID:
            return "error"
        number = row.number if self._generated else row.number - 1
        self._invalid.append((number, f"the row has {row.actual_columns} fields, the header {row.expected_columns}"))
        return "skip"

    def _block(self, rows: pa.RecordBatch, *, last: bool = False) -> Block:
        """Number the rows: those that Arrow left out are between them."""
        numbers, invalid, number = np.empty(len(rows), np.int64), [], self._read
        done = 0
        while self._invalid and (last or self._invalid[0][0] <= number + len(rows) - done):
            before = self._invalid[0][0] - 1 - number  # rows until then
            numbers[done : done + before] = np.arange(number + 1, number + before + 1)
            done, number = done + before, number + before + 1
            invalid.append(self._invalid.popleft())
        numbers[done:] = np.arange(number + 1, number + len(rows) - done + 1)
        self._read = number + len(rows) - done
        return Block(rows, numbers, invalid)

    @staticmethod
    def _from(block: Block, skip: int) -> Iterator[Block]:
        """Return the part of a block after the first `skip` rows of the file, if there is one."""
        new = int(np.searchsorted(block.numbers, skip, "right"))
        part = Block(block.rows.slice(new), block.numbers[new:], [row for row in block.invalid if row[0] > skip])
        if len(part.rows) or part.invalid:
            yield part


def _is_number(text: str) -> bool:
    """Return whether a field of the first line is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _counts(names: list[str]) -> bool:
    """Return whether numbers are 0, 1, 2, ... or 1, 2, 3, ...: names that pandas gives."""
    return names in ([str(index + first) for index in range(len(names))] for first in (0, 1))
