"""Arrow columns -> float64 closes and int64 times. A cell that is not a number becomes NaN, and its text is remembered."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from closes.numbers import MISSING
from closes.series import Floats
from processData import WINDOW

Texts = dict[int, str]  # by row, counted from 0
NO_TIME = np.iinfo(np.int64).min
MAX_SHOWN = 40  # characters of a cell in a reason


def shown(cell: Any) -> str:
    """Return a cell as a reason shows it: printable and not long."""
    text = str(cell)
    return repr("".join(letter if letter.isprintable() else " " for letter in text[:MAX_SHOWN]) + ("..." if len(text) > MAX_SHOWN else ""))


def to_floats(column: pa.Array) -> tuple[Floats, Texts]:
    """Return a column as numbers (n,) float64, and the cells that are not numbers. A missing number is NaN."""
    column = decoded(column)
    if pa.types.is_null(column.type):
        return np.full(len(column), math.nan), {}
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        return _as_array(pc.cast(column, pa.float64(), safe=False)), {}
    if is_text(column.type):
        try:
            return _as_array(pc.cast(column, pa.float64())), {}
        except pa.ArrowInvalid:  # some cell is not a plain number
            pass
    return _cell_by_cell(column.to_pylist())


def is_text(kind: pa.DataType) -> bool:
    """Return whether a type is text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def decoded(column: pa.Array) -> pa.Array:
    """Return a column without its dictionary."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _as_array(column: pa.Array) -> Floats:
    """Return an Arrow column of float64 as an array; null is NaN."""
    array: Floats = pc.fill_null(column, math.nan).to_numpy(zero_copy_only=False)
    return array


def _cell_by_cell(cells: Sequence[Any]) -> tuple[Floats, Texts]:
    """Return cells as numbers, and those that are not numbers."""
    numbers, texts = np.full(len(cells), math.nan), {}
    for row, cell in enumerate(cells):
        if cell is None or (isinstance(cell, str) and cell.strip().lower() in MISSING):
            continue
        try:
            if isinstance(cell, bool) or (isinstance(cell, str) and "_" in cell):  # Python would read True and 1_000
                raise ValueError
            numbers[row] = float(cell)
        except (TypeError, ValueError):
            texts[row] = shown(cell)
    return numbers, texts


def columns_to_windows(columns: Sequence[pa.Array]) -> tuple[Floats, Texts]:
    """Return the windows (n, 60) of 60 columns, and what is wrong with rows that have a cell that is not a number."""
    windows, faults = np.empty((len(columns[0]), WINDOW)), Texts()
    for place, column in enumerate(columns):
        windows[:, place], texts = to_floats(column)
        for row, text in texts.items():
            faults.setdefault(row, f"close {place + 1} is not a number: {text}")
    return windows, faults


def lists_to_windows(column: pa.Array) -> tuple[Floats, Texts]:
    """Return the windows (n, 60) of a column of lists, or of texts of lists, and what is wrong with rows without 60 numbers."""
    if is_text(column.type):
        trimmed = pc.utf8_trim(column, "[]() \t")
        column = pc.split_pattern_regex(trimmed, r"\s*[,;\s]\s*")
    windows, faults = np.full((len(column), WINDOW), math.nan), Texts()
    if not _is_list(column.type):
        return windows, dict.fromkeys(range(len(column)), f"the window is not a list of {WINDOW} closes")
    lengths = pc.fill_null(pc.if_else(column.is_valid(), pc.list_value_length(column), -1), -1).to_numpy(zero_copy_only=False)
    is_full = lengths == WINDOW
    for row in np.flatnonzero(~is_full):
        faults[int(row)] = "the window is missing" if lengths[row] < 0 else f"the window has {lengths[row]} closes, not {WINDOW}"
    full = column if is_full.all() else column.filter(pa.array(is_full))
    numbers, texts = to_floats(full.flatten())
    windows[is_full] = numbers.reshape(-1, WINDOW)
    rows = np.flatnonzero(is_full)
    for cell, text in texts.items():
        faults.setdefault(int(rows[cell // WINDOW]), f"close {cell % WINDOW + 1} is not a number: {text}")
    return windows, faults


def _is_list(kind: pa.DataType) -> bool:
    """Return whether a type is a list."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def to_times(column: pa.Array) -> NDArray[np.int64]:
    """Return a column of dates or times as microseconds since 1970, (n,) int64; NO_TIME where a cell is neither."""
    column = decoded(column)
    kind = column.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = column.cast(pa.timestamp(kind.unit))
    if pa.types.is_temporal(kind) or is_text(kind):
        try:
            times = pc.cast(column, pa.timestamp("us"), safe=False)
            array: NDArray[np.int64] = pc.fill_null(times.cast(pa.int64()), NO_TIME).to_numpy(zero_copy_only=False)
            return array
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            pass
    return np.array([_time(cell) for cell in column.to_pylist()], np.int64)


def _time(cell: Any) -> int:
    """Return an ISO 8601 date or time in microseconds since 1970; NO_TIME if it is neither."""
    if not isinstance(cell, str):
        return int(NO_TIME)
    try:
        time = datetime.fromisoformat(cell.strip())
    except ValueError:
        return int(NO_TIME)
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1_000_000)
