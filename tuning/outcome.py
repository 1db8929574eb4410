"""The outcome of a search: whether the best settings are better than the default ones by more than noise, and how both do on the test.

A search takes the best of many trials, so its best ratio is too good by luck. Best and default settings are therefore compared on seeds
that took no part in the search. The noise is how much the default settings differ between seeds.
"""

import dataclasses
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecast.backtest import Backtest, backtest
from forecast.network import FitOptions
from forecast.scores import diebold_mariano, score
from forecast.split import Dataset
from models.training import train
from tuning.space import describe, tuned_values
from tuning.study import complete, finished, settings_of
from tuning.validation import Validation

if TYPE_CHECKING:
    import optuna

NEW_SEEDS = 2  # that took no part in the search

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a search found on validation.

    Attributes:
        default, best: the settings.
        n_trials: trials of the study that count.
        default_ratios: RMSE ratio of the default settings, for the seed of the search and each new seed.
        best_ratios: the same for the best settings. If these are the default settings, both lists have only
            the ratio for the seed of the search.
    """

    default: FitOptions
    best: FitOptions
    n_trials: int
    default_ratios: list[float]
    best_ratios: list[float]

    @property
    def found(self) -> bool:
        """Whether a trial was better than the default settings."""
        return self.best != self.default

    @property
    def gain(self) -> float:
        """How much lower the RMSE ratio of the best settings is, on average over the new seeds."""
        return float(np.mean(self.default_ratios[1:]) - np.mean(self.best_ratios[1:])) if self.found else 0.0

    @property
    def noise(self) -> float:
        """Largest minus smallest RMSE ratio of the default settings over all seeds."""
        return max(self.default_ratios) - min(self.default_ratios)

    @property
    def chosen(self) -> FitOptions:
        """The best settings if their gain is more than noise, otherwise the default ones. The test has no part in this."""
        return self.best if self.found and self.gain > self.noise else self.default

    @property
    def reason(self) -> str:
        """The choice in a sentence or two."""
        if not self.found:
            return f"No other settings were better on validation than the default ones ({self.n_trials} trials). These are kept."
        said = "lower" if self.gain >= 0 else "higher"
        gain = f"On {NEW_SEEDS} seeds that took no part in the search, the best settings have an RMSE ratio {abs(self.gain):.5f} {said}"
        if self.chosen == self.default:
            return f"{gain}; the default settings alone differ by {self.noise:.5f} between seeds. The default settings are kept."
        return f"{gain}, more than the {self.noise:.5f} by which the default settings differ between seeds. The best settings are used."


def conclude(study: "optuna.Study", validation: Validation, default: FitOptions) -> Outcome:
    """Compare the best settings of a study with the default ones on new seeds. Ratios that the study has already are not computed again."""
    best = settings_of(study.best_trial)
    ratios = {options: [_searched_ratio(study, options)] for options in (default, best)}
    if best != default:
        log.info("The best settings and the default ones are fitted with %d more seeds, to see what is noise ...", NEW_SEEDS)
        for options, known in ratios.items():
            known += [_repeated_ratio(study, validation, dataclasses.replace(options, seed=options.seed + 1 + n)) for n in range(NEW_SEEDS)]
    return Outcome(default, best, len(finished(study)), ratios[default], ratios[best])


def _searched_ratio(study: "optuna.Study", options: FitOptions) -> float:
    """Return the ratio of a complete trial with these settings."""
    return next(float(trial.value) for trial in complete(study) if settings_of(trial) == options and trial.value is not None)


def _repeated_ratio(study: "optuna.Study", validation: Validation, options: FitOptions) -> float:
    """Return the mean ratio of settings that are no trial. The study keeps it."""
    key = json.dumps(dataclasses.asdict(options))
    if key not in study.user_attrs:
        study.set_user_attr(key, float(np.mean(list(validation.ratios(options)))))
    return float(study.user_attrs[key])


@dataclass(frozen=True)
class TestScores:
    """RMSE ratios of both settings on the test.

    Attributes:
        best, default: RMSE divided by that of persistence.
        p_value: of the Diebold-Mariano test of best against default; nan if their forecasts are the same.
    """

    __test__ = False  # not a class of pytest

    best: float
    default: float
    p_value: float


def judge_on_test(outcome: Outcome, data: Dataset, result: Backtest) -> TestScores:
    """Train the settings that were not chosen like the chosen ones, and score both on the test.

    Args:
        outcome: of the search.
        data: the closes.
        result: the backtest of the chosen settings.
    """
    if not outcome.found:
        ratio = score(result)["rmse_ratio"]
        return TestScores(ratio, ratio, float("nan"))
    other = outcome.default if outcome.chosen == outcome.best else outcome.best
    log.info("For comparison, the settings that were not chosen are trained too: %s.", describe(other))
    with tempfile.TemporaryDirectory() as folder:
        forecaster, _ = train(data, other, Path(folder), progress=False)
    results = {outcome.chosen: result, other: backtest(forecaster, data.closes, first=str(data.tested_from))}
    best, default = results[outcome.best], results[outcome.default]
    _, p_value = diebold_mariano(best.actual - best.predicted, default.actual - default.predicted)
    return TestScores(score(best)["rmse_ratio"], score(default)["rmse_ratio"], p_value)


def table(outcome: Outcome, test: TestScores) -> str:
    """Return the closing table: RMSE ratios on validation and test."""
    rows = [("best", outcome.best_ratios, test.best), ("default", outcome.default_ratios, test.default), ("persistence", [1.0], 1.0)]
    lines = [f"{'RMSE / persistence':<20}{'validation, search':>20}{'new seeds':>12}{'test':>10}"]
    for name, ratios, tested in rows:
        new = f"{np.mean(ratios[1:]):.5f}" if len(ratios) > 1 else "-"
        lines.append(f"{name:<20}{ratios[0]:>20.5f}{new:>12}{tested:>10.5f}")
    lines.append(outcome.reason)
    if outcome.found:
        chance = "more than chance explains" if test.p_value < 0.05 else "which chance explains"
        lines.append(
            f"On the test, which took no part in the choice, the best settings have an RMSE {test.best / test.default:.5f} times that of "
            f"the default ones, {chance} (Diebold-Mariano p = {test.p_value:.2f})."
        )
    return "\n".join(lines)


def report(outcome: Outcome, test: TestScores) -> dict[str, Any]:
    """Return the outcome for metadata.json and MLflow; null where there is no number."""
    return {
        "n_trials": outcome.n_trials,
        "reason": outcome.reason,
        "best": tuned_values(outcome.best),
        "default": tuned_values(outcome.default),
        "validation_best": outcome.best_ratios,
        "validation_default": outcome.default_ratios,
        "validation_gain": outcome.gain,
        "validation_noise": outcome.noise,
        "test_best": test.best,
        "test_default": test.default,
        "test_dm_p_value": test.p_value if np.isfinite(test.p_value) else None,
    }
