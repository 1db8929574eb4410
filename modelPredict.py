"""Command: forecasts from the last 60 closes of a price file, as JSON on stdout.

    python modelPredict.py --csv PATH --horizon 5

Neither TensorFlow nor scikit-learn is imported.
"""

import argparse
import json
import logging
from pathlib import Path

import cli
from closes.age import age_warnings
from closes.files import Part, read_prices
from closes.series import warn_suspicious
from closes.symbols import UNNAMED
from errors import InvalidClosesError
from forecast.forecaster import Question
from forecast.intervals import MAX_HORIZON
from models.loading import load_forecaster
from processData import WINDOW
from settings import Settings

log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> None:
    """Forecast from the last 60 closes of a CSV file; JSON on stdout."""
    parser = argparse.ArgumentParser(description="Forecast the closes after the last 60 of a CSV file; JSON on stdout.")
    cli.add_file(parser, required=True)
    parser.add_argument("--symbol", default=UNNAMED, help="the stock to read from a file with several")
    parser.add_argument("--horizon", type=int, default=1, help=f"trading days ahead, 1 to {MAX_HORIZON} (default: 1)")
    parser.add_argument("--model-dir", type=Path, help="folder of the published model (default: MODEL_DIR)")
    options = parser.parse_args(arguments)
    if not 1 <= options.horizon <= MAX_HORIZON:
        parser.error(f"--horizon must be 1 to {MAX_HORIZON}")
    forecaster = load_forecaster(options.model_dir or Settings.from_environment().MODEL_DIR)
    file = read_prices(options.csv, options.symbol, options.column, Part(newest=WINDOW))
    closes = file.closes
    if len(closes) < WINDOW:
        raise InvalidClosesError(f"{options.csv} has {len(closes)} closes; a forecast takes {WINDOW}.")
    file.log()
    warn_suspicious(closes)
    for warning in age_warnings(closes) if file.dated else []:
        log.warning("%s: %s", closes.symbol, warning.text)
    forecast = forecaster.forecast_one(closes.prices, options.horizon, closes.ranges)
    question = Question(with_path=options.horizon > 1)
    answer = {"as_of": file.as_of, **forecast.as_dict(0, question), "model_version": forecaster.version}
    print(json.dumps(answer, indent=2))


if __name__ == "__main__":
    cli.run(main)
