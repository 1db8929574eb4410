"""The request log: its header, rows, tail and summary, and concurrent and partial writes."""

import csv
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from log_rows import HEADER, ROW, at_once, forks

from monitoring.logreader import BLOCK_BYTES, COLUMNS, summarise
from monitoring.requestlog import RequestLog
from settings import PROJECT_DIR

pytestmark = pytest.mark.usefixtures("_every_line_looks")


def test_new_log_has_the_documented_header(log, path):
    assert path.read_text() == HEADER + "\n"
    assert HEADER.startswith("timestamp,response_time,memory_usage,")


def test_reopening_writes_no_second_header(log, path):
    log.append(ROW)
    RequestLog(path).close()
    assert path.read_text().count("timestamp") == 1


def open_and_append(path: Path, _: int) -> None:
    RequestLog(path).append(ROW)


@pytest.mark.slow
@forks
def test_concurrent_opens_write_one_header(tmp_path):
    for i in range(20):
        path = tmp_path / f"{i}.csv"
        at_once(partial(open_and_append, path), processes=4)
        lines = path.read_text().splitlines()
        assert (lines[0], len(lines), len(set(lines))) == (HEADER, 5, 2)


def test_line_that_another_process_is_writing_is_not_ended(log, path, monkeypatch):
    log.append(ROW)
    line = path.read_text().splitlines(keepends=True)[-1]
    path.write_text(f"{HEADER}\n{line[:20]}")

    def write_the_rest(seconds: float) -> None:
        if not path.read_text().endswith("\n"):
            with path.open("a") as file:
                file.write(line[20:])

    monkeypatch.setattr("monitoring.requestlog.time.sleep", write_the_rest)
    RequestLog(path).close()
    assert path.read_text() == f"{HEADER}\n{line}"


def test_row_is_read_as_it_was_written(log):
    log.append(ROW)
    (row,) = log.tail(1)
    assert row == ROW
    assert {column: type(value) for column, value in row.items()} == {column: type(value) for column, value in ROW.items()}


def test_missing_column_is_none(log):
    log.append({"timestamp": "t", "status": 422})
    assert log.tail(1) == [dict.fromkeys(COLUMNS) | {"timestamp": "t", "status": 422}]


@pytest.mark.parametrize("rows", [0, 1, 5])
@pytest.mark.parametrize("limit", [0, 1, 3, 5, 6, 100])
def test_tail_has_the_newest_rows_oldest_first(log, rows, limit):
    for i in range(rows):
        log.append(ROW | {"windows": i})
    assert [row["windows"] for row in log.tail(limit)] == list(range(rows))[max(0, rows - limit) :]


@pytest.mark.parametrize("limit", [1, 2, 319, 320, 321, 1000, 2999, 3000, 3001, 10_000])
def test_tail_of_a_long_log_equals_plain_reading(log, path, limit):
    for i in range(3000):
        log.append(ROW | {"windows": i, "model_version": "x" * (i * 7919 % 97)})
    assert path.stat().st_size > 7 * BLOCK_BYTES
    with path.open(newline="") as lines:
        expected = [(row["timestamp"], row["windows"], row["model_version"]) for row in csv.DictReader(lines)][-limit:]
    assert [(row["timestamp"], str(row["windows"]), row["model_version"] or "") for row in log.tail(limit)] == expected


@pytest.mark.parametrize("shift", range(-3, 4))
def test_tail_is_correct_at_block_boundaries(log, path, shift):
    log.append(ROW)
    line = path.stat().st_size - len(HEADER) - 1
    count = BLOCK_BYTES // line
    filler = BLOCK_BYTES - count * line + shift  # makes the last `count + 1` lines as long as a block, and `shift` more
    for i in range(count):
        log.append(ROW | {"windows": i % 10, "model_version": ROW["model_version"] + "x" * (filler if i == 0 else 0)})
    for limit in (1, count - 1, count, count + 1):
        assert len(log.tail(limit)) == min(limit, count + 1)
        assert log.tail(limit)[-1]["windows"] == (count - 1) % 10


def test_unfinished_last_line_is_not_shown(log, path):
    log.append(ROW)
    with path.open("a") as file:
        file.write("2026-01-02T03:04:06+00:00,0.00")
    assert log.tail(10) == [ROW]


def test_unfinished_line_does_not_affect_the_next_row(log, path):
    log.append(ROW)
    with path.open("a") as file:
        file.write("2026-01-02T03:04:06+00:00,0.001,4.5,20x")
    again = RequestLog(path)  # the next start
    again.append(ROW)
    assert again.tail(10) == [ROW, ROW]
    again.close()


