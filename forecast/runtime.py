"""The compiled network in ONNX Runtime. Neither TensorFlow nor scikit-learn is imported."""

import os
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from closes.series import Floats
from processData import WINDOW, relative_to_last

if TYPE_CHECKING:
    import onnxruntime

OUTPUTS = ["relative_forecast"]
MANY = 32  # windows; batches of this size or larger use threads
MAX_THREADS = 4
CHUNK = 128  # windows that the network runs at a time, so that its intermediate results stay small


class Network:
    """The compiled network in memory."""

    def __init__(self, compiled: bytes, threads: int | None = None) -> None:
        """Load the content of my_model.onnx. `threads` run batches; by default one per core, MAX_THREADS at most."""
        threads = threads or min(os.cpu_count() or 1, MAX_THREADS)
        self._one = _session(compiled, threads=1)  # for a few windows, threads cost more than they gain
        self._many = self._one if threads == 1 else _session(compiled, threads)
        self._last = import_runtime().RunOptions()  # for the last chunk of a batch: gives 16 MB back
        self._last.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    @property
    def made_from(self) -> dict[str, str]:
        """SHA-256 of the files that the network was compiled from, by name."""
        properties = self._one.get_modelmeta().custom_metadata_map
        return {name.removeprefix("sha256:"): value for name, value in properties.items()}

    def path(self, windows: Floats, horizon: int = 1) -> Floats:
        """Return the forecast closes (n, horizon) after windows (n, 60), float64.

        Later days are forecast from the window that the earlier forecasts extend.
        """
        if horizon == 1:
            return self._next(windows)
        closes = np.empty((len(windows), WINDOW + horizon))
        closes[:, :WINDOW] = windows
        for day in range(WINDOW, WINDOW + horizon):
            closes[:, day : day + 1] = self._next(closes[:, day - WINDOW : day])
        return closes[:, WINDOW:]

    def _next(self, windows: Floats) -> Floats:
        """Return the forecast next closes (n, 1), float64."""
        if not len(windows):  # ONNX Runtime aborts the process
            return np.empty((0, 1))
        relative = relative_to_last(windows).astype(np.float32)
        if len(relative) < MANY:
            single: Floats = self._one.run(OUTPUTS, {"relative_closes": relative})[0] * windows[:, -1:]
            return single
        chunks = [relative[start : start + CHUNK] for start in range(0, len(relative), CHUNK)]
        options = [None] * (len(chunks) - 1) + [self._last]
        parts = [self._many.run(OUTPUTS, {"relative_closes": chunk}, how)[0] for chunk, how in zip(chunks, options, strict=True)]
        forecast: Floats = np.concatenate(parts) * windows[:, -1:]
        return forecast


def import_runtime() -> ModuleType:
    """Import and return ONNX Runtime. Only a Network needs it, and the import takes a while."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # it reports to its vendor otherwise
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def _session(compiled: bytes, threads: int) -> "onnxruntime.InferenceSession":
    """Load the network into ONNX Runtime."""
    onnxruntime = import_runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning threads would take time from other workers
    return onnxruntime.InferenceSession(compiled, options, providers=["CPUExecutionProvider"])
