import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import modelStore
from errors import ModelUnavailableError
from modelStore import (
    KEPT_VERSIONS,
    KERAS_FILE,
    METADATA_FILE,
    ONNX_FILE,
    SCALER_FILE,
    PublishedMeanwhileError,
    PublishedModel,
    publish,
    read_published,
    record_run,
    replace_file,
    rollback,
    sha256,
    staging_folder,
)

FILES = (KERAS_FILE, SCALER_FILE, ONNX_FILE)

# Python 3.12 on; what the children do needs none of the threads
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


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


def test_published_version_is_read_as_it_was_published(tmp_path):
    published = publish_version(tmp_path, "v1")
    read = read_published(tmp_path)
    assert read == published
    assert is_whole(tmp_path, read)
    assert read.metadata["files"] == {name: sha256(read.folder / name) for name in sorted(FILES)}
    assert read.metadata["note"] == "é"
    assert read.metadata["previous_version"] is None


def test_copies_at_the_promised_paths_are_the_published_version_s(tmp_path):
    for version in ("v1", "v2"):
        published = publish_version(tmp_path, version)
        for name in (KERAS_FILE, SCALER_FILE, METADATA_FILE):
            assert (tmp_path / name).read_bytes() == (published.folder / name).read_bytes()


def test_published_files_can_be_read_by_another_user(tmp_path):
    published = publish_version(tmp_path, "v1")
    assert published.folder.stat().st_mode & 0o555 == 0o555
    for path in (*published.folder.iterdir(), *(tmp_path / name for name in (KERAS_FILE, SCALER_FILE, METADATA_FILE))):
        assert path.stat().st_mode & 0o444 == 0o444, path


def test_nothing_published_is_an_error_that_says_how_to_train(tmp_path):
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
def test_damaged_file_is_refused_naming_it(tmp_path, name, damage, said):
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
def test_broken_metadata_is_refused(tmp_path, content):
    publish_version(tmp_path, "v1")
    (tmp_path / METADATA_FILE).write_bytes(content)
    with pytest.raises(ModelUnavailableError) as caught:
        read_published(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["../../elsewhere", "..", "", ".hidden", "/etc", "a/b", "v1\n", "v" * 101])
def test_version_that_leads_elsewhere_is_neither_read_nor_published_nor_gone_back_to(tmp_path, version):
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
        with pytest.raises(ModelUnavailableError, match="nothing was changed"):
            rollback(model_dir)

    (model_dir / METADATA_FILE).write_bytes(before)
    with pytest.raises(ValueError, match="not the name of a version"):
        publish_version(model_dir, version)
    assert read_published(model_dir).version == "v1"
    assert versions(model_dir) == {"v1"}


