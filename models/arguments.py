"""The options of a training on a command line: its closes, its fit, its publication."""

import argparse
import math

import cli
from closes.series import FIRST_DAY
from forecast.features import FEATURES
from forecast.network import FitOptions
from settings import Settings

MAX_SEED = 2**32 - 1
DEFAULT = "(default: %(default)s)"  # in a help text


def add_closes_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the closes to train on."""
    parser.add_argument("--symbol", help="ticker (default: MSFT, or the name of the CSV file)")
    parser.add_argument("--start", type=cli.iso_date, metavar="DATE", help=f"first day (default: {FIRST_DAY}; of a file, its first)")
    parser.add_argument("--end", type=cli.iso_date, metavar="DATE", help="last day (default: yesterday; of a file, its last)")
    parser.add_argument(
        "--source",
        choices=["auto", "yahoo", "cache", "snapshot", "csv"],
        default="auto",
        help="auto, the default: Yahoo Finance, then its cache, then the embedded snapshot",
    )
    cli.add_file(parser, required=False)


def check_closes_options(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End with a usage error if the options of the closes do not go together."""
    if (given.source == "csv") != (given.csv is not None) and given.source != "auto":
        parser.error("--source csv and --csv PATH go together")
    if given.start and given.end and given.start > given.end:
        parser.error("--start lies after --end")
    if given.column and not given.csv:
        parser.error("--column needs a file: --csv PATH")


def add_publication_options(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Add the options of the publication."""
    cli.add_model_dir(parser, settings)
    parser.add_argument(
        "--promote",
        choices=["if-better", "always", "never"],
        default="if-better",
        help="when to publish: if-better (default: not worse than the published model on their common test days), always or never",
    )


def add_fit_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a fit."""
    usual = FitOptions()
    parser.add_argument("--epochs", type=cli.positive_int, default=usual.epochs, metavar="N", help=f"passes over the data {DEFAULT}")
    parser.add_argument("--batch-size", type=cli.positive_int, default=usual.batch_size, metavar="N", help=f"windows in a step {DEFAULT}")
    parser.add_argument("--seed", type=_seed, default=usual.seed, metavar="N", help=f"seed of all random numbers {DEFAULT}")
    parser.add_argument("--units", type=cli.positive_int, default=usual.units, metavar="N", help=f"units of each LSTM layer {DEFAULT}")
    parser.add_argument("--layers", type=cli.positive_int, default=usual.layers, metavar="N", help=f"number of LSTM layers {DEFAULT}")
    parser.add_argument(
        "--dropout",
        type=_fraction,
        default=usual.dropout,
        metavar="X",
        help=f"share dropped after each LSTM layer {DEFAULT}",
    )
    parser.add_argument(
        "--learning-rate", type=_positive, default=usual.learning_rate, metavar="X", help=f"learning rate of Adam {DEFAULT}"
    )
    parser.add_argument(
        "--features",
        choices=FEATURES,
        default=usual.features,
        help="what the layers see: closes (default), changes (closes and daily changes) or volatility (also their mean over 10 days)",
    )


def fit_options(given: argparse.Namespace) -> FitOptions:
    """Return the options of a fit that were given."""
    return FitOptions(
        given.epochs, given.batch_size, given.seed, given.units, given.layers, given.dropout, given.learning_rate, given.features
    )


def fit_arguments(options: FitOptions) -> str:
    """Return the command-line options of a fit; the network's own only where they are not the default."""
    usual = FitOptions()
    words = [f"--epochs {options.epochs} --batch-size {options.batch_size} --seed {options.seed}"]
    for name in ("units", "layers", "dropout", "learning_rate", "features"):
        if getattr(options, name) != getattr(usual, name):
            words.append(f"--{name.replace('_', '-')} {getattr(options, name)}")
    return " ".join(words)


def _seed(text: str) -> int:
    """Parse a seed."""
    if not text.isascii() or not text.isdigit() or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_SEED}")
    return int(text)


def _fraction(text: str) -> float:
    """Parse a number from 0 to below 1."""
    value = _number(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1")
    return value


def _positive(text: str) -> float:
    """Parse a number above zero."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above zero")
    return value


def _number(text: str) -> float:
    """Parse a number; nan if the text is not one."""
    try:
        return float(text)
    except ValueError:
        return math.nan
