"""BentoML with our model, checks and intervals: bentoml serve bento:Forecasts, in this folder and with .venv-bench.

One worker a core; an async method, since the work is shorter than a hand-over to a thread; no access log, no metrics, no traces.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bentoml
import numpy as np

from api.body import PredictOne
from models.loading import load_forecaster
from settings import PROJECT_DIR


@bentoml.service(workers=2, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Forecasts:
    """The service."""

    def __init__(self) -> None:
        self.forecaster = load_forecaster(PROJECT_DIR / "modelFiles")

    @bentoml.api  # type: ignore[untyped-decorator]
    async def predict(self, body: PredictOne, /) -> dict[str, Any]:
        """The next close of one window, with intervals."""
        forecast = self.forecaster.forecast(np.array([body.predict], np.float64))
        return forecast.as_dict(0) | {"model_version": self.forecaster.version}