def test_rollback_puts_the_previous_version_back(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    assert rollback(tmp_path).version == "v1"
    assert read_published(tmp_path).version == "v1"
    assert (tmp_path / KERAS_FILE).read_text().startswith("v1")


def test_rollback_in_a_folder_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(ModelUnavailableError, match="none to go back to"):
        rollback(tmp_path / "mistyped")
    assert not (tmp_path / "mistyped").exists()


def test_rollback_twice_goes_two_versions_back_and_then_no_further(tmp_path):
    for version in ("v1", "v2", "v3"):
        publish_version(tmp_path, version)
    assert [rollback(tmp_path).version for _ in range(2)] == ["v2", "v1"]
    with pytest.raises(ModelUnavailableError, match="no previously published version"):
        rollback(tmp_path)
    assert read_published(tmp_path).version == "v1"


def test_rollback_after_a_publication_that_followed_a_rollback_goes_to_what_served(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    rollback(tmp_path)
    publish_version(tmp_path, "v3")
    assert rollback(tmp_path).version == "v1"


@pytest.mark.parametrize("damage", ["file", "metadata", "all"])
def test_rollback_to_a_version_that_is_not_whole_changes_nothing(tmp_path, damage):
    first = publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    if damage == "file":
        (first.folder / ONNX_FILE).unlink()
    elif damage == "metadata":
        (first.folder / METADATA_FILE).write_text("{}")
    else:
        shutil.rmtree(first.folder)
    with pytest.raises(ModelUnavailableError, match=r"Version v1 is not .*; nothing was changed"):
        rollback(tmp_path)
    assert read_published(tmp_path).version == "v2"


def test_rollback_works_while_the_published_files_are_damaged(tmp_path):
    publish_version(tmp_path, "v1")
    (publish_version(tmp_path, "v2").folder / KERAS_FILE).unlink()
    assert rollback(tmp_path).version == "v1"


def test_old_versions_are_removed_but_the_newest(tmp_path):
    names = [f"v{i}" for i in range(KEPT_VERSIONS + 3)]
    for name in names:
        publish_version(tmp_path, name)
    assert versions(tmp_path) == set(names[-KEPT_VERSIONS:])


def test_previous_version_is_kept_however_old(tmp_path):
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


def test_staging_folder_is_gone_after_a_failure(tmp_path):
    with suppress(RuntimeError), staging_folder(tmp_path) as folder:
        (folder / KERAS_FILE).write_text("half")
        raise RuntimeError
    assert versions(tmp_path) == set()


def test_failed_publication_leaves_the_old_version_and_no_staging_folder(tmp_path, monkeypatch):
    publish_version(tmp_path, "v1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(modelStore, "flush_folder", full)
    with pytest.raises(OSError, match="No space left"):
        publish_version(tmp_path, "v2")
    assert read_published(tmp_path).version == "v1"
    assert versions(tmp_path) == {"v1"}


def test_what_else_lies_beside_the_versions_does_not_make_a_publication_fail(tmp_path):
    (tmp_path / "versions").mkdir()
    for name in ("0-notes.txt", "zz-notes.txt"):
        (tmp_path / "versions" / name).write_text("mine")
    for number in range(8):
        publish_version(tmp_path, f"v{number}")
    assert versions(tmp_path) == {"0-notes.txt", "zz-notes.txt", *(f"v{number}" for number in range(3, 8))}


def test_old_versions_that_cannot_be_removed_are_said_and_the_publication_stands(tmp_path, monkeypatch, caplog):
    for number in range(5):
        publish_version(tmp_path, f"v{number}")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with staging_folder(tmp_path) as staged:
        for name in (KERAS_FILE, SCALER_FILE):
            (staged / name).write_bytes(b"new")
        with monkeypatch.context() as patch:
            patch.setattr("modelStore.shutil.rmtree", refuse)
            publish(tmp_path, {"model_version": "v5"}, staged)
    assert read_published(tmp_path).version == "v5"
    assert "Old versions are not removed" in caplog.text


def test_staging_folders_that_a_kill_left_behind_are_removed_after_a_day(tmp_path):
    (tmp_path / "versions").mkdir()
    for name, age in (("old", 2 * 86400), ("new", 3600)):
        folder = tmp_path / "versions" / f".staging-{name}"
        folder.mkdir()
        os.utime(folder, (time.time() - age,) * 2)
    publish_version(tmp_path, "v1")
    assert versions(tmp_path) == {"v1", ".staging-new"}


def test_not_a_number_is_not_published(tmp_path):
    with staging_folder(tmp_path) as folder:
        for name in FILES:
            (folder / name).touch()
        with pytest.raises(ValueError, match="JSON compliant"):
            publish(tmp_path, {"model_version": "v1", "rmse": float("nan")}, folder)
    assert not (tmp_path / METADATA_FILE).exists()


def test_a_model_that_was_held_against_another_one_than_is_published_now_is_not_published(tmp_path):
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


def test_a_first_model_is_published_only_while_there_is_none(tmp_path):
    with staging_folder(tmp_path) as folder:
        for name in FILES:
            (folder / name).write_text("v1")
        publish(tmp_path, {"model_version": "v1"}, folder, after=None)
    assert read_published(tmp_path).version == "v1"


def test_a_file_that_was_made_again_is_put_in_its_place_and_its_sum_recorded(tmp_path):
    published = publish_version(tmp_path, "v1")
    (published.folder / ONNX_FILE).unlink()
    replace_file(tmp_path, "v1", ONNX_FILE, b"made again")
    assert read_published(tmp_path).read(ONNX_FILE) == b"made again"
    assert (tmp_path / METADATA_FILE).read_bytes() == (published.folder / METADATA_FILE).read_bytes()


def test_a_file_of_a_version_that_no_longer_serves_does_not_put_it_back(tmp_path):
    publish_version(tmp_path, "v1")
    publish_version(tmp_path, "v2")
    replace_file(tmp_path, "v1", ONNX_FILE, b"made again")
    assert read_published(tmp_path).version == "v2"
    assert rollback(tmp_path).read(ONNX_FILE) == b"made again"


def test_a_file_is_read_and_checked_at_once(tmp_path):
    published = publish_version(tmp_path, "v1")
    assert published.read(SCALER_FILE) == (tmp_path / SCALER_FILE).read_bytes()
    (published.folder / SCALER_FILE).write_bytes(b"swapped after read_published")
    with pytest.raises(ModelUnavailableError, match="not as published") as caught:
        published.read(SCALER_FILE)
    assert caught.value.details == [f"{SCALER_FILE} has another SHA-256 than it was published with"]
    (published.folder / SCALER_FILE).unlink()
    with pytest.raises(ModelUnavailableError, match="not as published") as caught:
        published.read(SCALER_FILE)
    assert caught.value.details == [f"{SCALER_FILE} is missing"]


def test_a_run_is_recorded_in_the_version_and_where_it_is_published(tmp_path):
    for version in ("v1", "v2"):
        publish_version(tmp_path, version)
    assert record_run(tmp_path, "v2", "run 2")
    assert not record_run(tmp_path, "v1", "run 1")
    assert read_published(tmp_path).metadata["mlflow_run_id"] == "run 2"
    assert read_published(tmp_path).metadata["note"] == "é"
    assert rollback(tmp_path).metadata["mlflow_run_id"] == "run 1"


def test_a_run_of_a_version_that_was_never_published_is_recorded_nowhere(tmp_path):
    publish_version(tmp_path, "v1")
    before = (tmp_path / METADATA_FILE).read_bytes()
    assert not record_run(tmp_path, "v0", "run 0")
    assert (tmp_path / METADATA_FILE).read_bytes() == before
    assert not record_run(tmp_path / "nothing", "v0", "run 0")
    assert not (tmp_path / "nothing").exists()


# Several processes, and kills


def start(work: Callable[[], None]) -> int:
    """Do something in a process of its own; its id."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)  # never back into pytest
    return process


def publish_many(model_dir: Path, name: str, count: int) -> None:
    for i in range(count):
        publish_version(model_dir, f"{name}-{i:05}", size=200_000)


@forks
def test_two_processes_that_publish_at_once_leave_a_whole_set_at_every_moment(tmp_path):
    publish_version(tmp_path, "a")
    running = {start(lambda name=name: publish_many(tmp_path, name, 15)) for name in ("b", "c")}
    seen, endings = [], {}
    while running:
        try:
            seen.append(read_published(tmp_path).version)
        except ModelUnavailableError:  # KEPT_VERSIONS publications since it read metadata.json: only then are files gone
            assert read_published(tmp_path).version != seen[-1]
        for process in list(running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                endings[process] = status
                running.remove(process)
    assert list(endings.values()) == [0, 0]
    assert is_whole(tmp_path, read_published(tmp_path))
    assert len(set(seen)) > 2
    assert len(versions(tmp_path)) == KEPT_VERSIONS
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {".lock"}


class Killer:
    """Begins work in a process of its own and kills it at random, at such times that it is done in half of the cases."""

    def __init__(self) -> None:
        self.done = self.undone = 0
        self._longest, self._chance = 0.02, random.Random(0)

    def kill(self, work: Callable[[], object], is_done: Callable[[], bool]) -> None:
        reading, writing = os.pipe()
        process = start(lambda: (os.write(writing, b"."), work()))
        os.read(reading, 1)
        time.sleep(self._chance.uniform(0, self._longest))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(reading)
        os.close(writing)
        done = is_done()
        self._longest *= 0.95 if done else 1.05
        self.done, self.undone = self.done + done, self.undone + (not done)

    def check(self) -> None:
        """Both must have come about often, or the kills were not in the midst of the work."""
        print(f"done {self.done}, not done {self.undone}")
        assert self.done + self.undone == KILLS
        assert min(self.done, self.undone) > KILLS // 5


def check_whole(model_dir: Path) -> str:
    """Check that what is published is one whole version, and that each copy is a whole file of some version; the version."""
    published = read_published(model_dir)
    assert is_whole(model_dir, published)
    assert published.metadata == json.loads((published.folder / METADATA_FILE).read_text())
    for name in (KERAS_FILE, SCALER_FILE):
        content = (model_dir / name).read_text()
        assert content == f"{content.split()[0]} {name} " + "x" * SIZE
    return published.version


KILLS, SIZE = 200, 200_000


@pytest.mark.slow
@forks
def test_200_kills_during_publications_each_leave_the_old_or_the_new_version_whole(tmp_path):
    publish_version(tmp_path, "a", SIZE)
    killer = Killer()
    for kill in range(KILLS):
        before, new = check_whole(tmp_path), f"b{kill:03}"
        killer.kill(lambda new=new: publish_version(tmp_path, new, SIZE), lambda old=before: check_whole(tmp_path) != old)
        assert check_whole(tmp_path) in (before, new)
    killer.check()
    before = check_whole(tmp_path)
    publish_version(tmp_path, "c")
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {".lock"}
    assert rollback(tmp_path).version == before


@pytest.mark.slow
@forks
def test_200_kills_during_rollbacks_each_leave_the_old_or_the_new_version_whole(tmp_path):
    for version in ("v1", "v2"):
        publish_version(tmp_path, version, SIZE)
    killer = Killer()
    for _ in range(KILLS):
        killer.kill(lambda: rollback(tmp_path), lambda: check_whole(tmp_path) == "v1")
        with modelStore.locked(tmp_path):
            modelStore._switch_to(tmp_path, tmp_path / "versions" / "v2")
    killer.check()


@pytest.mark.slow
@forks
def test_200_kills_while_a_run_is_recorded_each_leave_the_version_whole(tmp_path):
    publish_version(tmp_path, "v1", SIZE)
    killer = Killer()

    def is_new() -> bool:
        assert is_whole(tmp_path, read_published(tmp_path))
        assert json.loads((tmp_path / "versions" / "v1" / METADATA_FILE).read_text())["mlflow_run_id"] in ("old", "new")
        return read_published(tmp_path).metadata["mlflow_run_id"] == "new"

    for _ in range(KILLS):
        record_run(tmp_path, "v1", "old")
        killer.kill(lambda: record_run(tmp_path, "v1", "new"), is_new)
    killer.check()


@pytest.mark.slow
@forks
def test_200_kills_while_a_lost_file_is_put_back_each_leave_it_lost_or_whole(tmp_path):
    """Lost: refused, and mended by doing it again. The other files are as they were."""
    lost = publish_version(tmp_path, "v1", SIZE).folder / ONNX_FILE
    killer = Killer()

    def is_back() -> bool:
        read_published(tmp_path, only=[KERAS_FILE, SCALER_FILE])
        with suppress(ModelUnavailableError):
            return bool(check_whole(tmp_path))
        return False

    for kill in range(KILLS):
        lost.unlink()
        content = f"v1 {ONNX_FILE} {kill} ".encode() + b"x" * SIZE  # another one each time
        killer.kill(lambda content=content: replace_file(tmp_path, "v1", ONNX_FILE, content), is_back)
        replace_file(tmp_path, "v1", ONNX_FILE, content)
        assert is_back()
    killer.check()


def until(calls: int, work: Callable[[], object]) -> None:
    """Do `work`, but end without a word before the call number `calls` that changes the disk."""
    left = calls

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return call(*arguments, **options)

        return wrapper

    for name in ("rename", "replace", "open", "fsync", "mkdir", "rmdir", "unlink", "fchmod"):
        setattr(os, name, counted(getattr(os, name)))
    work()


@forks
@pytest.mark.parametrize(
    ("work", "new"), [(lambda model_dir: publish_version(model_dir, "v3"), "v3"), (rollback, "v1")], ids=["publish", "rollback"]
)
def test_end_before_each_single_change_of_the_disk_leaves_old_or_new(tmp_path, work, new):
    outcomes, ended = [], 9
    while ended == 9:
        model_dir = tmp_path / str(len(outcomes))
        for version in ("v1", "v2"):
            publish_version(model_dir, version)
        process = start(lambda model_dir=model_dir: until(len(outcomes), lambda: work(model_dir)))
        ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        published = read_published(model_dir)
        assert is_whole(model_dir, published)
        outcomes.append(published.version)
    assert ended == 0
    old = outcomes.count("v2")
    assert outcomes == ["v2"] * old + [new] * (len(outcomes) - old)  # never back from new to old
    assert old > 3
    assert len(outcomes) - old > 3
