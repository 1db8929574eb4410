"""The embedded snapshot: adjusted closes of 20 large US stocks, 2010-01-04 to 2022-12-28, in USD, and daily ranges of five stocks.

data/README.md has sources and licences.
"""

import csv
import gzip

import numpy as np
from numpy.typing import NDArray

from closes.series import Closes
from errors import DataUnavailableError
from settings import PROJECT_DIR

SNAPSHOT = PROJECT_DIR / "data" / "closes.csv.gz"
RANGES = PROJECT_DIR / "data" / "ranges.csv.gz"


def read_snapshot(symbol: str = "MSFT") -> Closes:
    """Return the closes of one of the snapshot's symbols.

    Raises:
        DataUnavailableError: the symbol is not in the snapshot.
    """
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        rows = csv.reader(lines)
        header = next(rows)
        if symbol not in header[1:]:
            raise DataUnavailableError(f"{symbol} is not in the embedded snapshot, which has {', '.join(header[1:])}.")
        column = header.index(symbol)
        table = [(row[0], row[column]) for row in rows]
    dates, prices = zip(*table, strict=True)
    return Closes(symbol, "snapshot", np.array(dates, "datetime64[D]"), np.array(prices, np.float64))


def read_whole_snapshot() -> list[Closes]:
    """Return the closes of all symbols of the snapshot, from one pass over the file."""
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        (_, *symbols), *rows = csv.reader(lines)
    dates = np.array([row[0] for row in rows], "datetime64[D]")
    table = np.array([row[1:] for row in rows], np.float64)
    return [Closes(symbol, "snapshot", dates, table[:, column].copy()) for column, symbol in enumerate(symbols)]


def snapshot_symbols() -> list[str]:
    """Return the snapshot's symbols."""
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        return next(csv.reader(lines))[1:]


def read_ranges() -> list[Closes]:
    """Return the closes of the stocks whose daily ranges are embedded, with these."""
    with gzip.open(RANGES, "rt", newline="") as lines:
        rows = csv.reader(lines)
        next(rows)
        by_symbol: dict[str, list[list[str]]] = {}
        for symbol, *row in rows:
            by_symbol.setdefault(symbol, []).append(row)
    series = []
    for symbol, days in by_symbol.items():
        dates: NDArray[np.datetime64] = np.array([day[0] for day in days], "datetime64[D]")
        prices = np.array([day[1:] for day in days], np.float64)
        series.append(Closes(symbol, "snapshot", dates, prices[:, 3].copy(), prices[:, :3].copy()))
    return series
