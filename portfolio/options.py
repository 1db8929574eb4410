"""The options of a training of many symbols on the command line."""

import argparse
import re

import cli
from errors import ForecastError
from portfolio.symbols import read_symbols


def add_many(parser: argparse.ArgumentParser) -> None:
    """Add the options of a training of many symbols."""
    parser.add_argument(
        "--symbols",
        type=symbol_list,
        metavar="LIST",
        help="a model per symbol: MSFT,AAPL,... or snapshot (the 20 embedded stocks) or @FILE; see docs/how-to/many-symbols.md",
    )
    parser.add_argument("--jobs", type=cli.positive_int, metavar="N", help="of --symbols: processes on this machine (default: 1)")
    parser.add_argument("--dask", type=dask_address, metavar="ADDRESS", help="of --symbols: a Dask scheduler, tcp://HOST:8786")


def symbol_list(given: str) -> list[str]:
    """Parse --symbols."""
    try:
        return read_symbols(given)
    except ForecastError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def dask_address(given: str) -> str:
    """Parse --dask."""
    if not re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", given):
        raise argparse.ArgumentTypeError(f"{given!r} is not an address such as tcp://host:8786")
    return given


def check_many(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End with a usage error if options do not go together with --symbols, or need it."""
    alone = {"--symbol": given.symbol, "--csv": given.csv, "--rollback": given.rollback, "--walk-forward": given.walk_forward,
             "--tune": given.tune}  # fmt: skip
    if given.symbols is None:
        for option, value in (("--jobs", given.jobs), ("--dask", given.dask)):
            if value is not None:
                parser.error(f"{option} needs --symbols")
        return
    for option, value in alone.items():
        if value:
            parser.error(f"--symbols and {option} exclude each other")
    if given.jobs and given.dask:
        parser.error("--jobs and --dask exclude each other: the workers of the cluster decide how many symbols are trained at a time")
