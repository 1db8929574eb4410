"""What the page opens with: symbols to try, an example, and the example's forecast by the model that serves.

    embedded()["example"]["closes"]                    60 closes to try the form with
    OpeningForecast().by(service.models.current())     what the page draws before the first request

The opening forecast is made in the worker, so it is neither logged nor counted.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from api.symbol import TRACK_DAYS, content_of, forecast_symbol, record_of
from api.threads import run_in_thread
from closes.age import age_warnings
from closes.newest import MAX_CLOSES
from closes.series import Closes
from closes.snapshot import read_snapshot
from forecast.backtest import Backtest
from forecast.forecaster import Forecaster, Question
from forecast.intervals import MAX_HORIZON
from forecast.track import track
from processData import WINDOW
from settings import PROJECT_DIR

EXAMPLE_SYMBOL = "MSFT"
OFFERED = {  # all symbols of the snapshot, which work without a network, with the names of their companies
    "MSFT": "Microsoft",
    "AAPL": "Apple",
    "KO": "Coca-Cola",
    "JNJ": "Johnson & Johnson",
    "JPM": "JPMorgan Chase",
    "PG": "Procter & Gamble",
    "WMT": "Walmart",
    "XOM": "Exxon Mobil",
    "AMD": "Advanced Micro Devices",
    "BAC": "Bank of America",
    "BBY": "Best Buy",
    "CVX": "Chevron",
    "GE": "General Electric",
    "HD": "Home Depot",
    "LLY": "Eli Lilly",
    "MRK": "Merck",
    "PEP": "PepsiCo",
    "PFE": "Pfizer",
    "RRC": "Range Resources",
    "UNH": "UnitedHealth",
}
SUGGESTED = 8  # of them that are shown before the reader types; the others are found by a part of their name
IMPORT = re.compile(r'^import .*?from "(.+?)";$', re.MULTILINE)  # a static one; what import() names is loaded when it is needed
LEVELS = (50, 80, 95)  # that the page shows
SHOWN_CLOSES = 250  # about a year, as many as the page requests for a symbol


@lru_cache(maxsize=1)
def embedded() -> dict[str, Any]:
    """Return what does not depend on the model: the JavaScript modules of its first tab, symbols to try, and 60 closes as an example."""
    closes = _example()
    example = {"symbol": closes.symbol, "as_of": closes.last_date, "closes": closes.prices[-WINDOW:].tolist()}
    return {"modules": _modules(PROJECT_DIR / "static" / "js"), "symbols": OFFERED, "suggested": SUGGESTED, "example": example}


def _modules(folder: Path) -> list[str]:
    """Return the modules that main.js imports, directly or not, and itself."""
    found, waiting = set(), [folder / "main.js"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += [(file.parent / name).resolve() for name in IMPORT.findall(file.read_text())]
    return sorted(file.relative_to(folder).as_posix() for file in found)


class OpeningForecast:
    """The example's forecast, made once for each version of the model."""

    def __init__(self) -> None:
        self._made: tuple[str, dict[str, Any]] = ("", {})

    def by(self, forecaster: Forecaster) -> dict[str, Any]:
        """Return the closes and forecast of GET /forecast/MSFT?horizon=20&closes=250&levels=50,80,95, and the past as CSV."""
        version, made = self._made
        if version != forecaster.version:
            made = run_in_thread(_forecast, forecaster)
            self._made = forecaster.version, made
        age = [warning.as_dict() for warning in age_warnings(_example())]  # changes from day to day
        return made | {"warnings": age + made["warnings"]}


def _forecast(forecaster: Forecaster) -> dict[str, Any]:
    """Return the example's closes and their forecast."""
    closes = _example()
    past = track(forecaster, closes, TRACK_DAYS)
    record = record_of(forecaster, closes, past)
    forecast = forecast_symbol(forecaster, record, closes, MAX_HORIZON)
    content = content_of(forecast, record, closes, Question(LEVELS, with_path=True), SHOWN_CLOSES)
    return content | {"model_version": forecaster.version, "model_symbol": None, "past": _past(past)}


def _past(result: Backtest) -> str:
    """Return the intervals of past days as short CSV: a chart needs few digits."""
    columns = {
        f"{name}_{level}": bound for level, limits in result.bounds.items() for name, bound in zip(("low", "high"), limits, strict=True)
    }
    rows = zip(result.dates.astype(str), *columns.values(), strict=True)
    return "\n".join([",".join(["date", *columns]), *(",".join([day, *(f"{value:.5g}" for value in values)]) for day, *values in rows)])


@lru_cache(maxsize=1)
def _example() -> Closes:
    """Return the newest embedded closes of the example."""
    return read_snapshot(EXAMPLE_SYMBOL).part(slice(-MAX_CLOSES, None))
