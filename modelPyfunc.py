"""The registered MLflow model: closes (n, 60), float64, oldest first -> next closes (n,). MLflow runs this file when it loads it."""

import json
import warnings
from pathlib import Path

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel, PythonModelContext

from modelPredict import Forecaster, Network

warnings.filterwarnings("ignore", message=".*Add type hints to the `predict` method.*")  # see predict below


class NextClose(PythonModel):  # type: ignore[misc]
    """The compiled network behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the two files that were logged with the model."""
        network = Network(Path(context.artifacts["network"]).read_bytes())
        self.forecaster = Forecaster(network, json.loads(Path(context.artifacts["metadata"]).read_bytes()))

    # No annotations: MLflow would take them for a schema, in place of the signature that the model is logged with.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Next closes (n,) of closes (n, 60), in their currency."""
        return self.forecaster.forecast(np.asarray(model_input, np.float64)).prices[:, 0]


mlflow.models.set_model(NextClose())
