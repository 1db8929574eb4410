"""The registered MLflow model: closes (n, 60), float64, oldest first -> next closes (n,). MLflow runs this file when it loads it."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types.type_hints import TypeFromExample

from forecast.forecaster import Forecaster
from forecast.metadata import FitMetadata
from forecast.runtime import Network


class NextClose(PythonModel):  # type: ignore[misc]
    """The compiled network behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the two files that were logged with the model."""
        network = Network(Path(context.artifacts["network"]).read_bytes())
        self.forecaster = Forecaster(network, FitMetadata.model_validate_json(Path(context.artifacts["metadata"]).read_bytes()))

    def predict(self, context: PythonModelContext, model_input: TypeFromExample, params: dict[str, Any] | None = None) -> Any:
        """Next closes (n,) of closes (n, 60), in their currency."""
        return self.forecaster.forecast(np.asarray(model_input, np.float64)).prices[:, 0]


mlflow.models.set_model(NextClose())
