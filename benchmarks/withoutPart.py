"""gunicorn's configuration with one part of the custom worker turned off, for benchWorker.py: WITHOUT_PART=balance, for example."""

import gc
import os
from pathlib import Path
from typing import Any

from gevent.server import StreamServer

import api.batching
from server import balance, memory, worker


def forecast_alone(_: Any, forecaster: Any, window: Any) -> Any:
    """Forecast one window without waiting for others."""
    return api.batching.Row(forecaster.forecast(window[None]), 0)


def do_nothing(*args: Any, **options: Any) -> None:
    """Stand in for a function that is turned off."""


PARTS: dict[str, list[tuple[Any, str, Any]]] = {
    "balance": [(balance.Server, "do_read", StreamServer.do_read)],
    "batching": [(api.batching.Batcher, "forecast", forecast_alone)],
    "direct path": [(worker.Worker, "direct", None)],
    "frozen objects": [(gc, "freeze", do_nothing), (gc, "set_threshold", do_nothing)],
    "memory settings": [(memory, "use_one_heap", do_nothing), (worker, "give_back_memory", do_nothing)],
}
for change in PARTS.get(os.environ.get("WITHOUT_PART", ""), []):
    setattr(*change)
exec(compile((Path.cwd() / "gunicorn.conf.py").read_text(), "gunicorn.conf.py", "exec"))
