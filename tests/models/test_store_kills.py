"""Concurrent publications, and kills at random moments: the old version or the new one is always complete."""

import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from beginning import begin
from publishing import is_whole, publish_version, versions

from errors import ModelUnavailableError
from models import publishing
from models.publishing import KEPT_VERSIONS, record_run, replace_file, rollback
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, read_published
from storage import locked

pytestmark = pytest.mark.slow

# Python 3.12 on; what the children do needs none of the threads
forks = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


def start(work: Callable[[], object]) -> int:
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
def test_concurrent_publications_always_leave_a_complete_version(tmp_path):
    publish_version(tmp_path, "a")
    running = {start(partial(publish_many, tmp_path, name, 15)) for name in ("b", "c")}
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


@pytest.fixture(scope="module")
def small_process() -> Iterator[ForkServerContext]:
    """Starts functions in forks of a process that has imported the store alone: a fork of pytest, with all its libraries, takes longer."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["models.publishing", "publishing", "beginning"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # of the process that forks
        yield context


class Killer:
    """Begins work in a process of its own and kills it at random, at such times that it is done in half of the cases."""

    def __init__(self, context: ForkServerContext) -> None:
        self.done = self.undone = 0
        self._context, self._longest, self._chance = context, 0.02, random.Random(0)

    def kill(self, work: Callable[[], object], is_done: Callable[[], bool]) -> None:
        reading, writing = self._context.Pipe(duplex=False)
        process = self._context.Process(target=begin, args=(writing, work))
        process.start()
        with reading, writing:
            reading.recv_bytes()
        time.sleep(self._chance.uniform(0, self._longest))
        process.kill()
        process.join()
        done = is_done()
        self._longest *= 0.95 if done else 1.05
        self.done, self.undone = self.done + done, self.undone + (not done)

    def check(self) -> None:
        """Both outcomes must be frequent; otherwise the kills did not hit the work."""
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


def is_replaced(model_dir: Path, old: str) -> bool:
    return check_whole(model_dir) != old


KILLS, SIZE = 200, 200_000


def test_killed_publication_leaves_the_old_or_new_version_complete(tmp_path, small_process):
    publish_version(tmp_path, "a", SIZE)
    killer = Killer(small_process)
    for kill in range(KILLS):
        before, new = check_whole(tmp_path), f"b{kill:03}"
        killer.kill(partial(publish_version, tmp_path, new, SIZE), partial(is_replaced, tmp_path, before))
        assert check_whole(tmp_path) in (before, new)
    killer.check()
    before = check_whole(tmp_path)
    publish_version(tmp_path, "c")
    assert {path.name for path in tmp_path.iterdir() if path.name.startswith(".")} == {".lock"}
    assert rollback(tmp_path).version == before


def test_killed_rollback_leaves_the_old_or_new_version_complete(tmp_path, small_process):
    for version in ("v1", "v2"):
        publish_version(tmp_path, version, SIZE)
    killer = Killer(small_process)
    for _ in range(KILLS):
        killer.kill(partial(rollback, tmp_path), lambda: check_whole(tmp_path) == "v1")
        with locked(tmp_path):
            publishing._switch_to(tmp_path, tmp_path / "versions" / "v2")
    killer.check()


def test_killed_recording_of_a_run_leaves_the_version_complete(tmp_path, small_process):
    publish_version(tmp_path, "v1", SIZE)
    killer = Killer(small_process)

    def is_new() -> bool:
        assert is_whole(tmp_path, read_published(tmp_path))
        assert json.loads((tmp_path / "versions" / "v1" / METADATA_FILE).read_text())["mlflow_run_id"] in ("old", "new")
        return bool(read_published(tmp_path).metadata["mlflow_run_id"] == "new")

    for _ in range(KILLS):
        record_run(tmp_path, "v1", "old")
        killer.kill(partial(record_run, tmp_path, "v1", "new"), is_new)
    killer.check()


def test_killed_replacement_leaves_the_file_missing_or_complete(tmp_path, small_process):
    """The file is lost: the version is rejected until the file is restored. The other files are unchanged."""
    lost = publish_version(tmp_path, "v1", SIZE).folder / ONNX_FILE
    killer = Killer(small_process)

    def is_back() -> bool:
        read_published(tmp_path, only=[KERAS_FILE, SCALER_FILE])
        with suppress(ModelUnavailableError):
            return bool(check_whole(tmp_path))
        return False

    for kill in range(KILLS):
        lost.unlink()
        content = f"v1 {ONNX_FILE} {kill} ".encode() + b"x" * SIZE  # another one each time
        killer.kill(partial(replace_file, tmp_path, "v1", ONNX_FILE, content), is_back)
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
def test_exit_before_any_disk_change_leaves_the_old_or_new_version(tmp_path, work, new):
    outcomes: list[str] = []
    ended = 9
    while ended == 9:
        model_dir = tmp_path / str(len(outcomes))
        for version in ("v1", "v2"):
            publish_version(model_dir, version)
        process = start(partial(until, len(outcomes), partial(work, model_dir)))
        ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        published = read_published(model_dir)
        assert is_whole(model_dir, published)
        outcomes.append(published.version)
    assert ended == 0
    old = outcomes.count("v2")
    assert outcomes == ["v2"] * old + [new] * (len(outcomes) - old)  # never back from new to old
    assert old > 3
    assert len(outcomes) - old > 3
