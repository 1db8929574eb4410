"""The global model's data: windows of all symbols, none of which ends in a validation or test day of any symbol.

The cut is the earliest `fitted_until` of the pooled symbols. A symbol that ended long before the others would leave almost nothing before
the cut. Such symbols are left out: they get a model of their own, without a comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from closes.series import Closes, Floats
from forecast.split import Dataset
from processData import WINDOW, make_windows

MIN_SHARE = 0.5  # of the windows that the best cut leaves; an earlier cut is accepted down to this share
MAX_WINDOWS = 100_000  # to fit on; more are thinned evenly, so that 10,000 symbols still fit into memory and a night


@dataclass(frozen=True)
class PoolPlan:
    """What the global model is fitted on.

    Attributes:
        symbols: whose windows are used.
        cut: last day that a window may forecast.
        tested_from: first test day of any of the symbols; the loss between the two days is reported.
        n_windows: up to the cut, before thinning.
        left_out: symbols that ended too early.
    """

    symbols: list[str]
    cut: date
    tested_from: date
    n_windows: int
    left_out: list[str]


def plan_pool(datasets: Sequence[Dataset]) -> PoolPlan | None:
    """Choose the cut and the symbols of the global model; None if fewer than two symbols are left.

    Symbols are left out from the one that ended first on, until the cut leaves at least MIN_SHARE of the most windows that any cut leaves.
    """
    ordered = sorted(datasets, key=lambda data: (data.fitted_until, data.closes.symbol))
    counts = [_windows_before(ordered[first:], ordered[first].fitted_until) for first in range(len(ordered))]
    first = next((index for index, count in enumerate(counts) if count >= MIN_SHARE * max(counts)), len(ordered))
    kept = ordered[first:]
    if len(kept) < 2:
        return None
    names = {data.closes.symbol for data in kept}
    return PoolPlan(
        symbols=[data.closes.symbol for data in datasets if data.closes.symbol in names],
        cut=kept[0].fitted_until,
        tested_from=min(data.tested_from for data in kept),
        n_windows=counts[first],
        left_out=[data.closes.symbol for data in ordered[:first]],
    )


def _windows_before(datasets: Sequence[Dataset], cut: date) -> int:
    """Return how many windows forecast a day up to the cut."""
    days = (int(np.searchsorted(data.closes.dates, np.datetime64(cut), side="right")) for data in datasets)
    return sum(max(n_days - WINDOW, 0) for n_days in days)


def pool_windows(series: Sequence[Closes], plan: PoolPlan) -> tuple[Floats, Floats, int]:
    """Return the windows to fit on, then those whose loss is reported.

    Args:
        series: the closes of the plan's symbols.
        plan: the cut and the number of windows.

    Returns:
        Windows (n, 60), the closes after them (n, 1), and how many of the first to fit on. Windows are in order of symbol, then time;
        the fit shuffles them.
    """
    step = max(1, -(-plan.n_windows // MAX_WINDOWS))
    parts: dict[bool, list[tuple[Floats, Floats]]] = {True: [], False: []}
    for closes in series:
        if len(closes) <= WINDOW:
            continue
        windows, targets = make_windows(closes.prices)
        days = closes.dates[WINDOW:]
        fits = days <= np.datetime64(plan.cut)
        watched = ~fits & (days < np.datetime64(plan.tested_from))
        for is_fit, keep in ((True, fits), (False, watched)):
            parts[is_fit].append((windows[keep][::step], targets[keep][::step]))
    both = [*parts[True], *parts[False]]
    n_fit = sum(len(windows) for windows, _ in parts[True])
    return np.concatenate([windows for windows, _ in both]), np.concatenate([targets for _, targets in both]), n_fit
