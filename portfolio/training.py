"""Trains many symbols: loads the closes, fits a model each and a global one, publishes the better one of each symbol, and compares all.

    failures = train_many(ManyOptions(["MSFT", "AAPL"], ...), settings)

Each finished step is in the journal, so that the same command continues after an interruption.
"""

import logging
import pickle
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cli import interruption
from closes.series import Closes
from errors import ForecastError
from forecast.metadata import Rule
from forecast.network import FitOptions, check_backend
from forecast.split import Dataset, split_in_time
from models.store import SYMBOLS
from portfolio.journal import GLOBAL, Journal, one_training
from portfolio.leaderboard import Row, as_csv, means
from portfolio.pooled import MAX_WINDOWS, PoolPlan, plan_pool
from portfolio.progress import FINISH_COST, FIT_COST, Progress
from portfolio.publication import ChildRuns, publish_symbol
from portfolio.report import report, report_failures, report_usage
from portfolio.runner import LocalRunner, Runner, Task
from portfolio.task import Candidate, Failure, Finished, Outcome, Usage
from processData import Source, load_closes
from settings import Settings
from storage import DISK_FULL, write_atomic
from tracking.connection import TrackingError, check_tracking
from tracking.parents import finish_parent, start_parent

log = logging.getLogger(__name__)

LEADERBOARD = "leaderboard.csv"  # in MODEL_DIR/symbols


@dataclass(frozen=True)
class ManyOptions:
    """The command's options.

    Attributes:
        symbols: in capitals, each once.
        start, end, source: the closes, see load_closes.
        fit: how to fit each network.
        model_dir: the models go to its folder symbols.
        promote: when to publish.
        jobs: processes on this machine.
        dask: address of a Dask scheduler; None for this machine.
    """

    symbols: list[str]
    start: str | None
    end: str | None
    source: Source
    fit: FitOptions
    model_dir: Path
    promote: Rule
    jobs: int = 1
    dask: str | None = None

    def identity(self) -> dict[str, Any]:
        """Return what an interrupted training must share with the one that continues it."""
        names = ("symbols", "start", "end", "source", "promote")
        return {name: getattr(self, name) for name in names} | {"fit": asdict(self.fit)}


class FullDiskError(ForecastError):
    """There is no room for the journal, a model or MLflow."""


def train_many(options: ManyOptions, settings: Settings, check: Callable[[Closes], None] | None = None) -> dict[str, str]:
    """Train all symbols. Return why symbols failed, by symbol.

    Args:
        options: the command's options.
        settings: MLflow, the sources of closes and their cache.
        check: raises a ForecastError for closes that must not be trained on; that symbol fails.

    Raises:
        BusyError: another such training writes to the same folder.
        TrackingError: MLflow does not answer at the start.
        WorkersError: the workers cannot be used; the same command continues.
        FullDiskError: the same command continues.
    """
    check_backend()
    root = options.model_dir / SYMBOLS
    with one_training(root):
        journal = Journal(root, options.identity())
        training = Training(options, settings, journal, check)
        try:
            return training.run()
        except KeyboardInterrupt:
            report_failures(training.failures, len(options.symbols))
            log.info("%s The same command continues.", training.state())
            raise
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            raise FullDiskError(f"The disk is full. {training.state()} Free some space, then give the same command again.") from None


