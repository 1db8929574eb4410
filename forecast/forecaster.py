"""Windows of closes in, forecasts with intervals and warnings out. Prices are in the currency of the window that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from closes.series import MAX_CLOSE, MAX_PROBLEMS, MAX_RANGE, MIN_CLOSE, SPLIT_JUMP, Floats, are_valid, jump_warnings
from closes.warnings import BEYOND_CALIBRATION, UNLIKE_TRAINING_RANGE, UNLIKE_TRAINING_VOLATILITY, UNUSABLE_RANGES, SeriesWarning
from errors import InvalidClosesError
from forecast.intervals import LEVELS, PROBABILITIES, Distribution, bounds, probability_above
from forecast.metadata import FitMetadata
from forecast.runtime import Network
from forecast.volatility import describe_faults, range_volatility, window_volatility
from processData import WINDOW

Bounds = dict[float, tuple[Floats, Floats]]
EDGES = (1 - PROBABILITIES[-1] + 1e-12, 1 - PROBABILITIES[0] - 1e-12)  # smallest and largest probability that is known
BEYOND_TEXT = (
    "A price in above is beyond what the intervals are calibrated for: its probability is only known to be under 0.5% or over 99.5%, "
    "and is given as 0.005 or 0.995."
)


class Question(NamedTuple):
    """What a request asks about a forecast.

    Attributes:
        levels: of the intervals, in percent.
        above: prices; for each the answer has the probability that the close is above it.
        with_path: whether the answer has the forecast of each step.
    """

    levels: Sequence[float] = LEVELS
    above: Sequence[float] = ()
    with_path: bool = False


USUAL = Question()


@dataclass(frozen=True)
class Forecast:
    """Forecasts of n windows over `horizon` trading days.

    Attributes:
        last_closes: (n,) float64, the windows' last closes.
        volatility: (n,) float64, of the windows, in units of `distribution`.
        prices: (n, horizon) float64, the forecast closes of the 1st, 2nd, ... day after the window.
        bounds: for each level of LEVELS the lower and the upper bounds, each (n, horizon) float64.
        warnings: n lists of reasons to trust a forecast less; empty if they were not asked for.
        distribution: of the scores.
    """

    last_closes: Floats
    volatility: Floats
    prices: Floats
    bounds: Bounds
    warnings: list[list[SeriesWarning]]
    distribution: Distribution

    def as_dict(self, row: int, question: Question = USUAL) -> dict[str, Any]:
        """Return the forecast of one window in the form of /predict.

        Args:
            row: of the window.
            question: the levels of the intervals, and the prices to compare with.
        """
        if question.levels is LEVELS and not question.above:
            return self._content(row, self.bounds, None, row, question)
        part = slice(row, row + 1)
        return self._content(row, self._bounds(question.levels, part), self._above(question.above, part), 0, question)

    def as_dicts(self, question: Question) -> list[dict[str, Any]]:
        """Return the forecasts of all windows in the form of /predict."""
        limits, above = self._bounds(question.levels), self._above(question.above)
        return [self._content(row, limits, above, row, question) for row in range(len(self.prices))]

    def calibrated(self, distribution: Distribution, volatility: Floats | None = None) -> "Forecast":
        """Return the same forecasts with the intervals of another distribution.

        Args:
            distribution: of the scores.
            volatility: (n,) float64, in units of the distribution, if it is another one.
        """
        volatility = self.volatility if volatility is None else volatility
        return replace(self, volatility=volatility, distribution=distribution, bounds=bounds(volatility, self.prices, distribution))

    def probability_of_rise(self, row: int) -> float:
        """Return the probability that the next close of a window is above its last one, as `probability_above` gives it for that price."""
        part, last_close = slice(row, row + 1), float(self.last_closes[row])
        return float(probability_above(self.volatility[part], self.prices[part, :1], [last_close], self.distribution)[0, 0, 0])

    def _bounds(self, levels: Sequence[float], part: slice = slice(None)) -> Bounds:
        """Return the bounds of a part of the windows at some levels."""
        if levels is LEVELS and part == slice(None):
            return self.bounds
        return bounds(self.volatility[part], self.prices[part], self.distribution, levels)

    def _above(self, prices: Sequence[float], part: slice = slice(None)) -> Floats | None:
        """Return the probabilities of a part of the windows, (n, horizon, n_prices); None without prices."""
        return probability_above(self.volatility[part], self.prices[part], prices, self.distribution) if prices else None

    def _content(self, row: int, limits: Bounds, above: Floats | None, at: int, question: Question) -> dict[str, Any]:
        """Return the forecast of a window whose bounds and probabilities are in row `at` of `limits` and `above`."""
        warnings = [warning.as_dict() for warning in self.warnings[row]]
        if above is not None and not ((above[at] > EDGES[0]) & (above[at] < EDGES[1])).all():
            warnings.append(SeriesWarning(BEYOND_CALIBRATION, None, BEYOND_TEXT).as_dict())
        content = {
            "predicted_price": float(self.prices[row, 0]),
            "last_close": float(self.last_closes[row]),
            **_step(limits, above, at, 0),
            "warnings": warnings,
        }
        if question.with_path:
            content["path"] = [
                {"step": step + 1, "price": float(price), **_step(limits, above, at, step)} for step, price in enumerate(self.prices[row])
            ]
        return content


def _step(limits: Bounds, above: Floats | None, row: int, step: int) -> dict[str, Any]:
    """Return what is known about one step (counted from 0) of one window."""
    content: dict[str, Any] = {
        "intervals": {f"{level:g}": [float(low[row, step]), float(high[row, step])] for level, (low, high) in limits.items()}
    }
    if above is not None:
        content["probability_above"] = above[row, step].tolist()
    return content


class Forecaster:
    """A model in memory.

    Attributes:
        metadata: what forecasts depend on.
        version: the model's version.
        distribution: of the scores.
        range_distribution: of the scores in units of the volatility from ranges; None if the model has no calibration for ranges.
    """

    def __init__(self, network: Network, metadata: FitMetadata) -> None:
        """Combine a network with what belongs to it."""
        self.metadata, self.version = metadata, metadata.model_version
        self.distribution = Distribution(metadata.calibration.quantiles)
        ranges = metadata.calibration.ranges
        self.range_distribution = Distribution(ranges.quantiles) if ranges else None
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
        forecast = self.forecast_checked(windows, horizon)
        last_closes = forecast.last_closes
        forecast.warnings.extend(self._warnings(windows, low / last_closes, high / last_closes, forecast.volatility))
        return forecast

    def forecast_checked(self, windows: Floats, horizon: int = 1) -> Forecast:
        """Forecast after windows (n, 60) that are known to be valid, without warnings."""
        volatility, prices = window_volatility(windows), self._network.path(windows, horizon)
        return Forecast(windows[:, -1], volatility, prices, bounds(volatility, prices, self.distribution), [], self.distribution)

    def forecast_one(self, window: Floats, horizon: int = 1, ranges: Floats | None = None) -> Forecast:
        """Forecast after one window, with intervals from its daily ranges if there are any. If they cannot be used, a warning says why.

        Args:
            window: (60,) float64 closes, oldest first, any currency.
            horizon: trading days ahead, 1 to 20.
            ranges: (60, 3) float64 open, high and low of the same days.

        Raises:
            InvalidClosesError: the closes cannot be forecast.
        """
        forecast = self.forecast(window[None], horizon)
        if ranges is None:
            return forecast
        faults = self.faults_of(window, ranges)
        if faults or self.range_distribution is None:
            forecast.warnings[0].append(unusable(faults))
            return forecast
        return forecast.calibrated(self.range_distribution, range_volatility(window[None], ranges[None]))

    def faults_of(self, window: Floats, ranges: Floats) -> str:
        """Return why the ranges (60, 3) of a window (60,) are not used, as the end of a sentence; empty if they are."""
        return "this model has no calibration for them" if self.range_distribution is None else describe_faults(window, ranges)

    def _warnings(self, windows: Floats, low: Floats, high: Floats, volatility: Floats) -> list[list[SeriesWarning]]:
        """Return the warnings of each window; `low` and `high` (n,) are its extremes divided by its last close."""
        (low_limit, high_limit), (calm, wild) = self.metadata.training.relative_close_range, self.metadata.training.volatility_range
        warnings: list[list[SeriesWarning]] = []
        for window, lowest, highest, daily in zip(windows, low.tolist(), high.tolist(), volatility.tolist(), strict=True):
            found: list[SeriesWarning] = []
            warnings.append(found)
            if lowest < low_limit or highest > high_limit:
                text = (
                    f"The window is unlike any in training: its closes are {lowest:.3g} to {highest:.3g} times its last close, "
                    f"in training {low_limit:.3g} to {high_limit:.3g}."
                )
                found.append(SeriesWarning(UNLIKE_TRAINING_RANGE, None, text))
            if not calm <= daily <= wild:
                text = f"The window is unlike any in training: its daily volatility is {daily:.2%}, in training {calm:.2%} to {wild:.2%}."
                found.append(SeriesWarning(UNLIKE_TRAINING_VOLATILITY, None, text))
            if lowest < (1 - SPLIT_JUMP) * highest:
                found.extend(jump_warnings(window))
        return warnings


def unusable(reason: str) -> SeriesWarning:
    """Return the warning that daily ranges are not used."""
    return SeriesWarning(UNUSABLE_RANGES, None, f"Open, high and low are not used: {reason}. The intervals come from the closes alone.")


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
    if all(
        least >= MIN_CLOSE and most <= MAX_CLOSE and most <= least * MAX_RANGE
        for least, most in zip(low.tolist(), high.tolist(), strict=True)
    ):
        return low, high
    wrong = ~are_valid(windows)
    details = [
        f"window {row + 1}, close {column + 1}: {float(windows[row, column])!r} is not between {MIN_CLOSE:g} and {MAX_CLOSE:g}"
        for row, column in np.argwhere(wrong)[:MAX_PROBLEMS]
    ] or [
        f"window {row + 1}: the largest close is more than {MAX_RANGE:,.0f} times the smallest"
        for row in np.flatnonzero(high > low * MAX_RANGE)[:MAX_PROBLEMS]
    ]
    raise InvalidClosesError("Some closes cannot be those of one stock in one currency.", details)
