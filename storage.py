"""Safe writes to disk: atomic files, folder locks, checksums.

    with locked(folder):
        write_json(folder / "metadata.json", content)

A file is written under a temporary name and renamed, so a reader sees the old content or the new one, never half of it.
"""

import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

LOCK_FILE = ".lock"
STALE_SECONDS = 86_400  # age after which a temporary folder belongs to a process that was killed
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # OSError.errno
Identity = tuple[int, int, int]  # of a file: inode, modification time in ns, size in bytes
FILE_MODE = 0o644  # whatever the umask: another user may serve what this one trained


@contextmanager
def replacing(path: Path, *, durable: bool = True, unlocked: bool = False) -> Iterator[Path]:
    """Give the path of a temporary file, to be written in the block. It then replaces `path`, completely or not at all.

    Args:
        path: the file; its folder must exist.
        durable: whether to flush to disk before returning, so that a power cut does not undo the write.
        unlocked: whether several threads or processes may write the file at the same time. With a lock, the next write replaces the
            temporary file of a process that was killed.

    Raises:
        OSError: a full disk or a folder that cannot be written; the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp" if unlocked else f".{path.name}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _flush(path.parent)


def write_atomic(path: Path, content: bytes, *, durable: bool = True, unlocked: bool = False) -> None:
    """Replace a file with `content`, as `replacing` does."""
    with replacing(path, durable=durable, unlocked=unlocked) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write indented JSON with `write_atomic`.

    Raises:
        ValueError: the content has NaN or infinity, which JSON does not know.
        OSError: as for `write_atomic`.
    """
    write_atomic(path, json_of(content))


def json_of(content: dict[str, Any]) -> bytes:
    """Return indented JSON, as `write_json` writes it.

    Raises:
        ValueError: the content has NaN or infinity.
    """
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode()


def identity_of(path: Path) -> Identity | None:
    """Return what changes when a file is replaced; None if there is no such file."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return sha256_of(path.read_bytes())


@contextmanager
def locked(folder: Path, wait: bool = True, name: str = LOCK_FILE) -> Iterator[None]:
    """Hold a folder's lock: one process at a time. The lock ends with the process, however that ends.

    Args:
        folder: created if it does not exist.
        wait: whether to wait for another process that holds the lock.
        name: of the lock's file; locks with different names are independent.

    Raises:
        filelock.Timeout: another process holds the lock and `wait` is false.
    """
    from filelock import FileLock  # imports asyncio: 2.6 MB that a worker needs only for downloads

    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / name, timeout=-1 if wait else 0, mode=FILE_MODE):
        yield


def flush_folder(folder: Path) -> None:
    """Flush a folder and the files in it to disk, so that a power cut cannot undo a later rename's order."""
    for path in (*(path for path in folder.iterdir() if path.is_file()), folder):
        _flush(path)


def remove_stale(place: Path, prefix: str) -> None:
    """Remove the folders in `place` whose names begin with `prefix` and that a killed process left behind a day ago or earlier."""
    for folder in place.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # another process finished with it
            if time.time() - folder.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _flush(path: Path) -> None:
    """Flush one file or folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
