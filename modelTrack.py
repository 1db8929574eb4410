"""A training run in MLflow: parameters, metrics, loss curves, plots, files and the registered model.

Any tracking server by MLFLOW_TRACKING_URI; the default is a SQLite file under mlruns/. The registered model is a pyfunc that takes closes
(n, 60) and gives the next closes (n,):

    mlflow.set_tracking_uri("sqlite:///mlruns/mlflow.db")
    mlflow.pyfunc.load_model("models:/stock-forecast@champion").predict(closes)
"""

import logging
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from errors import ForecastError
from modelStore import BACKTEST_FILE, KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE
from processData import Floats
from settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # 7 by default: minutes
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

EXPERIMENT = "stock-forecast"
REGISTERED_MODEL = "stock-forecast"
CHAMPION = "champion"  # the alias of the version that serves
PYFUNC_CODE = ["errors.py", "settings.py", "processData.py", "intervals.py", "modelStore.py", "modelPredict.py", "commandLine.py"]
PYFUNC_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "numpy", "onnxruntime", "pydantic")]

log = logging.getLogger(__name__)


class TrackingError(ForecastError):
    """The tracking server does not answer."""


@dataclass(frozen=True)
class RunRecord:
    """What a training run leaves behind.

    Attributes:
        metadata: of the model, as published.
        losses: for each curve (loss, val_loss) its value after each epoch.
        figures: plots by file name.
        folder: the staged files of the model.
        example: (1, 60) float64 closes, an input of the model.
    """

    metadata: dict[str, Any]
    losses: dict[str, list[float]]
    figures: dict[str, "Figure"]
    folder: Path
    example: Floats


def log_run(record: RunRecord, settings: Settings) -> str:
    """Log a run and register its model; the run's id.

    Raises:
        TrackingError: the tracking server does not take it.
    """
    import mlflow

    try:
        return _log(record, settings)
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise TrackingError(f"MLflow at {settings.MLFLOW_TRACKING_URI} did not take the run.", [type(error).__name__]) from None


def _log(record: RunRecord, settings: Settings) -> str:
    """Log a run and register its model; the run's id."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    _use_tracking(settings)
    metadata, verdict = record.metadata, record.metadata["promotion"]
    with mlflow.start_run(run_name=metadata["model_version"]) as run:
        mlflow.log_params({name: value for name, value in metadata.items() if not isinstance(value, dict)})
        mlflow.log_params({f"version_{name}": number for name, number in metadata["versions"].items()})
        mlflow.log_metrics({name: value for name, value in metadata["metrics"].items() if value is not None})
        for group, parts in metadata["coverage"].items():
            for name, values in parts.items():
                mlflow.log_metrics({f"{measure}_{group}_{name}": value for measure, value in values.items() if measure != "n_days"})
        mlflow.set_tags({"promotion": "published" if verdict["publish"] else "refused", "promotion_reason": verdict["reason"]})
        for model in ("new", "published"):
            mlflow.log_metrics({f"gate_{model}_{name}": value for name, value in (verdict[model] or {}).items()})
        for name, values in record.losses.items():
            for epoch, value in enumerate(values, start=1):
                mlflow.log_metric(name, value, step=epoch)
        for name, figure in record.figures.items():
            mlflow.log_figure(figure, f"plots/{name}")
        for name in (KERAS_FILE, SCALER_FILE, ONNX_FILE, METADATA_FILE, BACKTEST_FILE):
            mlflow.log_artifact(str(record.folder / name), "modelFiles")
        mlflow.pyfunc.log_model(
            name="model",
            python_model=str(PROJECT_DIR / "modelPyfunc.py"),
            artifacts={"network": str(record.folder / ONNX_FILE), "metadata": str(record.folder / METADATA_FILE)},
            code_paths=[str(PROJECT_DIR / name) for name in PYFUNC_CODE],
            signature=ModelSignature(
                inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, record.example.shape[1]))]),
                outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
            ),
            input_example=record.example,
            pip_requirements=PYFUNC_REQUIREMENTS,
            registered_model_name=REGISTERED_MODEL,
        )
        return str(run.info.run_id)


def set_champion(run_id: str | None, settings: Settings) -> None:
    """Point the alias `champion` at the registered model of the run that serves; a warning where the tracking server does not know it."""
    import mlflow

    mlflow.set_tracking_uri(settings.MLFLOW_TRACKING_URI)
    client = mlflow.MlflowClient()
    try:
        (registered,) = client.search_model_versions(f"run_id='{run_id}'")
        client.set_registered_model_alias(REGISTERED_MODEL, CHAMPION, registered.version)
    except (mlflow.exceptions.MlflowException, ValueError):
        log.warning("MLflow's alias %r stays where it was: this tracking server does not know run %s.", CHAMPION, run_id)


def check_tracking(settings: Settings) -> None:
    """Make sure, before a long training, that the tracking server answers.

    Raises:
        TrackingError: it does not.
    """
    import mlflow

    try:
        _use_tracking(settings)
    except (mlflow.exceptions.MlflowException, OSError) as error:
        raise TrackingError(
            f"MLflow at {settings.MLFLOW_TRACKING_URI} does not answer; set MLFLOW_TRACKING_URI to one that does.", [type(error).__name__]
        ) from None


def _use_tracking(settings: Settings) -> None:
    """Point MLflow at the tracking server; with a SQLite file, artifacts go beside it."""
    import mlflow

    logging.getLogger("mlflow").setLevel(logging.ERROR)  # migrations and environment notes
    uri = settings.MLFLOW_TRACKING_URI
    mlflow.set_tracking_uri(uri)
    if uri.startswith("sqlite:///"):
        folder = Path(uri.removeprefix("sqlite:///")).absolute().parent
        folder.mkdir(parents=True, exist_ok=True)
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            mlflow.create_experiment(EXPERIMENT, artifact_location=(folder / "artifacts").as_uri())
    mlflow.set_experiment(EXPERIMENT)
