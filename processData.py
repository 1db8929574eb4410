"""Closes in: Yahoo Finance, its cache, a CSV file or the embedded snapshot -> checked series -> windows.

    closes = load_closes("MSFT", source="auto")
    windows, targets = make_windows(closes.prices)
    relative = relative_to_last(windows)

A series is checked the moment it is made, so whatever holds a `Closes` holds one that is in order, without duplicates, finite and
positive. pandas, scikit-learn and yfinance are imported only by the functions that need them: a server imports this module too.
"""

import csv
import gzip
import itertools
import logging
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from errors import DataUnavailableError, ForecastError, InvalidClosesError, InvalidSymbolError
from settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.preprocessing import MinMaxScaler

log = logging.getLogger(__name__)

Floats = NDArray[np.float64]
Source = Literal["auto", "yahoo", "cache", "snapshot", "csv"]

WINDOW = 60  # closes that the model sees
AUTO_ORDER = ("yahoo", "cache", "snapshot")
MIN_CLOSE, MAX_CLOSE = 1e-100, 1e100  # any currency; outside of it arithmetic on prices overflows
MAX_RANGE = 1e6  # largest over smallest close of one window; float32 and the exponential hold far more
MAX_GAP_DAYS = 7  # between two trading days; 9/11 closed New York for 6
SPLIT_JUMP = 0.45  # an unadjusted 2-for-1 split is a move of one half
SNAPSHOT = PROJECT_DIR / "data" / "closes.csv.gz"
DATE_COLUMNS = ("date",)
CLOSE_COLUMNS = ("adj close", "adj_close", "adjclose", "close")  # the adjusted one first
FIRST_DAY = "2010-01-01"  # downloads begin here at the latest, so that the cache serves every later start
SYMBOL = re.compile(r"[A-Za-z0-9^=-][A-Za-z0-9.^=-]{0,14}")


@dataclass(frozen=True)
class Closes:
    """A checked series of daily closes, oldest first.

    Attributes:
        symbol: ticker, for example "MSFT".
        source: where they come from: yahoo, cache, snapshot or csv.
        dates: (n_days,) datetime64[D], strictly increasing.
        prices: (n_days,) float64, adjusted, one currency, positive.

    Raises:
        InvalidClosesError: naming the first days that are wrong.
    """

    symbol: str
    source: str
    dates: NDArray[np.datetime64]
    prices: Floats

    def __post_init__(self) -> None:
        check_series(self.dates, self.prices)

    def __len__(self) -> int:
        return len(self.prices)

    @property
    def first_date(self) -> str:
        """The date of the first close, ISO 8601."""
        return str(self.dates[0])

    @property
    def last_date(self) -> str:
        """The date of the last close, ISO 8601."""
        return str(self.dates[-1])

    def between(self, start: str, end: str) -> "Closes":
        """The part from `start` to `end`, both included (ISO dates)."""
        keep = (self.dates >= np.datetime64(start)) & (self.dates <= np.datetime64(end))
        if not keep.any():
            raise DataUnavailableError(
                f"{self.symbol}: no closes from {start} to {end}; the {self.source} has {self.first_date} to {self.last_date}."
            )
        return Closes(self.symbol, self.source, self.dates[keep], self.prices[keep])


def load_closes(
    symbol: str = "MSFT",
    start: str = FIRST_DAY,
    end: str | None = None,
    source: Source = "auto",
    csv_path: Path | None = None,
    settings: Settings | None = None,
) -> Closes:
    """The closes of a symbol from `start` to `end`, both included (ISO dates).

    Without an `end`, all rows of a CSV file count; the other sources go to yesterday, as today's close may not be final.

    `auto` tries Yahoo Finance, then the cached download, then the embedded snapshot, and logs what it used.

    Raises:
        DataUnavailableError: no source has them, or the symbol is none.
        InvalidClosesError: the source has them, but they are no sound series.
    """
    check_symbol(symbol)
    symbol = symbol.upper()
    if source == "csv" or csv_path is not None:
        if csv_path is None:
            raise DataUnavailableError("Source csv needs a file: --csv PATH.")
        whole = read_csv(csv_path, symbol)
        closes = whole.between(start, end or whole.last_date)
        log.info("%s: %d of %d closes, %s to %s, from csv.", symbol, len(closes), len(whole), closes.first_date, closes.last_date)
    else:
        settings = settings or Settings.from_environment()
        closes = _load_from_sources(symbol, start, end or last_final_day(), AUTO_ORDER if source == "auto" else (source,), settings)
        log.info("%s: %d closes to %s from %s.", symbol, len(closes), closes.last_date, closes.source)
    warn_of_oddities(closes)
    return closes


def _load_from_sources(symbol: str, start: str, end: str, sources: Sequence[str], settings: Settings) -> Closes:
    """The closes of the first source that has them; each that has not is logged."""
    failures = []
    for name in sources:
        try:
            return _read_source(name, symbol, start, end, settings)
        except ForecastError as error:
            if len(sources) == 1:
                raise
            failures.append(f"{name}: {error}")
            log.warning("Not used: %s", failures[-1])
    raise DataUnavailableError(f"No source has closes of {symbol} from {start} to {end}.", failures)


