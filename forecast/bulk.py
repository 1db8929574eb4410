"""Many windows at once: which cannot be forecast and why, and the forecasts as columns."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from closes.series import MAX_CLOSE, MAX_RANGE, MIN_CLOSE, SPLIT_JUMP, Floats, are_valid, is_jump, is_unit_change
from closes.warnings import POSSIBLE_SPLIT, POSSIBLE_UNIT_CHANGE, UNLIKE_TRAINING_RANGE, UNLIKE_TRAINING_VOLATILITY
from forecast.forecaster import Forecaster

PRICE, LAST, WARNINGS = "predicted_price", "last_close", "warnings"
BOUNDS = ("low_80", "high_80", "low_95", "high_95")
FIELDS = (PRICE, LAST, *BOUNDS, WARNINGS)  # the columns of a forecast
BLOCK = 8192  # windows; arrays of a block take a few megabytes


def find_faults(windows: Floats) -> dict[int, str]:
    """Find the windows that cannot be forecast.

    Args:
        windows: (n, 60) float64, oldest first; NaN is a missing close.

    Returns:
        For each such row, counted from 0, what is wrong with it. Closes are counted from 1.
    """
    wrong = ~are_valid(windows)
    is_wrong = wrong.any(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        is_wide = ~is_wrong & (windows.max(axis=1) > windows.min(axis=1) * MAX_RANGE)
    faults = {int(row): f"the largest close is more than {MAX_RANGE:,.0f} times the smallest" for row in np.flatnonzero(is_wide)}
    for row in np.flatnonzero(is_wrong):
        column = int(np.argmax(wrong[row]))
        faults[int(row)] = f"close {column + 1} {describe_close(float(windows[row, column]))}"
    return faults


def describe_close(close: float) -> str:
    """Return what is wrong with a close, as the end of a sentence."""
    return "is missing" if np.isnan(close) else f"is {close!r}, not between {MIN_CLOSE:g} and {MAX_CLOSE:g}"


def forecast_columns(forecaster: Forecaster, windows: Floats) -> dict[str, NDArray[Any]]:
    """Forecast the closes after windows (n, 60) without faults.

    Returns:
        FIELDS, each (n,): float64 prices, and the codes of the warnings, separated by spaces.
    """
    forecast = forecaster.forecast_checked(windows)
    limits = [side[:, 0] for sides in forecast.bounds.values() for side in sides]
    columns: dict[str, NDArray[Any]] = {PRICE: forecast.prices[:, 0], LAST: forecast.last_closes}
    columns |= dict(zip(BOUNDS, limits, strict=True))
    columns[WARNINGS] = _codes(forecaster, windows, forecast.volatility)
    return columns


def _codes(forecaster: Forecaster, windows: Floats, volatility: Floats) -> NDArray[Any]:
    """Return the codes of the warnings that Forecaster.forecast gives for each window, (n,) text."""
    training = forecaster.metadata.training
    (low_limit, high_limit), (calm, wild) = training.relative_close_range, training.volatility_range
    lowest, highest = windows.min(axis=1), windows.max(axis=1)
    may_jump = lowest < (1 - SPLIT_JUMP) * highest
    moves = windows[may_jump, 1:] / windows[may_jump, :-1]
    splits, units = np.zeros((2, len(windows)), bool)
    splits[may_jump] = np.any(is_jump(moves) & ~is_unit_change(moves), axis=1)
    units[may_jump] = np.any(is_unit_change(moves), axis=1)
    found = [
        (UNLIKE_TRAINING_RANGE, (lowest / windows[:, -1] < low_limit) | (highest / windows[:, -1] > high_limit)),
        (UNLIKE_TRAINING_VOLATILITY, ~((calm <= volatility) & (volatility <= wild))),
        (POSSIBLE_SPLIT, splits),
        (POSSIBLE_UNIT_CHANGE, units),
    ]
    texts = np.full(len(windows), "", object)
    for code, rows in found:
        texts[rows] = [f"{text} {code}".strip() for text in texts[rows]]
    return texts
