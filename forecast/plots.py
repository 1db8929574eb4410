"""Plots of a run: forecasts with their bands, reliability of the intervals, residuals, loss curves."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from forecast.backtest import Backtest
from forecast.intervals import LEVELS, PROBABILITIES
from forecast.scores import coverage_by, reliability

MAX_DATES = 8  # labels of a time axis
MAX_LEVEL_LABELS = 12  # groups of days whose names fit side by side
LOSSES = {"loss": "training loss", "val_loss": "validation loss (calibration days)"}


def plot_run(result: Backtest, losses: dict[str, list[float]], title: str) -> dict[str, bytes]:
    """Return all plots of a run: the content of PNG files by name."""
    figures = {
        "backtest.png": plot_backtest(result, title),
        "reliability.png": plot_reliability(result),
        "residuals.png": plot_residuals(result),
    } | ({"losses.png": plot_losses(losses)} if losses else {})
    return {name: as_png(figure) for name, figure in figures.items()}


def as_png(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content)  # type: ignore[no-untyped-call]  # savefig would draw it twice
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
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))  # no power of ten above the axis
    axes.legend(loc="upper left")
    _show_dates(axes)
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
    if len(groups) > MAX_LEVEL_LABELS:
        axes.tick_params(axis="x", rotation=90)
    axes.legend()
    return figure


def plot_residuals(result: Backtest) -> Figure:
    """Plot errors as fractions of the last close: over time, and their distribution."""
    errors = (result.actual - result.predicted) / result.last_close
    figure = Figure(figsize=(11, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    left.plot(result.dates, errors, lw=0.6)
    left.set(title="Actual minus forecast, as a fraction of the last close")
    _show_dates(left)
    right.hist(errors, bins=60)
    right.set(title=f"mean {np.mean(errors):+.4f}\nstandard deviation {np.std(errors):.4f}", ylabel="days")
    right.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _show_dates(axes: Axes) -> None:
    """Label a time axis with at most MAX_DATES short dates."""
    locator = AutoDateLocator(maxticks=MAX_DATES)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]


def plot_losses(losses: dict[str, list[float]]) -> Figure:
    """Plot the training loss and the validation loss, that of the calibration days, after each epoch."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, values in losses.items():
        axes.plot(range(1, len(values) + 1), values, "o-", label=LOSSES.get(name, name))
    axes.set(title="Mean squared error of scaled relative closes", xlabel="epoch", yscale="log")
    axes.legend()
    return figure
