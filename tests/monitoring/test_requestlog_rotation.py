"""The request log when it or its disk is full, and when it is moved or deleted."""

import os
from pathlib import Path

import pytest
from log_rows import HEADER, ROW, at_once, forks

from monitoring.logreader import COLUMNS, open_parts
from monitoring.requestlog import RequestLog

pytestmark = pytest.mark.usefixtures("_every_line_looks")


def part_files(path: Path) -> list[Path]:
    """The log and its old parts, oldest first."""
    return sorted(path.parent.glob(path.name + "*"), key=lambda part: int(part.suffix[1:]) if part != path else 0, reverse=True)


def lines_of(path: Path) -> list[str]:
    """All lines of all parts without their headers, oldest first; each part must have its header."""
    contents = [part.read_text().splitlines() for part in part_files(path)]
    assert all(content[0] == HEADER for content in contents)
    return [line for content in contents for line in content[1:]]


def test_full_log_is_rotated_and_a_number_of_parts_kept(path):
    log = RequestLog(path, max_bytes=2000, parts=3)
    for i in range(100):
        log.append(ROW | {"horizon": i})
    names = [part.name for part in part_files(path)]
    assert names == ["log.csv.3", "log.csv.2", "log.csv.1", "log.csv"]
    assert all(2000 <= part.stat().st_size < 2300 for part in part_files(path)[:-1])
    kept = len(lines_of(path))
    assert [row["horizon"] for row in log.tail(1000)] == list(range(100 - kept, 100))
    log.close()


@pytest.mark.parametrize("limit", [0, 1, 2, 8, 9, 10, 17, 18, 19, 29, 30, 31])
def test_tail_reads_across_parts(path, limit):
    log = RequestLog(path, max_bytes=1200)
    for i in range(30):
        log.append(ROW | {"horizon": i})
    assert len(part_files(path)) > 3
    assert [row["horizon"] for row in log.tail(limit)] == list(range(30))[max(0, 30 - limit) :]
    log.close()


def test_process_follows_a_rotation_by_another(path):
    one, two = RequestLog(path, max_bytes=500), RequestLog(path, max_bytes=500)
    while not path.with_name("log.csv.1").exists():
        one.append(ROW)
    full = path.with_name("log.csv.1").read_bytes()
    two.append(ROW)
    assert path.with_name("log.csv.1").read_bytes() == full
    assert path.read_text().splitlines()[0] == HEADER
    for log in (one, two):
        log.close()


def test_file_renamed_during_reading_is_read_once(path):
    log = RequestLog(path)
    descriptors = open_parts(path, 5)
    inodes = [os.fstat(next(descriptors)).st_ino]
    path.rename(path.with_name("log.csv.1"))
    log.append(ROW)
    assert [os.fstat(descriptor).st_ino for descriptor in descriptors] == []
    assert [os.fstat(descriptor).st_ino for descriptor in open_parts(path, 5)][1:] == inodes
    log.close()


def test_parts_beyond_a_lowered_limit_are_removed(path):
    for parts in (5, 2):
        log = RequestLog(path, max_bytes=500, parts=parts)
        for _ in range(30):
            log.append(ROW)
        assert len(part_files(path)) == parts + 1
        log.close()


def test_other_files_are_not_removed(path):
    path.parent.mkdir()
    for name in ("log.csv.20260101", "log.csv.1.gz", "log.csv.old", "log.csv.0"):
        path.with_name(name).write_text("mine")
    log = RequestLog(path, max_bytes=500, parts=1)
    for _ in range(30):
        log.append(ROW)
    assert sum(part.read_text() == "mine" for part in path.parent.iterdir()) == 4
    log.close()


def test_log_without_a_limit_is_never_rotated(path):
    log = RequestLog(path, max_bytes=0)
    for _ in range(1000):
        log.append(ROW)
    assert [part.name for part in path.parent.iterdir()] == ["log.csv"]
    log.close()


