"""Loads a published model: verifies its files and its metadata, and returns a Forecaster."""

import logging
from datetime import date
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, FiniteFloat, ValidationError

from errors import ModelUnavailableError
from forecast.forecaster import Forecaster
from forecast.runtime import Network
from models.store import KERAS_FILE, ONNX_FILE, SCALER_FILE, read_previous, read_published
from storage import sha256_of

log = logging.getLogger(__name__)


class _Tested(BaseModel):
    """What the page shows about a model's test."""

    n_days: int
    rmse_ratio: FiniteFloat
    coverage_80: FiniteFloat
    coverage_95: FiniteFloat


class Description(BaseModel):
    """What metadata.json must have for serving; it has more."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    symbol: str
    source: str
    first_date: date
    last_date: date
    created_at: AwareDatetime
    metrics: _Tested


def load_forecaster(model_dir: Path, *, previous: bool = False) -> Forecaster:
    """Load the published model, or the version before it, after its checksums and those that it was compiled from are verified.

    Raises:
        ModelUnavailableError: it cannot be trusted; the message says what to do.
    """
    published = (read_previous if previous else read_published)(model_dir, only=(KERAS_FILE, SCALER_FILE))
    sums = published.metadata["files"]
    try:
        compiled = (published.folder / ONNX_FILE).read_bytes()
    except OSError:
        raise ModelUnavailableError(
            f"The published model {published.version} has no compiled form. Make it: python -m models.compiled",
            [f"{ONNX_FILE} is missing"],
        ) from None
    if sha256_of(compiled) != sums.get(ONNX_FILE):
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} is not as published. Recreate it: python -m models.compiled",
            [f"{ONNX_FILE} has another SHA-256 than when it was published"],
        )
    try:
        network = Network(compiled)
    except Exception as error:  # ONNX Runtime's errors have no base of their own
        log.debug("ONNX Runtime failed", exc_info=True)
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} cannot be loaded. Recreate it: python -m models.compiled",
            [str(error).partition("\n")[0][:200]],
        ) from None
    if network.made_from != {name: sums[name] for name in (KERAS_FILE, SCALER_FILE)}:
        raise ModelUnavailableError(
            f"The compiled form of model {published.version} was made from other files. Recreate it: python -m models.compiled"
        )
    try:
        Description.model_validate(published.metadata)
        return Forecaster(network, published.metadata)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors(include_input=False)[:5]]
    except (KeyError, TypeError, ValueError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    raise ModelUnavailableError(
        f"metadata.json of the published model {published.version} is incomplete. Publish a new model: python modelTrain.py", problems
    )
