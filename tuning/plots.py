"""Plots of a study: the RMSE ratio by trial, and by the value of each setting."""

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from tuning.space import TUNED
from tuning.study import SETTINGS_KEY, complete, finished

if TYPE_CHECKING:
    import optuna

LOGARITHMIC = ("units", "learning_rate")
WHOLE = ("layers", "epochs")


def plot_trials(study: "optuna.Study") -> Figure:
    """Plot the ratio of each complete trial, and the best one so far."""
    numbers = {trial.number: place for place, trial in enumerate(finished(study), start=1)}
    trials = complete(study)
    ratios = [float(trial.value or 0) for trial in trials]
    places = [numbers[trial.number] for trial in trials]
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(places, ratios, "o", color="tab:blue", label="trial")
    axes.step(places, np.minimum.accumulate(ratios), where="post", color="tab:orange", label="best so far")
    axes.axhline(ratios[0], color="tab:gray", lw=0.8, ls=":", label="default settings")
    axes.axhline(1, color="black", lw=0.8, ls="--", label="persistence")
    axes.set(title="RMSE / persistence, mean of the walk-forward folds", xlabel="trial", ylabel="ratio")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(loc="outside right upper")
    return figure


def plot_settings(study: "optuna.Study") -> Figure:
    """Plot the ratio of each complete trial against each of its settings; the default ones are marked."""
    trials = complete(study)
    ratios = [float(trial.value or 0) for trial in trials]
    figure = Figure(figsize=(11, 6), layout="constrained")
    panels = figure.subplots(2, (len(TUNED) + 1) // 2, sharey=True)
    for axes, name in zip(panels.flat, TUNED, strict=False):
        values = [trial.user_attrs[SETTINGS_KEY][name] for trial in trials]
        axes.plot(values, ratios, "o", color="tab:blue")
        axes.plot(values[:1], ratios[:1], "s", color="tab:orange", label="default settings")
        axes.set_xlabel(name.replace("_", " "))
        axes.margins(x=0.15)
        if name in LOGARITHMIC:
            axes.set_xscale("log")
            axes.xaxis.set_minor_formatter(NullFormatter())  # its labels overlap
        if name in WHOLE:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels.flat[0].legend()
    figure.supylabel("RMSE / persistence on validation")
    return figure