def _read_source(name: str, symbol: str, start: str, end: str, settings: Settings) -> Closes:
    """The closes that one source has of a symbol from `start` to `end`."""
    if name == "yahoo":
        return download_closes(symbol, start, end, settings)
    closes = read_cache(symbol, settings) if name == "cache" else read_snapshot(symbol)
    return closes.between(start, end)


def check_symbol(symbol: str) -> None:
    """Check that a symbol is one: it also names files and is part of addresses.

    Raises:
        InvalidSymbolError: naming it.
    """
    if not SYMBOL.fullmatch(symbol):
        raise InvalidSymbolError(
            f"{symbol[:40]!r} is not a symbol: 1 to 15 letters, digits and . ^ = - (not a dot first), for example MSFT or BRK-B."
        )


def last_final_day() -> str:
    """The last day whose close is final, ISO 8601: yesterday in UTC, when even New York has closed, wherever the server's clock is set."""
    return (datetime.now(UTC).date() - timedelta(days=1)).isoformat()


def symbol_of(path: Path) -> str:
    """What a CSV file's closes are called where nobody says: MSFT for msft.csv, CSV for a name that is no symbol."""
    return path.stem.upper() if SYMBOL.fullmatch(path.stem) else "CSV"


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
            f"{path}: {missing.sum()} rows without a date (YYYY-MM-DD) or a number as close; mend or remove them.", details
        )
    days_read, closes_read = _as_arrays(dates, prices)
    check_series(days_read, closes_read, (frame.index + 2).tolist())
    return Closes(symbol, "csv", days_read, closes_read)


def read_snapshot(symbol: str = "MSFT") -> Closes:
    """The embedded closes of one of 20 large US stocks, 2010-01-04 to 2022-12-28, USD (see data/README.md).

    Raises:
        DataUnavailableError: the symbol is not in it.
    """
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        rows = csv.reader(lines)
        header = next(rows)
        if symbol not in header[1:]:
            raise DataUnavailableError(f"{symbol} is not in the embedded snapshot; it has: {', '.join(header[1:])}.")
        column = header.index(symbol)
        table = [(row[0], row[column]) for row in rows]
    dates, prices = zip(*table, strict=True)
    return Closes(symbol, "snapshot", np.array(dates, "datetime64[D]"), np.array(prices, np.float64))


def snapshot_symbols() -> list[str]:
    """The symbols of the embedded snapshot."""
    with gzip.open(SNAPSHOT, "rt", newline="") as lines:
        return next(csv.reader(lines))[1:]


def download_closes(symbol: str, start: str, end: str, settings: Settings, seconds: float | None = None) -> Closes:
    """Adjusted closes from Yahoo Finance, from `start` to `end`, both included; `seconds` limits all calls together.

    The whole series since FIRST_DAY is asked for and kept in the cache: a short download would take the place of a long one there.

    Raises:
        UnknownSymbolError: Yahoo Finance has none.
        DataUnavailableError: it could not be asked.
    """
    check_symbol(symbol)
    try:
        from yahooFinance import fetch_history
    except ModuleNotFoundError as error:
        raise DataUnavailableError(
            f"Yahoo Finance cannot be asked: {error.name} is not installed here (pip install -r requirements.txt)."
        ) from None
    frame = fetch_history(symbol, min(start, FIRST_DAY), max(end, last_final_day()), settings, seconds)
    closes = Closes(symbol, "yahoo", *_as_arrays(frame["date"], frame["close"]))
    try:
        write_cache(closes, settings)
    except OSError as error:
        log.warning("Not cached: %s: %s.", settings.DATA_CACHE_DIR, error.strerror)
    return closes.between(start, end)


def read_cache(symbol: str, settings: Settings) -> Closes:
    """What was last downloaded of a symbol; read without pandas, which a server may not have.

    Raises:
        DataUnavailableError: nothing yet.
        InvalidClosesError: the file is not as write_cache left it.
    """
    path = cache_file(symbol, settings)
    try:
        _, *rows = path.read_text().splitlines()
        dates, prices = zip(*(row.split(",") for row in rows), strict=True)
        closes = Closes(symbol, "cache", np.array(dates, "datetime64[D]"), np.array(prices, np.float64))
    except FileNotFoundError:
        raise DataUnavailableError(f"No cached download of {symbol} in {settings.DATA_CACHE_DIR.name}/.") from None
    except OSError as error:
        raise DataUnavailableError(f"{settings.DATA_CACHE_DIR.name}/{path.name}: {error.strerror}.") from None
    except ValueError:
        raise InvalidClosesError(f"{settings.DATA_CACHE_DIR.name}/{path.name} is not as it was written; remove it.") from None
    return closes


