"""Windows of closes in, forecasts with intervals and warnings out."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, FiniteFloat

from closes.series import MAX_CLOSE, MAX_RANGE, MIN_CLOSE, SPLIT_JUMP, Floats, split_warnings
from errors import InvalidClosesError
from forecast.intervals import Calibration, bounds, window_volatility
from forecast.runtime import Network
from processData import WINDOW

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n windows over `horizon` trading days.

    Attributes:
        last_closes: (n,) float64, the windows' last closes, in the windows' currency like all prices here.
        prices: (n, horizon) float64, the expected closes of the 1st, 2nd, ... day after the window.
        bounds: for each level in percent the lower and upper bounds, each (n, horizon) float64.
        warnings: n lists of sentences about windows that the forecast should not be trusted on.
    """

    last_closes: Floats
    prices: Floats
    bounds: dict[int, tuple[Floats, Floats]]
    warnings: list[list[str]]

    def intervals(self, row: int, step: int) -> dict[str, list[float]]:
        """The intervals of one window and step (from 0): level -> [low, high]."""
        return {str(level): [float(low[row, step]), float(high[row, step])] for level, (low, high) in self.bounds.items()}

    def as_dict(self, row: int) -> dict[str, Any]:
        """One window's answer, as /predict gives it."""
        return {
            "predicted_price": float(self.prices[row, 0]),
            "last_close": float(self.last_closes[row]),
            "intervals": self.intervals(row, 0),
            "warnings": self.warnings[row],
        }

    def path(self, row: int) -> list[dict[str, Any]]:
        """One window's forecast day by day."""
        return [
            {"step": step + 1, "price": float(price), "intervals": self.intervals(row, step)} for step, price in enumerate(self.prices[row])
        ]


class _Trained(BaseModel):
    """What forecasting needs to know of a model's training: the ranges that closes and volatility had."""

    relative_close_range: tuple[FiniteFloat, FiniteFloat]
    volatility_range: tuple[FiniteFloat, FiniteFloat]


class Forecaster:
    """A published model in memory: windows of closes in, forecasts with intervals and warnings out."""

    def __init__(self, network: Network, metadata: dict[str, Any]) -> None:
        """Take a network and what metadata.json says of it.

        Raises:
            KeyError, TypeError, ValueError: it does not say all that forecasting takes.
        """
        self.metadata = metadata
        self.version = str(metadata["model_version"])
        self._network = network
        self.calibration = Calibration.from_dict(metadata["calibration"])
        trained = _Trained.model_validate(metadata["training"])
        self._trained_range, self._trained_volatility = trained.relative_close_range, trained.volatility_range

    def forecast(self, windows: Floats, horizon: int = 1) -> Forecast:
        """Forecast `horizon` closes after each window (n, 60), float64, oldest first, any currency.

        Raises:
            InvalidClosesError: closes that no forecast can be made from.
        """
        low, high = check_windows(windows)
        last_closes, volatility = windows[:, -1], window_volatility(windows)
        prices = self._network.path(windows, horizon)
        warnings = self._warnings(windows, low / last_closes, high / last_closes, volatility)
        return Forecast(last_closes, prices, bounds(volatility, prices, self.calibration), warnings)

    def _warnings(self, windows: Floats, low: Floats, high: Floats, volatility: Floats) -> list[list[str]]:
        """For each window, what makes its forecast less trustworthy; `low` and `high` are its extremes relative to its last close."""
        (low_limit, high_limit), (calm, wild) = self._trained_range, self._trained_volatility
        unlike = (low < low_limit) | (high > high_limit) | (volatility < calm) | (volatility > wild)
        split = low < (1 - SPLIT_JUMP) * high  # it may have one: a model may have seen closes that far apart without any
        warnings: list[list[str]] = [[] for _ in windows]
        for row in np.flatnonzero(unlike | split):
            found = warnings[row]
            if low[row] < low_limit or high[row] > high_limit:
                found.append(
                    f"The window differs from all training data: its closes are {low[row]:.3g} to {high[row]:.3g} "
                    f"times its last close, in training {low_limit:.3g} to {high_limit:.3g}."
                )
            if not calm <= volatility[row] <= wild:
                found.append(
                    f"The window differs from all training data: its daily volatility is {volatility[row]:.2%}, "
                    f"in training {calm:.2%} to {wild:.2%}."
                )
            found.extend(split_warnings(windows[row]))
        return warnings


def check_windows(windows: Floats) -> tuple[Floats, Floats]:
    """Check that windows have the shape (n, 60) and positive closes that lie within what can be computed.

    Returns:
        The lowest and the highest close of each window, each (n,).

    Raises:
        InvalidClosesError: with the first problems as details; windows and closes are counted from 1.
    """
    if windows.ndim != 2 or windows.shape[1] != WINDOW:
        raise InvalidClosesError(f"A window has {WINDOW} closes; these have the shape {windows.shape}.")
    low, high = windows.min(axis=1), windows.max(axis=1)
    if ((low >= MIN_CLOSE) & (high <= MAX_CLOSE) & (high <= low * MAX_RANGE)).all():
        return low, high
    wrong = ~((windows >= MIN_CLOSE) & (windows <= MAX_CLOSE))
    details = [
        f"window {row + 1}, close {column + 1}: {float(windows[row, column])!r} is not between {MIN_CLOSE:g} and {MAX_CLOSE:g}"
        for row, column in np.argwhere(wrong)[:5]
    ] or [
        f"window {row + 1}: the largest close is more than {MAX_RANGE:,.0f} times the smallest"
        for row in np.flatnonzero(high > low * MAX_RANGE)[:5]
    ]
    raise InvalidClosesError("Some closes cannot be those of one stock in one currency.", details)
