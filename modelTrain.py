"""Train, evaluate, log to MLflow, publish: the one command that makes a model.

    python modelTrain.py --symbol MSFT --source snapshot

The days are split in time: 60% fit the network, the next 20% calibrate the intervals, and the last 20% test the model, which has not seen
them. The reference is persistence, the naive forecast that repeats the last close. A model that is worse than the published one is logged
but not published.
"""

import argparse
import dataclasses
import logging
import shlex
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import cli
from closes.series import FIRST_DAY, Closes
from closes.symbols import symbol_of
from forecast.backtest import backtest, write_backtest
from forecast.metadata import Rule
from forecast.network import FitOptions
from forecast.scores import score, summary
from forecast.split import Dataset, split_in_time, walk_forward_splits
from models.arguments import add_fit_options, fit_arguments, fit_options
from models.evaluation import evaluate, plots_of
from models.gate import NotPromotedError, judge
from models.publishing import PublishedMeanwhileError, publish, rollback, staging_folder
from models.store import BACKTEST_FILE, METADATA_FILE, current_version
from models.training import train
from portfolio.options import add_many, check_many
from processData import WINDOW, Source, load_closes
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


def train_and_publish(closes: Closes, options: TrainOptions, settings: Settings, tuned: Tuned | None = None) -> None:
    """Train on closes, evaluate, judge, log and publish. After a search for settings, also report what it found.

    Raises:
        InvalidClosesError: too few closes; nothing is published.
        NotPromotedError: the gate keeps the published model; the run is in MLflow.
    """
    from tracking.champion import point_champion
    from tracking.connection import check_tracking
    from tracking.runs import log_or_keep

    split = split_in_time(len(closes))
    data = Dataset(closes, split)
    data.check_movement()
    log.info("Fit on %d windows of %d closes, calibrate on %d, test on %d.",
             split.calibration, WINDOW, split.test - split.calibration, split.n - split.test)  # fmt: skip
    check_tracking(settings)
    with staging_folder(options.model_dir) as folder:
        forecaster, fitted = train(data, options.fit, folder)
        evaluation = evaluate(forecaster, closes, options.fit)
        result = evaluation.result
        write_backtest(result, folder / BACKTEST_FILE)
        log.info("\n%s, %s to %s, unseen:\n%s\n", closes.symbol, result.dates[0], result.dates[-1], summary(evaluation.scores))
        tuning = {"tuning": tuned.finish(data, result, settings)} if tuned else {}
        cli.interruption.check()
        published_before = current_version(options.model_dir)
        verdict = judge(result, closes, options.model_dir, options.promote)
        metadata = evaluation.metadata(verdict, **tuning)
        write_json(folder / METADATA_FILE, metadata.as_dict())
        title = f"{closes.symbol}: unseen closes and their forecasts"
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
    return (
        f"python modelTrain.py --symbol {shlex.quote(closes.symbol)} {source} --start {closes.first_date} --end {closes.last_date} "
        f"{fit_arguments(options.fit)} --model-dir {shlex.quote(str(options.model_dir))}"
    )


def walk_forward(closes: Closes, folds: int, options: FitOptions) -> None:
    """Train again before each of several successive test blocks and print the results. Publishes nothing."""
    log.info("%-10s  %-10s  %5s  %10s  %8s  %8s", "from", "to", "days", "RMSE ratio", "held 80%", "held 95%")
    for split in walk_forward_splits(len(closes), folds):
        data = Dataset(closes, split)
        with tempfile.TemporaryDirectory() as folder:
            forecaster, _ = train(data, options, Path(folder), progress=False)
        first, last = str(data.tested_from), str(data.tested_to)
        scores = score(backtest(forecaster, closes, first=first, last=last))
        log.info("%-10s  %-10s  %5d  %10.4f  %8.1f  %8.1f", first, last, scores["n_days"],
                 scores["rmse_ratio"], 100 * scores["coverage_80"], 100 * scores["coverage_95"])  # fmt: skip


