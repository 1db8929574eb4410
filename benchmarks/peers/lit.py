"""LitServe with our model, checks and intervals: python lit.py PORT, in this folder and with .venv-bench.

One inference worker a core, LitServe's fast queue, no access log.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import litserve
import numpy as np

from api.body import PredictOne
from models.loading import load_forecaster
from settings import PROJECT_DIR


class Forecasts(litserve.LitAPI):  # type: ignore[misc]
    """The service."""

    def setup(self, device: str) -> None:
        """Load the model, once a worker."""
        self.forecaster = load_forecaster(PROJECT_DIR / "modelFiles")

    def decode_request(self, request: PredictOne) -> Any:
        """The checked body as an array."""
        return np.array([request.predict], np.float64)

    def predict(self, x: Any) -> Any:
        """The forecast."""
        return self.forecaster.forecast(x)

    def encode_response(self, output: Any) -> dict[str, Any]:
        """The answer."""
        answer: dict[str, Any] = output.as_dict(0)
        return answer | {"model_version": self.forecaster.version}


if __name__ == "__main__":
    server = litserve.LitServer(Forecasts(), accelerator="cpu", workers_per_device=2, fast_queue=True)
    server.run(host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning", generate_client_file=False)
