"""Evaluates a trained model on its test days: the backtest, the scores, and the content of metadata.json."""

import dataclasses
import logging
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np

from closes.series import Closes
from closes.snapshot import read_whole_snapshot
from forecast.backtest import Backtest, backtest
from forecast.forecaster import Forecaster
from forecast.metadata import Metadata, Verdict
from forecast.network import FitOptions
from forecast.scores import coverage_by, coverage_by_horizon, coverage_by_symbol, score
from processData import WINDOW

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """A model's results on its test days.

    Attributes:
        result: the backtest.
        scores: by their names in forecast/scores.py.
        content: what metadata.json says, without the outcome of the promotion gate.
    """

    result: Backtest
    scores: dict[str, float]
    content: dict[str, Any]

    def metadata(self, verdict: Verdict, **more: Any) -> Metadata:
        """Return the metadata with the outcome of the promotion gate."""
        return Metadata.model_validate(self.content | {"promotion": verdict} | more)


def evaluate(forecaster: Forecaster, closes: Closes, options: FitOptions) -> Evaluation:
    """Test a model on the days from its `tested_from` on.

    Args:
        forecaster: the model.
        closes: the series that it was made from.
        options: how it was fitted.
    """
    first = str(forecaster.metadata.tested_from)
    result = backtest(forecaster, closes, first=first)
    scores = score(result)
    content = dict(forecaster.metadata) | describe_run(closes, options) | {
        "metrics": {name: value if np.isfinite(value) else None for name, value in scores.items()},
        "coverage": coverage_by(result) | {
            "horizon": coverage_by_horizon(forecaster, closes, first),
            "symbol": coverage_by_symbol(forecaster, read_whole_snapshot(), first),
        },
    }  # fmt: skip
    return Evaluation(result, scores, content)


def plots_of(result: Backtest, losses: dict[str, list[float]], title: str) -> dict[str, bytes]:
    """Return the plots of a run: the content of PNG files by name."""

    def plot() -> dict[str, bytes]:
        from forecast.plots import plot_run

        return plot_run(result, losses, title)

    return plots_or_none(plot, "this run")


def plots_or_none(plot: Callable[[], dict[str, bytes]], what: str) -> dict[str, bytes]:
    """Return what `plot` returns. If matplotlib fails, log a warning and return no plots: no training is lost for a picture."""
    try:
        return plot()
    except Exception as error:
        log.debug("matplotlib failed", exc_info=True)
        log.warning("There are no plots of %s: matplotlib failed (%s).", what, error or type(error).__name__)
        return {}


def describe_run(closes: Closes, options: FitOptions) -> dict[str, Any]:
    """Describe a run: its data, its options and the versions of its libraries."""
    names = ("tensorflow", "keras", "numpy", "scikit-learn", "onnx", "onnxruntime", "mlflow")
    return {
        "created_at": datetime.now(UTC),
        "symbol": closes.symbol,
        "fitted_on": [closes.symbol],
        "source": closes.source,
        "first_date": closes.first_date,
        "last_date": closes.last_date,
        "n_closes": len(closes),
        "data_sha256": closes.fingerprint,
        "window": WINDOW,
        **dataclasses.asdict(options),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in names}},
    }
