"""A run of bulk scoring: input file -> blocks -> windows -> forecasts -> parts -> output file."""

import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import Timeout

from errors import ForecastError, InvalidClosesError
from forecast.bulk import FIELDS, WARNINGS
from models.loading import load_forecaster
from scoring.columns import Form, Kind, find_form
from scoring.parts import Counts, Parts
from scoring.prepare import Prepared, Reject, RowWindows
from scoring.progress import Progress
from scoring.reading import Source, open_source, unreadable
from scoring.series import SeriesWindows
from scoring.workers import Scored, score_all
from storage import DISK_FULL, locked

LAYOUT = 1  # of the parts; another number starts again
PART_ROWS = 131_072  # rows of the input per part: what a kill loses at most
HASHED_BYTES = 1 << 20  # at each end of the input

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What to score.

    Attributes:
        source: the input file.
        out: the output file.
        rejects: the file of rejected rows.
        model_dir: folder of the published model.
        jobs: processes.
        newest: only the last window of each symbol.
    """

    source: Path
    out: Path
    rejects: Path
    model_dir: Path
    jobs: int = 1
    newest: bool = False


@dataclass
class Buffer:
    """Forecasts that no part has yet."""

    tables: list[pa.Table] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    finished: list[str] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def add(self, table: pa.Table, block: Prepared, warned: int) -> None:
        """Add a block."""
        self.tables.append(table)
        self.rejects += block.rejects
        self.counts.add(Counts(block.rows, len(table), len(block.rejects), block.without, warned))
        self.finished += block.state.get("finished", [])
        self.state = block.state

    def save(self, parts: Parts) -> None:
        """Save everything as a part."""
        state = self.state | ({"finished": self.finished} if self.state else {})
        parts.add(pa.concat_tables(self.tables), self.rejects, self.counts, state)


def score_file(options: Options) -> Counts:
    """Forecast all windows of a file. A run that was interrupted continues where its last part ends.

    Raises:
        ForecastError: the input cannot be read, or another process writes the same output.
        OSError: a full disk. Finished parts stay.
    """
    forecaster = load_forecaster(options.model_dir, threads=1)
    source = open_source(options.source)
    form = find_form(source.schema, str(options.source))
    schema = _output_schema(source.schema, form, options)
    folder = options.out.with_name(f".{options.out.name}.parts")
    log.info("%s: %s; model %s.", options.source, form.kind.value, forecaster.version)
    try:
        with locked(folder, wait=False):
            parts = Parts(folder, _identity(options, forecaster.version), schema, as_csv=options.out.suffix.lower() == ".csv")
            _say_start(parts)
            windows = SeriesWindows(form, newest=options.newest) if form.kind is Kind.SERIES else RowWindows(form)
            windows.restore(parts.states)
            prepared = _prepare(source, windows, parts.counts.rows, options.source)
            _score(score_all(prepared, forecaster, options.model_dir, options.jobs), source, parts, schema)
            parts.write(options.out, options.rejects)
            shutil.rmtree(folder)
    except Timeout:
        raise ForecastError(f"Another process is writing {options.out}.") from None
    except KeyboardInterrupt:
        log.warning("Interrupted. The same command continues after the last part, row %s.", f"{parts.counts.rows:,}")
        raise
    except OSError as error:
        if error.errno in DISK_FULL:
            raise ForecastError(f"There is no space left for {options.out}. Make room; the same command continues.") from None
        raise
    return parts.counts


def _prepare(source: Source, windows: RowWindows | SeriesWindows, skip: int, path: Path) -> Iterator[Prepared]:
    """Return the blocks of a file as windows."""
    try:
        for block in source.blocks(skip):
            yield windows.prepare(block)
    except pa.ArrowInvalid as error:
        raise unreadable(path, error) from None
    yield windows.finish(source.schema)


def _score(scored: Iterator[Scored], source: Source, parts: Parts, schema: pa.Schema) -> None:
    """Collect forecasts into parts."""
    buffer = Buffer()
    with Progress(parts.counts.rows, source.total()) as progress:
        for block, columns in scored:
            arrays = [*block.carried.columns, *(pa.array(columns[name], schema.field(name).type) for name in FIELDS)]
            warned = int((columns[WARNINGS] != "").sum())
            buffer.add(pa.Table.from_arrays(arrays, schema=schema), block, warned)
            if buffer.counts.rows >= PART_ROWS:
                buffer.save(parts)
                buffer = Buffer()
            progress.add(block.rows, source.total())
        buffer.save(parts)


def _say_start(parts: Parts) -> None:
    """Log whether the run continues an earlier one."""
    if parts.started_again:
        log.info("The input, the model or the options are not those of the interrupted run, so this one starts at row 1.")
    elif parts.counts.rows:
        log.info("Continuing after row %s.", f"{parts.counts.rows:,}")


def _output_schema(schema: pa.Schema, form: Form, options: Options) -> pa.Schema:
    """Return the columns of the output.

    Raises:
        InvalidClosesError: the output cannot have a column of the input, or the options do not fit the form.
    """
    if options.newest and form.kind is not Kind.SERIES:
        raise InvalidClosesError(f"--newest is for files with a close per row; {options.source} has {form.kind.value}.")
    carried = [schema.field(name).remove_metadata() for name in form.carried]
    nested = [column.name for column in carried if pa.types.is_nested(column.type)]
    if nested and options.out.suffix.lower() == ".csv":
        raise InvalidClosesError(f"Column {nested[0]!r} has lists or structs, which CSV cannot hold. Use --out with .parquet.")
    fields = [pa.field(name, pa.string() if name == WARNINGS else pa.float64()) for name in FIELDS]
    return pa.schema([*carried, *fields])


def _identity(options: Options, version: str) -> dict[str, Any]:
    """Return what the parts of a run belong to: the input's size, time and ends, the model, and the options that change the output."""
    status, digest = options.source.stat(), hashlib.sha256()
    with options.source.open("rb") as file:
        digest.update(file.read(HASHED_BYTES))
        file.seek(max(status.st_size - HASHED_BYTES, 0))
        digest.update(file.read(HASHED_BYTES))
    return {
        "layout": LAYOUT, "input": str(options.source.resolve()), "size": status.st_size, "mtime_ns": status.st_mtime_ns,
        "sha256_of_ends": digest.hexdigest(), "model_version": version, "newest": options.newest, "form": options.out.suffix.lower(),
    }  # fmt: skip
