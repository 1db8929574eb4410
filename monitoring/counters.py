"""Counters that all workers share: files in one folder, in the format of prometheus_client's multiprocess mode.

A file is named after the slot of its worker, not after its process. A worker that replaces a dead one continues in the same files, so no
count is lost and the folder does not grow. gunicorn.conf.py creates the folder and assigns the slots.
"""

import fcntl
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from prometheus_client import values

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # where prometheus_client looks for the files
PREFIX = "stock-forecast-"
FILE_BYTES = 256 * 1024  # more than all routes, methods and statuses need

log = logging.getLogger(__name__)


class SharedCounters:
    """The counters' folder, from gunicorn's master to its end."""

    def __init__(self) -> None:
        """Create the folder and remove the folders of masters that were killed. Call this in the master, before it starts workers."""
        _remove_abandoned()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = _lock(self.folder)  # held by this process and its forks, for as long as one lives
        self._slot = 0
        os.environ[FOLDER_VARIABLE] = str(self.folder)
        values.ValueClass = values.MultiProcessValue(lambda: self._slot)

    def use_slot(self, slot: int) -> None:
        """Count in the files of a slot from now on. Two living workers must not have the same slot."""
        self._slot = slot

    def reserve(self) -> None:
        """Create this worker's files at full size. Without room for them the worker counts in memory.

        Writing to a mapped file that has no room on the disk would kill the process.
        """
        files = [self.folder / f"{kind}_{self._slot}.db" for kind in ("counter", "histogram")]
        try:
            for file in files:
                with file.open("ab") as descriptor:
                    os.posix_fallocate(descriptor.fileno(), 0, FILE_BYTES)
        except OSError as error:
            log.error("This worker's requests are not counted in /metrics: no room in %s (%s).", self.folder, error.strerror)
            for file in files:
                with suppress(OSError):
                    if file.stat().st_size < FILE_BYTES:  # a complete one has the counts of a dead worker
                        file.unlink()
            values.ValueClass = values.MutexValue

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


def _lock(folder: Path) -> TextIO | None:
    """Lock a folder and return the file that holds the lock; None if another process holds it."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _remove_abandoned() -> None:
    """Remove the folders of this user's masters that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            is_own = not folder.is_symlink() and folder.stat().st_uid == os.getuid() and (folder / "lock").exists()
            if is_own and (lock := _lock(folder)) is not None:
                shutil.rmtree(folder)
                lock.close()
