"""Published versions: reading, publishing, rollback, removal and records of runs."""

import json
import os
import shutil
import time
from contextlib import suppress

import pytest
from publishing import FILES, is_whole, publish_version, versions

from errors import ModelUnavailableError
from models import publishing
from models.publishing import KEPT_VERSIONS, PublishedMeanwhileError, publish, record_run, replace_file, rollback, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, current_version, read_published
from storage import sha256


def test_published_version_is_read_as_it_was_published(tmp_path):
    published = publish_version(tmp_path, "v1")
    read = read_published(tmp_path)
    assert read == published
    assert is_whole(tmp_path, read)
    assert read.metadata["files"] == {name: sha256(read.folder / name) for name in sorted(FILES)}
    assert read.metadata["note"] == "é"
    assert read.metadata["previous_version"] is None


def test_copies_at_the_documented_paths_are_of_the_published_version(tmp_path):
    for version in ("v1", "v2"):
        published = publish_version(tmp_path, version)
        for name in (KERAS_FILE, SCALER_FILE, METADATA_FILE):
            assert (tmp_path / name).read_bytes() == (published.folder / name).read_bytes()


def test_published_files_can_be_read_by_another_user(tmp_path):
    published = publish_version(tmp_path, "v1")
    assert published.folder.stat().st_mode & 0o555 == 0o555
    for path in (*published.folder.iterdir(), *(tmp_path / name for name in (KERAS_FILE, SCALER_FILE, METADATA_FILE))):
        assert path.stat().st_mode & 0o444 == 0o444, path


def test_error_without_a_publication_says_how_to_train(tmp_path):
    with pytest.raises(ModelUnavailableError, match=r"python modelTrain\.py") as caught:
        read_published(tmp_path)
    assert caught.value.details == ["metadata.json is missing"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "has another SHA-256"),
        (lambda path: path.write_bytes(b""), "has another SHA-256"),
        (lambda path: path.write_bytes(path.with_name(METADATA_FILE).read_bytes()), "has another SHA-256"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["truncated", "empty", "swapped", "missing"],
)
def test_damaged_file_is_rejected_naming_it(tmp_path, name, damage, said):
    published = publish_version(tmp_path, "v1")
    damage(published.folder / name)
    with pytest.raises(ModelUnavailableError, match="--rollback") as caught:
        read_published(tmp_path)
    assert [detail.partition(" ")[0::2] for detail in caught.value.details] == [(name, caught.value.details[0].partition(" ")[2])]
    assert said in caught.value.details[0]
    with pytest.raises(ModelUnavailableError):
        read_published(tmp_path, only=[name])
    read_published(tmp_path, only=[other for other in FILES if other != name])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{}",
        b'{"model_version": "v1"}',
        b'{"model_version": 1, "files": {}}',
        b'{"model_version": "v1", "files": []}',
        b'{"model_version": "v1", "files": {}}',
        b'{"model_version": "v1", "files": "abc"}',
        b'{"model_version": "v1", "files": null}',
    ],
)
def test_invalid_metadata_is_rejected(tmp_path, content):
    publish_version(tmp_path, "v1")
    (tmp_path / METADATA_FILE).write_bytes(content)
    with pytest.raises(ModelUnavailableError) as caught:
        read_published(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["../../elsewhere", "..", "", ".hidden", "/etc", "a/b", "v1\n", "v" * 101])
def test_version_outside_the_folder_is_rejected_everywhere(tmp_path, version):
    model_dir = tmp_path / "a" / "modelFiles"
    published = publish_version(model_dir, "v1")
    shutil.copytree(published.folder, tmp_path / "elsewhere")
    before = (model_dir / METADATA_FILE).read_bytes()

    (model_dir / METADATA_FILE).write_text(json.dumps(published.metadata | {"model_version": version}))
    with pytest.raises(ModelUnavailableError, match="cannot be read") as caught:
        read_published(model_dir)
    assert "not the name of a version" in caught.value.details[0]

    if version:
        (model_dir / METADATA_FILE).write_text(json.dumps(published.metadata | {"previous_version": version}))
        with pytest.raises(ModelUnavailableError, match="Nothing was changed"):
            rollback(model_dir)

    (model_dir / METADATA_FILE).write_bytes(before)
    with pytest.raises(ValueError, match="not the name of a version"):
        publish_version(model_dir, version)
    assert read_published(model_dir).version == "v1"
    assert versions(model_dir) == {"v1"}


