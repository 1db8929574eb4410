"""The lock of nightly trainings: one at a time per model folder."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import Timeout

from errors import BusyError
from retraining.schedule import now_utc
from storage import locked, write_json

LOCK, HOLDER = ".training.lock", ".training.holder"  # in MODEL_DIR


@contextmanager
def one_at_a_time(model_dir: Path) -> Iterator[None]:
    """Hold the lock of a model folder's nightly trainings. It ends with the process, however that ends.

    Raises:
        BusyError: another process holds it; the message says which.
    """
    try:
        with locked(model_dir, wait=False, name=LOCK):
            holder = {"process": os.getpid(), "machine": socket.gethostname(), "since": f"{now_utc():%Y-%m-%d %H:%M} UTC"}
            write_json(model_dir / HOLDER, holder)
            try:
                yield
            finally:
                (model_dir / HOLDER).unlink(missing_ok=True)
    except Timeout:
        raise BusyError(
            f"Another nightly training of {model_dir} is running{_holder(model_dir)}. This run ends; that one goes on."
        ) from None


def _holder(model_dir: Path) -> str:
    """Return which process holds the lock, as a part of a sentence; nothing if it has not written that yet."""
    try:
        holder = json.loads((model_dir / HOLDER).read_bytes())
        return f": process {holder['process']} on {holder['machine']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
