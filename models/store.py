"""The published model on disk: written completely, published in one step, read only after its checksums are verified.

    modelFiles/metadata.json                   which version is published, with the SHA-256 of each of its files
    modelFiles/versions/<model_version>/       its files: my_model.keras, scaler.pkl, my_model.onnx, backtest.csv, metadata.json
    modelFiles/my_model.keras, scaler.pkl      copies of the published version's files, for people and programs that look there
    modelFiles/symbols/<SYMBOL>/               a symbol's own model, in the same form

A kill at any moment leaves the old model or the new one. A version is written under a temporary name and renamed when it is complete; then
`os.replace` of metadata.json publishes it. Readers follow only metadata.json. publishing.py writes, this module reads.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from closes.symbols import check_symbol
from errors import ForecastError, ModelUnavailableError
from storage import sha256, sha256_of

KERAS_FILE, SCALER_FILE, ONNX_FILE = "my_model.keras", "scaler.pkl", "my_model.onnx"
METADATA_FILE, BACKTEST_FILE = "metadata.json", "backtest.csv"
VERSIONS = "versions"  # in MODEL_DIR and in the folder of a symbol: one folder per version that is kept
SYMBOLS = "symbols"  # in MODEL_DIR: one folder per symbol that has a model of its own
MISSING = f"{METADATA_FILE} is missing"
VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # a version names a folder


@dataclass(frozen=True)
class PublishedModel:
    """A version whose files were verified: its metadata and its folder."""

    metadata: dict[str, Any]
    folder: Path

    @property
    def version(self) -> str:
        """The model's version."""
        return str(self.metadata["model_version"])

    def read(self, name: str) -> bytes:
        """Return the content of one of the version's files. The bytes that are verified are those that are returned.

        Raises:
            ModelUnavailableError: the file is missing or has changed since its publication.
        """
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            raise _changed(self.version, [f"{name} is missing"]) from None
        if sha256_of(content) != self.metadata["files"].get(name):
            raise _changed(self.version, [f"{name} has another SHA-256 than when it was published"])
        return content


def read_published(model_dir: Path, only: Sequence[str] = ()) -> PublishedModel:
    """Return the published version after its checksums are verified.

    Args:
        model_dir: folder of the published model.
        only: the files to verify; by default all.

    Raises:
        ModelUnavailableError: nothing is published, or files have changed since.
    """
    try:
        metadata = json.loads((model_dir / METADATA_FILE).read_bytes())
        folder = version_folder(model_dir, metadata["model_version"])
        sums = dict(metadata["files"])
    except FileNotFoundError:
        raise none_published(model_dir) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelUnavailableError(
            f"The published model's {METADATA_FILE} cannot be read. Train again: python modelTrain.py",
            [f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"],
        ) from None
    problems = problems_of(folder, sums, only)
    if problems:
        raise _changed(metadata["model_version"], problems)
    return PublishedModel(metadata, folder)


def none_published(model_dir: Path) -> ModelUnavailableError:
    """Return the error about a folder without a published model. It names a folder that does not exist."""
    if model_dir.is_dir():
        return ModelUnavailableError("No model is published yet. Train one: python modelTrain.py", [MISSING])
    return ModelUnavailableError(
        f"No model is published yet: the folder {model_dir} does not exist. Correct MODEL_DIR, or train a model: python modelTrain.py",
        [MISSING],
    )


def read_previous(model_dir: Path, only: Sequence[str] = ()) -> PublishedModel:
    """Return the version before the published one after its checksums are verified; arguments as for `read_published`.

    Raises:
        ModelUnavailableError: there is none, or its files have changed.
    """
    try:
        folder = version_folder(model_dir, read_json(model_dir / METADATA_FILE)["previous_version"])
        metadata = read_json(folder / METADATA_FILE)
        problems = problems_of(folder, dict(metadata["files"]), only)
    except (ValueError, KeyError, TypeError):
        raise ModelUnavailableError("There is no previous version.") from None
    if problems:
        raise ModelUnavailableError(f"The files of version {folder.name} are incomplete or have changed.", problems)
    return PublishedModel(metadata, folder)


def current_version(model_dir: Path) -> str | None:
    """Return the version that metadata.json names, whether or not its files are valid; None if there is none."""
    try:
        return str(read_json(model_dir / METADATA_FILE)["model_version"])
    except (ForecastError, KeyError):
        return None


def symbol_folder(model_dir: Path, symbol: str) -> Path:
    """Return the folder of a symbol's own model, whether or not it exists.

    Raises:
        InvalidSymbolError: the text is not a symbol, so it could lead to another folder.
    """
    check_symbol(symbol)
    return model_dir / SYMBOLS / symbol.upper()


def version_folder(model_dir: Path, version: str) -> Path:
    """Return the folder of a version's files.

    Raises:
        ValueError: the name could lead to another folder.
    """
    if not VERSION.fullmatch(version):
        raise ValueError(f"{version[:40]!r} is not the name of a version")
    return model_dir / VERSIONS / version


def problems_of(folder: Path, sums: dict[str, str], only: Sequence[str] = ()) -> list[str]:
    """Return what is wrong with a version's files, or only with those in `only`."""
    names = only or sorted({KERAS_FILE, SCALER_FILE, *sums})
    return [problem for name in names if (problem := _problem_of(folder, name, sums))]


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelUnavailableError: the file cannot be read, or is not an object.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelUnavailableError(f"{file.name} cannot be read.", [type(error).__name__]) from None
    if not isinstance(content, dict):
        raise ModelUnavailableError(f"{file.name} cannot be read.", ["It is not a JSON object."])
    return content


def _problem_of(folder: Path, name: str, sums: dict[str, str]) -> str | None:
    """Return what is wrong with one file, if anything."""
    try:
        return None if sha256(folder / name) == sums[name] else f"{name} has another SHA-256 than when it was published"
    except (OSError, KeyError):
        return f"{name} is missing"


def _changed(version: str, problems: list[str]) -> ModelUnavailableError:
    """Return the error about files that must not be used."""
    return ModelUnavailableError(
        f"The files of the published model {version} have changed since its publication. "
        "Go back with python modelTrain.py --rollback, or train again with python modelTrain.py",
        problems,
    )
