"""Publications of files whose content names their version."""

from pathlib import Path

from models.publishing import publish, staging_folder
from models.store import KERAS_FILE, ONNX_FILE, SCALER_FILE, PublishedModel

FILES = (KERAS_FILE, SCALER_FILE, ONNX_FILE)


def publish_version(model_dir: Path, version: str, size: int = 10) -> PublishedModel:
    """Publish files whose content names their version."""
    with staging_folder(model_dir) as folder:
        for name in FILES:
            (folder / name).write_text(f"{version} {name} " + "x" * size)
        return publish(model_dir, {"model_version": version, "note": "é"}, folder)


def versions(model_dir: Path) -> set[str]:
    return {path.name for path in (model_dir / "versions").iterdir()}


def is_whole(model_dir: Path, published: PublishedModel) -> bool:
    return all((published.folder / name).read_text().startswith(f"{published.version} {name} ") for name in FILES)
