"""`modelTrain.py --tune N`: search, conclude, judge on the test, log."""

import csv
import dataclasses
import io
import json
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from closes.series import Closes
from forecast.backtest import Backtest
from forecast.network import FitOptions
from forecast.split import Dataset, split_in_time
from models.evaluation import plots_or_none
from settings import Settings
from storage import sha256_of
from tracking.connection import tracking_folder
from tracking.studies import SearchRecord, log_search
from tuning.outcome import Outcome, conclude, judge_on_test, report, table
from tuning.space import TUNED, Space, describe, tuned_values
from tuning.study import DATABASE, FOLDS_KEY, SECONDS_KEY, complete, finished, open_study, search, settings_of
from tuning.validation import FOLDS, validation_of

if TYPE_CHECKING:
    import optuna

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tuned:
    """A finished search.

    Attributes:
        name: of its study.
        outcome: what it found on validation.
        ratios: (number, validation ratio) of each complete trial.
        files: table and plots of the trials, by name.
        started: when it began, in milliseconds since 1970.
    """

    name: str
    outcome: Outcome
    ratios: list[tuple[int, float]]
    files: dict[str, bytes]
    started: int

    def finish(self, data: Dataset, result: Backtest, settings: Settings) -> dict[str, Any]:
        """Judge best and default settings on the test, print the table and log the search to MLflow.

        Args:
            data: the closes.
            result: the backtest of the chosen settings on the test.
            settings: where MLflow is.

        Returns:
            The outcome for metadata.json.
        """
        test = judge_on_test(self.outcome, data, result)
        log.info("\n%s\n", table(self.outcome, test))
        content = {"study": self.name} | report(self.outcome, test)
        metrics = {name.replace("_", "/", 1): value for name, value in content.items() if isinstance(value, float)}  # test/best, ...
        params = {f"best_{name}": value for name, value in tuned_values(self.outcome.best).items()}
        params |= {f"default_{name}": value for name, value in tuned_values(self.outcome.default).items()}
        params |= {"study": self.name, "n_trials": self.outcome.n_trials, "folds": FOLDS, "seed": self.outcome.default.seed}
        record = SearchRecord(self.name, params | {"reason": self.outcome.reason}, metrics, self.ratios, self.files, self.started)
        return content | {"mlflow_run_id": log_search(record, settings)}


def tune(closes: Closes, default: FitOptions, n_trials: int, settings: Settings, repeat_command: str, space: Space | None = None) -> Tuned:
    """Add trials to the study of these closes, and conclude. The closes of the test are not used.

    Args:
        closes: the whole series.
        default: the settings to compare with.
        n_trials: new trials.
        settings: the study is stored next to MLflow's database.
        repeat_command: the command without --tune, for the message of an interruption.
        space: ranges of the settings.

    Raises:
        InvalidClosesError: too few closes.
        TuningError: the study's database is locked or damaged, or another process uses the study.
    """
    started = time.time_ns() // 1_000_000
    data = Dataset(closes, split_in_time(len(closes)))
    validation = validation_of(data)
    name, folder = study_name(data, default), tracking_folder(settings)
    with open_study(folder, name) as study:
        before = len(finished(study))
        log.info("Study %s in %s. Trials so far: %d, to come: %d. Each is judged on %d blocks of days before the test.",
                 name, folder / DATABASE, before, n_trials, FOLDS)  # fmt: skip
        try:
            search(study, validation, default, n_trials, space)
            outcome = conclude(study, validation, default)
        except KeyboardInterrupt:
            left = max(1, n_trials - len(finished(study)) + before)
            log.info("Finished trials are kept: %d. Go on: %s --tune %d", len(finished(study)), repeat_command, left)
            raise
        ratios = [(number, float(trial.value or 0)) for number, trial in enumerate(finished(study), 1) if trial in complete(study)]
        files = {"trials.csv": trials_csv(study).encode()} | plots(study)
    log.info("Best settings of %d trials: %s.", outcome.n_trials, describe(outcome.best))
    return Tuned(name, outcome, ratios, files, started)


def study_name(data: Dataset, default: FitOptions) -> str:
    """Return a name that is the same only for the same closes, split, folds and default settings: only their ratios are comparable."""
    identity = [data.closes.fingerprint, dataclasses.astuple(data.split), FOLDS, dataclasses.asdict(default)]
    return f"{data.closes.symbol}-{data.closes.last_date}-{sha256_of(json.dumps(identity).encode())[:12]}"


def trials_csv(study: "optuna.Study") -> str:
    """Return the trials as CSV, one row each: its ratio, its folds, its settings."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["trial", "state", "rmse_ratio", *(f"fold_{fold + 1}" for fold in range(FOLDS)), *TUNED, "seconds"])
    for number, trial in enumerate(finished(study), start=1):
        folds = trial.user_attrs[FOLDS_KEY]
        state = "complete" if len(folds) == FOLDS else "stopped"
        padded = [*folds, *[""] * (FOLDS - len(folds))]
        writer.writerow([number, state, trial.value, *padded, *tuned_values(settings_of(trial)).values(), trial.user_attrs[SECONDS_KEY]])
    return text.getvalue()


def plots(study: "optuna.Study") -> dict[str, bytes]:
    """Return the plots of a study: the content of PNG files by name."""

    def plot() -> dict[str, bytes]:
        from forecast.plots import as_png
        from tuning.plots import plot_settings, plot_trials

        return {"trials.png": as_png(plot_trials(study)), "settings.png": as_png(plot_settings(study))}

    return plots_or_none(plot, "the trials")
