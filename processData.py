"""The data pipeline: closes of a symbol from any source -> checked series -> windows -> scaled windows.

    closes = load_closes("MSFT", source="auto")
    windows, targets = make_windows(closes.prices)
    relative = relative_to_last(windows)

pandas, scikit-learn and yfinance are imported on use, because a server imports this module too.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from closes.cache import read_cache
from closes.download import download_closes
from closes.files import Part, read_prices
from closes.series import FIRST_DAY, SOURCE_NAMES, Closes, Floats, last_final_day, warn_suspicious
from closes.snapshot import read_snapshot
from closes.symbols import check_symbol
from errors import DataUnavailableError, ForecastError, InvalidClosesError
from settings import Settings

if TYPE_CHECKING:
    from sklearn.preprocessing import MinMaxScaler

log = logging.getLogger(__name__)

Source = Literal["auto", "yahoo", "cache", "snapshot", "csv"]

WINDOW = 60  # closes that the model sees
AUTO_ORDER = ("yahoo", "cache", "snapshot")
LATE_DAYS = 7  # calendar days; a series that starts this much after the day asked for is worth a warning


def load_closes(
    symbol: str = "MSFT",
    start: str | None = None,
    end: str | None = None,
    source: Source = "auto",
    csv_path: Path | None = None,
    settings: Settings | None = None,
    column: str | None = None,
) -> Closes:
    """Load the closes of a symbol from `start` to `end`, both included (ISO dates).

    `auto` tries Yahoo Finance, then the cached download, then the embedded snapshot, and logs which one it used. Suspicious moves and
    gaps, and a start later than asked for, are logged as warnings.

    Args:
        symbol: ticker, in any case.
        start: first day; by default the first row of a file, and FIRST_DAY for the other sources.
        end: last day; by default the last row of a file, and yesterday for the other sources, since today's close may not be final.
        source: where to load from.
        csv_path: the price file of source csv.
        settings: of the download and its cache; from the environment by default.
        column: the file's column of closes; by default an adjusted one if there is one.

    Raises:
        InvalidSymbolError: the text is not a symbol.
        DataUnavailableError: no source has the closes.
        InvalidClosesError: the source's closes are not a valid series.
    """
    check_symbol(symbol)
    symbol = symbol.upper()
    if source == "csv" or csv_path is not None:
        if csv_path is None:
            raise DataUnavailableError("Source csv needs a file: --csv PATH.")
        file = read_prices(csv_path, symbol, column, Part(start, end))
        file.log()
        closes = file.closes
        log.info("%s: %d of %d closes, %s to %s, from %s.", symbol, len(closes), file.total, closes.first_date, closes.last_date, csv_path)
    else:
        settings = settings or Settings.from_environment()
        closes = _load_from_sources(
            symbol, start or FIRST_DAY, end or last_final_day(), AUTO_ORDER if source == "auto" else (source,), settings
        )
        log.info("%s: %d closes, %s to %s, from %s.", symbol, len(closes), closes.first_date, closes.last_date, closes.source)
    _warn_late_start(closes, start)
    warn_suspicious(closes)
    return closes


def _load_from_sources(symbol: str, start: str, end: str, sources: Sequence[str], settings: Settings) -> Closes:
    """Return the closes of the first source that has them. Log why the sources before it were skipped; if all fail, the error says it."""
    failures: list[str] = []
    for name in sources:
        try:
            closes = _read_source(name, symbol, start, end, settings)
            for failure in failures:
                log.warning("Skipped %s", failure)
            return closes
        except ForecastError as error:
            if len(sources) == 1:
                raise
            failures.append(f"{name}: {error}")
    raise DataUnavailableError(f"No source has closes of {symbol} from {start} to {end}.", failures)


def _read_source(name: str, symbol: str, start: str, end: str, settings: Settings) -> Closes:
    """Return the closes that one source has from `start` to `end`."""
    if name == "yahoo":
        log.info("Downloading %s from Yahoo Finance ...", symbol)
        return download_closes(symbol, start, end, settings)
    closes = read_cache(symbol, settings) if name == "cache" else read_snapshot(symbol)
    return closes.between(start, end)


def _warn_late_start(closes: Closes, start: str | None) -> None:
    """Log a warning if the closes begin more than LATE_DAYS after the day asked for. Not with FIRST_DAY."""
    if start not in (None, FIRST_DAY) and closes.dates[0] - np.datetime64(start) > np.timedelta64(LATE_DAYS, "D"):
        log.warning(
            "%s: %s begins on %s, later than the requested start, %s.", closes.symbol, SOURCE_NAMES[closes.source], closes.first_date, start
        )


def make_windows(prices: Floats, horizon: int = 1) -> tuple[Floats, Floats]:
    """Cut a series into windows of 60 closes and the `horizon` closes that follow each.

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
            f"{len(prices)} closes are too few: a window of {WINDOW} and the {horizon} to forecast need {WINDOW + horizon} closes."
        )
    views = np.lib.stride_tricks.sliding_window_view(prices, WINDOW + horizon)
    return views[:, :WINDOW].copy(), views[:, WINDOW:].copy()


def relative_to_last(windows: Floats) -> Floats:
    """Divide each window (n, 60) by its own last close, so that the price level does not matter."""
    return windows / windows[:, -1:]


def fit_scaler(relative: Floats) -> "MinMaxScaler":
    """Fit a MinMaxScaler with one feature, the relative close, on training windows (n, 60)."""
    from sklearn.preprocessing import MinMaxScaler

    return MinMaxScaler().fit(relative.reshape(-1, 1))
