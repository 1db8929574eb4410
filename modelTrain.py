"""Train, evaluate, log to MLflow, publish: the one command that makes a model.

    python modelTrain.py --symbol MSFT --source snapshot

The days are split in time: 60% fit the network, the next 20% calibrate the intervals, and the last 20% test the model, which has not seen
them. The reference is persistence, the naive forecast that repeats the last close. A model that is worse than the published one is logged
but not published.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import dataclasses
import logging
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import cli
from closes.series import Closes
from closes.symbols import symbol_of
from forecast.backtest import write_backtest
from forecast.metadata import Rule
from forecast.network import FitOptions, check_backend
from forecast.scores import summary
from forecast.split import Dataset, split_in_time
from models.arguments import add_closes_options, add_fit_options, add_publication_options, check_closes_options, fit_arguments, fit_options
from models.evaluation import evaluate, plots_of
from models.gate import NotPromotedError, judge
from models.publishing import PublishedMeanwhileError, publish, rollback, staging_folder
from models.store import BACKTEST_FILE, METADATA_FILE, current_version
from models.training import train
from models.walkforward import walk_forward
from portfolio.options import add_many, check_many
from processData import WINDOW, Source, load_closes
from retraining.nightly import Check, Job, run_nightly
from retraining.options import add_nightly, check_nightly
from retraining.waiting import Keeper, run_again
from settings import Settings
from storage import write_json
from tracking.kept import RunRecord
from tuning.command import Tuned, tune

log = logging.getLogger(__name__)
EXIT_NOT_PROMOTED = 3
EXIT_SOME_FAILED = 4


@dataclass(frozen=True)
class TrainOptions:
    """The command's options.

    Attributes:
        symbol, start, end, source, csv, column: the closes, see load_closes.
        fit: how to fit the network.
        model_dir: folder of the published model.
        promote: when to publish.
        rollback: only put the previous version back.
        walk_forward: only judge on this many test blocks; None: train and publish.
        tune: trials of a search for better settings before the training; None: none.
        symbols: train these instead of `symbol`.
        jobs, dask: where to train them, see portfolio/training.py.
        nightly, keep_running: train only if a newer trading day is final, now or after each of them, see retraining/.
    """

    symbol: str
    start: str | None
    end: str | None
    source: Source
    csv: Path | None
    column: str | None
    fit: FitOptions
    model_dir: Path
    promote: Rule
    rollback: bool
    walk_forward: int | None
    tune: int | None
    symbols: list[str] | None = None
    jobs: int = 1
    dask: str | None = None
    nightly: bool = False
    keep_running: bool = False


def train_and_publish(closes: Closes, options: TrainOptions, settings: Settings, tuned: Tuned | None = None) -> None:
    """Train on closes, evaluate, judge, log and publish. After a search for settings, also report what it found.

    Raises:
        InvalidClosesError: too few closes; nothing is published.
        NotPromotedError: the gate keeps the published model; the run is in MLflow.
        BackendError: KERAS_BACKEND is not tensorflow.
    """
    check_backend()  # before the imports of MLflow and Keras, which take seconds
    from tracking.champion import point_champion
    from tracking.connection import check_tracking
    from tracking.runs import log_or_keep

    started, split = time.monotonic(), split_in_time(len(closes))
    data = Dataset(closes, split)
    data.check_movement()
    log.info("Fit on %d windows of %d closes; the next %d days are the calibration days, the last %d the test days.",
             split.calibration, WINDOW, split.test - split.calibration, split.n - split.test)  # fmt: skip
    log.info("Connecting to MLflow at %s ...", settings.mlflow_shown)
    check_tracking(settings)
    with staging_folder(options.model_dir) as folder:
        forecaster, fitted = train(data, options.fit, folder)
        evaluation = evaluate(forecaster, closes, options.fit)
        result = evaluation.result
        write_backtest(result, folder / BACKTEST_FILE)
        log.info("\n%s, test days from %s to %s:\n%s\n", closes.symbol, result.dates[0], result.dates[-1], summary(evaluation.scores))
        tuning = {"tuning": tuned.finish(data, result, settings)} if tuned else {}
        cli.interruption.check()
        published_before = current_version(options.model_dir)
        verdict = judge(result, closes, options.model_dir, options.promote)
        metadata = evaluation.metadata(verdict, training_seconds=round(time.monotonic() - started, 1), **tuning)
        write_json(folder / METADATA_FILE, metadata.as_dict())
        title = f"{closes.symbol}: closes of the test days and their forecasts"
        record = RunRecord(metadata, fitted.losses, plots_of(result, fitted.losses, title), folder, example=result.windows[-1:])
        log.info("Logging to MLflow at %s ...", settings.mlflow_shown)
        run_id = log_or_keep(record, options.model_dir, settings)
        log.info("MLflow run: %s. Repeat it: %s", run_id or "none yet", repeat_command(closes, options))
        log.info("%s", verdict.reason)
        if options.promote == "never":
            log.info("Not published (--promote never).")
            return
        if not verdict.publish:
            raise NotPromotedError(f"Not published. {verdict.reason}")
        try:
            content = metadata.changed(mlflow_run_id=run_id).as_dict()
            publish(options.model_dir, content, folder, after=... if options.promote == "always" else published_before)
        except PublishedMeanwhileError as error:
            raise NotPromotedError(f"Not published. {error} It was not compared with this one. Train again.") from None
    log.info("Published %s to %s.", metadata.model_version, options.model_dir)
    if run_id and options.model_dir.resolve() == settings.MODEL_DIR.resolve():  # the folder that serves
        point_champion(options.model_dir, settings)


def repeat_command(closes: Closes, options: TrainOptions) -> str:
    """Return the command that repeats a run. Yahoo Finance may have adjusted its closes since; data_sha256 shows that."""
    source = f"--csv {shlex.quote(str(options.csv))}" if options.csv else f"--source {closes.source}"
    source += f" --column {shlex.quote(options.column)}" if options.column else ""
    promote = f" --promote {options.promote}" if options.promote != "if-better" else ""
    return (
        f"python modelTrain.py --symbol {shlex.quote(closes.symbol)} {source} --start {closes.first_date} --end {closes.last_date} "
        f"{fit_arguments(options.fit)} --model-dir {shlex.quote(str(options.model_dir))}{promote}"
    )


def parse(settings: Settings, arguments: list[str] | None = None) -> TrainOptions:
    """Parse the command's options."""
    parser = argparse.ArgumentParser(
        description="Train on a symbol's closes, evaluate, log to MLflow and publish. "
        f"Exit code {EXIT_NOT_PROMOTED}: the new model is worse than the published one, which stays.",
    )
    add_closes_options(parser)
    add_fit_options(parser)
    add_publication_options(parser, settings)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--rollback", action="store_true", help="put the previously published version back, and end")
    action.add_argument("--walk-forward", type=cli.positive_int, metavar="FOLDS", help="judge on successive test blocks, and end")
    action.add_argument("--tune", type=cli.positive_int, metavar="N", help="first search for better settings: N more trials of their study")
    add_many(parser)
    add_nightly(parser)
    given = parser.parse_args(arguments)
    check_closes_options(parser, given)
    check_many(parser, given)
    check_nightly(parser, given)
    return TrainOptions(
        symbol=given.symbol or (symbol_of(given.csv) if given.csv else "MSFT"),
        start=given.start,
        end=given.end,
        source=given.source,
        csv=given.csv,
        column=given.column,
        fit=fit_options(given),
        model_dir=given.model_dir,
        promote=given.promote,
        rollback=given.rollback,
        walk_forward=given.walk_forward,
        tune=given.tune,
        symbols=given.symbols,
        jobs=given.jobs or 1,
        dask=given.dask,
        nightly=given.nightly,
        keep_running=given.keep_running,
    )


