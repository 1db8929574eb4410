"""Publishes models, rolls back, and amends published versions. One process at a time writes to a model folder."""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import EllipsisType
from typing import Any

from errors import ForecastError, ModelUnavailableError
from models.store import (
    KERAS_FILE,
    METADATA_FILE,
    SCALER_FILE,
    VERSIONS,
    PublishedModel,
    current_version,
    none_published,
    problems_of,
    read_json,
    read_published,
    version_folder,
)
from storage import flush_folder, locked, remove_stale, sha256, sha256_of, write_atomic, write_json

KEPT_VERSIONS = 5  # the published one and the one before it among them
STAGING_PREFIX = ".staging-"

log = logging.getLogger(__name__)


class PublishedMeanwhileError(ForecastError):
    """Another model was published after the new one was judged."""


@contextmanager
def staging_folder(model_dir: Path) -> Iterator[Path]:
    """Create an empty folder for the files of a new version. It is removed afterwards, unless it was published."""
    versions = model_dir / VERSIONS
    versions.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=versions, prefix=STAGING_PREFIX))
    folder.chmod(0o755)  # mkdtemp gives 0700; another user may serve
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(model_dir: Path, metadata: dict[str, Any], staged: Path, after: str | EllipsisType | None = ...) -> PublishedModel:
    """Publish the files of folder `staged` as version `metadata["model_version"]`.

    Args:
        model_dir: folder of the published model.
        metadata: of the new version; `files` and `previous_version` are filled in.
        staged: a folder of `staging_folder`; it is moved, not copied.
        after: the version that must still be the published one, None for no version; by default any.

    Raises:
        PublishedMeanwhileError: another version is published; nothing changes.
    """
    target = version_folder(model_dir, metadata["model_version"])
    metadata = metadata | {"files": _checksums(staged)}
    with locked(model_dir):
        current = current_version(model_dir)
        if after is not ... and current != after:
            raise PublishedMeanwhileError(f"Version {current} was published meanwhile.")
        metadata["previous_version"] = current
        write_json(staged / METADATA_FILE, metadata)
        flush_folder(staged)
        os.rename(staged, target)
        flush_folder(target.parent)
        _switch_to(model_dir, target)
        try:
            _remove_old(model_dir)
        except OSError as error:  # the publication is complete
            log.warning("Old versions are not removed: %s.", error)
    return PublishedModel(metadata, target)


def rollback(model_dir: Path) -> PublishedModel:
    """Publish the previous version again.

    Raises:
        ModelUnavailableError: there is none, or its files have changed; nothing changes.
    """
    if not (model_dir / METADATA_FILE).is_file():
        raise none_published(model_dir)
    with locked(model_dir):
        previous = read_json(model_dir / METADATA_FILE).get("previous_version")
        if not previous:
            raise ModelUnavailableError("There is no previous version.")
        try:
            folder = version_folder(model_dir, previous)
            sums = dict(read_json(folder / METADATA_FILE)["files"])
        except (ModelUnavailableError, ValueError, KeyError, TypeError):
            raise ModelUnavailableError(f"Version {previous} no longer exists. Nothing was changed.") from None
        problems = problems_of(folder, sums)
        if problems:
            raise ModelUnavailableError(f"The files of version {previous} have changed. Nothing was changed.", problems)
        _switch_to(model_dir, folder)
        return read_published(model_dir)


def replace_file(model_dir: Path, version: str, name: str, content: bytes) -> None:
    """Write one of a version's files again, after it was lost, and record its checksum.

    A kill between the two steps leaves a file that is refused until this is repeated.
    """
    with locked(model_dir):
        folder = version_folder(model_dir, version)
        write_atomic(folder / name, content)
        _amend(model_dir, folder, files=read_json(folder / METADATA_FILE)["files"] | {name: sha256_of(content)})


def record_run(model_dir: Path, version: str, run_id: str) -> bool:
    """Record the MLflow run of a version in its metadata.json, if the version still exists. Return whether it is the published one."""
    folder = version_folder(model_dir, version)
    if not folder.is_dir():
        return False
    with locked(model_dir):
        return folder.is_dir() and _amend(model_dir, folder, mlflow_run_id=run_id)


def _amend(model_dir: Path, folder: Path, **changes: Any) -> bool:
    """Change the metadata of the version in `folder`, also where it is published. Return whether it is."""
    metadata = read_json(folder / METADATA_FILE) | changes
    write_json(folder / METADATA_FILE, metadata)
    is_published = current_version(model_dir) == folder.name
    if is_published:
        write_json(model_dir / METADATA_FILE, metadata)
    return is_published


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a version except its metadata."""
    return {file.name: sha256(file) for file in sorted(folder.iterdir()) if file.name != METADATA_FILE}


def _switch_to(model_dir: Path, folder: Path) -> None:
    """Publish a complete version, then update the copies of its files."""
    for name in (METADATA_FILE, KERAS_FILE, SCALER_FILE):
        write_atomic(model_dir / name, (folder / name).read_bytes())


def _remove_old(model_dir: Path) -> None:
    """Remove all but the newest versions, and staging folders that a kill left behind."""
    current = read_json(model_dir / METADATA_FILE)
    kept = {current["model_version"], current.get("previous_version")}
    folders = sorted((path for path in (model_dir / VERSIONS).iterdir() if path.is_dir() and path.name[0] != "."), reverse=True)
    for folder in [path for path in folders if path.name not in kept][KEPT_VERSIONS - len(kept) :]:
        shutil.rmtree(folder)
    remove_stale(model_dir / VERSIONS, STAGING_PREFIX)
