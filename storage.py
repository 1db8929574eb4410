"""Safe writes: atomic files, folder locks, checksums."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

STAGING_SECONDS = 86400  # older ones were left behind by a kill


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _put(content: bytes, target: Path) -> None:
    """Write a file whole or not at all; it is on the disk then, and may be read by all."""
    temporary = target.with_name(f".{target.name}")  # written by one at a time; the next one writes over what a kill left behind
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), 0o644)
    os.replace(temporary, target)
    flush_folder(target.parent)


def remove_left_behind(place: Path, prefix: str) -> None:
    """Remove the folders whose names begin so and that a kill left behind, a day ago or more."""
    for folder in place.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # a training that ends just now
            if time.time() - folder.stat().st_mtime > STAGING_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def locked(folder: Path, wait: bool = True) -> Iterator[None]:
    """One process at a time for a folder; the lock goes with the process.

    Raises:
        BlockingIOError: another one has it, and `wait` is false.
    """
    import fcntl  # not on Windows, where a server still reads

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON as people read it, whole or not at all; NaN is refused."""
    _put((json.dumps(content, indent=2, allow_nan=False) + "\n").encode(), path)


def flush_folder(folder: Path) -> None:
    """Bring a folder and its files to the disk, so that a power cut cannot undo a rename's order."""
    for path in (*(p for p in folder.iterdir() if p.is_file()), folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
