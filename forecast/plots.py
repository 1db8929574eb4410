"""Plots of a run: forecasts with their bands, reliability of the intervals, residuals, loss curves."""

import io

import numpy as np
from matplotlib.figure import Figure

from forecast.backtest import Backtest
from forecast.intervals import LEVELS, PROBABILITIES
from forecast.scores import coverage_by, reliability


def plot_run(result: Backtest, losses: dict[str, list[float]], title: str) -> dict[str, bytes]:
    """Return all plots of a run: the content of PNG files by name."""
    figures = {
        "backtest.png": plot_backtest(result, title),
        "reliability.png": plot_reliability(result),
        "residuals.png": plot_residuals(result),
        "losses.png": plot_losses(losses),
    }
    return {name: as_png(figure) for name, figure in figures.items()}


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    return content.getvalue()


def plot_backtest(result: Backtest, title: str) -> Figure:
    """Plot actual closes with the forecast and its intervals."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    axes = figure.subplots()
    for level, shade in ((95, 0.15), (80, 0.3)):
        axes.fill_between(result.dates, *result.bounds[level], alpha=shade, color="tab:blue", lw=0, label=f"{level}% interval")
    axes.plot(result.dates, result.actual, color="black", lw=0.9, label="actual close")
    axes.plot(result.dates, result.predicted, color="tab:orange", lw=0.9, label="forecast from the 60 closes before")
    axes.set(title=title, ylabel="close")
    axes.legend(loc="upper left")
    return figure


def plot_reliability(result: Backtest) -> Figure:
    """Plot the reliability of the probabilities, and the coverage by year and by volatility with the nominal levels."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    left, axes = figure.subplots(1, 2, width_ratios=(1, 2))
    left.plot((0, 1), (0, 1), color="black", lw=0.8, ls="--")
    left.plot(PROBABILITIES, reliability(result), color="tab:blue")
    left.set(title="Reliability", xlabel="probability of a lower close", ylabel="share of days with a lower close")
    groups = {name: values for part in coverage_by(result).values() for name, values in part.items()}
    for level, colour in zip(LEVELS, ("tab:blue", "tab:orange"), strict=True):
        held = [100 * values[f"coverage_{level}"] for values in groups.values()]
        axes.plot(list(groups), held, "o", color=colour, label=f"{level}% interval")
        axes.axhline(level, color=colour, lw=0.8, ls="--")
    axes.set(title="Closes within their interval", ylabel="percent")
    axes.legend()
    return figure


def plot_residuals(result: Backtest) -> Figure:
    """Plot errors as fractions of the last close: over time, and their distribution."""
    errors = (result.actual - result.predicted) / result.last_close
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.plot(result.dates, errors, lw=0.6)
    left.set(title="Actual minus forecast, as a fraction of the last close")
    right.hist(errors, bins=60)
    right.set(title=f"mean {np.mean(errors):+.4f}, standard deviation {np.std(errors):.4f}")
    return figure


def plot_losses(losses: dict[str, list[float]]) -> Figure:
    """Plot the loss after each epoch, on the fit and the calibration days."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, "o-", label=name)
    axes.set(title="Mean squared error of scaled relative closes", xlabel="epoch", yscale="log")
    axes.legend()
    return figure
