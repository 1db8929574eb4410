"""Price files: CSV with a header, a date column and a close column."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from closes.series import MAX_PROBLEMS, RANGE_COLUMNS, Closes, Floats, check_series
from closes.symbols import UNNAMED
from errors import DataUnavailableError, InvalidClosesError

if TYPE_CHECKING:
    import pandas as pd

DATE_COLUMNS = ("date",)
CLOSE_COLUMNS = ("adj close", "adj_close", "adjclose", "close")  # adjusted ones first
HEADER_LINES = 2  # line number of the first row, as an editor counts
DAY = r"^(\d{4}-\d\d-\d\d)(?:[T ].*)?$"  # a time of day may follow


def read_csv(file: Path, symbol: str = UNNAMED) -> Closes:
    """Read the closes of a CSV file.

    The columns `Date`, `Close` and `Adj Close` are recognised in any case. An adjusted column is preferred. `Open`, `High` and `Low` are
    read if all three are there, and adjusted as the closes. Other columns are ignored.

    Raises:
        DataUnavailableError: the file cannot be read.
        InvalidClosesError: a column is missing or a row is wrong; the details name the first lines.
    """
    frame, date_column, close_column = _read_frame(file)
    frame = frame[(frame[[date_column, close_column]] != "").any(axis=1)]  # skips blank lines
    dates, prices = _parse(frame, date_column, close_column, file)
    check_series(dates, prices, (frame.index + HEADER_LINES).tolist())
    return Closes(symbol, "csv", dates, prices, _ranges(frame, prices, close_column))


def _read_frame(file: Path) -> "tuple[pd.DataFrame, str, str]":
    """Return a file's rows as text, and the names of its date and close columns."""
    import pandas as pd

    try:
        frame = pd.read_csv(file, dtype=str, skipinitialspace=True, keep_default_na=False, skip_blank_lines=False, compression=None)
    except OSError as error:
        raise DataUnavailableError(f"{file}: {error.strerror or 'cannot be read'}.") from None
    except (ValueError, pd.errors.ParserError) as error:
        raise InvalidClosesError(f"{file} is not a CSV file with a header: {str(error).splitlines()[0]}.") from None
    if not isinstance(frame.index, pd.RangeIndex):  # pandas took the first field as the row's name
        raise InvalidClosesError(f"{file} has rows with more fields than its header.")
    columns = {str(name).strip().lower(): str(name) for name in frame.columns}
    date_column = next((columns[name] for name in DATE_COLUMNS if name in columns), None)
    close_column = next((columns[name] for name in CLOSE_COLUMNS if name in columns), None)
    if date_column is None or close_column is None:
        found = ", ".join(repr(str(name)[:40]) for name in frame.columns[:10])
        raise InvalidClosesError(f"{file} needs a column `date` and a column `close` (or `Adj Close`). It has {found}.")
    return frame, date_column, close_column


def _parse(frame: "pd.DataFrame", date_column: str, close_column: str, file: Path) -> tuple[NDArray[np.datetime64], Floats]:
    """Return days (n,) datetime64[D] and closes (n,) float64."""
    import pandas as pd

    days = frame[date_column].str.extract(DAY, expand=False)
    dates = pd.to_datetime(days, format="%Y-%m-%d", errors="coerce")
    prices = pd.to_numeric(frame[close_column], errors="coerce")
    missing = (dates.isna() | prices.isna()).to_numpy()
    if missing.any():
        wrong = zip(frame.index[missing] + HEADER_LINES, frame[missing][date_column], frame[missing][close_column], strict=True)
        details = [f"line {line}: date {day!r}, close {price!r}" for line, day, price in itertools.islice(wrong, MAX_PROBLEMS)]
        raise InvalidClosesError(
            f"{file} has {missing.sum()} rows without a date (YYYY-MM-DD) or without a number as close. Fix or remove them.", details
        )
    return dates.to_numpy().astype("datetime64[D]"), prices.to_numpy().astype(np.float64)


def _ranges(frame: "pd.DataFrame", prices: Floats, close_column: str) -> Floats | None:
    """Return open, high and low (n, 3) float64, NaN where there is no number; None if the file does not have the three columns."""
    import pandas as pd

    columns = {str(name).strip().lower(): str(name) for name in frame.columns}
    if not set(RANGE_COLUMNS) <= set(columns):
        return None
    ranges = np.column_stack([pd.to_numeric(frame[columns[name]], errors="coerce").to_numpy(np.float64) for name in RANGE_COLUMNS])
    if close_column != columns.get("close") and "close" in columns:  # an adjusted close next to a plain one
        ranges *= (prices / pd.to_numeric(frame[columns["close"]], errors="coerce").to_numpy(np.float64))[:, None]
    return ranges