def parse(settings: Settings, arguments: list[str] | None = None) -> TrainOptions:
    """Parse the command's options."""
    parser = argparse.ArgumentParser(
        description="Train on a symbol's closes, evaluate, log to MLflow and publish. "
        f"Exit code {EXIT_NOT_PROMOTED}: the new model is worse than the published one, which stays.",
    )
    parser.add_argument("--symbol", help="ticker (default: MSFT; of a CSV file, its name)")
    parser.add_argument("--start", type=cli.iso_date, help=f"first day (default: {FIRST_DAY}; of a file, its first)")
    parser.add_argument("--end", type=cli.iso_date, help="last day (default: yesterday; of a file, its last)")
    parser.add_argument(
        "--source",
        choices=["auto", "yahoo", "cache", "snapshot", "csv"],
        default="auto",
        help="auto, the default: Yahoo Finance, then its cache, then the embedded snapshot",
    )
    cli.add_file(parser, required=False)
    add_fit_options(parser)
    parser.add_argument("--model-dir", type=Path, help="folder of the published model (default: MODEL_DIR)")
    parser.add_argument(
        "--promote",
        choices=["if-better", "always", "never"],
        default="if-better",
        help="publish if not worse than the published model on days that neither has seen, the default; always; or never",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--rollback", action="store_true", help="put the previously published version back, and end")
    action.add_argument("--walk-forward", type=cli.positive_int, metavar="FOLDS", help="judge on successive test blocks, and end")
    action.add_argument("--tune", type=cli.positive_int, metavar="N", help="first search for better settings: N more trials of their study")
    add_many(parser)
    given = parser.parse_args(arguments)
    check_many(parser, given)
    if (given.source == "csv") != (given.csv is not None) and given.source != "auto":
        parser.error("--source csv and --csv PATH go together")
    if given.column and not given.csv:
        parser.error("--column needs a file: --csv PATH")
    return TrainOptions(
        symbol=given.symbol or (symbol_of(given.csv) if given.csv else "MSFT"),
        start=given.start,
        end=given.end,
        source=given.source,
        csv=given.csv,
        column=given.column,
        fit=fit_options(given),
        model_dir=given.model_dir or settings.MODEL_DIR,
        promote=given.promote,
        rollback=given.rollback,
        walk_forward=given.walk_forward,
        tune=given.tune,
        symbols=given.symbols,
        jobs=given.jobs or 1,
        dask=given.dask,
    )


def train_symbols(options: TrainOptions, settings: Settings) -> None:
    """Train many symbols. Exit with EXIT_SOME_FAILED if some failed."""
    from portfolio.training import ManyOptions, train_many

    many = ManyOptions(
        options.symbols or [], options.start, options.end, options.source, options.fit, options.model_dir, options.promote,
        options.jobs, options.dask,
    )  # fmt: skip
    if train_many(many, settings):
        sys.exit(EXIT_SOME_FAILED)


def main(arguments: list[str] | None = None) -> None:
    """Tune, train and publish, walk forward, or roll back."""
    settings = Settings.from_environment()
    options = parse(settings, arguments)
    if options.rollback:
        back = rollback(options.model_dir)
        log.info("Version %s serves again.", back.version)
        if options.model_dir.resolve() == settings.MODEL_DIR.resolve():
            from tracking.champion import point_champion

            point_champion(options.model_dir, settings)
        return
    if options.symbols:
        train_symbols(options, settings)
        return
    closes = load_closes(options.symbol, options.start, options.end, options.source, options.csv, settings, options.column)
    if options.walk_forward:
        walk_forward(closes, options.walk_forward, options.fit)
        return
    tuned = tune(closes, options.fit, options.tune, settings, repeat_command(closes, options)) if options.tune else None
    if tuned:
        options = dataclasses.replace(options, fit=tuned.outcome.chosen)
    try:
        train_and_publish(closes, options, settings, tuned)
    except NotPromotedError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_NOT_PROMOTED)


if __name__ == "__main__":
    cli.run(main)
