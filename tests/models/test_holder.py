"""The model that a worker serves, and how the worker loads new publications."""

import shutil
import threading
from pathlib import Path

import pytest

from api.threads import every
from errors import ModelUnavailableError
from models import holder as holder_module
from models.holder import ModelHolder
from models.loading import load_forecaster
from models.publishing import publish, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, read_published


def publish_again(model_dir: Path, version: str) -> Path:
    """Publish the same model under another name; return its folder."""
    published = read_published(model_dir)
    with staging_folder(model_dir) as folder:
        for name in (KERAS_FILE, SCALER_FILE, ONNX_FILE):
            shutil.copy(published.folder / name, folder)
        return publish(model_dir, published.metadata | {"model_version": version}, folder).folder


def test_published_model_is_loaded(model_dir):
    holder = ModelHolder(model_dir)
    assert holder.current().version == read_published(model_dir).version
    assert holder.problem is None


def test_unchanged_model_is_loaded_once(model_dir):
    holder = ModelHolder(model_dir)
    before = holder.current()
    holder.refresh()
    assert holder.current() is before


def test_new_publication_is_loaded_by_refresh_not_by_a_request(model_dir):
    holder = ModelHolder(model_dir)
    before = holder.current()
    publish_again(model_dir, "newer")
    assert holder.current() is before
    holder.refresh()
    assert holder.current().version == "newer"
    assert holder.problem is None


def test_request_during_a_slow_load_is_answered_by_the_old_model(model_dir, monkeypatch):
    holder = ModelHolder(model_dir)
    before, loading, go_on = holder.current(), threading.Event(), threading.Event()

    def load_slowly(*arguments, **options):
        loading.set()
        assert go_on.wait(10)
        return load_forecaster(*arguments, **options)

    monkeypatch.setattr(holder_module, "load_forecaster", load_slowly)
    publish_again(model_dir, "newer")
    refresh = threading.Thread(target=holder.refresh)
    refresh.start()
    assert loading.wait(10)
    assert holder.current() is before
    go_on.set()
    refresh.join()
    assert holder.current().version == "newer"


def test_idle_worker_loads_a_publication(model_dir, monkeypatch):
    holder, loaded = ModelHolder(model_dir), threading.Event()

    def load_and_tell(*arguments, **options):
        forecaster = load_forecaster(*arguments, **options)
        loaded.set()
        return forecaster

    monkeypatch.setattr(holder_module, "load_forecaster", load_and_tell)
    every(0.01, holder.refresh)
    publish_again(model_dir, "newer")
    assert loaded.wait(10)
    shutil.rmtree(model_dir)  # an answer after this can only come from memory
    wait_for = threading.Event()
    while holder.current().version != "newer":
        assert not wait_for.wait(0.01)


@pytest.mark.parametrize("damage", ["file", "metadata", "gone"])
def test_corrupt_publication_is_logged_once_and_the_old_model_kept(model_dir, caplog, damage):
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
        holder.refresh()
        assert holder.current() is before
    assert holder.problem
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_repaired_model_is_loaded(model_dir):
    holder = ModelHolder(model_dir)
    folder = publish_again(model_dir, "newer")
    content = (folder / ONNX_FILE).read_bytes()
    (folder / ONNX_FILE).write_bytes(b"corrupt")
    holder.refresh()
    assert holder.problem
    (folder / ONNX_FILE).write_bytes(content)  # metadata.json is unchanged
    holder.refresh()
    assert holder.current().version == "newer"
    assert holder.problem is None


def test_missing_folder_is_logged_as_one_sentence(tmp_path, caplog):
    ModelHolder(tmp_path / "nothing")
    assert caplog.messages == [
        f"No model is published yet: the folder {tmp_path}/nothing does not exist. "
        "Correct MODEL_DIR, or train a model: python modelTrain.py (metadata.json is missing)"
    ]


def test_first_publication_is_loaded(model_dir, tmp_path):
    later = tmp_path / "later"
    holder = ModelHolder(later)
    for _ in range(2):
        holder.refresh()
        with pytest.raises(ModelUnavailableError, match="No model is published yet") as caught:
            holder.current()
        assert caught.value.details == ["metadata.json is missing"]
    model_dir.rename(later)
    holder.refresh()
    assert holder.current().version == read_published(later).version
    assert holder.problem is None


def test_new_worker_falls_back_to_the_previous_model(model_dir, caplog):
    before = publish_again(model_dir, "whole")
    damaged = publish_again(model_dir, "damaged")
    (damaged / ONNX_FILE).write_bytes(b"broken")
    holder = ModelHolder(model_dir)
    assert holder.current().version == before.name
    assert holder.problem is not None
    assert "damaged" in holder.problem
    assert "Serving the previous model, whole." in caplog.text
    (before / SCALER_FILE).write_bytes(b"broken")
    with pytest.raises(ModelUnavailableError, match="damaged"):
        ModelHolder(model_dir).current()
