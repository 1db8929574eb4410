import shutil
from pathlib import Path

import pytest

from errors import ModelUnavailableError
from models import holder
from models.holder import ModelHolder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, publish, read_published, staging_folder


@pytest.fixture(autouse=True)
def _look_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holder, "LOOK_SECONDS", 0.0)


def publish_again(model_dir: Path, version: str) -> Path:
    """Publish the same model under another name; its folder."""
    published = read_published(model_dir)
    with staging_folder(model_dir) as folder:
        for name in (KERAS_FILE, SCALER_FILE, ONNX_FILE):
            shutil.copy(published.folder / name, folder)
        return publish(model_dir, published.metadata | {"model_version": version}, folder).folder


def test_published_model_is_held(model_dir):
    holder = ModelHolder(model_dir)
    assert holder.current().version == read_published(model_dir).version
    assert holder.problem is None


def test_model_is_loaded_once_while_nothing_changes(model_dir):
    holder = ModelHolder(model_dir)
    assert holder.current() is holder.current()


def test_newly_published_model_is_taken_up(model_dir):
    holder = ModelHolder(model_dir)
    publish_again(model_dir, "newer")
    assert holder.current().version == "newer"
    assert holder.problem is None


def test_metadata_is_not_looked_at_again_too_soon(model_dir, monkeypatch):
    holder = ModelHolder(model_dir)
    before = holder.current().version
    monkeypatch.setattr("models.holder.LOOK_SECONDS", 3600.0)
    publish_again(model_dir, "newer")
    assert holder.current().version == before


@pytest.mark.parametrize("damage", ["file", "metadata", "gone"])
def test_old_model_is_kept_when_the_new_one_is_corrupt_and_the_problem_is_said_once(model_dir, caplog, damage):
    holder = ModelHolder(model_dir)
    before = holder.current()
    folder = publish_again(model_dir, "newer")
    if damage == "file":
        (folder / ONNX_FILE).write_bytes(b"corrupt")
    elif damage == "metadata":
        (model_dir / METADATA_FILE).write_text("{")
    else:
        shutil.rmtree(model_dir)
    for _ in range(3):
        assert holder.current() is before
    assert holder.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_model_is_taken_up_once_it_is_mended(model_dir):
    holder = ModelHolder(model_dir)
    folder = publish_again(model_dir, "newer")
    content = (folder / ONNX_FILE).read_bytes()
    (folder / ONNX_FILE).write_bytes(b"corrupt")
    holder.current()
    assert holder.problem
    (folder / ONNX_FILE).write_bytes(content)  # metadata.json stays as it is
    assert holder.current().version == "newer"
    assert holder.problem is None


def test_without_a_model_there_never_was_one_and_the_first_is_taken_up(model_dir, tmp_path):
    later = tmp_path / "later"
    holder = ModelHolder(later)
    for _ in range(2):
        with pytest.raises(ModelUnavailableError, match="No model is published yet") as caught:
            holder.current()
        assert caught.value.details == ["metadata.json is missing"]
    model_dir.rename(later)
    assert holder.current().version == read_published(later).version
    assert holder.problem is None


def test_a_worker_that_starts_while_the_new_model_is_damaged_takes_the_one_before_and_says_so(model_dir, caplog):
    before = publish_again(model_dir, "whole")
    damaged = publish_again(model_dir, "damaged")
    (damaged / ONNX_FILE).write_bytes(b"broken")
    holder = ModelHolder(model_dir)
    assert holder.current().version == before.name
    assert "damaged" in holder.problem
    assert "whole, the one before, serves meanwhile" in caplog.text
    (before / SCALER_FILE).write_bytes(b"broken")
    with pytest.raises(ModelUnavailableError, match="damaged"):
        ModelHolder(model_dir).current()
