"""The study of a search: an Optuna study in a SQLite file, which later searches on the same data continue.

    with open_study(folder, name) as study:
        search(study, validation, FitOptions(), n_trials=10)

A trial depends only on the seed and the finished trials before it, so ten trials in one run or in two give the same results.
"""

import dataclasses
import logging
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock, Timeout

from errors import ForecastError
from forecast.network import FitOptions
from storage import FILE_MODE
from tuning.space import Space, describe, tuned_values
from tuning.validation import Validation

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

DATABASE = "optuna.db"
LOCK_SECONDS = 15.0  # to wait for a locked SQLite file
RANDOM_TRIALS = 10  # before the sampler uses their results
DIVERGED = 1e9  # ratio of a network whose weights are not finite
UNPRUNED_TRIALS = 5  # before one whose first fold is worse than the median is stopped
FOLDS_KEY, SETTINGS_KEY, SECONDS_KEY = "folds", "settings", "seconds"  # of a trial's attributes

log = logging.getLogger(__name__)


class TuningError(ForecastError):
    """The study's database cannot be used, or another process uses the study."""


@contextmanager
def open_study(folder: Path, name: str) -> Iterator["optuna.Study"]:
    """Open or create a study. Trials that a killed process left unfinished do not count.

    Args:
        folder: of the database, created if it does not exist.
        name: of the study.

    Raises:
        TuningError: the database is locked or damaged, or another process uses the study.
    """
    folder.mkdir(parents=True, exist_ok=True)
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    optuna.logging.disable_default_handler()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    database = folder / DATABASE
    try:
        with FileLock(folder / f".{name}.lock", timeout=0, mode=FILE_MODE):
            storage = optuna.storages.RDBStorage(f"sqlite:///{database}", engine_kwargs={"connect_args": {"timeout": LOCK_SECONDS}})
            pruner = optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED_TRIALS)
            study = optuna.create_study(study_name=name, storage=storage, pruner=pruner, load_if_exists=True)
            for trial in study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.RUNNING]):
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            yield study
    except Timeout:
        raise TuningError(f"Another process runs trials of the study {name}. Wait until it ends.") from None
    except (optuna.exceptions.OptunaError, SQLAlchemyError, sqlite3.Error) as error:
        log.debug("study failed", exc_info=True)
        reason = str(getattr(error.__cause__ or error, "orig", error)).splitlines()[0]
        raise TuningError(f"The study database {database} cannot be used: {reason}. Finished trials are kept; try again.") from None


def search(study: "optuna.Study", validation: Validation, default: FitOptions, n_trials: int, space: Space | None = None) -> None:
    """Add trials to a study, with a log line each. The study's first trial has the default settings.

    Args:
        study: from open_study.
        validation: judges the settings.
        default: settings of the first trial; batch size and seed of all.
        n_trials: new trials.
        space: ranges of the settings.
    """
    import optuna

    waiting = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.WAITING])
    if not finished(study) and not waiting:
        study.enqueue_trial(tuned_values(default))
    started = time.monotonic()
    for done in range(1, n_trials + 1):
        number = len(finished(study))
        seed = int(np.random.SeedSequence([default.seed, number]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=seed)
        trial = study.ask()
        try:
            run_trial(study, trial, validation, (space or Space()).suggest(trial, default))
        except BaseException:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        passed = time.monotonic() - started
        log.info("%s  %.0f s, about %.0f s left", _line(study), passed, passed / done * (n_trials - done))


def run_trial(study: "optuna.Study", trial: "optuna.Trial", validation: Validation, options: FitOptions) -> None:
    """Judge the settings of a trial, fold by fold. If the first fold is worse than the median of the other trials, stop there."""
    import optuna

    started = time.monotonic()
    trial.set_user_attr(SETTINGS_KEY, dataclasses.asdict(options))
    ratios: list[float] = []
    for ratio in validation.ratios(options):
        ratios.append(ratio if math.isfinite(ratio) else DIVERGED)
        if len(ratios) == 1:  # later folds are other days, which the pruner would compare with this one
            trial.report(ratios[0], step=0)
            if trial.should_prune():
                break
    trial.set_user_attr(FOLDS_KEY, ratios)
    trial.set_user_attr(SECONDS_KEY, round(time.monotonic() - started, 1))
    if len(ratios) < len(validation.splits):
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    else:
        study.tell(trial, float(np.mean(ratios)))


def finished(study: "optuna.Study") -> list["FrozenTrial"]:
    """Return the trials that count, oldest first: complete ones, and those that were stopped after a bad first fold."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE, TrialState.PRUNED])


def complete(study: "optuna.Study") -> list["FrozenTrial"]:
    """Return the trials with all folds, oldest first; the first has the default settings."""
    from optuna.trial import TrialState

    return study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])


def settings_of(trial: "FrozenTrial") -> FitOptions:
    """Return the settings of a trial."""
    return FitOptions(**trial.user_attrs[SETTINGS_KEY])


def _line(study: "optuna.Study") -> str:
    """Return the line of the newest trial: number, settings, validation ratio, best ratio so far."""
    trials, best = finished(study), study.best_trial
    newest = trials[-1]
    stopped = "" if len(newest.user_attrs[FOLDS_KEY]) > 1 else " (first fold; stopped)"
    return (
        f"trial {len(trials):3d}  {describe(settings_of(newest))}  RMSE ratio {newest.value:.5f}{stopped}, "
        f"best {best.value:.5f} in trial {[trial.number for trial in trials].index(best.number) + 1}"
    )
