"""Walk-forward: trains again before each of several successive test blocks, and prints the results."""

import logging
import tempfile
from pathlib import Path

from closes.series import Closes
from forecast.backtest import backtest
from forecast.network import FitOptions, import_keras
from forecast.scores import score
from forecast.split import Dataset, walk_forward_splits
from models.training import train

log = logging.getLogger(__name__)


def walk_forward(closes: Closes, folds: int, options: FitOptions) -> None:
    """Train again before each of several successive test blocks and print the results. Publishes nothing."""
    log.info("Walk-forward: %d blocks of test days, each after a fit on the days before it. Nothing is published.", folds)
    log.info("RMSE ratio: RMSE divided by that of persistence, which repeats the last close. held: closes within the interval, percent.")
    import_keras()
    log.info("%-10s  %-10s  %5s  %10s  %8s  %8s", "from", "to", "days", "RMSE ratio", "held 80%", "held 95%")
    for split in walk_forward_splits(len(closes), folds):
        data = Dataset(closes, split)
        with tempfile.TemporaryDirectory() as folder:
            forecaster, _ = train(data, options, Path(folder), progress=False)
        first, last = str(data.tested_from), str(data.tested_to)
        scores = score(backtest(forecaster, closes, first=first, last=last))
        log.info("%-10s  %-10s  %5d  %10.4f  %8.1f  %8.1f", first, last, scores["n_days"],
                 scores["rmse_ratio"], 100 * scores["coverage_80"], 100 * scores["coverage_95"])  # fmt: skip
