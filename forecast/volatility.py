"""The daily volatility of windows, from closes alone or from daily ranges.

A daily range is the open, the high and the low of a day. It says more about the day's volatility than the change between two closes does.
Both estimates are weighted means over the window in which recent days and falls count more. No constant belongs to one stock.
"""

import numpy as np
from numpy.typing import NDArray

from closes.series import Floats
from processData import WINDOW

DECAYS = (0.80, 0.94)  # of two exponentially weighted means: weight of a day divided by the weight of the day after
SHARES = (0.245, 0.245, 0.51)  # of these two means and of the plain mean
DOWN, UP = 1.5, 0.5  # weights of falls and of rises in the weighted means; falls are followed by larger moves

MIN_VOLATILITY = 1e-9  # of a flat window

RANGE_DECAYS = (0.50, 0.92)  # as above, for the sizes of days
RANGE_SHARES = (0.35, 0.35, 0.30)
FALL_DECAY, FALL_WEIGHT = 0.80, 0.40  # of a weighted mean of the falls, which is added
MAX_INVALID_DAYS = 3  # of a window
RECENT_DAYS = 5  # the newest, which count most: none of them may be invalid
SPIKE, SPIKE_SHARE = 8.0, 0.25  # a day's size is invalid above 8 times the window's median, if its return is less than a quarter of it
MAX_REPEATED_DAYS = 29  # of a window, half of them; some feeds of indices have no open
REPLACEMENT = 1.25  # size of a day divided by its absolute return, for a random walk
RATIOS = (0.7, 2.5)  # of the mean size of a day to the mean absolute return
SAME = 1e-6  # relative difference below which prices are equal


def _weights(decay: float) -> Floats:
    """Return weights (59,) of a window's returns, oldest first, that sum to one."""
    weights: Floats = decay ** np.arange(WINDOW - 2, -1, -1.0)
    weights /= weights.sum()
    return weights


_RECENT = SHARES[0] * _weights(DECAYS[0]) + SHARES[1] * _weights(DECAYS[1])
_SIZE = SHARES[2] * _weights(1.0) + (DOWN + UP) / 2 * _RECENT  # weight of the size of a return
_DIRECTION = (UP - DOWN) / 2 * _RECENT  # weight of the return itself: a fall adds, a rise subtracts
_RANGE_SIZE = RANGE_SHARES[0] * _weights(RANGE_DECAYS[0]) + RANGE_SHARES[1] * _weights(RANGE_DECAYS[1]) + RANGE_SHARES[2] * _weights(1.0)
_FALL = FALL_WEIGHT * _weights(FALL_DECAY)


def unit(volatility: Floats) -> Floats:
    """Return the divisors (n, 1) of scores: the volatility (n,), never zero."""
    return np.maximum(volatility, MIN_VOLATILITY)[:, None]


def window_volatility(windows: Floats) -> Floats:
    """Estimate the daily volatility of windows: a weighted mean of absolute log returns, in which recent days and falls count more.

    Args:
        windows: (n, 60) float64 closes, oldest first.

    Returns:
        (n,) float64, a typical absolute daily log return; 0 for a flat window.

    Source: absolute returns for volatility, Taylor (1986), Modelling financial time series; falls counting more, Black (1976); two
    decays and a plain mean, after the short and long components of Corsi (2009). The constants were chosen over the 20 stocks of the
    snapshot, on days before the test, with the exceptions that benchmarks/README.md names.
    """
    logs = np.log(windows)
    returns = logs[:, 1:] - logs[:, :-1]
    # einsum, not @: a matrix product rounds a row differently in a batch, and a batch must answer like its windows alone
    volatility: Floats = np.einsum("ij,j->i", np.abs(returns), _SIZE) + np.einsum("ij,j->i", returns, _DIRECTION)
    return volatility


