"""Atomic writes, locks and checksums."""

import os
import threading
import time

import pytest
from filelock import Timeout

from storage import locked, remove_stale, sha256, sha256_of, write_atomic, write_json


@pytest.mark.parametrize("unlocked", [False, True])
def test_file_is_replaced_and_readable_by_all(tmp_path, unlocked):
    file = tmp_path / "file"
    for content in (b"old", b"new"):
        write_atomic(file, content, unlocked=unlocked)
        assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_failed_write_leaves_the_old_content_and_no_temporary_file(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomic(file, b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_threads_without_a_lock_do_not_disturb_each_other(tmp_path, monkeypatch):
    file, set_mode = tmp_path / "file", os.fchmod

    def write_in_between(*arguments):
        monkeypatch.setattr(os, "fchmod", set_mode)
        other = threading.Thread(target=write_atomic, args=(file, b"other"), kwargs={"unlocked": True})
        other.start()
        other.join()
        set_mode(*arguments)

    monkeypatch.setattr(os, "fchmod", write_in_between)
    write_atomic(file, b"own", unlocked=True)
    assert file.read_bytes() == b"own"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_json_without_nan_is_written(tmp_path):
    write_json(tmp_path / "a.json", {"price": 1.5})
    assert (tmp_path / "a.json").read_text() == '{\n  "price": 1.5\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"price": float("nan")})
    assert not (tmp_path / "b.json").exists()


def test_checksum_of_a_file_equals_that_of_its_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    assert sha256(tmp_path / "file") == sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_lock_is_held_by_one_at_a_time(tmp_path):
    folder = tmp_path / "new"
    with locked(folder), pytest.raises(Timeout), locked(folder, wait=False):
        pass
    with locked(folder, wait=False):
        pass


def test_stale_folders_are_removed_and_fresh_ones_kept(tmp_path):
    for name in (".staging-old", ".staging-new", "other"):
        (tmp_path / name).mkdir()
    long_ago = time.time() - 100_000
    for name in (".staging-old", "other"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    remove_stale(tmp_path, ".staging-")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".staging-new", "other"]