def train_symbols(options: TrainOptions, settings: Settings, check: Check | None = None) -> dict[str, str]:
    """Train many symbols. Return why symbols failed, by symbol."""
    from portfolio.training import ManyOptions, train_many

    many = ManyOptions(
        options.symbols or [], options.start, options.end, options.source, options.fit, options.model_dir, options.promote,
        options.jobs, options.dask,
    )  # fmt: skip
    return train_many(many, settings, check)


def train_nightly(options: TrainOptions, settings: Settings) -> dict[str, str]:
    """Train from a download if a newer trading day is final. Return why symbols failed, by symbol."""

    def train_until(end: str, check: Check) -> dict[str, str]:
        tonight = dataclasses.replace(options, end=end, source="yahoo")
        if options.symbols:
            return train_symbols(tonight, settings, check)
        closes = load_closes(options.symbol, options.start, end, "yahoo", settings=settings)
        check(closes)
        train_and_publish(closes, tonight, settings)
        return {}

    return run_nightly(Job.of(options.symbol, options.symbols, options.model_dir), train_until)


def roll_back(model_dir: Path, settings: Settings) -> None:
    """Put the previous version back."""
    log.info("Restoring the previous version in %s ...", model_dir)
    back = rollback(model_dir)
    log.info("Version %s serves again.", back.version)
    if model_dir.resolve() == settings.MODEL_DIR.resolve():
        log.info("Pointing the alias of MLflow at %s at it ...", settings.mlflow_shown)
        from tracking.champion import point_champion

        point_champion(model_dir, settings)


def main(arguments: list[str] | None = None) -> None:
    """Tune, train and publish, walk forward, roll back, or train every night."""
    settings = Settings.from_environment()
    options = parse(settings, arguments)
    if options.rollback:
        roll_back(options.model_dir, settings)
        return
    preflight.check_training()
    if options.keep_running:
        command = run_again(sys.argv[1:] if arguments is None else arguments)
        Keeper(options.symbols or [options.symbol.upper()], command).keep_running()
        return
    if options.nightly or options.symbols:
        train = train_nightly if options.nightly else train_symbols
        with nullcontext() if options.symbols else _interruption_explained(options.model_dir):  # several symbols: see train_many
            failures = train(options, settings)
        sys.exit(EXIT_SOME_FAILED if failures else 0)
    try:
        with _interruption_explained(options.model_dir):
            train_one(options, settings)
    except NotPromotedError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_NOT_PROMOTED)


@contextmanager
def _interruption_explained(model_dir: Path) -> Iterator[None]:
    """On Ctrl-C, say whether a version was published before."""
    before = current_version(model_dir)
    try:
        yield
    except KeyboardInterrupt:
        now = current_version(model_dir)
        log.info("Nothing was published." if now == before else f"Version {now} was published before the interruption.")
        raise


def train_one(options: TrainOptions, settings: Settings) -> None:
    """Load the closes of one symbol; walk forward, or tune, train and publish."""
    closes = load_closes(options.symbol, options.start, options.end, options.source, options.csv, settings, options.column)
    if options.walk_forward:
        walk_forward(closes, options.walk_forward, options.fit)
        return
    tuned = tune(closes, options.fit, options.tune, settings, repeat_command(closes, options)) if options.tune else None
    if tuned:
        options = dataclasses.replace(options, fit=tuned.outcome.chosen)
    train_and_publish(closes, options, settings, tuned)


if __name__ == "__main__":
    cli.run(main)