def test_rollback_restores_the_previous_version(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    assert rollback(tmp_path).version == "v1"
    assert read_published(tmp_path).version == "v1"
    assert (tmp_path / KERAS_FILE).read_text().startswith("v1")


def test_rollback_does_not_create_a_missing_folder(tmp_path):
    with pytest.raises(ModelUnavailableError, match="mistyped does not exist"):
        rollback(tmp_path / "mistyped")
    assert not (tmp_path / "mistyped").exists()


def test_rollback_stops_at_the_oldest_version(tmp_path):
    for version in ("v1", "v2", "v3"):
        publish_version(tmp_path, version)
    assert [rollback(tmp_path).version for _ in range(2)] == ["v2", "v1"]
    with pytest.raises(ModelUnavailableError, match="There is no previous version"):
        rollback(tmp_path)
    assert read_published(tmp_path).version == "v1"


def test_rollback_restores_the_version_that_served_before(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    rollback(tmp_path)
    publish_version(tmp_path, "v3")
    assert rollback(tmp_path).version == "v1"


@pytest.mark.parametrize("damage", ["file", "metadata", "all"])
def test_rollback_to_an_incomplete_version_changes_nothing(tmp_path, damage):
    first = publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    if damage == "file":
        (first.folder / ONNX_FILE).unlink()
    elif damage == "metadata":
        (first.folder / METADATA_FILE).write_text("{}")
    else:
        shutil.rmtree(first.folder)
    with pytest.raises(ModelUnavailableError, match=r"ersion v1 .*Nothing was changed"):
        rollback(tmp_path)
    assert read_published(tmp_path).version == "v2"


def test_rollback_works_while_the_published_files_are_damaged(tmp_path):
    publish_version(tmp_path, "v1")
    (publish_version(tmp_path, "v2").folder / KERAS_FILE).unlink()
    assert rollback(tmp_path).version == "v1"


def test_old_versions_are_removed_except_the_newest(tmp_path):
    names = [f"v{i}" for i in range(KEPT_VERSIONS + 3)]
    for name in names:
        publish_version(tmp_path, name)
    assert versions(tmp_path) == set(names[-KEPT_VERSIONS:])


def test_previous_version_is_kept_at_any_age(tmp_path):
    for name in ["v0", "v8", "v9"]:
        publish_version(tmp_path, name)
    rollback(tmp_path)
    rollback(tmp_path)  # v0 serves
    for name in ("v1", *(f"w{i}" for i in range(KEPT_VERSIONS))):
        shutil.copytree(tmp_path / "versions" / "v8", tmp_path / "versions" / name)
    publish_version(tmp_path, "v2")
    assert {"v0", "v2"} <= versions(tmp_path)
    assert len(versions(tmp_path)) == KEPT_VERSIONS
    assert rollback(tmp_path).version == "v0"


def test_staging_folder_is_removed_after_a_failure(tmp_path):
    with suppress(RuntimeError), staging_folder(tmp_path) as folder:
        (folder / KERAS_FILE).write_text("half")
        raise RuntimeError
    assert versions(tmp_path) == set()


def test_failed_publication_leaves_the_old_version_and_no_staging_folder(tmp_path, monkeypatch):
    publish_version(tmp_path, "v1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(publishing, "flush_folder", full)
    with pytest.raises(OSError, match="No space left"):
        publish_version(tmp_path, "v2")
    assert read_published(tmp_path).version == "v1"
    assert versions(tmp_path) == {"v1"}


def test_other_files_do_not_fail_a_publication(tmp_path):
    (tmp_path / "versions").mkdir()
    for name in ("0-notes.txt", "zz-notes.txt"):
        (tmp_path / "versions" / name).write_text("mine")
    for number in range(8):
        publish_version(tmp_path, f"v{number}")
    assert versions(tmp_path) == {"0-notes.txt", "zz-notes.txt", *(f"v{number}" for number in range(3, 8))}


def test_failed_removal_of_old_versions_is_only_a_warning(tmp_path, monkeypatch, caplog):
    for number in range(5):
        publish_version(tmp_path, f"v{number}")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with staging_folder(tmp_path) as staged:
        for name in (KERAS_FILE, SCALER_FILE):
            (staged / name).write_bytes(b"new")
        with monkeypatch.context() as patch:
            patch.setattr("models.publishing.shutil.rmtree", refuse)
            publish(tmp_path, {"model_version": "v5"}, staged)
    assert read_published(tmp_path).version == "v5"
    assert "Old versions are not removed" in caplog.text


def test_stale_staging_folders_are_removed_after_a_day(tmp_path):
    (tmp_path / "versions").mkdir()
    for name, age in (("old", 2 * 86400), ("new", 3600)):
        folder = tmp_path / "versions" / f".staging-{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    publish_version(tmp_path, "v1")
    assert versions(tmp_path) == {"v1", ".staging-new"}


def test_metadata_with_nan_is_not_published(tmp_path):
    with staging_folder(tmp_path) as folder:
        for name in FILES:
            (folder / name).touch()
        with pytest.raises(ValueError, match="JSON compliant"):
            publish(tmp_path, {"model_version": "v1", "rmse": float("nan")}, folder)
    assert not (tmp_path / METADATA_FILE).exists()


def test_model_compared_with_an_outdated_one_is_not_published(tmp_path):
    publish_version(tmp_path, "v1")
    before = (tmp_path / METADATA_FILE).read_bytes()
    with staging_folder(tmp_path) as folder:
        for name in FILES:
            (folder / name).write_text("v2")
        for judged in (None, "v0"):
            with pytest.raises(PublishedMeanwhileError, match="v1"):
                publish(tmp_path, {"model_version": "v2"}, folder, after=judged)
            assert (tmp_path / METADATA_FILE).read_bytes() == before
        publish(tmp_path, {"model_version": "v2"}, folder, after="v1")
    assert read_published(tmp_path).version == "v2"


def test_first_model_is_published_only_if_there_is_none(tmp_path):
    with staging_folder(tmp_path) as folder:
        for name in FILES:
            (folder / name).write_text("v1")
        publish(tmp_path, {"model_version": "v1"}, folder, after=None)
    assert read_published(tmp_path).version == "v1"


def test_replaced_file_is_published_with_its_checksum(tmp_path):
    published = publish_version(tmp_path, "v1")
    (published.folder / ONNX_FILE).unlink()
    replace_file(tmp_path, "v1", ONNX_FILE, b"made again")
    assert read_published(tmp_path).read(ONNX_FILE) == b"made again"
    assert (tmp_path / METADATA_FILE).read_bytes() == (published.folder / METADATA_FILE).read_bytes()


def test_replacing_a_file_of_an_old_version_does_not_publish_it(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    replace_file(tmp_path, "v1", ONNX_FILE, b"made again")
    assert read_published(tmp_path).version == "v2"
    assert rollback(tmp_path).read(ONNX_FILE) == b"made again"


def test_file_is_checked_when_it_is_read(tmp_path):
    published = publish_version(tmp_path, "v1")
    assert published.read(SCALER_FILE) == (tmp_path / SCALER_FILE).read_bytes()
    (published.folder / SCALER_FILE).write_bytes(b"swapped after read_published")
    with pytest.raises(ModelUnavailableError, match="have changed since its publication") as caught:
        published.read(SCALER_FILE)
    assert caught.value.details == [f"{SCALER_FILE} has another SHA-256 than when it was published"]
    (published.folder / SCALER_FILE).unlink()
    with pytest.raises(ModelUnavailableError, match="have changed since its publication") as caught:
        published.read(SCALER_FILE)
    assert caught.value.details == [f"{SCALER_FILE} is missing"]


def test_run_is_recorded_in_the_version_and_the_published_copy(tmp_path):
    for version in ("v1", "v2"):
        publish_version(tmp_path, version)
    assert record_run(tmp_path, "v2", "run 2")
    assert not record_run(tmp_path, "v1", "run 1")
    assert read_published(tmp_path).metadata["mlflow_run_id"] == "run 2"
    assert read_published(tmp_path).metadata["note"] == "é"
    assert rollback(tmp_path).metadata["mlflow_run_id"] == "run 1"


def test_run_of_an_unpublished_version_is_not_recorded(tmp_path):
    publish_version(tmp_path, "v1")
    before = (tmp_path / METADATA_FILE).read_bytes()
    assert not record_run(tmp_path, "v0", "run 0")
    assert (tmp_path / METADATA_FILE).read_bytes() == before
    assert not record_run(tmp_path / "nothing", "v0", "run 0")
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("content", ["[1]", '"x"', "null", "{", ""])
def test_metadata_that_is_not_an_object_names_no_version_and_can_be_replaced(tmp_path, content):
    publish_version(tmp_path, "1")
    (tmp_path / "metadata.json").write_text(content)
    assert current_version(tmp_path) is None
    with pytest.raises(ModelUnavailableError, match=r"metadata\.json cannot be read"):
        rollback(tmp_path)
    publish_version(tmp_path, "2")
    assert current_version(tmp_path) == "2"
