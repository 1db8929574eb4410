"""Publications: of files whose content names their version, and of the model that is in git."""

import shutil
from pathlib import Path
from typing import Any

from models.publishing import publish, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, PublishedModel, read_published, symbol_folder
from settings import PROJECT_DIR
from storage import write_atomic

FILES = (KERAS_FILE, SCALER_FILE, ONNX_FILE)


def publish_version(model_dir: Path, version: str, size: int = 10) -> PublishedModel:
    """Publish files whose content names their version."""
    with staging_folder(model_dir) as folder:
        for name in FILES:
            (folder / name).write_text(f"{version} {name} " + "x" * size)
        return publish(model_dir, {"model_version": version, "note": "é"}, folder)


def publish_symbol(model_dir: Path, symbol: str, version: str, /, **changed: Any) -> PublishedModel:
    """Publish the model that is in git as a symbol's own one, with a version and other changes of its metadata."""
    published = read_published(PROJECT_DIR / "modelFiles")
    folder = symbol_folder(model_dir, symbol)
    with staging_folder(folder) as staged:
        for name in published.metadata["files"]:
            shutil.copy(published.folder / name, staged / name)
        return publish(folder, published.metadata | {"symbol": symbol, "model_version": version} | changed, staged)


def publish_changed(model_dir: Path, changed: PublishedModel) -> None:
    """Publish a version that was published elsewhere, and changed there: no service sees it before the change."""
    shutil.copytree(changed.folder, model_dir / "versions" / changed.version)
    write_atomic(model_dir / METADATA_FILE, (changed.folder / METADATA_FILE).read_bytes())


def versions(model_dir: Path) -> set[str]:
    return {path.name for path in (model_dir / "versions").iterdir()}


def is_whole(model_dir: Path, published: PublishedModel) -> bool:
    return all((published.folder / name).read_text().startswith(f"{published.version} {name} ") for name in FILES)
