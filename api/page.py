"""What the page opens with: the snapshot's symbols, an example, and the example's forecast by the model that serves.

    embedded()["example"]["closes"]                    60 closes to try the form with
    OpeningForecast().by(service.models.current())     what the page draws before the first request

The opening forecast is made in the worker, so it is neither logged nor counted.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from api.symbol import record_of
from api.threads import run_in_thread
from closes.newest import MAX_CLOSES, age_warnings
from closes.series import Closes
from closes.snapshot import read_snapshot, snapshot_symbols
from forecast.forecaster import Forecaster, Question
from forecast.intervals import MAX_HORIZON
from processData import WINDOW
from settings import PROJECT_DIR

EXAMPLE_SYMBOL = "MSFT"
SHOWN_CLOSES = 250  # about a year, as many as the page requests for a symbol


@lru_cache(maxsize=1)
def embedded() -> dict[str, Any]:
    """Return what does not depend on the model: the page's JavaScript modules, the snapshot's symbols, and 60 closes as an example."""
    closes = _example()
    example = {"symbol": closes.symbol, "as_of": closes.last_date, "closes": closes.prices[-WINDOW:].tolist()}
    folder = PROJECT_DIR / "static" / "js"
    modules = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.js"))
    return {"modules": modules, "symbols": snapshot_symbols(), "example": example}


class OpeningForecast:
    """The example's forecast, made once for each version of the model."""

    def __init__(self) -> None:
        self._made: tuple[str, dict[str, Any]] = ("", {})

    def by(self, forecaster: Forecaster) -> dict[str, Any]:
        """Return the example's closes and forecast in the form of GET /forecast/MSFT?horizon=20&closes=250."""
        version, made = self._made
        if version != forecaster.version:
            made = run_in_thread(_forecast, forecaster)
            self._made = forecaster.version, made
        age = [warning.as_dict() for warning in age_warnings(_example())]  # changes from day to day
        return made | {"warnings": age + made["warnings"]}


def _forecast(forecaster: Forecaster) -> dict[str, Any]:
    """Return the example's closes and their forecast."""
    closes = _example()
    record = record_of(forecaster, closes)
    forecast = forecaster.forecast(closes.prices[None, -WINDOW:], MAX_HORIZON).calibrated(record.distribution)
    return {
        "symbol": closes.symbol,
        "as_of": closes.last_date,
        "source": closes.source,
        "dates": np.datetime_as_string(closes.dates[-SHOWN_CLOSES:]).tolist(),
        "closes": closes.prices[-SHOWN_CLOSES:].tolist(),
        **forecast.as_dict(0, Question(with_path=True)),
        "calibration": record.calibration,
        "track_record": record.track_record,
        "model_version": forecaster.version,
    }


@lru_cache(maxsize=1)
def _example() -> Closes:
    """Return the newest embedded closes of the example."""
    closes = read_snapshot(EXAMPLE_SYMBOL)
    return Closes(closes.symbol, closes.source, closes.dates[-MAX_CLOSES:].copy(), closes.prices[-MAX_CLOSES:].copy())
