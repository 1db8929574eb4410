"""Windows of closes in, forecasts with intervals and warnings out. Prices are in the currency of the window that they belong to."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from closes.series import MAX_CLOSE, MAX_PROBLEMS, MAX_RANGE, MIN_CLOSE, SPLIT_JUMP, Floats, split_warnings
from closes.warnings import UNLIKE_TRAINING_RANGE, UNLIKE_TRAINING_VOLATILITY, SeriesWarning
from errors import InvalidClosesError
from forecast.intervals import bounds, window_volatility
from forecast.metadata import FitMetadata
from forecast.runtime import Network
from processData import WINDOW


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n windows over `horizon` trading days.

    Attributes:
        last_closes: (n,) float64, the windows' last closes.
        prices: (n, horizon) float64, the forecast closes of the 1st, 2nd, ... day after the window.
        bounds: for each level in percent the lower and the upper bounds, each (n, horizon) float64.
        warnings: n lists of reasons to trust a forecast less.
    """

    last_closes: Floats
    prices: Floats
    bounds: dict[int, tuple[Floats, Floats]]
    warnings: list[list[SeriesWarning]]

    def intervals(self, row: int, step: int) -> dict[str, list[float]]:
        """Return the intervals of one window and step (counted from 0): level -> [low, high]."""
        return {str(level): [float(low[row, step]), float(high[row, step])] for level, (low, high) in self.bounds.items()}

    def as_dict(self, row: int) -> dict[str, Any]:
        """Return the forecast of one window in the form of /predict."""
        return {
            "predicted_price": float(self.prices[row, 0]),
            "last_close": float(self.last_closes[row]),
            "intervals": self.intervals(row, 0),
            "warnings": [warning.as_dict() for warning in self.warnings[row]],
        }

    def path(self, row: int) -> list[dict[str, Any]]:
        """Return the forecast of each step of one window."""
        return [
            {"step": step + 1, "price": float(price), "intervals": self.intervals(row, step)} for step, price in enumerate(self.prices[row])
        ]


class Forecaster:
    """A model in memory.

    Attributes:
        metadata: what forecasts depend on.
        version: the model's version.
    """

    def __init__(self, network: Network, metadata: FitMetadata) -> None:
        """Combine a network with what belongs to it."""
        self.metadata, self.version = metadata, metadata.model_version
        self._network = network

    def forecast(self, windows: Floats, horizon: int = 1) -> Forecast:
        """Forecast `horizon` closes after each window.

        Args:
            windows: (n, 60) float64, oldest first, any currency.
            horizon: trading days ahead, 1 to 20.

        Raises:
            InvalidClosesError: some closes cannot be forecast.
        """
        low, high = check_windows(windows)
        last_closes, volatility = windows[:, -1], window_volatility(windows)
        prices = self._network.path(windows, horizon)
        warnings = self._warnings(windows, low / last_closes, high / last_closes, volatility)
        return Forecast(last_closes, prices, bounds(volatility, prices, self.metadata.calibration), warnings)

    def _warnings(self, windows: Floats, low: Floats, high: Floats, volatility: Floats) -> list[list[SeriesWarning]]:
        """Return the warnings of each window; `low` and `high` (n,) are its extremes divided by its last close."""
        (low_limit, high_limit), (calm, wild) = self.metadata.training.relative_close_range, self.metadata.training.volatility_range
        is_unlike = (low < low_limit) | (high > high_limit) | (volatility < calm) | (volatility > wild)
        may_have_split = low < (1 - SPLIT_JUMP) * high
        warnings: list[list[SeriesWarning]] = [[] for _ in windows]
        for row in np.flatnonzero(is_unlike | may_have_split):
            found = warnings[row]
            if low[row] < low_limit or high[row] > high_limit:
                text = (
                    f"The window is unlike any in training: its closes are {low[row]:.3g} to {high[row]:.3g} times its last close, "
                    f"in training {low_limit:.3g} to {high_limit:.3g}."
                )
                found.append(SeriesWarning(UNLIKE_TRAINING_RANGE, None, text))
            if not calm <= volatility[row] <= wild:
                text = (
                    f"The window is unlike any in training: its daily volatility is {volatility[row]:.2%}, "
                    f"in training {calm:.2%} to {wild:.2%}."
                )
                found.append(SeriesWarning(UNLIKE_TRAINING_VOLATILITY, None, text))
            found.extend(split_warnings(windows[row]))
        return warnings


def check_windows(windows: Floats) -> tuple[Floats, Floats]:
    """Check the shape (n, 60) of windows, and that their closes are positive and within what can be computed.

    Returns:
        The lowest and the highest close of each window, each (n,) float64.

    Raises:
        InvalidClosesError: the details name the first problems; windows and closes are counted from 1.
    """
    if windows.ndim != 2 or windows.shape[1] != WINDOW:
        raise InvalidClosesError(f"A window has {WINDOW} closes; these have the shape {windows.shape}.")
    low, high = windows.min(axis=1), windows.max(axis=1)
    if ((low >= MIN_CLOSE) & (high <= MAX_CLOSE) & (high <= low * MAX_RANGE)).all():
        return low, high
    wrong = ~((windows >= MIN_CLOSE) & (windows <= MAX_CLOSE))
    details = [
        f"window {row + 1}, close {column + 1}: {float(windows[row, column])!r} is not between {MIN_CLOSE:g} and {MAX_CLOSE:g}"
        for row, column in np.argwhere(wrong)[:MAX_PROBLEMS]
    ] or [
        f"window {row + 1}: the largest close is more than {MAX_RANGE:,.0f} times the smallest"
        for row in np.flatnonzero(high > low * MAX_RANGE)[:MAX_PROBLEMS]
    ]
    raise InvalidClosesError("Some closes cannot be those of one stock in one currency.", details)
