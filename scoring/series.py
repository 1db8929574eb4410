"""Rows with a close each (symbol, date, close) -> windows. The rows of a symbol are together and in the order of their dates.

A wrong row is rejected, and windows continue over it, as over a day without a close.
"""

import base64
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from closes.series import Floats, are_valid
from forecast.bulk import describe_close, find_faults
from processData import WINDOW
from scoring.columns import Form
from scoring.prepare import Prepared, Reject, kept
from scoring.reading import Block
from scoring.values import NO_TIME, decoded, shown, to_floats, to_times


class SeriesWindows:
    """Prepares files with a close per row.

    It remembers the last closes of the current symbol, and the names of all symbols before it. Everything else of a block is forgotten.
    """

    def __init__(self, form: Form, *, newest: bool = False) -> None:
        """Keep what the columns are. `newest`: only the last window of each symbol is forecast."""
        self._form, self._newest = form, newest
        self._finished: set[str] = set()
        self._start(None)
        self._clear()

    def _start(self, symbol: str | None) -> None:
        """Begin with a symbol."""
        self._symbol, self._tail, self._time = symbol, np.empty(0), int(NO_TIME)
        self._count, self._number = 0, 0  # of its valid rows; number of the last of them
        self._last_row: pa.RecordBatch | None = None

    def _clear(self) -> None:
        """Begin with a block."""
        self._windows: list[Floats] = []
        self._carried: list[pa.RecordBatch] = []
        self._rejects: list[Reject] = []
        self._newly_finished: list[str] = []

    def restore(self, states: list[dict[str, Any]]) -> None:
        """Continue after the blocks of earlier states."""
        for state in states:
            self._finished.update(state["finished"])
        if states:
            state = states[-1]
            self._symbol, self._tail, self._time = state["symbol"], np.array(state["tail"], np.float64), state["time"]
            self._count, self._number, self._last_row = state["count"], state["number"], _unpacked(state["last_row"])

    def prepare(self, block: Block) -> Prepared:
        """Return the windows that end in a block of rows, and its rejects."""
        rows, form = block.rows, self._form
        closes, texts = to_floats(rows.column(form.closes[0]))
        date = rows.column(form.date)
        times = to_times(date)
        carried = rows.select(list(form.carried))
        for symbol, first, last in self._runs(rows):
            if symbol != self._symbol:
                self._end()
                self._start(symbol)
            reasons = self._add(block, carried, slice(first, last), closes, times)
            for row, reason in reasons.items():
                shown_reason = f"close is not a number: {texts[row]}" if row in texts else reason
                self._rejects.append(Reject(int(block.numbers[row]), shown_reason, symbol, _text(date[row])))
        self._rejects += [Reject(number, reason) for number, reason in block.invalid]
        return self._prepared(len(rows) + len(block.invalid), carried)

    def finish(self, schema: pa.Schema) -> Prepared:
        """Return what the end of the last symbol adds."""
        self._end()
        self._start(None)
        return self._prepared(0, pa.RecordBatch.from_pylist([], schema).select(list(self._form.carried)))

    def _runs(self, rows: pa.RecordBatch) -> Iterator[tuple[str, int, int]]:
        """Return the symbols of a block in turn, with the rows from `first` to before `last`."""
        if self._form.symbol is None or not len(rows):
            yield from [("", 0, len(rows))] if len(rows) else []
            return
        symbols = pc.fill_null(decoded(rows.column(self._form.symbol)).cast(pa.string()), "").to_numpy(zero_copy_only=False)
        edges = [0, *(np.flatnonzero(symbols[1:] != symbols[:-1]) + 1).tolist(), len(symbols)]
        yield from ((symbols[first], first, last) for first, last in pairwise(edges))

    def _add(self, block: Block, carried: pa.RecordBatch, part: slice, closes: Floats, times: NDArray[np.int64]) -> dict[int, str]:
        """Add rows of the current symbol. Return the rejected ones with the reason."""
        rows = range(part.start, part.stop)
        if self._symbol == "" and self._form.symbol is not None:
            return dict.fromkeys(rows, "the symbol is missing")
        if self._symbol in self._finished:
            return dict.fromkeys(rows, f"the rows of {self._symbol} are not together; sort the file by symbol and date")
        is_right = are_valid(closes[part]) & (times[part] != NO_TIME)
        before = np.maximum.accumulate(np.concatenate([[self._time], np.where(is_right, times[part], NO_TIME)]))[:-1]
        is_new = times[part] > before
        faults = {rows[row]: self._describe(closes[rows[row]], times[rows[row]]) for row in np.flatnonzero(~(is_right & is_new))}
        chosen = np.flatnonzero(is_right & is_new) + part.start
        if len(chosen):
            self._time, self._number = int(times[chosen[-1]]), int(block.numbers[chosen[-1]])
            self._count += len(chosen)
            prices = np.concatenate([self._tail, closes[chosen]])
            if self._newest:
                self._tail, self._last_row = prices[-WINDOW:], carried.slice(int(chosen[-1]), 1)
            else:
                self._tail = prices[-(WINDOW - 1) :]
                faults |= self._cut(prices, chosen, carried)
        return faults

    def _cut(self, prices: Floats, chosen: NDArray[np.intp], carried: pa.RecordBatch) -> dict[int, str]:
        """Cut prices into windows; each ends at one of the chosen rows. Return the rows whose window cannot be forecast."""
        if len(prices) < WINDOW:
            return {}
        windows = np.lib.stride_tricks.sliding_window_view(prices, WINDOW)
        ends, faults = chosen[-len(windows) :], find_faults(windows)
        keep = kept(len(windows), faults)
        self._windows.append(windows[keep])
        self._carried.append(carried.take(pa.array(ends[keep])))
        return {int(ends[row]): reason for row, reason in faults.items()}

    def _describe(self, close: float, time: int) -> str:
        """Return why a row cannot be used."""
        if not are_valid(np.array([close]))[0]:
            return f"close {describe_close(float(close))}"
        return "the date is missing or not like 2020-01-31" if time == NO_TIME else "the date is not after that of the row before it"

    def _end(self) -> None:
        """End the current symbol: its last window, or the reason why it has none."""
        if self._symbol is None or self._symbol in self._finished:
            return
        name = self._symbol or "the file"
        if 0 < self._count < WINDOW:
            self._rejects.append(Reject(self._number, f"{name} has {self._count} valid closes, a window {WINDOW}", self._symbol))
        elif self._newest and self._last_row is not None:
            faults = find_faults(self._tail[None])
            if faults:
                self._rejects.append(Reject(self._number, faults[0], self._symbol))
            else:
                self._windows.append(self._tail[None])
                self._carried.append(self._last_row)
        if self._symbol:
            self._finished.add(self._symbol)
            self._newly_finished.append(self._symbol)

    def _prepared(self, rows: int, carried: pa.RecordBatch) -> Prepared:
        """Return what was collected from a block, and forget it."""
        windows = np.concatenate(self._windows) if self._windows else np.empty((0, WINDOW))
        kept_rows = pa.concat_batches(self._carried) if self._carried else carried.slice(0, 0)
        rejects = sorted(self._rejects)
        state = {
            "finished": self._newly_finished, "symbol": self._symbol, "tail": self._tail.tolist(), "time": self._time,
            "count": self._count, "number": self._number, "last_row": _packed(self._last_row),
        }  # fmt: skip
        self._clear()
        return Prepared(windows, kept_rows, rejects, rows, rows - len(windows) - len(rejects), state)


def _text(cell: pa.Scalar) -> str:
    """Return a cell of the dates as text."""
    return "" if cell.as_py() is None else shown(cell.as_py()).strip("'\"")


def _packed(row: pa.RecordBatch | None) -> str | None:
    """Return a row as text."""
    if row is None:
        return None
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, row.schema) as stream:
        stream.write_batch(row)
    return base64.b64encode(sink.getvalue().to_pybytes()).decode()


def _unpacked(text: str | None) -> pa.RecordBatch | None:
    """Return a row from its text."""
    return None if text is None else pa.ipc.open_stream(base64.b64decode(text)).read_next_batch()
