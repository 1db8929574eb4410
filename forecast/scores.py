"""Scores of a backtest: errors, coverage, Winkler's interval score, and tests against persistence and the drift baseline.

Every score is also computed for persistence, which repeats the last close (`naive_...`), and for drift, the window's own trend
(`drift_...`).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from closes.series import Closes, Floats
from forecast.backtest import Backtest, backtest
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, MAX_HORIZON, PROBABILITIES
from forecast.volatility import window_volatility
from processData import WINDOW

TERCILES = ("calm", "middle", "wild")
REPORTED_HORIZONS = (1, 5, 10, 20)
CONFIDENCE = 0.95  # of the interval of directional accuracy


def score(result: Backtest) -> dict[str, float]:
    """Compute the scores of a backtest; those of persistence have the prefix `naive_`, those of the drift baseline `drift_`.

    Returns:
        mse, rmse, mae (currency), mape (fraction), r2, each also as naive_... and drift_...; rmse_ratio (model over persistence: below 1 is
        better); dm_statistic and dm_p_value (Diebold-Mariano, model against persistence: a negative statistic favours the model);
        directional_accuracy (fraction) with its 95% interval ..._low, ..._high, and up_share, what "always up" would get; for each
        level coverage_.. (fraction) and winkler_.. (fraction of the last close), each also as naive_...; crps (fraction of the last
        close); log_score (of log returns); calibration_error (mean distance of the reliability from the diagonal); n_days.
    """
    model, naive = point_metrics(result.actual, result.predicted), point_metrics(result.actual, result.last_close)
    drift = point_metrics(result.actual, result.drift)
    values = {**model, **{f"naive_{name}": value for name, value in naive.items()}}
    values |= {f"drift_{name}": value for name, value in drift.items()}
    values["rmse_ratio"] = model["rmse"] / naive["rmse"] if naive["rmse"] else float("nan")
    errors, naive_errors = result.actual - result.predicted, result.actual - result.last_close
    values["dm_statistic"], values["dm_p_value"] = diebold_mariano(errors, naive_errors)
    values |= directional_accuracy(result)
    for prefix, bands in (("", result.bounds), ("naive_", result.naive_bounds)):
        for level, (low, high) in bands.items():
            values[f"{prefix}coverage_{level}"] = coverage(result.actual, low, high)
            values[f"{prefix}winkler_{level}"] = float(np.mean(winkler(result.actual, low, high, level) / result.last_close))
    values["crps"] = float(np.mean(result.verification.crps / result.last_close))
    values["log_score"] = float(np.mean(result.verification.log_score))
    values["calibration_error"] = float(np.mean(np.abs(reliability(result) - PROBABILITIES)))
    values["n_days"] = len(result)
    return values


def reliability(result: Backtest) -> Floats:
    """Return the share of days whose close was below each quantile, (n_probabilities,); equal to PROBABILITIES if these are reliable."""
    return np.searchsorted(np.sort(result.verification.pit), PROBABILITIES, side="right") / len(result)


def directional_accuracy(result: Backtest) -> dict[str, float]:
    """Compute how often the forecast has the direction of the change. Days without a change or without a forecast of one are left out.

    Returns:
        directional_accuracy with its exact binomial interval (Clopper and Pearson, 1934), and up_share.
    """
    from scipy.stats import binomtest

    came, said = np.sign(result.actual - result.last_close), np.sign(result.predicted - result.last_close)
    counted = (came != 0) & (said != 0)
    n = int(counted.sum())
    names = ("directional_accuracy", "directional_accuracy_low", "directional_accuracy_high", "up_share")
    if n == 0:
        return dict.fromkeys(names, float("nan"))
    right = int((came == said)[counted].sum())
    low, high = binomtest(right, n).proportion_ci(CONFIDENCE)
    return dict(zip(names, (right / n, float(low), float(high), float(np.mean(came[counted] > 0))), strict=True))


def diebold_mariano(errors: Floats, naive_errors: Floats) -> tuple[float, float]:
    """Test whether squared one-step errors differ by more than chance.

    Args:
        errors: (n,) float64, of the model.
        naive_errors: (n,) float64, of the baseline on the same days.

    Returns:
        The statistic (negative: the model is better) and its two-sided p-value; nan where the errors are the same.

    Source: Diebold and Mariano (1995), Comparing predictive accuracy, with the small-sample correction of Harvey, Leybourne and Newbold
    (1997) and Student's t; at one step no autocovariance enters.
    """
    from scipy.stats import t

    difference = errors**2 - naive_errors**2
    n = len(difference)
    if n < 2 or not np.any(difference != difference[0]):
        return float("nan"), float("nan")
    statistic = float(np.mean(difference) / np.sqrt(np.var(difference) / n) * np.sqrt((n - 1) / n))
    return statistic, float(2 * t.sf(abs(statistic), n - 1))


def coverage_by(result: Backtest) -> dict[str, dict[str, dict[str, float]]]:
    """Compute the coverage by calendar year and by tercile of volatility, where bands of constant width fail.

    Returns:
        year -> "2020" and so on, volatility -> calm, middle, wild; each with n_days, coverage_80, coverage_95 (fractions).
    """
    years = result.dates.astype("datetime64[Y]").astype(str)
    rank = np.argsort(np.argsort(window_volatility(result.windows), kind="stable"), kind="stable")
    terciles = np.array(TERCILES)[rank * len(TERCILES) // len(result)]

    def part(keep: NDArray[np.bool_]) -> dict[str, float]:
        held = {f"coverage_{level}": coverage(result.actual[keep], low[keep], high[keep]) for level, (low, high) in result.bounds.items()}
        return {"n_days": int(keep.sum()), **held}

    return {
        "year": {str(year): part(years == year) for year in np.unique(years)},
        "volatility": {name: part(terciles == name) for name in TERCILES if np.any(terciles == name)},
    }


def coverage_by_horizon(forecaster: Forecaster, closes: Closes, first: str) -> dict[str, dict[str, float]]:
    """Compute the coverage 1, 5, 10 and 20 days ahead for days from `first` on (ISO date). The forecasts overlap, so few are independent.

    Returns:
        "1", "5", ... -> n_days, coverage_80, coverage_95 (fractions); steps whose close is not known for any window are left out.
    """
    start = int(np.searchsorted(closes.dates, np.datetime64(first)))
    windows = np.lib.stride_tricks.sliding_window_view(closes.prices, WINDOW)[start - WINDOW : -1]
    limits = forecaster.forecast(windows, MAX_HORIZON).bounds
    held = {}
    for step in REPORTED_HORIZONS:
        actual = closes.prices[start + step - 1 :]
        n = len(actual)
        if n:
            held[str(step)] = {"n_days": n} | {
                f"coverage_{level}": coverage(actual, limits[level][0][:n, step - 1], limits[level][1][:n, step - 1]) for level in LEVELS
            }
    return held


def coverage_by_symbol(forecaster: Forecaster, series: Sequence[Closes], first: str) -> dict[str, dict[str, float]]:
    """Compute the coverage of other series on their days from `first` on (ISO date).

    Returns:
        symbol -> n_days, coverage_80, coverage_95 (fractions); a series without such days is left out.
    """
    held = {}
    for closes in series:
        if len(closes) > WINDOW and closes.dates[-1] >= np.datetime64(first):
            result = backtest(forecaster, closes, first=first)
            by_level = {f"coverage_{level}": coverage(result.actual, *result.bounds[level]) for level in LEVELS}
            held[closes.symbol] = {"n_days": len(result), **by_level}
    return held


def point_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """Return mse, rmse, mae, mape (fraction) and r2 of forecasts (n,), as scikit-learn defines them."""
    from sklearn.metrics import mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, r2_score

    mse = float(mean_squared_error(actual, predicted))
    return {
        "mse": mse,
        "rmse": mse**0.5,
        "mae": float(mean_absolute_error(actual, predicted)),
        "mape": float(mean_absolute_percentage_error(actual, predicted)),
        "r2": float(r2_score(actual, predicted)) if len(actual) > 1 else float("nan"),
    }


def rmse_ratio(actual: Floats, predicted: Floats, last_close: Floats) -> float:
    """Return the RMSE of a forecast divided by that of persistence; below 1 is better. NaN if persistence has no error.

    Args:
        actual: (n,) float64 closes.
        predicted: (n,) float64, their forecasts.
        last_close: (n,) float64, the forecasts of persistence.
    """
    naive = float(np.mean((actual - last_close) ** 2))
    return float(np.sqrt(np.mean((actual - predicted) ** 2) / naive)) if naive else float("nan")


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Return the fraction of closes (n,) within their intervals."""
    return float(np.mean((actual >= low) & (actual <= high)))


