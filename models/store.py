"""The published model on disk: written whole, switched to in one step, read only after its sums are checked.

    modelFiles/metadata.json                   which version serves, with the SHA-256 of each of its files
    modelFiles/versions/<model_version>/       its files: my_model.keras, scaler.pkl, my_model.onnx, backtest.csv,
                                               metadata.json
    modelFiles/my_model.keras, scaler.pkl      copies of the published version's, for people and programs that look there

A kill at any moment leaves the old model or the new one: a version is written under a temporary name, renamed when it is complete, and
`os.replace` of metadata.json switches to it. Readers follow metadata.json alone.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType
from typing import Any

from errors import ForecastError, ModelUnavailableError
from storage import _put, flush_folder, locked, remove_left_behind, sha256, write_json

KERAS_FILE, SCALER_FILE, ONNX_FILE = "my_model.keras", "scaler.pkl", "my_model.onnx"
METADATA_FILE, BACKTEST_FILE = "metadata.json", "backtest.csv"
MISSING = f"{METADATA_FILE} is missing"
KEPT_VERSIONS = 5
STAGING_PREFIX = ".staging-"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # it names a folder
log = logging.getLogger(__name__)


class PublishedMeanwhileError(ForecastError):
    """Another model was published since the new one was judged."""


@dataclass(frozen=True)
class PublishedModel:
    """A version whose files were checked: its metadata and where its files are."""

    metadata: dict[str, Any]
    folder: Path

    @property
    def version(self) -> str:
        """The model's version."""
        return str(self.metadata["model_version"])

    def read(self, name: str) -> bytes:
        """The content of one of the version's files. Checks the bytes that it returns, even if the file is replaced in between.

        Raises:
            ModelUnavailableError: it is not as published.
        """
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            raise _not_as_published(self.version, [f"{name} is missing"]) from None
        if hashlib.sha256(content).hexdigest() != self.metadata["files"].get(name):
            raise _not_as_published(self.version, [f"{name} has another SHA-256 than it was published with"])
        return content