def range_volatility(windows: Floats, ranges: Floats) -> Floats:
    """Estimate the daily volatility of windows from daily ranges.

    Args:
        windows: (n, 60) float64 closes, oldest first.
        ranges: (n, 60, 3) float64 open, high and low of each day, in the closes' currency; a day without them has NaN.

    Returns:
        (n,) float64, a typical size of a daily move; its unit differs from that of window_volatility. NaN for a window whose ranges cannot
        be used (describe_faults): its intervals would be too narrow or too wide.

    The size of a day's move is the square root of its squared overnight return plus the Garman-Klass estimate of its variance. How such
    sizes compare with the moves of the closes differs by symbol. So the level is the geometric mean of both: the weighted mean of the sizes
    is multiplied by the root of the window's mean absolute return divided by its mean size.
    Source: Garman and Klass (1980), On the estimation of security price volatilities from historical data. The constants were chosen on
    validation data, see benchmarks/README.md.
    """
    sizes, is_valid, returns = _day_sizes(windows, ranges)
    invalid, recent, repeats, ratio = _faults(windows, ranges, sizes, is_valid, returns)
    fits = (invalid <= MAX_INVALID_DAYS) & ~recent & (repeats <= MAX_REPEATED_DAYS) & (ratio >= RATIOS[0]) & (ratio <= RATIOS[1])
    level = np.sqrt(np.abs(returns).mean(axis=1) / np.maximum(sizes.mean(axis=1), MIN_VOLATILITY))
    volatility: Floats = level * (np.einsum("ij,j->i", sizes, _RANGE_SIZE) + np.einsum("ij,j->i", np.maximum(-returns, 0), _FALL))
    return np.where(fits, volatility, np.nan)


def describe_faults(window: Floats, ranges: Floats) -> str:
    """Return why the ranges (60, 3) of a window (60,) cannot be used, as the end of a sentence; empty if they can."""
    windows, ranges = window[None], ranges[None]
    (invalid,), (recent,), (repeats,), (ratio,) = _faults(windows, ranges, *_day_sizes(windows, ranges))
    if invalid > MAX_INVALID_DAYS or recent:
        newest = f"; one of these days is among the newest {RECENT_DAYS}" if recent and invalid <= MAX_INVALID_DAYS else ""
        return f"on {invalid} of {WINDOW - 1} days they are missing or wrong, such as a high below the close{newest}"
    if repeats > MAX_REPEATED_DAYS:
        return f"on {repeats} of {WINDOW - 1} days the open repeats the close of the day before"
    if not np.isfinite(ratio):
        return "the closes do not move"
    if not RATIOS[0] <= ratio <= RATIOS[1]:
        return f"the days' moves are {ratio:,.1f} times as large as those of the closes, not {RATIOS[0]:g} to {RATIOS[1]:g} times"
    return ""


def _faults(
    windows: Floats, ranges: Floats, sizes: Floats, is_valid: NDArray[np.bool_], returns: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], Floats]:
    """Return what may be wrong with the ranges of each window (n,), from what _day_sizes returns.

    Returns:
        Days without a valid range; whether one of them is recent; opens that repeat the last close; the mean size of a day divided by the
        mean absolute return, NaN for a flat window.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        repeats = is_valid & (np.abs(np.log(ranges[:, 1:, 0] / windows[:, :-1])) < SAME)
        ratio = sizes.mean(axis=1) / np.abs(returns).mean(axis=1)
    recent: NDArray[np.bool_] = np.any(~is_valid[:, -RECENT_DAYS:], axis=1)
    return (~is_valid).sum(axis=1), recent, repeats.sum(axis=1), ratio


def _day_sizes(windows: Floats, ranges: Floats) -> tuple[Floats, NDArray[np.bool_], Floats]:
    """Return the sizes of the last 59 days, whether their ranges are valid, and their returns, each (n, 59).

    A day without a valid range has the size that its return suggests.
    """
    opens, highs, lows = np.moveaxis(ranges[:, 1:], 2, 0)
    closes, before = windows[:, 1:], windows[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        top, bottom = np.maximum(opens, closes) * (1 - SAME), np.minimum(opens, closes) * (1 + SAME)
        is_valid = (lows > 0) & (highs >= top) & (lows <= bottom) & (highs > lows) & np.isfinite(highs)  # false for NaN
        overnight, spread, change = np.log(opens / before), np.log(highs / lows), np.log(closes / opens)
        sizes = np.sqrt(np.maximum(overnight**2 + 0.5 * spread**2 - (2 * np.log(2) - 1) * change**2, 0))
    returns = np.log(closes / before)
    median = np.median(np.where(is_valid, sizes, REPLACEMENT * np.abs(returns)), axis=1, keepdims=True)
    is_valid &= (sizes <= SPIKE * median) | (np.abs(returns) >= SPIKE_SHARE * sizes)
    return np.where(is_valid, sizes, REPLACEMENT * np.abs(returns)), is_valid, returns


def windows_of_ranges(ranges: Floats) -> Floats:
    """Return the ranges of each window: (n_days, 3) -> (n_days - 59, 60, 3), oldest first, a view."""
    return np.lib.stride_tricks.sliding_window_view(ranges, WINDOW, axis=0).swapaxes(1, 2)
