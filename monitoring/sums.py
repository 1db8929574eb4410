"""Sums over forecasts whose actual close is known, and the figures of live accuracy that they give."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

NEEDED = 20  # actual closes, before figures are shown
CHANCE = 4.0  # standard errors; closes of one day move together, so fewer are independent than a binomial distribution assumes
KEPT_DAYS = 120  # the newest with closes
Days = dict[str, tuple[int, int, int]]  # ISO date -> closes, and how many of them the 80% and the 95% interval held
LogReturns = tuple[float, float, float, float, float]  # forecast, low_80, high_80, low_95, high_95, each against the last close


@dataclass
class Sums:
    """Sums over forecasts with an actual close: errors of log returns, and widths of intervals relative to the last close."""

    n: int = 0
    squared: float = 0.0
    absolute: float = 0.0
    naive_squared: float = 0.0
    naive_absolute: float = 0.0
    inside_80: int = 0
    inside_95: int = 0
    width_80: float = 0.0
    width_95: float = 0.0
    first: str | None = None
    last: str | None = None

    def add(self, forecast: LogReturns, came: float, timestamp: str) -> None:
        """Add a forecast and its actual return, known since `timestamp`."""
        predicted, low_80, high_80, low_95, high_95 = forecast
        self.n += 1
        self.squared += (predicted - came) ** 2
        self.absolute += abs(predicted - came)
        self.naive_squared += came**2
        self.naive_absolute += abs(came)
        self.inside_80 += low_80 <= came <= high_80
        self.inside_95 += low_95 <= came <= high_95
        self.width_80 += math.exp(high_80) - math.exp(low_80)
        self.width_95 += math.exp(high_95) - math.exp(low_95)
        self.first, self.last = self.first or timestamp, timestamp

    def figures(self) -> dict[str, Any]:
        """Return errors and coverage.

        Returns:
            n: number of forecasts with an actual close; needed: the least number for figures; rmse, mae, naive_rmse, naive_mae: errors of
            the log returns, of the model and of persistence; coverage_80
            and coverage_95: share of actual closes within the interval; mean_width_80 and mean_width_95: relative to the last close;
            first, last: when the first and the last of these closes became known; verdict: a sentence on the coverage. All but n,
            needed and verdict are None if n is below needed.
        """
        n = max(self.n, 1)
        figures = {
            "rmse": math.sqrt(self.squared / n), "mae": self.absolute / n,
            "naive_rmse": math.sqrt(self.naive_squared / n), "naive_mae": self.naive_absolute / n,
            "coverage_80": self.inside_80 / n, "coverage_95": self.inside_95 / n,
            "mean_width_80": self.width_80 / n, "mean_width_95": self.width_95 / n,
            "first": self.first, "last": self.last,
        }  # fmt: skip
        if self.n < NEEDED:
            return {"n": self.n, "needed": NEEDED, **dict.fromkeys(figures), "verdict": f"Not enough data: {self.n} of {NEEDED} closes."}
        verdict = coverage_verdict(self.n, {80: self.inside_80, 95: self.inside_95})
        return {"n": self.n, "needed": NEEDED, **figures, "verdict": verdict}


def count_by_day(days: Days, forecast: LogReturns, came: float, timestamp: str) -> None:
    """Count a forecast on the day when its actual return became known. A time of the log that is not valid is left out."""
    day = timestamp[:10]
    if day not in days and not _is_day(day):
        return
    n, held_80, held_95 = days.get(day, (0, 0, 0))
    _, low_80, high_80, low_95, high_95 = forecast
    days[day] = n + 1, held_80 + (low_80 <= came <= high_80), held_95 + (low_95 <= came <= high_95)
    if len(days) > KEPT_DAYS:
        del days[min(days)]


def _is_day(text: str) -> bool:
    """Return whether a text is an ISO date."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def coverage_verdict(n: int, inside: dict[int, int]) -> str:
    """Say whether intervals held their share of n closes, within CHANCE standard errors of a binomial distribution.

    Args:
        n: number of closes.
        inside: for each level in percent, how many of them were within the interval.
    """
    outside = []
    for level, held in inside.items():
        share = level / 100
        if abs(held / n - share) > CHANCE * math.sqrt(share * (1 - share) / n):
            outside.append(f"the {level}% interval held {held / n:.1%}")
    if not outside:
        return "The intervals hold their share of the closes, within what chance allows."
    found = f"Of {n:,} closes, {' and '.join(outside)}. Chance alone does not explain so large a difference."
    return f"{found} Train again with newer closes: python modelTrain.py"
