"""The registered model of a run: a pyfunc, one version per run."""

import contextlib
import io
import logging
from collections.abc import Iterator
from importlib.metadata import version

import numpy as np

from models.store import METADATA_FILE, ONNX_FILE
from settings import PROJECT_DIR
from tracking.connection import HTTP_SECONDS
from tracking.content import description
from tracking.kept import RunRecord
from tracking.names import REGISTERED_MODEL

PYFUNC_CODE = ["errors.py", "settings.py", "storage.py", "processData.py", "closes", "forecast"]  # what pyfunc.py imports
PYFUNC_PARAMETERS = ("intervals", "skip_invalid")  # of its predict
PYFUNC_REQUIREMENTS = [f"{name}=={version(name)}" for name in ("mlflow", "filelock", "numpy", "onnxruntime", "pydantic")]
ABOUT = "Forecasts the next close from the 60 before it, for any symbol and currency: closes (n, 60) -> next closes (n,)."

log = logging.getLogger(__name__)


def register(run_id: str, record: RunRecord) -> None:
    """Log and register the model of a run, with a description."""
    import mlflow
    from mlflow.models import Model, ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    with _quiet(), _requirements_unchecked():
        info = Model.log(  # pyfunc.log_model uses a global run, and ending that waits for a locked database again
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run_id,
            registered_model_name=REGISTERED_MODEL,
            await_registration_for=HTTP_SECONDS,
            python_model=str(PROJECT_DIR / "tracking" / "pyfunc.py"),
            artifacts={"network": str(record.folder / ONNX_FILE), "metadata": str(record.folder / METADATA_FILE)},
            code_paths=[str(PROJECT_DIR / name) for name in PYFUNC_CODE],
            signature=ModelSignature(
                inputs=Schema([TensorSpec(np.dtype(np.float64), (-1, record.example.shape[1]))]),
                outputs=Schema([TensorSpec(np.dtype(np.float64), (-1,))]),
                params=ParamSchema([ParamSpec(name, "boolean", False) for name in PYFUNC_PARAMETERS]),
            ),
            input_example=record.example,
            pip_requirements=PYFUNC_REQUIREMENTS,
        )
    number, client = str(info.registered_model_version), mlflow.MlflowClient()
    client.update_model_version(REGISTERED_MODEL, number, description(record.metadata))
    if number == "1":
        client.update_registered_model(REGISTERED_MODEL, ABOUT)
    log.info("Registered in MLflow as version %s of %s.", number, REGISTERED_MODEL)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Discard what MLflow prints about the registration."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def _requirements_unchecked() -> Iterator[None]:
    """Let MLflow skip the comparison of PYFUNC_REQUIREMENTS with the installed packages, whose versions they name.

    For a warning that never comes, MLflow reads the file lists of all installed packages in each process that logs or loads a model.
    """
    from mlflow.utils import requirements_utils

    name = "_check_requirement_satisfied"  # not a part of MLflow's API: if it is renamed, MLflow compares again
    check = getattr(requirements_utils, name, None)
    setattr(requirements_utils, name, lambda requirement: None)
    try:
        yield
    finally:
        setattr(requirements_utils, name, check)
