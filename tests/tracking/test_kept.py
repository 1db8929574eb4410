"""A run that is kept in a folder: complete or not at all, and rejected if it was changed."""

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from forecast.metadata import Metadata
from models.store import read_published
from tracking.kept import PLOTS, RUN_FILE, RunRecord, UnfitRecordError, keep, read_kept
from tracking.names import MODEL_FILES


@pytest.fixture
def record(model_dir: Path) -> RunRecord:
    """The run of the model in git, as far as it is known."""
    metadata = Metadata.model_validate_json((model_dir / "metadata.json").read_bytes())
    folder = read_published(model_dir).folder
    plots = {"backtest.png": b"\x89PNG 1", "losses.png": b"\x89PNG 2"}
    return RunRecord(metadata, {"loss": [0.5, 0.25], "val_loss": [0.75, float("nan")]}, plots, folder, np.linspace(99, 101, 60)[None])


def test_kept_run_is_read_unchanged(record, tmp_path):
    kept = keep(record, tmp_path / "unlogged")
    assert kept == tmp_path / "unlogged" / record.version
    read = read_kept(kept)
    assert (read.metadata, read.plots, read.version) == (record.metadata, record.plots, record.version)
    assert repr(read.losses) == repr(record.losses)
    assert read.example.tolist() == record.example.tolist()
    for name in MODEL_FILES:
        assert (kept / name).read_bytes() == (record.folder / name).read_bytes()
    assert [path.name for path in kept.parent.iterdir()] == [record.version]
    assert kept.stat().st_mode & 0o555 == 0o555  # another user may log it


def test_run_without_plots_is_kept(record, tmp_path):
    bare = RunRecord(record.metadata, record.losses, {}, record.folder, record.example)
    assert read_kept(keep(bare, tmp_path)).plots == {}


def test_incomplete_run_is_not_kept(record, tmp_path):
    (record.folder / MODEL_FILES[-1]).unlink()
    with pytest.raises(FileNotFoundError):
        keep(record, tmp_path / "unlogged")
    assert list((tmp_path / "unlogged").iterdir()) == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_kill_leaves_a_complete_run_or_none(record, tmp_path):
    chance, outcomes, longest = random.Random(0), [], 0.02
    for kill in range(50):
        place = tmp_path / str(kill)
        process = os.fork()
        if process == 0:
            try:
                keep(record, place)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0, longest))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        visible = [path for path in place.iterdir() if path.name[0] != "."] if place.exists() else []
        outcomes.append(len(visible))
        longest *= 0.9 if visible else 1.1
        for kept in visible:
            assert read_kept(kept).version == record.version
    assert 10 < outcomes.count(1) < 40, outcomes


@pytest.mark.parametrize("name", [*MODEL_FILES, f"{PLOTS}/losses.png"])
@pytest.mark.parametrize(
    ("damage", "said"),
    [(lambda path: path.write_bytes(path.read_bytes()[:-1] + b"#"), "has another SHA-256"), (lambda path: path.unlink(), "is missing")],
    ids=["altered", "missing"],
)
def test_damaged_run_is_rejected_naming_the_file(record, tmp_path, name, damage, said):
    kept = keep(record, tmp_path)
    damage(kept / name)
    with pytest.raises(UnfitRecordError) as caught:
        read_kept(kept)
    assert str(kept) in str(caught.value)
    assert [detail.startswith(f"{name} ") and said in detail for detail in caught.value.details] == [True]


@pytest.mark.parametrize(
    "content",
    [None, b"", b"{", b"[]", b"{}", b'{"files": {}, "losses": {}, "example": []}', b'{"files": 1, "losses": {}, "example": []}'],
)
def test_folder_without_a_kept_run_is_rejected_in_one_sentence(record, tmp_path, content):
    kept = keep(record, tmp_path)
    (kept / RUN_FILE).unlink() if content is None else (kept / RUN_FILE).write_bytes(content)
    with pytest.raises(UnfitRecordError) as caught:
        read_kept(kept)
    assert str(kept) in str(caught.value)
    shutil.rmtree(kept)
    with pytest.raises(UnfitRecordError, match="holds no run that was kept for MLflow") as caught:
        read_kept(kept)
    assert caught.value.details == ["run.json: No such file or directory; a run that was logged is removed"]


def test_run_with_a_version_outside_the_folder_is_rejected(record, tmp_path):
    kept = keep(record, tmp_path)
    other = RunRecord(record.metadata, record.losses, record.plots, kept, record.example)
    (kept / "metadata.json").write_text(json.dumps(record.metadata.changed(model_version="../../elsewhere").as_dict()))
    with pytest.raises(UnfitRecordError, match="is not as it was kept"):
        read_kept(keep(other, tmp_path / "again"))


def test_leftovers_of_a_kill_are_removed_after_a_day(record, tmp_path):
    for name, age in ((".keeping-old", 2 * 86400), (".keeping-new", 3600), ("kept", 2 * 86400)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    keep(record, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {"modelFiles"} == {".keeping-new", "kept", record.version}
