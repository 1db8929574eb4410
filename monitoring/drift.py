"""Drift of the data: compares the newest daily returns with those of the training data.

The measure is the Kolmogorov-Smirnov distance between the returns and the quantiles in metadata.json. Volatile days follow each other, so n
returns carry less information than n independent ones, and the textbook's threshold would give false alarms. The threshold uses the
effective number of returns: n divided by the sum of the autocorrelations of their absolute values.

benchmarks/README.md has the rates of false alarms and of detection.

Sources: Massey (1951), The Kolmogorov-Smirnov test for goodness of fit; Bayley and Hammersley (1946), The effective number of independent
observations in an autocorrelated time series; the sum ends at the first correlation that is not positive, after Geyer (1992).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from closes.series import Floats

NEEDED = 20  # returns
CRITICAL = 1.358  # of the distance times the root of n: 5% lie above it where nothing has changed
LAGS_SHARE = 0.25  # of n; correlations at longer lags are noise
BINS = 24  # of the histograms
EDGE_SHARE = 0.01  # of the training's returns beyond each end of the inner bins
NOTABLE = 1.1  # ratio of sizes that a verdict names


def detect_drift(returns: Sequence[float], trained: Sequence[float] | None) -> dict[str, Any]:
    """Compare daily log returns with those of the training.

    Args:
        returns: (n,), in the order in which they came.
        trained: evenly spaced quantiles of the training's daily log returns, from the smallest to the largest; None: no model serves.

    Returns:
        n: how many returns; needed: how many it takes; ks_distance: 0 to 1; threshold: the distance above which there is drift;
        volatility_ratio: mean absolute return now over that in training (which the quantiles put some 4% too high); histogram: see
        histogram(); verdict: a sentence. Figures are null where there are too few.
    """
    n = len(returns)
    figures = dict.fromkeys(("ks_distance", "threshold", "volatility_ratio", "histogram"))
    result: dict[str, Any] = {"n": n, "needed": NEEDED, **figures}
    if trained is None:
        return result | {"verdict": "No model is loaded, so there is nothing to compare with."}
    if n < NEEDED:
        return result | {"verdict": f"Not enough data: {n} of {NEEDED} closes."}
    now, quantiles = np.array(returns, np.float64), np.array(trained, np.float64)
    distance = ks_distance(now, quantiles)
    threshold = min(1.0, CRITICAL / np.sqrt(effective_number(now)))
    trained_size = np.trapezoid(np.abs(quantiles)) / (len(quantiles) - 1)
    ratio = float(np.abs(now).mean() / trained_size) if trained_size > 0 else None
    return result | {
        "ks_distance": distance, "threshold": float(threshold), "volatility_ratio": ratio,
        "histogram": histogram(now, quantiles), "verdict": _verdict(n, ratio, drifted=distance > threshold),
    }  # fmt: skip


def ks_distance(returns: Floats, quantiles: Floats) -> float:
    """The largest distance between the distribution of returns (n,) and the one that runs straight between quantiles (m,)."""
    levels = np.linspace(0, 1, len(quantiles))
    ordered = np.sort(returns)
    up_to = np.searchsorted(ordered, ordered, "right") / len(ordered)
    below = np.searchsorted(ordered, ordered, "left") / len(ordered)
    trained_up_to = np.interp(ordered, quantiles, levels)  # of equal quantiles, the last
    trained_below = 1 - np.interp(-ordered, -quantiles[::-1], 1 - levels[::-1])  # of equal quantiles, the first
    return float(max(np.abs(up_to - trained_up_to).max(), np.abs(below - trained_below).max()))


def histogram(returns: Floats, quantiles: Floats) -> dict[str, list[float]]:
    """Count returns (n,), and those of the training by their quantiles (m,), in the same bins of equal width.

    Returns:
        edges: BINS + 1 log returns, symmetric around 0; the first and the last bin also have all returns beyond them.
        now, trained: BINS shares each, which add up to 1.
    """
    levels = np.linspace(0, 1, len(quantiles))
    end = max(np.abs(np.interp((EDGE_SHARE, 1 - EDGE_SHARE), levels, quantiles)).max() * BINS / (BINS - 2), 1e-6)
    edges = np.linspace(-end, end, BINS + 1)
    counts = np.histogram(np.clip(returns, -end, end), edges)[0]
    below = np.interp(edges, quantiles, levels)
    below[[0, -1]] = 0, 1
    return {"edges": edges.tolist(), "now": (counts / len(returns)).tolist(), "trained": np.diff(below).tolist()}


def effective_number(returns: Floats) -> float:
    """How many independent returns (n,) tell as much as these: 1 to n."""
    sizes = np.abs(returns) - np.abs(returns).mean()
    n = len(sizes)
    products = np.correlate(sizes, sizes, "full")[n - 1 :][: int(LAGS_SHARE * n)]  # at the lags 0, 1, ...
    ends = np.flatnonzero(products <= 0)
    positive = products[: ends[0]] if len(ends) else products
    correlated = 2 * positive.sum() / positive[0] - 1 if len(positive) else 1.0
    return float(max(1.0, n / correlated))


def _verdict(n: int, ratio: float | None, *, drifted: bool) -> str:
    """What it comes to, in a sentence."""
    those = "those that the model was trained on"
    if not drifted:
        return f"The last {n} daily returns look like {those}."
    if ratio is not None and ratio > NOTABLE:
        return f"The last {n} daily returns are {ratio:.1f} times as large as {those}: its intervals may be too narrow. Retrain."
    if ratio is not None and ratio < 1 / NOTABLE:
        return f"The last {n} daily returns are {ratio:.1f} times as large as {those}: its intervals may be too wide. Retrain."
    return f"The last {n} daily returns are distributed differently from {those}. Retrain and compare."
