"""Closes in: Yahoo Finance, its cache, a CSV file or the embedded snapshot -> checked series -> windows.

    closes = load_closes("MSFT", source="auto")
    windows, targets = make_windows(closes.prices)
    relative = relative_to_last(windows)

A series is checked the moment it is made, so whatever holds a `Closes` holds one that is in order, without duplicates, finite and
positive. pandas, scikit-learn and yfinance are imported only by the functions that need them: a server imports this module too.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from closes.cache import read_cache
from closes.download import download_closes
from closes.files import read_csv
from closes.series import FIRST_DAY, Closes, Floats, last_final_day, warn_of_oddities
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
        InvalidClosesError: the source has them, but they are not a valid series.
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
