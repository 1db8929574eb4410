"""The embedded snapshot: adjusted closes of 20 large US stocks, 2010-01-04 to 2022-12-28, in USD. data/README.md has source and licence."""

import csv
import gzip

import numpy as np

from closes.series import Closes
from errors import DataUnavailableError
from settings import PROJECT_DIR

SNAPSHOT = PROJECT_DIR / "data" / "closes.csv.gz"


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


def snapshot_symbols() -> list[str]:
    """Return the snapshot's symbols."""
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        return next(csv.reader(lines))[1:]