def read_published(model_dir: Path, only: Sequence[str] = ()) -> PublishedModel:
    """The published version, its sums checked; of `only` these files where some are named.

    Raises:
        ModelUnavailableError: none is published, or its files are not those that were published.
    """
    try:
        metadata = json.loads((model_dir / METADATA_FILE).read_bytes())
        folder = _version_folder(model_dir, metadata["model_version"])
        sums = dict(metadata["files"])
    except FileNotFoundError:
        raise ModelUnavailableError("No model is published yet. Train one: python modelTrain.py", [MISSING]) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(
            f"The published model's {METADATA_FILE} cannot be read. Publish a new model: python modelTrain.py",
            [f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"],
        ) from None
    problems = problems_of(folder, sums, only)
    if problems:
        raise _not_as_published(metadata["model_version"], problems)
    return PublishedModel(metadata, folder)


def _not_as_published(version: str, problems: list[str]) -> ModelUnavailableError:
    """The error about files that must not be used."""
    return ModelUnavailableError(
        f"The files of the published model {version} are not as published. "
        "Go back with python modelTrain.py --rollback, or publish a new model with python modelTrain.py",
        problems,
    )


def read_previous(model_dir: Path, only: Sequence[str] = ()) -> PublishedModel:
    """The version that was published before the published one, its sums checked; of `only` these files where some are named.

    Raises:
        ModelUnavailableError: there is none, or its files are not those that were published.
    """
    try:
        folder = _version_folder(model_dir, _read_json(model_dir / METADATA_FILE)["previous_version"])
        metadata = _read_json(folder / METADATA_FILE)
        problems = problems_of(folder, dict(metadata["files"]), only)
    except (ValueError, KeyError, TypeError):
        raise ModelUnavailableError("There is no previously published version.") from None
    if problems:
        raise ModelUnavailableError(f"Version {folder.name} is not whole.", problems)
    return PublishedModel(metadata, folder)


def publish(model_dir: Path, metadata: dict[str, Any], staged: Path, after: str | EllipsisType | None = ...) -> PublishedModel:
    """Publish the files of folder `staged` as version `metadata["model_version"]`; `files` is filled in.

    The folder must be on the same file system as `model_dir` (see `staging_folder`); it is moved, not copied.

    Args:
        model_dir: folder of the published model.
        metadata: of the new one.
        staged: its files.
        after: the version that must be the published one still, None for none; any may be if this is not given.

    Raises:
        PublishedMeanwhileError: another one is; nothing is changed.
    """
    target = _version_folder(model_dir, metadata["model_version"])
    metadata = metadata | {"files": _sums(staged)}
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
        except OSError as error:  # what is published is published
            log.warning("Old versions are not removed: %s.", error)
    return PublishedModel(metadata, target)


def rollback(model_dir: Path) -> PublishedModel:
    """Put the previously published version back.

    Raises:
        ModelUnavailableError: there is none, or its files are not as published; nothing is changed.
    """
    if not (model_dir / METADATA_FILE).is_file():
        raise ModelUnavailableError("No model is published yet, so there is none to go back to.", [MISSING])
    with locked(model_dir):
        current = _read_json(model_dir / METADATA_FILE)
        previous = current.get("previous_version")
        if not previous:
            raise ModelUnavailableError("There is no previously published version to go back to.")
        try:
            folder = _version_folder(model_dir, previous)
            sums = dict(_read_json(folder / METADATA_FILE)["files"])
        except (ModelUnavailableError, ValueError, KeyError, TypeError):
            raise ModelUnavailableError(f"Version {previous} is not there any more; nothing was changed.") from None
        problems = problems_of(folder, sums)
        if problems:
            raise ModelUnavailableError(f"Version {previous} is not whole; nothing was changed.", problems)
        _switch_to(model_dir, folder)
        return read_published(model_dir)


def replace_file(model_dir: Path, version: str, name: str, content: bytes) -> None:
    """Restore a lost file of a version and record its checksum.

    A kill between the two leaves a file that is refused as long as this is not done again.
    """
    with locked(model_dir):
        folder = _version_folder(model_dir, version)
        _put(content, folder / name)
        _amend(model_dir, folder, files=_read_json(folder / METADATA_FILE)["files"] | {name: hashlib.sha256(content).hexdigest()})


def record_run(model_dir: Path, version: str, run_id: str) -> bool:
    """Note the MLflow run of a version in its metadata.json, where the version is still there; whether it is the published one."""
    folder = _version_folder(model_dir, version)
    if not folder.is_dir():
        return False
    with locked(model_dir):
        return folder.is_dir() and _amend(model_dir, folder, mlflow_run_id=run_id)


def _amend(model_dir: Path, folder: Path, **changes: Any) -> bool:
    """Change what metadata.json says of the version in `folder`, also where it is the published one; whether it is."""
    metadata = _read_json(folder / METADATA_FILE) | changes
    write_json(folder / METADATA_FILE, metadata)
    is_published = current_version(model_dir) == folder.name
    if is_published:
        _put((folder / METADATA_FILE).read_bytes(), model_dir / METADATA_FILE)
    return is_published


@contextmanager
def staging_folder(model_dir: Path) -> Iterator[Path]:
    """An empty folder next to the versions, for a new one. Removed afterwards if it was not published."""
    versions = model_dir / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=versions, prefix=STAGING_PREFIX))
    folder.chmod(0o755)  # mkdtemp gives 0700; another user may serve
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sums(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of a version but its metadata."""
    return {path.name: sha256(path) for path in sorted(folder.iterdir()) if path.name != METADATA_FILE}


def _version_folder(model_dir: Path, version: str) -> Path:
    """Where the files of a version are; ValueError if its name could lead elsewhere."""
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version[:40]!r} is not the name of a version")
    return model_dir / "versions" / version


def problems_of(folder: Path, sums: dict[str, str], only: Sequence[str] = ()) -> list[str]:
    """What is wrong with a version's files: all of them, or `only` these."""
    names = only or sorted({KERAS_FILE, SCALER_FILE, *sums})
    return [problem for name in names if (problem := _file_problem(folder, name, sums))]


def _file_problem(folder: Path, name: str, sums: dict[str, str]) -> str | None:
    """What is wrong with a version's file, if anything."""
    try:
        return None if sha256(folder / name) == sums[name] else f"{name} has another SHA-256 than it was published with"
    except (OSError, KeyError):
        return f"{name} is missing"


def _switch_to(model_dir: Path, folder: Path) -> None:
    """Make a complete version the published one, then bring the promised copies along."""
    for name in (METADATA_FILE, KERAS_FILE, SCALER_FILE):
        _put((folder / name).read_bytes(), model_dir / name)


def _remove_old(model_dir: Path) -> None:
    """Keep the newest versions, the published one and the one before it among them."""
    current = _read_json(model_dir / METADATA_FILE)
    kept = {current["model_version"], current.get("previous_version")}
    folders = sorted((path for path in (model_dir / "versions").iterdir() if path.is_dir() and path.name[0] != "."), reverse=True)
    for folder in [path for path in folders if path.name not in kept][KEPT_VERSIONS - len(kept) :]:
        shutil.rmtree(folder)
    remove_left_behind(model_dir / "versions", STAGING_PREFIX)


def current_version(model_dir: Path) -> str | None:
    """The version that metadata.json names, whatever its files are like; None where there is none."""
    try:
        return str(_read_json(model_dir / METADATA_FILE)["model_version"])
    except (ForecastError, KeyError):
        return None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{path.name} cannot be read.", [type(error).__name__]) from None
    return content
