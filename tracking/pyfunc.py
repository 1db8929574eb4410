"""The registered MLflow model: closes (n, 60), float64, oldest first -> next closes (n,). MLflow runs this file when it loads it.

Parameters of `predict`, both False by default:

    intervals       return a data frame with the columns of forecast/bulk.py instead
    skip_invalid    NaN for windows that cannot be forecast; otherwise one of them is an error
"""

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types.type_hints import TypeFromExample

from closes.series import Floats
from forecast.bulk import FIELDS, PRICE, WARNINGS, find_faults, forecast_columns
from forecast.forecaster import Forecaster, check_windows
from forecast.metadata import FitMetadata
from forecast.runtime import Network


class NextClose(PythonModel):  # type: ignore[misc]
    """The compiled network behind MLflow's interface."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the two files that were logged with the model. OMP_NUM_THREADS limits the threads; Spark sets it to the cores of a task."""
        threads = os.environ.get("OMP_NUM_THREADS", "")
        network = Network(Path(context.artifacts["network"]).read_bytes(), int(threads) if threads.isdecimal() else None)
        self.forecaster = Forecaster(network, FitMetadata.model_validate_json(Path(context.artifacts["metadata"]).read_bytes()))

    def predict(self, context: PythonModelContext, model_input: TypeFromExample, params: dict[str, Any] | None = None) -> Any:
        """Forecast the next closes of closes (n, 60), in their currency."""
        windows, asked = np.asarray(model_input, np.float64), params or {}
        if asked.get("skip_invalid") and windows.ndim == 2:
            valid = np.ones(len(windows), bool)
            valid[list(find_faults(windows))] = False
        else:
            check_windows(windows)
            valid = np.ones(len(windows), bool)
        columns = self._columns(windows, valid)
        if not asked.get("intervals"):
            return columns[PRICE]
        import pandas as pd

        return pd.DataFrame(columns)

    def _columns(self, windows: Floats, valid: Any) -> dict[str, Any]:
        """Return the columns of all windows; those that are not valid have NaN and no warnings."""
        columns = {name: np.full(len(windows), "", object) if name == WARNINGS else np.full(len(windows), np.nan) for name in FIELDS}
        for name, values in forecast_columns(self.forecaster, windows[valid]).items():
            columns[name][valid] = values
        return columns


mlflow.models.set_model(NextClose())