class Training:
    """One run of the command."""

    def __init__(
        self, options: ManyOptions, settings: Settings, journal: Journal, check: Callable[[Closes], None] | None = None
    ) -> None:  # fmt: skip
        self.options, self.settings, self.journal, self.check = options, settings, journal, check
        self.rows = journal.rows()
        self.failures: dict[str, str] = {}
        self.peaks: dict[str, int] = {}
        self.cpu_seconds = 0.0  # of the workers

    def state(self) -> str:
        """Return a sentence on what is finished."""
        published = sum(row.published for row in self.rows.values())
        return f"{len(self.rows)} of {len(self.options.symbols)} symbols are finished; {published} models are published."

    def run(self) -> dict[str, str]:
        """Do all steps that are left."""
        if self.journal.resumed:
            log.info("Continuing the training of %s in %s. %s", self.journal.run["started"], self.journal.folder, self.state())
        runner = self._runner()
        try:
            check_tracking(self.settings)
            datasets = self._load()
            plan = self._plan(datasets)
            parent = self._parent(plan)
            runs = ChildRuns(parent, self.options.model_dir, self.settings)
            self._train(datasets, plan, runner, runs)
        finally:
            runner.close()
        self._close(parent, runs)
        return self.failures

    def _runner(self) -> Runner:
        """Return what runs the tasks."""
        if self.options.dask is None:
            return LocalRunner(self.options.jobs, self.options.fit)
        from portfolio.cluster import DaskRunner

        return DaskRunner(self.options.dask, self.options.fit)

    def _load(self) -> dict[str, Dataset]:
        """Load the closes of the symbols that are left, and check them. Those of an earlier start are used again."""
        datasets = {}
        for symbol in self.options.symbols:
            try:
                closes = self.journal.read_closes(symbol)
                if closes is None:
                    closes = load_closes(symbol, self.options.start, self.options.end, self.options.source, settings=self.settings)
                    self.journal.write(self.journal.closes_file(symbol), pickle.dumps(closes))
                if self.check:
                    self.check(closes)
                data = Dataset(closes, split_in_time(len(closes)))
                data.check_movement()
                datasets[symbol] = data
            except ForecastError as error:
                self._fail(symbol, "; ".join([str(error), *error.details]))
        return datasets

    def _plan(self, datasets: dict[str, Dataset]) -> PoolPlan | None:
        """Plan the global model."""
        plan = self.journal.plan(lambda: plan_pool(list(datasets.values())))
        if plan is None:
            log.info("There is no global model: it needs two symbols with a common past.")
            return None
        log.info("The global model is fitted on %d windows of %d symbols, up to %s.",
                 min(plan.n_windows, MAX_WINDOWS), len(plan.symbols), plan.cut)  # fmt: skip
        for symbol in plan.left_out:
            log.warning("%s is not part of the global model and is not compared with it: its closes end too early.", symbol)
        return plan

    def _parent(self, plan: PoolPlan | None) -> str:
        """Return the MLflow run of the whole training; start it the first time."""
        if "mlflow_run_id" not in self.journal.run:
            given = self.options.identity()
            params = {name: str(given[name]) for name in ("start", "end", "source", "promote")} | {
                name: str(value) for name, value in given["fit"].items()
            }
            params |= {"n_symbols": str(len(given["symbols"])), "pool_cut": str(plan and plan.cut)}
            name = f"{len(given['symbols'])} symbols {datetime.now(UTC):%Y-%m-%d %H:%M}"
            self.journal.note(mlflow_run_id=start_parent(name, params, self.settings))
        run_id: str = self.journal.run["mlflow_run_id"]
        return run_id

    def _train(self, datasets: dict[str, Dataset], plan: PoolPlan | None, runner: Runner, runs: ChildRuns) -> None:
        """Fit, finish and publish what is left."""
        left = {symbol: data for symbol, data in datasets.items() if symbol not in self.rows}
        if not left:
            return
        fits = self._fits(left, plan)
        epochs = self.options.fit.epochs
        costs = {f"finish {symbol}": FINISH_COST for symbol in left}
        for task in fits:
            n_windows = plan.n_windows if plan and task.name == GLOBAL else datasets[task.name].split.calibration
            costs[f"{task.step} {task.name}"] = FIT_COST + epochs * min(n_windows, MAX_WINDOWS)
        log.info("Training %d symbols %s.", len(left), runner.described)
        progress = Progress(costs)
        for task, outcome, content in self._outcomes(runner, fits):
            if isinstance(outcome.value, Failure):
                self._fail(task.name, outcome.value.reason)
            elif isinstance(outcome.value, Candidate):
                self._keep_fit(task, outcome.value, content)
                progress.step(f"{task.step} {task.name}", f"{task.name:<9}  fitted in {outcome.usage.seconds:.0f} s ")
        for task, outcome, _ in self._outcomes(runner, self._finishes(left, plan)):
            if isinstance(outcome.value, Finished):
                candidate = self.journal.read_fit(GLOBAL if outcome.value.chosen == "global" else task.name)
                row = publish_symbol(outcome.value, candidate, left[task.name].closes, self.options.model_dir, self.options.promote, runs)
                self.journal.add_row(row)
                self.rows[row.symbol] = row
                progress.step(f"finish {task.name}", _short(row))
            elif isinstance(outcome.value, Failure):
                self._fail(task.name, outcome.value.reason)

    def _fits(self, left: dict[str, Dataset], plan: PoolPlan | None) -> list[Task]:
        """Return the fits that are left, the longest first."""
        tasks = []
        if plan and not self.journal.fit_file(GLOBAL).exists():
            inputs = (self.journal.plan_file, *(self.journal.closes_file(symbol) for symbol in plan.symbols))
            tasks.append(Task("pool", GLOBAL, inputs))
        longest = sorted(left, key=lambda symbol: -left[symbol].split.calibration)
        todo = [symbol for symbol in longest if not self.journal.fit_file(symbol).exists()]
        return tasks + [Task("fit", symbol, (self.journal.closes_file(symbol),)) for symbol in todo]

    def _finishes(self, left: dict[str, Dataset], plan: PoolPlan | None) -> list[Task]:
        """Return the last steps of the symbols that have a model."""
        tasks = []
        for symbol, data in left.items():
            inputs: tuple[Path, ...] = (self.journal.closes_file(symbol), self.journal.net_file(symbol))
            if plan and self.journal.fit_file(GLOBAL).exists() and data.fitted_until >= plan.cut:
                inputs += (self.journal.plan_file, self.journal.net_file(GLOBAL))
            if self.journal.fit_file(symbol).exists():
                tasks.append(Task("finish", symbol, inputs))
        return tasks

    def _outcomes(self, runner: Runner, tasks: list[Task]) -> Iterable[tuple[Task, Outcome, bytes]]:
        """Run tasks. Keep how much memory each process has had."""
        for task, content in runner.run(tasks):
            outcome: Outcome = pickle.loads(content)  # noqa: S301 - of our own workers
            self._note_peak(outcome.usage)
            interruption.check()
            yield task, outcome, content

    def _keep_fit(self, task: Task, candidate: Candidate, content: bytes) -> None:
        """Write a fit to the journal: its network for the last step, then the whole."""
        self.journal.write(self.journal.net_file(task.name), pickle.dumps(candidate.net))
        self.journal.write(self.journal.fit_file(task.name), content)

    def _note_peak(self, usage: Usage) -> None:
        """Keep the largest memory of a process."""
        self.cpu_seconds += usage.cpu_seconds
        self.peaks[usage.process] = max(usage.peak_bytes, self.peaks.get(usage.process, 0))

    def _fail(self, symbol: str, reason: str) -> None:
        """Keep why a symbol failed, and log that it did."""
        if symbol == GLOBAL:
            log.warning("There is no global model: %s", reason)
            return
        self.failures[symbol] = reason
        log.warning("%s failed. The reason is at the end.", symbol)

    def _close(self, parent: str, runs: ChildRuns) -> None:
        """Write the leaderboard, end the MLflow run, and say what was done."""
        rows = [self.rows[symbol] for symbol in self.options.symbols if symbol in self.rows]
        board = self.options.model_dir / SYMBOLS / LEADERBOARD
        write_atomic(board, as_csv(rows).encode())
        try:
            finish_parent(parent, means(rows), board, self.settings)
        except TrackingError as error:
            log.warning("%s", error)
        self.journal.remove()
        report(rows, board, parent, runs.kept)
        report_usage(self.peaks, self.cpu_seconds)
        report_failures(self.failures, len(self.options.symbols))


def _short(row: Row) -> str:
    """Return a row for the progress."""
    return f"{row.symbol:<9}  {row.model:<6}  RMSE ratio {row.rmse_ratio:.4f}  held {row.coverage_80:.1%}, {row.coverage_95:.1%} "
