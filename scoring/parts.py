"""The output while it is made: finished parts in a folder next to it, from which a later run continues.

    .forecasts.parquet.parts/identity.json     what the parts belong to: input, model, options
                             part-00000.parquet, part-00000.csv, part-00000.json
                                               forecasts, rejected rows, and last of all what the next part needs to know

A part counts once its JSON file is there. The output gets its name when it is complete.
"""

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from scoring.prepare import Reject
from storage import LOCK_FILE, replacing, write_json

IDENTITY = "identity.json"
HEADER = ("row", "reason", "symbol", "date")
COPY_BYTES = 1 << 20


@dataclass
class Counts:
    """How many rows were read, forecast and rejected. `without` rows have no forecast of their own: they only belong to other windows."""

    rows: int = 0
    forecasts: int = 0
    rejected: int = 0
    without: int = 0
    warned: int = 0

    def add(self, other: "Counts") -> None:
        """Add the counts of a part."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Parts:
    """The finished parts of one output.

    Attributes:
        counts: of all of them.
        states: of each, for the next one.
    """

    def __init__(self, folder: Path, identity: dict[str, Any], schema: pa.Schema, *, as_csv: bool) -> None:
        """Open the folder. Parts that belong to another input, model or options are removed."""
        self._folder, self._schema, self._as_csv = folder, schema, as_csv
        self.counts = Counts()
        self.states: list[dict[str, Any]] = []
        self.started_again = False
        try:
            known = json.loads((folder / IDENTITY).read_bytes())
        except (OSError, ValueError):
            known = None
        if known != identity:
            self.started_again = known is not None
            for path in folder.iterdir():
                if path.name != LOCK_FILE:
                    path.unlink()
            write_json(folder / IDENTITY, identity)
        while (path := self._path(len(self.states), "json")).exists():
            content = json.loads(path.read_bytes())
            self.counts.add(Counts(**content["counts"]))
            self.states.append(content["state"])

    def _path(self, number: int, ending: str) -> Path:
        """Return a file of a part."""
        return self._folder / f"part-{number:05}.{ending}"

    @property
    def _ending(self) -> str:
        """How the names of the files with forecasts end."""
        return "forecasts" if self._as_csv else "parquet"

    def add(self, table: pa.Table, rejects: Sequence[Reject], counts: Counts, state: dict[str, Any]) -> None:
        """Save a part.

        Raises:
            OSError: a full disk. The parts before it stay.
        """
        number = len(self.states)
        with replacing(self._path(number, self._ending)) as temporary:
            if self._as_csv:
                temporary.write_bytes(_csv_lines(table))
            else:
                pq.write_table(table, temporary)
        with replacing(self._path(number, "csv")) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows(rejects)
        write_json(self._path(number, "json"), {"counts": vars(counts), "state": state})
        self.states.append(state)
        self.counts.add(counts)

    def write(self, out: Path, rejects: Path) -> None:
        """Write the output, and the rejected rows if there are any, from the parts. Both appear complete or not at all."""
        numbers = range(len(self.states))
        if self.counts.rejected:
            with replacing(rejects) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
                self._write_rejects(file)
        else:
            rejects.unlink(missing_ok=True)  # of an earlier run
        with replacing(out) as temporary:
            if self._as_csv:
                with temporary.open("wb") as target:
                    target.write(_csv_lines(self._schema.empty_table(), header=True))
                    for number in numbers:
                        with self._path(number, self._ending).open("rb") as part:
                            shutil.copyfileobj(part, target, COPY_BYTES)
            else:
                with pq.ParquetWriter(temporary, self._schema) as writer:
                    for number in numbers:
                        writer.write_table(pq.read_table(self._path(number, self._ending), use_threads=False))

    def _write_rejects(self, file: TextIO) -> None:
        """Write the rejected rows of all parts."""
        csv.writer(file, lineterminator="\n").writerow(HEADER)
        for number in range(len(self.states)):
            file.write(self._path(number, "csv").read_text(encoding="utf-8"))


def _csv_lines(table: pa.Table, *, header: bool = False) -> bytes:
    """Return a table as CSV. Only text that needs quotes has them."""
    for style in ("none", "needed"):
        sink = pa.BufferOutputStream()
        options = pyarrow.csv.WriteOptions(
            include_header=header, quoting_style=style, quoting_header="none" if style == "none" else "needed"
        )
        try:
            pyarrow.csv.write_csv(table, sink, options)
        except pa.ArrowInvalid:
            if style == "needed":
                raise
            continue
        break
    content: bytes = sink.getvalue().to_pybytes()
    return content
