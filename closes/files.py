"""Price files."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from closes.series import Closes, Floats, check_series
from errors import DataUnavailableError, InvalidClosesError

if TYPE_CHECKING:
    import pandas as pd

DATE_COLUMNS = ("date",)
CLOSE_COLUMNS = ("adj close", "adj_close", "adjclose", "close")  # the adjusted one first


def read_csv(path: Path, symbol: str = "CSV") -> Closes:
    """Read a CSV file with a header: a date column and a close column; others are ignored.

    `Date`, `Close` and `Adj Close` are understood in any case; where both closes are there, the adjusted one is taken.

    Raises:
        DataUnavailableError: the file cannot be read.
        InvalidClosesError: columns or rows that do not fit, each named with its line.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, skipinitialspace=True, keep_default_na=False, skip_blank_lines=False, compression=None)
    except OSError as error:
        raise DataUnavailableError(f"{path}: {error.strerror or 'cannot be read'}.") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidClosesError(f"{path} is not a CSV file with a header: {str(error).splitlines()[0]}.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would take the first field as the row's name
        raise InvalidClosesError(f"{path}: its rows have more fields than its header.")
    columns = {str(name).strip().lower(): name for name in frame.columns}
    date_column = next((columns[name] for name in DATE_COLUMNS if name in columns), None)
    close_column = next((columns[name] for name in CLOSE_COLUMNS if name in columns), None)
    if date_column is None or close_column is None:
        found = ", ".join(repr(str(name)[:40]) for name in frame.columns[:10])
        raise InvalidClosesError(f"{path} needs a column `date` and a column `close` (or `Adj Close`); it has: {found}.")
    frame = frame[(frame[[date_column, close_column]] != "").any(axis=1)]  # blank lines
    days = frame[date_column].str.extract(r"^(\d{4}-\d\d-\d\d)(?:[T ].*)?$", expand=False)  # a time of day may follow
    dates = pd.to_datetime(days, format="%Y-%m-%d", errors="coerce")
    prices = pd.to_numeric(frame[close_column], errors="coerce")
    missing = (dates.isna() | prices.isna()).to_numpy()
    if missing.any():
        wrong = zip(frame.index[missing] + 2, frame[missing][date_column], frame[missing][close_column], strict=True)
        details = [f"line {line}: date {day!r}, close {price!r}" for line, day, price in itertools.islice(wrong, 5)]
        raise InvalidClosesError(
            f"{path}: {missing.sum()} rows without a date (YYYY-MM-DD) or a number as close; fix or remove them.", details
        )
    days_read, closes_read = _as_arrays(dates, prices)
    check_series(days_read, closes_read, (frame.index + 2).tolist())
    return Closes(symbol, "csv", days_read, closes_read)


def _as_arrays(dates: "pd.Series", prices: "pd.Series") -> tuple[NDArray[np.datetime64], Floats]:
    """Dates and prices of a Closes from two columns."""
    return dates.to_numpy().astype("datetime64[D]"), prices.to_numpy().astype(np.float64)
