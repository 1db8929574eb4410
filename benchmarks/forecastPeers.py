"""Runs the forecast libraries of .venv-forecast-peers on the days of a test, and scores their intervals.

otherForecasters.py forecasts log returns. It reads one file per stock and knows nothing of this project.
"""

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from closes.series import Floats
from closes.snapshot import read_snapshot
from forecast.intervals import LEVELS
from forecast.split import split_in_time
from forecastReferences import interval_of, quantile_scores
from load import BenchError
from processData import WINDOW
from settings import PROJECT_DIR

PYTHON = PROJECT_DIR / ".venv-forecast-peers" / "bin" / "python"
SCRIPT = PROJECT_DIR / "benchmarks" / "otherForecasters.py"
SECONDS = "_seconds"  # ending of a name with a time


@dataclass(frozen=True)
class PeerScores:
    """The scores of the peers.

    Attributes:
        of: peer -> symbol -> scores, see quantile_scores, and seconds of CPU time.
        versions: library -> version.
        wall_seconds: of all peers and stocks.
    """

    of: dict[str, dict[str, dict[str, float]]]
    versions: dict[str, str]
    wall_seconds: float


def check_installed() -> None:
    """Check that the environment of the peers exists, before anything else takes its time.

    Raises:
        BenchError: it does not.
    """
    if not PYTHON.exists():
        raise BenchError("The peers are not installed: make .venv-forecast-peers/requirements")


def score_peers(symbols: Sequence[str]) -> PeerScores:
    """Forecast the test of each stock with each peer, and score the forecasts.

    Raises:
        BenchError: the peers failed.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "series"), Path(folder, "results")
        source.mkdir()
        target.mkdir()
        for symbol in symbols:
            prices = read_snapshot(symbol).prices
            write_series(source / f"{symbol}.npz", prices, first_day(len(prices)))
        run(source, target)
        scores: dict[str, dict[str, dict[str, float]]] = {}
        for symbol in symbols:
            for peer, values in score_stock(symbol, target / f"{symbol}.npz").items():
                scores.setdefault(peer, {})[symbol] = values
        versions = json.loads((target / "versions.json").read_text())
    return PeerScores(scores, versions, time.monotonic() - started)


def first_day(n_closes: int) -> int:
    """Return the place of the first day of the test in a series of `n_closes` days."""
    return split_in_time(n_closes).test + WINDOW


def write_series(path: Path, prices: Floats, first: int) -> None:
    """Write a series for otherForecasters.py.

    Args:
        path: of the file.
        prices: (n_days,) float64 closes, oldest first.
        first: place of the first day to forecast.
    """
    np.savez(path, returns=np.diff(np.log(prices)), first=first - 1)


def run(source: Path, target: Path) -> None:
    """Run otherForecasters.py on the series of a folder.

    Raises:
        BenchError: it failed.
    """
    try:
        subprocess.run([PYTHON, SCRIPT, source, target], check=True)
    except subprocess.CalledProcessError as error:
        raise BenchError(f"otherForecasters.py ended with code {error.returncode}.") from None


def score_stock(symbol: str, path: Path) -> dict[str, dict[str, float]]:
    """Return the scores and the seconds of each peer for a stock, from the file that otherForecasters.py wrote."""
    prices = read_snapshot(symbol).prices
    first = first_day(len(prices))
    actual, last_close = prices[first:], prices[first - 1 : -1]
    scores = {}
    with np.load(path) as results:
        for peer in (name for name in results if not name.endswith(SECONDS)):
            quantiles = last_close[:, None] * np.exp(results[peer])
            if not np.isfinite(quantiles).all() or any(
                (low > high).any() for low, high in (interval_of(quantiles, level) for level in LEVELS)
            ):
                raise BenchError(f"{peer}: a bound of {symbol} is not finite, or the lower one is above the upper one.")
            scores[peer] = quantile_scores(actual, last_close, quantiles) | {"seconds": float(results[peer + SECONDS])}
    return scores
