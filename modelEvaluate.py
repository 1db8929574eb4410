"""Command: backtest of the published model on a price file.

    python modelEvaluate.py --csv PATH --from 2022-01-01 --to 2022-12-31 --out backtest.csv

It writes one row per day (date,actual,predicted,low_80,high_80,low_95,high_95). Each day is forecast from only the 60 closes before it. It
prints the scores as one JSON object; those of persistence, which repeats the last close, begin with `naive_`.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import json
from pathlib import Path

import numpy as np

import cli
from closes.files import Part, read_prices
from closes.series import warn_suspicious
from closes.symbols import UNNAMED
from forecast.backtest import backtest, write_backtest
from forecast.scores import score
from models.loading import load_forecaster
from processData import WINDOW
from settings import Settings


def main(arguments: list[str] | None = None) -> None:
    """Backtest the published model on a CSV file."""
    parser = argparse.ArgumentParser(description="Backtest the published model; the metrics go to stdout as JSON.")
    cli.add_file(parser, required=True)
    parser.add_argument("--symbol", default=UNNAMED, help="the stock to read from a file with several")
    parser.add_argument(
        "--from", dest="first", type=cli.iso_date, metavar="DATE", help="first day to forecast (default: the first possible)"
    )
    parser.add_argument("--to", dest="last", type=cli.iso_date, metavar="DATE", help="last day to forecast (default: the last possible)")
    cli.add_model_dir(parser, Settings.from_environment())
    parser.add_argument("--out", type=Path, metavar="PATH", default=Path("backtest.csv"), help="file to write (default: backtest.csv)")
    options = parser.parse_args(arguments)
    if options.first and options.last and options.first > options.last:
        parser.error("--from lies after --to")
    forecaster = load_forecaster(options.model_dir)
    file = read_prices(options.csv, options.symbol, options.column, Part(options.first, options.last, before=WINDOW))
    file.log()
    closes = file.closes
    warn_suspicious(closes)
    result = backtest(forecaster, closes, options.first, options.last)
    write_backtest(result, options.out)
    values = score(result)
    print(json.dumps({name: value if np.isfinite(value) else None for name, value in values.items()}, indent=2))


if __name__ == "__main__":
    cli.run(main)