@forks
@pytest.mark.parametrize(("max_bytes", "look_seconds"), [(1, 0), (700, 0), (3000, 0), (20_000, 0), (3000, 0.001), (3000, 0.01)])
def test_concurrent_rotation_loses_or_tears_no_line(path, max_bytes, look_seconds, monkeypatch):
    monkeypatch.setattr("monitoring.requestlog.LOOK_SECONDS", look_seconds)
    # At most 100 parts, or the oldest are removed. A part of 700 bytes can hold only three lines, if each process sees the others' lines.
    count = {1: 20, 700: 70, 3000: 300}.get(max_bytes, 500)

    def append_many(number: int) -> None:
        own = RequestLog(path, max_bytes, parts=100)
        for i in range(count):
            assert own.append(ROW | {"windows": number, "horizon": i, "model_version": "x" * (i % 50)})

    at_once(append_many, processes=4)
    rows = [dict(zip(COLUMNS, line.split(","), strict=True)) for line in lines_of(path)]
    assert (4 if look_seconds == 0 else 1) < len(part_files(path)) <= 100
    assert len(rows) == 4 * count
    assert {(row["windows"], row["horizon"]) for row in rows} == {(str(number), str(i)) for number in range(4) for i in range(count)}
    assert all(len(row["model_version"]) == int(row["horizon"]) % 50 and row["last_return"] == "-0.0123" for row in rows)


@pytest.mark.parametrize("remove", [lambda path: path.unlink(), lambda path: path.rename(path.with_name("moved"))])
def test_deleted_or_moved_log_is_recreated(log, path, remove):
    log.append(ROW)
    remove(path)
    log.append(ROW | {"horizon": 1})
    log.append(ROW | {"horizon": 2})
    assert path.read_text().splitlines()[0] == HEADER
    assert [row["horizon"] for row in log.tail(10)] == [1, 2]


def test_emptied_log_gets_its_header_again(log, path):
    log.append(ROW)
    os.truncate(path, 0)
    log.append(ROW)
    assert path.read_text().splitlines()[0] == HEADER
    assert log.tail(10) == [ROW]


def test_log_is_recreated_with_its_deleted_folder(log, path):
    path.unlink()
    path.parent.rmdir()
    log.append(ROW)
    assert log.tail(10) == [ROW]


def test_failed_rename_is_logged_once_and_the_log_grows(path, monkeypatch, caplog):
    log = RequestLog(path, max_bytes=2000)

    def refuse(*names):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("monitoring.requestlog.os.rename", refuse)
        for _ in range(14):
            assert log.append(ROW)
    assert caplog.text.count("cannot be renamed") == 1
    assert len(log.tail(100)) == 14
    for _ in range(14):
        log.append(ROW)
    assert len(part_files(path)) == 2
    assert len(log.tail(100)) == 28
    log.close()


def test_full_disk_during_rotation_keeps_old_files(path, monkeypatch, caplog):
    log = RequestLog(path, max_bytes=2000, parts=2)
    while not log.path.with_name("log.csv.1").exists():
        log.append(ROW)
    kept = path.with_name("log.csv.1").read_bytes()
    path.unlink()
    write = os.write
    with monkeypatch.context() as patch:
        patch.setattr("monitoring.requestlog.os.write", lambda descriptor, line: write(descriptor, line[:5]))  # the header too
        assert [log.append(ROW) for _ in range(5)] == [False] * 5
    assert caplog.text.count("not logged") == 1
    assert log.append(ROW)
    assert path.read_text().splitlines()[0] == HEADER
    assert path.with_name("log.csv.1").read_bytes() == kept
    log.close()


def test_rotation_follows_a_symbolic_link(tmp_path, path):
    path.parent.mkdir()
    path.touch()
    link = tmp_path / "link.csv"
    link.symlink_to(path)
    log = RequestLog(link, max_bytes=500)
    for _ in range(10):
        log.append(ROW)
    assert link.is_symlink()
    assert len(lines_of(path)) == len(log.tail(100)) == 10
    log.close()


def test_log_that_is_not_a_regular_file_is_never_rotated():
    log = RequestLog(Path(os.devnull), max_bytes=1)
    assert [log.append(ROW) for _ in range(3)] == [True] * 3
    assert log.tail(10) == []
    log.close()