@pytest.mark.parametrize("line", ["", "garbage", ",,,", "t,abc", "\0\0\0", '"', "é" * 10, HEADER])
def test_invalid_line_is_skipped(log, path, line):
    log.append(ROW)
    with path.open("a") as file:
        file.write(line + "\n")
    log.append(ROW)
    rows = log.tail(10)
    assert (rows[0], rows[-1]) == (ROW, ROW)
    assert all(row.keys() == ROW.keys() for row in rows)
    assert summarise(rows)["by_status"]["200"] == len([row for row in rows if row["status"] == 200])


OLD_HEADERS = ("timestamp,response_time,memory_usage", ",".join(COLUMNS[:-1]), "timestamp,memory_usage,response_time,own", "date,close")


@pytest.mark.parametrize("header", OLD_HEADERS)
def test_log_with_other_columns_is_renamed_and_still_read(path, header):
    path.parent.mkdir()
    path.write_text(
        f"{header}\n" + ",".join({"timestamp": "t", "response_time": "0.25"}.get(name, "") for name in header.split(",")) + "\n"
    )
    old = path.read_bytes()
    log = RequestLog(path)
    log.append(ROW)
    assert (path.with_name("log.csv.1").read_bytes(), path.read_text().splitlines()[0]) == (old, HEADER)
    expected = [] if header == "date,close" else [dict.fromkeys(COLUMNS) | {"timestamp": "t", "response_time": 0.25}]
    assert log.tail(10)[-1] == ROW
    assert log.tail(10)[:-1] == expected
    RequestLog(path).close()  # once is enough
    assert len(list(path.parent.iterdir())) == 2
    log.close()


def test_log_of_the_first_version_is_read_and_continued(path):
    path.parent.mkdir()
    path.write_text("timestamp,response_time,memory_usage\n2024-10-01 12:00:00.123456,0.25,61.5\n")
    log = RequestLog(path)
    log.append(ROW)
    old, new = log.tail(10)
    assert old == dict.fromkeys(COLUMNS) | {"timestamp": "2024-10-01 12:00:00.123456", "response_time": 0.25, "memory_usage": 61.5}
    assert new == ROW
    assert summarise([old, new])["requests"] == 2
    log.close()


@forks
def test_concurrent_appends_lose_or_tear_no_row(log, path):
    def append_many(number: int) -> None:
        own = RequestLog(path)
        for i in range(500):
            own.append(ROW | {"windows": number, "horizon": i, "model_version": "x" * (i % 50)})

    at_once(append_many, processes=4)
    rows = log.tail(10_000)
    assert len(path.read_text().splitlines()) == 2001
    assert {(row["windows"], row["horizon"]) for row in rows} == {(number, i) for number in range(4) for i in range(500)}
    assert all(len(row["model_version"] or "") == row["horizon"] % 50 and row["closes_1_59"] == ROW["closes_1_59"] for row in rows)


# Summary


def test_summary_has_counts_by_status_and_latency_percentiles():
    times = np.random.default_rng(0).exponential(0.01, 500)
    rows = [ROW | {"response_time": time} for time in times.tolist()]
    rows += [ROW | {"status": 422, "response_time": 9.0}] * 3 + [ROW | {"status": 413, "response_time": None}]
    summary = summarise(rows)
    assert (summary["requests"], summary["by_status"]) == (504, {"200": 500, "413": 1, "422": 3})
    assert summary["latency_seconds"] == {f"p{p}": pytest.approx(np.percentile(times, p)) for p in (50, 95, 99)}


@pytest.mark.parametrize("rows", [[], [ROW | {"status": 422}], [ROW | {"response_time": None}]])
def test_summary_without_answered_requests_has_no_latency(rows):
    assert summarise(rows)["latency_seconds"] is None
    assert summarise(rows)["requests"] == len(rows)


def test_full_disk_loses_the_line_and_is_logged_once(tmp_path, caplog):
    log = RequestLog(tmp_path / "log.csv")
    kept = os.dup(log._descriptor)
    with open("/dev/full", "wb") as full:
        os.dup2(full.fileno(), log._descriptor)
    log.append({"timestamp": "lost"})
    log.append({"timestamp": "lost too"})
    assert caplog.text.count("not logged") == 1
    os.dup2(kept, log._descriptor)
    os.close(kept)
    log.append({"timestamp": "kept"})
    assert caplog.text.count("logged to") == 2
    assert [row["timestamp"] for row in log.tail(10)] == ["kept"]
    log.close()


def test_partial_write_does_not_affect_the_next_line(tmp_path):
    code = """
import resource, sys
from pathlib import Path
from monitoring.requestlog import RequestLog
path = Path(sys.argv[1])
log, other = RequestLog(path), RequestLog(path)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, hard))
assert not log.append({"timestamp": "2026-01-01T00:00:00+00:00"})
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
for worker in (RequestLog(path), other, log):
    assert worker.append({"timestamp": "whole"})
print(*[row["timestamp"] for row in log.tail(9)], path.read_text().count("\\n"))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log.csv")], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["whole", "whole", "whole", "4"]
