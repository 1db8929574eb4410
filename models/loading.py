"""Loads a published model: verifies its files and its metadata, and returns a Forecaster."""

import logging
from pathlib import Path

from pydantic import ValidationError

from errors import ModelUnavailableError
from forecast.forecaster import Forecaster
from forecast.metadata import Metadata, describe_problems
from forecast.runtime import Network
from models.store import KERAS_FILE, ONNX_FILE, SCALER_FILE, read_previous, read_published
from storage import sha256_of

log = logging.getLogger(__name__)


class PublishedForecaster(Forecaster):
    """The forecaster of a published model; `metadata` is complete."""

    metadata: Metadata

    def __init__(self, network: Network, metadata: Metadata) -> None:
        """Combine a network with its metadata."""
        super().__init__(network, metadata)


def load_forecaster(model_dir: Path, *, previous: bool = False, threads: int | None = None) -> PublishedForecaster:
    """Load the published model, or the version before it, after its checksums and those that it was compiled from are verified.

    Args:
        model_dir: folder of the published model.
        previous: whether to load the version before it.
        threads: of a batch; by default one per core, within a limit.

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
        network = Network(compiled, threads)
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
        return PublishedForecaster(network, Metadata.model_validate(published.metadata))
    except ValidationError as error:
        raise ModelUnavailableError(
            f"metadata.json of the published model {published.version} is incomplete. Publish a new model: python modelTrain.py",
            describe_problems(error),
        ) from None
