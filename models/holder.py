"""The model that a worker serves.

A worker follows the published model: `refresh` loads a new publication, `current` never waits for that. If the published model cannot be
trusted, the worker keeps the model it has. A worker that starts in this state serves the version before the published one.
"""

import logging
from contextlib import suppress
from pathlib import Path

from errors import ModelUnavailableError
from models.loading import PublishedForecaster, load_forecaster
from models.store import METADATA_FILE
from storage import Identity, identity_of

log = logging.getLogger(__name__)


class ModelHolder:
    """The forecaster of one worker.

    Attributes:
        problem: why the published model is not the one that serves; None while it is. The API shows it to every client, so it has
            the name of the model folder, not its path.
    """

    def __init__(self, model_dir: Path, prefix: str = "") -> None:
        """Load the published model of a folder, if there is one. `prefix` begins each line of the log."""
        self._model_dir, self._prefix = model_dir, prefix
        self._forecaster: PublishedForecaster | None = None
        self._seen: Identity | None = None
        self.problem: str | None = None
        self._details: list[str] = []
        self._load()

    def current(self) -> PublishedForecaster:
        """Return the forecaster. This never loads, so it never blocks.

        Raises:
            ModelUnavailableError: no valid model was ever loaded.
        """
        if self._forecaster is None:
            raise ModelUnavailableError(self.problem or "No model is loaded.", self._details)
        return self._forecaster

    def refresh(self) -> None:
        """Load the published model if metadata.json has changed, or if it could not be loaded the last time."""
        if publication_of(self._model_dir) != self._seen or self.problem is not None:
            self._load()

    def _load(self) -> None:
        """Load the published model; keep the current one if that fails."""
        self._seen = publication_of(self._model_dir)
        try:
            self._forecaster = load_forecaster(self._model_dir)
        except ModelUnavailableError as error:
            problem = str(error).replace(f"the folder {self._model_dir} ", f"the folder {self._model_dir.name} ")
            if (problem, error.details) != (self.problem, self._details):
                log.error("%s%s (%s)", self._prefix, error, "; ".join(error.details))
            self.problem, self._details = problem, error.details
            if self._forecaster is None:
                self._load_previous()
        else:
            self.problem, self._details = None, []
            log.info("%sServing model %s.", self._prefix, self._forecaster.version)

    def _load_previous(self) -> None:
        """Serve the version before the published one, if its files are valid."""
        with suppress(ModelUnavailableError):
            self._forecaster = load_forecaster(self._model_dir, previous=True)
            log.warning("%sServing the previous model, %s.", self._prefix, self._forecaster.version)


def publication_of(model_dir: Path) -> Identity | None:
    """Return what changes when a folder's metadata.json is replaced; None if there is no such file."""
    return identity_of(model_dir / METADATA_FILE)
