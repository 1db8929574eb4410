"""The model that a worker serves. Follows publications, and keeps the old model if a new one is damaged.

A worker that starts while the published one cannot be trusted takes the one before, as the others do who had it already.
"""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from errors import ModelUnavailableError
from forecast.forecaster import Forecaster
from models.loading import load_forecaster
from models.store import METADATA_FILE

LOOK_SECONDS = 1.0  # how often metadata.json is looked at
log = logging.getLogger(__name__)


class ModelHolder:
    """The forecaster of one worker.

    Attributes:
        problem: why the newest published model is not the one that serves; None while it is.
    """

    def __init__(self, model_dir: Path) -> None:
        """Load the published model, if there is one."""
        self._model_dir = model_dir
        self._forecaster: Forecaster | None = None
        self._looked_at = -LOOK_SECONDS
        self._seen: tuple[int, int, int] | None = (0, 0, 0)
        self.problem: str | None = None
        self._details: list[str] = []
        self._look()

    def current(self) -> Forecaster:
        """The forecaster. A newly published model is loaded within a second.

        Raises:
            ModelUnavailableError: there never was a valid one.
        """
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._look()
        if self._forecaster is None:
            raise ModelUnavailableError(self.problem or "No model is loaded.", self._details)
        return self._forecaster

    def _look(self) -> None:
        """Load the published model if metadata.json is another than before, or if it could not be loaded: its files may have come."""
        self._looked_at = time.monotonic()
        seen = self._identity()
        if seen == self._seen and self.problem is None:
            return
        self._seen = seen
        try:
            self._forecaster = load_forecaster(self._model_dir)
        except ModelUnavailableError as error:
            if (str(error), error.details) != (self.problem, self._details):
                log.error("%s %s", error, "; ".join(error.details))
            self.problem, self._details = str(error), error.details
            if self._forecaster is None:
                self._take_previous()
        else:
            self.problem, self._details = None, []
            log.info("Model %s serves.", self._forecaster.version)

    def _take_previous(self) -> None:
        """Serve the version before the published one, if it is whole."""
        with suppress(ModelUnavailableError):
            self._forecaster = load_forecaster(self._model_dir, previous=True)
            log.warning("Model %s, the one before, serves meanwhile.", self._forecaster.version)

    def _identity(self) -> tuple[int, int, int] | None:
        """What changes whenever metadata.json is replaced."""
        try:
            status = os.stat(self._model_dir / METADATA_FILE)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size
