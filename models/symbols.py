"""Which model answers: the published model of a symbol, or the default model.

    models = SymbolModels(default, model_dir, max_models=32, run_in_thread=lambda work, *arguments: work(*arguments))
    models.of("KO").forecaster      of modelFiles/symbols/KO if that is published, otherwise the default model's
    models.of(None).forecaster      the default model's

A symbol's model is loaded by its first request, in a thread. At most `max_models` are loaded; the least recently used one is evicted. The
default model does not count and is never evicted. `refresh`, called once a second, looks only at the models that are loaded, and `of` looks
for a model that is not loaded at most once a second per symbol. So folders without requests cost nothing.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from closes.symbols import check_symbol
from closes.warnings import UNTRUSTED_MODEL, SeriesWarning
from errors import ModelUnavailableError
from models.holder import ModelHolder, publication_of
from models.loading import PublishedForecaster
from models.store import symbol_folder

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0  # between two looks for the model of a symbol that has none
MAX_ABSENT = 10_000  # symbols without a model that are remembered


class Serving(NamedTuple):
    """The model that answers a request.

    Attributes:
        forecaster: the model.
        symbol: the symbol that it was published for; None for the default model.
        warnings: why it is not the newest model of the symbol, if it is not.
    """

    forecaster: PublishedForecaster
    symbol: str | None = None
    warnings: tuple[SeriesWarning, ...] = ()


class SymbolModels:
    """The models of one worker."""

    def __init__(
        self,
        default: ModelHolder,
        model_dir: Path,
        max_models: int,
        run_in_thread: Callable[..., Any],
        count_load: Callable[[], object] = lambda: None,
    ) -> None:
        """Start with the default model alone.

        Args:
            default: the default model.
            model_dir: its folder, which has the folders of the symbols.
            max_models: how many models of symbols may be loaded.
            run_in_thread: `run_in_thread(work, *arguments)` runs blocking work without blocking the worker.
            count_load: called after each load on demand.
        """
        self._default, self._model_dir, self._max_models = default, model_dir, max_models
        self._run_in_thread, self._count_load = run_in_thread, count_load
        self._loaded: OrderedDict[str, ModelHolder] = OrderedDict()  # the most recently used one is last
        self._absent: dict[str, float] = {}  # symbol -> until when it is not looked for (time.monotonic())
        self._loading = threading.Lock()  # created in the worker, so gevent's lock in a gevent worker

    @property
    def loaded(self) -> list[str]:
        """The symbols whose models are loaded, the least recently used one first."""
        return list(self._loaded)

    def of(self, symbol: str | None) -> Serving:
        """Return the model that answers for a symbol. It waits only for the first load of the symbol's model.

        Args:
            symbol: in upper or lower case; None for the default model.

        Raises:
            InvalidSymbolError: the text is not a symbol.
            ModelUnavailableError: neither the symbol's model nor the default model can be trusted.
        """
        if symbol is None:
            return Serving(self._default.current())
        check_symbol(symbol)  # it names a folder; in a thread, gevent would log the error
        symbol = symbol.upper()
        holder = self._find(symbol) or self._open(symbol)
        if holder is None:
            return Serving(self._default.current())
        try:
            forecaster = holder.current()
        except ModelUnavailableError:
            return Serving(self._default.current(), None, (_untrusted(symbol, "the default model"),))
        warnings = (_untrusted(symbol, f"its version {forecaster.version}"),) if holder.problem is not None else ()
        return Serving(forecaster, symbol, warnings)

    def refresh(self) -> None:
        """Load new publications of the models that are loaded, and drop those that were removed. Runs in a thread."""
        for symbol, holder in tuple(self._loaded.items()):
            if publication_of(symbol_folder(self._model_dir, symbol)) is None:
                self._loaded.pop(symbol, None)
                log.warning("The model of %s was removed. The default model answers for it.", symbol)
            else:
                holder.refresh()

    def _find(self, symbol: str) -> ModelHolder | None:
        """Return the symbol's model if it is loaded."""
        holder = self._loaded.get(symbol)
        if holder is not None:
            with suppress(KeyError):  # refresh() has dropped it
                self._loaded.move_to_end(symbol)
        return holder

    def _open(self, symbol: str) -> ModelHolder | None:
        """Load the symbol's model if there is one. One load runs at a time; a request that waited finds the model loaded."""
        now = time.monotonic()
        if self._absent.get(symbol, now) > now:
            return None
        if not self._run_in_thread(self._is_published, symbol):
            if len(self._absent) >= MAX_ABSENT:
                self._absent.clear()
            self._absent[symbol] = now + LOOK_SECONDS
            return None
        with self._loading:
            return self._find(symbol) or self._load(symbol)

    def _load(self, symbol: str) -> ModelHolder:
        """Load the symbol's model, and evict the least recently used ones if there are too many."""
        holder: ModelHolder = self._run_in_thread(ModelHolder, symbol_folder(self._model_dir, symbol), f"{symbol}: ")
        self._absent.pop(symbol, None)
        self._loaded[symbol] = holder
        while len(self._loaded) > self._max_models:
            log.info("Evicted the model of %s.", self._loaded.popitem(last=False)[0])
        self._count_load()
        return holder

    def _is_published(self, symbol: str) -> bool:
        """Return whether a model is published for the symbol. A link to a folder outside the model folder does not count."""
        folder = symbol_folder(self._model_dir, symbol)
        if publication_of(folder) is None:
            return False
        if folder.resolve().is_relative_to(self._model_dir.resolve()):
            return True
        log.warning("%s leads out of the model folder and is not used.", folder)
        return False


def _untrusted(symbol: str, answering: str) -> SeriesWarning:
    """Return the warning that the published model of a symbol does not answer."""
    return SeriesWarning(UNTRUSTED_MODEL, None, f"The published model of {symbol} cannot be trusted, so {answering} answers.")