def cache_file(symbol: str, settings: Settings) -> Path:
    """Where the last download of a symbol is kept."""
    check_symbol(symbol)
    return settings.DATA_CACHE_DIR / f"{symbol}.csv"


def write_cache(closes: Closes, settings: Settings) -> None:
    """Keep a download, whole or not at all, for the next time that Yahoo Finance does not answer."""
    path = cache_file(closes.symbol, settings)
    settings.DATA_CACHE_DIR.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=settings.DATA_CACHE_DIR, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o644)  # mkstemp gives 0600; another user may read it
            file.write("date,close\n")
            file.writelines(f"{day},{price!r}\n" for day, price in zip(closes.dates, closes.prices.tolist(), strict=True))
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def check_series(dates: NDArray[np.datetime64], prices: Floats, lines: Sequence[int] | None = None) -> None:
    """Check that dates increase strictly and that prices are finite and positive.

    Args:
        dates: (n_days,) datetime64[D].
        prices: (n_days,) float64.
        lines: where each day is in the file that they come from, if they do; an error names it.

    Raises:
        InvalidClosesError: with the first days that are wrong as details.
    """
    if len(prices) == 0:
        raise InvalidClosesError("There are no closes.")
    problems = []
    place = [f"line {line}: " for line in lines] if lines is not None else [""] * len(prices)
    for index in np.flatnonzero(np.diff(dates) <= np.timedelta64(0, "D"))[:5] + 1:
        same = dates[index] == dates[index - 1]
        what = "appears twice" if same else f"comes after {dates[index - 1]}; order the rows by date, oldest first"
        problems.append(f"{place[index]}{dates[index]} {what}")
    for index in np.flatnonzero(~((prices >= MIN_CLOSE) & (prices <= MAX_CLOSE)))[:5]:
        problems.append(f"{place[index]}{dates[index]} has the close {float(prices[index])!r}, which is not a positive finite number")
    if problems:
        raise InvalidClosesError("The closes are not a sound daily series.", problems)


def warn_of_oddities(closes: Closes) -> None:
    """Log what is no error but may be none of the market's doing: moves like a split, days without closes."""
    for warning in split_warnings(closes.prices, closes.dates):
        log.warning("%s: %s", closes.symbol, warning)
    for index in np.flatnonzero(np.diff(closes.dates) > np.timedelta64(MAX_GAP_DAYS, "D"))[:3]:
        log.warning("%s: no closes between %s and %s: are some missing?", closes.symbol, closes.dates[index], closes.dates[index + 1])


def split_warnings(prices: Floats, dates: NDArray[np.datetime64] | None = None) -> list[str]:
    """Say where closes move by about a half or a double in a day, as an unadjusted split would.

    Args:
        prices: (n_days,) float64, oldest first.
        dates: of the closes, where they are known; else the closes are counted from 1.
    """
    moves = prices[1:] / prices[:-1]
    jumps = np.flatnonzero((moves < 1 - SPLIT_JUMP) | (moves > 1 / (1 - SPLIT_JUMP)))[:3]
    names = [f"Close {i + 2}" if dates is None else f"The close of {dates[i + 1]}" for i in jumps]
    return [
        f"{name} is {moves[i]:.3g} times the one before: a split that is not adjusted? Use adjusted closes."
        for name, i in zip(names, jumps, strict=True)
    ]


def make_windows(prices: Floats, horizon: int = 1) -> tuple[Floats, Floats]:
    """Every window of 60 closes that has `horizon` closes after it, with those closes.

    Args:
        prices: (n_days,) float64, oldest first.
        horizon: trading days ahead.

    Returns:
        Windows (n, 60) and the closes after them (n, horizon), float64; n = n_days - 59 - horizon.

    Raises:
        InvalidClosesError: there are too few closes for one window.
    """
    count = len(prices) - WINDOW + 1 - horizon
    if count < 1:
        raise InvalidClosesError(
            f"{len(prices)} closes are too few: a window of {WINDOW} and the close it predicts take {WINDOW + horizon}."
        )
    views = np.lib.stride_tricks.sliding_window_view(prices, WINDOW + horizon)
    return views[:, :WINDOW].copy(), views[:, WINDOW:].copy()


def relative_to_last(windows: Floats) -> Floats:
    """Each window (n, 60) divided by its own last close: a stock at 20 and one at 300 look alike."""
    return windows / windows[:, -1:]


def fit_scaler(relative: Floats) -> "MinMaxScaler":
    """A MinMaxScaler with one feature, the relative close, fitted on training windows (n, 60)."""
    from sklearn.preprocessing import MinMaxScaler

    return MinMaxScaler().fit(relative.reshape(-1, 1))


def _as_arrays(dates: "pd.Series", prices: "pd.Series") -> tuple[NDArray[np.datetime64], Floats]:
    """Dates and prices of a Closes from two columns."""
    return dates.to_numpy().astype("datetime64[D]"), prices.to_numpy().astype(np.float64)
