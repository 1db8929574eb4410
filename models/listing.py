"""Lists the published models of a model folder: the default model and those of symbols.

    Listing(model_dir).read().content      JSON: {"models": [{"symbol": "KO", "default": false, ...}, ...], "problems": [], ...}

It says what is published, whether or not it is loaded or its checksums are valid, and which versions of the default model are kept. A
metadata.json is read again only if it has changed. The folder is checked at most once a second.
"""

import os
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from closes.symbols import is_symbol
from models.holder import publication_of
from models.store import METADATA_FILE, SYMBOLS, VERSIONS, current_version
from storage import Identity, sha256_of

LOOK_SECONDS = 1.0  # between two looks at the folder
MAX_PROBLEMS = 20  # that are named
MAX_VERSIONS = 20  # that are listed; a folder keeps five
ETAG_DIGITS = 16


class _Published(BaseModel):
    """What is listed of a metadata.json."""

    model_config = ConfigDict(protected_namespaces=())

    symbol: str
    model_version: str
    created_at: AwareDatetime
    last_date: date
    metrics: dict[str, Any]


class _Version(BaseModel):
    """What is listed of the metadata.json of a version that is kept."""

    model_config = ConfigDict(protected_namespaces=())

    model_version: str
    created_at: AwareDatetime


class Listed(NamedTuple):
    """The list as JSON, and a text that changes with it."""

    content: bytes
    etag: str


class _Entry(NamedTuple):
    """A model in the list: the identity of its metadata.json, and its JSON; empty if metadata.json cannot be read."""

    identity: Identity
    content: bytes


class Listing:
    """The list of one worker. Call `read` in one thread at a time."""

    def __init__(self, model_dir: Path) -> None:
        """Start without reading."""
        self._model_dir = model_dir
        self._entries: dict[str, _Entry] = {}  # by symbol; the default model's is empty
        self._versions: dict[str, _Version | None] = {}  # by the name of their folder; None if metadata.json cannot be read
        self._looked_at = -LOOK_SECONDS
        self._listed = Listed(b"", "")

    def read(self) -> Listed:
        """Return the list: the default model, then those of symbols by symbol, and what is wrong with those that are left out."""
        if time.monotonic() - self._looked_at >= LOOK_SECONDS:
            self._entries = dict(self._look())
            models = b",".join(entry.content for entry in self._entries.values() if entry.content)
            damaged = [symbol for symbol, entry in self._entries.items() if not entry.content]
            problems = to_json([f"{symbol or 'default model'}: {METADATA_FILE} cannot be read" for symbol in damaged[:MAX_PROBLEMS]])
            content = b'{"models":[%b],"problems":%b,"versions":%b}' % (models, problems, to_json(self._kept_versions()))
            self._listed = Listed(content, sha256_of(content)[:ETAG_DIGITS])
            self._looked_at = time.monotonic()
        return self._listed

    def _look(self) -> Iterator[tuple[str, _Entry]]:
        """Yield the entries of the published models; those that have not changed are kept."""
        for symbol, folder in [("", self._model_dir), *self._folders()]:
            identity, known = publication_of(folder), self._entries.get(symbol)
            if identity is not None:
                unchanged = known is not None and known.identity == identity
                yield symbol, known if known and unchanged else _Entry(identity, _describe(folder, symbol))

    def _kept_versions(self) -> list[dict[str, Any]]:
        """Return the versions of the default model that are kept, the newest first. Each metadata.json is read once."""
        parent = self._model_dir / VERSIONS
        try:
            names = [name for name in os.listdir(parent) if not name.startswith(".")]
        except OSError:
            names = []
        self._versions = {name: self._versions.get(name) or _read_version(parent / name) for name in names}
        known = sorted(filter(None, self._versions.values()), key=lambda one: one.created_at, reverse=True)[:MAX_VERSIONS]
        published = current_version(self._model_dir)
        return [one.model_dump(mode="json") | {"published": one.model_version == published} for one in known]

    def _folders(self) -> list[tuple[str, Path]]:
        """Return the symbols that have a folder, in order, and the folders."""
        parent = self._model_dir / SYMBOLS
        try:
            names = sorted(os.listdir(parent))
        except OSError:
            return []
        return [(name, parent / name) for name in names if is_symbol(name) and name == name.upper()]


def _read_version(folder: Path) -> _Version | None:
    """Return what is listed of a version; None if its metadata.json cannot be read."""
    try:
        return _Version.model_validate_json((folder / METADATA_FILE).read_bytes())
    except (OSError, ValidationError):
        return None


def _describe(folder: Path, symbol: str) -> bytes:
    """Return a model's entry as JSON; no bytes if its metadata.json cannot be read. The symbol is empty for the default model."""
    try:
        published = _Published.model_validate_json((folder / METADATA_FILE).read_bytes())
    except (OSError, ValidationError):
        return b""
    content = published.model_dump(mode="json", exclude={"symbol"})
    return to_json({"symbol": symbol or published.symbol, "default": not symbol} | content)
