"""What the page opens with: the embedded symbols, an example, and that example's forecast by the model that serves.

    embedded()["example"]["closes"]                      60 closes to try the form with
    OpeningForecast().by(service.models.current())       what the page draws before anybody asks

The forecast is made in the worker itself, so it is neither a line of the request log nor a counted call.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from api.threads import run_in_thread
from closes.newest import age_warnings
from closes.series import Closes
from closes.snapshot import read_snapshot, snapshot_symbols
from forecast.forecaster import Forecaster
from forecast.intervals import MAX_HORIZON
from processData import WINDOW
from settings import PROJECT_DIR

EXAMPLE_SYMBOL = "MSFT"
SHOWN_CLOSES = 250  # about a year, as the page asks for of a symbol


@lru_cache(maxsize=1)
def embedded() -> dict[str, Any]:
    """What the page has whatever model serves: its modules, the snapshot's symbols, and the last 60 closes of one as an example."""
    closes = _example()
    example = {"symbol": closes.symbol, "as_of": closes.last_date, "closes": closes.prices[-WINDOW:].tolist()}
    modules = sorted(file.name for file in (PROJECT_DIR / "static" / "js").glob("*.js"))
    return {"modules": modules, "symbols": snapshot_symbols(), "example": example}


class OpeningForecast:
    """The example's forecast, made once for each version of the model."""

    def __init__(self) -> None:
        self._made: tuple[str, dict[str, Any]] = ("", {})

    def by(self, forecaster: Forecaster) -> dict[str, Any]:
        """The example's closes and their forecast, as GET /forecast/MSFT?horizon=20&closes=250 gives them, with today's warnings."""
        version, made = self._made
        if version != forecaster.version:
            made = run_in_thread(_forecast, forecaster)
            self._made = forecaster.version, made
        return made | {"warnings": age_warnings(_example()) + made["warnings"]}


def _forecast(forecaster: Forecaster) -> dict[str, Any]:
    """The example's closes and their forecast."""
    closes = _example()
    forecast = forecaster.forecast(closes.prices[None, -WINDOW:], MAX_HORIZON)
    return {
        "symbol": closes.symbol,
        "as_of": closes.last_date,
        "source": closes.source,
        "dates": np.datetime_as_string(closes.dates).tolist(),
        "closes": closes.prices.tolist(),
        **forecast.as_dict(0),
        "path": forecast.path(0),
        "model_version": forecaster.version,
    }


@lru_cache(maxsize=1)
def _example() -> Closes:
    """The newest embedded closes of one symbol."""
    closes = read_snapshot(EXAMPLE_SYMBOL)
    return Closes(closes.symbol, closes.source, closes.dates[-SHOWN_CLOSES:].copy(), closes.prices[-SHOWN_CLOSES:].copy())
