"""Rows with a window each -> windows that can be forecast, and rejected rows with the reason."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from closes.series import Floats
from forecast.bulk import find_faults
from processData import WINDOW
from scoring.columns import Form, Kind
from scoring.reading import Block
from scoring.values import columns_to_windows, lists_to_windows


class Reject(NamedTuple):
    """A row that is not forecast. Rows are counted from 1, without a header."""

    row: int
    reason: str
    symbol: str = ""
    date: str = ""


@dataclass(frozen=True)
class Prepared:
    """A block of rows, ready for the network.

    Attributes:
        windows: (n, 60) float64, valid.
        carried: (n rows) the columns that the output has too.
        rejects: rows that are not forecast.
        rows: how many rows of the input were read.
        without: how many of these have no forecast and are not wrong: they only belong to the windows of other rows.
        state: what the next block needs to know, for JSON.
    """

    windows: Floats
    carried: pa.RecordBatch
    rejects: list[Reject]
    rows: int
    without: int = 0
    state: dict[str, Any] = field(default_factory=dict)


class RowWindows:
    """Prepares files with a window per row."""

    def __init__(self, form: Form) -> None:
        """Keep what the columns are."""
        self._form = form

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Continue after the blocks of earlier states: there is nothing to know."""

    def prepare(self, block: Block) -> Prepared:
        """Return the windows of a block of rows, and its rejects."""
        rows = block.rows
        if self._form.kind is Kind.LIST:
            windows, faults = lists_to_windows(rows.column(self._form.closes[0]))
        else:
            windows, faults = columns_to_windows([rows.column(name) for name in self._form.closes])
        faults = find_faults(windows) | faults
        rejects = [Reject(int(block.numbers[row]), reason) for row, reason in faults.items()]
        carried = rows.select(list(self._form.carried))
        if faults:
            keep = kept(len(windows), faults)
            windows, carried = windows[keep], carried.filter(pa.array(keep))
        rejects += [Reject(number, reason) for number, reason in block.invalid]
        return Prepared(windows, carried, sorted(rejects), len(rows) + len(block.invalid))

    def finish(self, schema: pa.Schema) -> Prepared:
        """Return what is left after the last block: nothing."""
        return Prepared(np.empty((0, WINDOW)), pa.RecordBatch.from_pylist([], schema).select(list(self._form.carried)), [], 0)


def kept(count: int, faults: dict[int, str]) -> NDArray[np.bool_]:
    """Return which of `count` rows are without fault."""
    keep = np.ones(count, bool)
    keep[list(faults)] = False
    return keep