def winkler(actual: Floats, low: Floats, high: Floats, level: int) -> Floats:
    """Return Winkler's interval score (n,): width, plus 2/alpha times the distance of a close outside; smaller is better.

    Args:
        actual: (n,) float64 closes.
        low: (n,) float64 lower bounds, in the currency of the closes.
        high: (n,) float64 upper bounds.
        level: percent; alpha = 1 - level / 100.

    Source: Winkler (1972), A decision-theoretic approach to interval estimation.
    """
    penalty = 2 / (1 - level / 100)
    return (high - low) + penalty * (np.maximum(low - actual, 0) + np.maximum(actual - high, 0))


def summary(values: dict[str, float]) -> str:
    """Return the closing table of a run: the model, persistence and the drift baseline."""
    rows = [["", "model", "persistence", "drift"]]
    for name in ("mse", "rmse", "mae", "mape", "r2"):
        form = "{:.4%}" if name == "mape" else "{:.4f}"
        rows.append([name.upper(), *(form.format(values[f"{prefix}{name}"]) for prefix in ("", "naive_", "drift_"))])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]  # prices may have many digits
    lines = [
        "  ".join((text.ljust if not place else text.rjust)(width) for place, (text, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]
    lines.append("(persistence: repeat the last close; drift: go on as over the 60 closes)")
    lines.append(f"RMSE is {values['rmse_ratio']:.4f} times that of persistence (Diebold-Mariano p = {values['dm_p_value']:.2f}).")
    lines.append(
        f"Direction right on {values['directional_accuracy']:.1%} of the days ({values['directional_accuracy_low']:.1%} to "
        f"{values['directional_accuracy_high']:.1%}); always up: {values['up_share']:.1%}."
    )
    for level in LEVELS:
        lines.append(
            f"The {level}% interval held {values[f'coverage_{level}']:.1%} of the closes of {values['n_days']} test days, Winkler score "
            f"{values[f'winkler_{level}']:.4f}; bands of constant width {values[f'naive_coverage_{level}']:.1%}, "
            f"{values[f'naive_winkler_{level}']:.4f}."
        )
    return "\n".join(lines)
