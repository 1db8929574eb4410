"""Command: forecasts from the last 60 closes of a price file, as JSON on stdout, or of all windows of a large file.

    python modelPredict.py --csv PATH --horizon 5
    python modelPredict.py --in windows.parquet --out forecasts.parquet --jobs 2

Neither TensorFlow nor scikit-learn is imported.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import json
import logging
from pathlib import Path

import cli
from closes.age import age_warnings
from closes.files import Part, read_prices
from closes.series import warn_suspicious
from closes.symbols import UNNAMED
from closes.warnings import of_window
from errors import ForecastError, InvalidClosesError
from forecast.forecaster import Question
from forecast.intervals import MAX_HORIZON
from models.loading import load_forecaster
from processData import WINDOW
from settings import Settings

ENDINGS = (".parquet", ".csv")  # of the files of --in and --out

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> None:
    """Forecast from the last 60 closes of a CSV file, with JSON on stdout, or score a file of windows."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    if options.source:
        _score(options)
    else:
        _predict(options)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        description="Forecast the closes after the last 60 of a CSV file, or after every window of a large file."
    )
    cli.add_model_dir(parser, Settings.from_environment())
    one = parser.add_argument_group("one forecast, as JSON on stdout")
    cli.add_file(one, required=False)
    one.add_argument("--symbol", help="the stock to read from a file with several")
    one.add_argument("--horizon", type=int, help=f"trading days ahead, 1 to {MAX_HORIZON} (default: 1)")
    bulk = parser.add_argument_group("any number of forecasts, from and to .parquet or .csv")
    bulk.add_argument("--in", dest="source", type=Path, metavar="PATH", help=f"windows of {WINDOW} closes, or rows of symbol, date, close")
    bulk.add_argument("--out", type=Path, metavar="PATH", help="where the forecasts are written")
    bulk.add_argument("--rejects", type=Path, metavar="PATH", help="rows that are not forecast, with the reason (default: OUT.rejects.csv)")
    bulk.add_argument("--newest", action="store_true", help="only the last window of each symbol, from rows of symbol, date, close")
    bulk.add_argument("--jobs", type=cli.positive_int, metavar="N", help="processes (default: 1)")
    return parser


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Check that the options belong together."""
    if bool(options.csv) == bool(options.source):
        parser.error("give either --csv PATH, for one forecast, or --in PATH --out PATH, for many")
    single = {"--column": options.column, "--symbol": options.symbol, "--horizon": options.horizon}
    many = {"--out": options.out, "--rejects": options.rejects, "--newest": options.newest or None, "--jobs": options.jobs}
    given = [name for name, value in (single if options.source else many).items() if value is not None]
    if given:
        parser.error(f"{given[0]} belongs to {'--csv' if options.source else '--in'}")
    if options.horizon is not None and not 1 <= options.horizon <= MAX_HORIZON:
        parser.error(f"--horizon must be 1 to {MAX_HORIZON}")
    if not options.source:
        return
    if not options.out:
        parser.error("--in needs --out PATH")
    for name, path in (("--in", options.source), ("--out", options.out)):
        if path.suffix.lower() not in ENDINGS:
            parser.error(f"{name} must end in {' or '.join(ENDINGS)}")
    options.rejects = options.rejects or options.out.with_suffix(".rejects.csv")
    paths = [options.source.resolve(), options.out.resolve(), options.rejects.resolve()]
    if len(set(paths)) < len(paths):
        parser.error("--in, --out and --rejects must be different files")


def _predict(options: argparse.Namespace) -> None:
    """Print the forecast from the last 60 closes of a price file."""
    forecaster, horizon = load_forecaster(options.model_dir), options.horizon or 1
    file = read_prices(options.csv, options.symbol or UNNAMED, options.column, Part(newest=WINDOW))
    closes = file.closes
    if len(closes) < WINDOW:
        raise InvalidClosesError(f"{options.csv} has {len(closes)} closes; a forecast needs {WINDOW}.")
    file.log()
    warn_suspicious(closes)
    for warning in age_warnings(closes) if file.dated else []:
        log.warning("%s: %s", closes.symbol, warning.text)
    forecast = forecaster.forecast_one(closes.prices, horizon, closes.ranges)
    question = Question(with_path=horizon > 1)
    answer = {"as_of": file.as_of, **forecast.as_dict(0, question), "model_version": forecaster.version}
    answer["warnings"] = of_window(answer["warnings"], file.warnings)
    print(json.dumps(answer, indent=2))


def _score(options: argparse.Namespace) -> None:
    """Forecast every window of a file."""
    try:
        from scoring.run import Options, score_file
    except ModuleNotFoundError as error:  # the image of the service has no pyarrow
        raise ForecastError(f"--in needs the Python package {error.name}. Install it: pip install -r requirements.txt") from None
    counts = score_file(Options(options.source, options.out, options.rejects, options.model_dir, options.jobs or 1, options.newest))
    history = f" + {counts.without:,} rows without a window of their own" if counts.without else ""
    log.info("%s rows = %s forecasts + %s rejected%s.", f"{counts.rows:,}", f"{counts.forecasts:,}", f"{counts.rejected:,}", history)
    if counts.warned:
        log.info("%s forecasts have warnings.", f"{counts.warned:,}")
    if counts.rejected:
        log.warning("Not forecast: %s of %s rows; %s says why.", f"{counts.rejected:,}", f"{counts.rows:,}", options.rejects)
    if not counts.forecasts:
        raise InvalidClosesError(f"{options.source} has no window that can be forecast.")


if __name__ == "__main__":
    cli.run(main)
