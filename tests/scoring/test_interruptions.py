"""Runs that are killed or interrupted continue; a full disk is one sentence; memory does not grow with the file."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from disks import small_disk
from training import PRELOADED

from closes.snapshot import read_snapshot
from processData import make_windows
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

WINDOWS = make_windows(read_snapshot("MSFT").prices)[0][:1000]
# The command with small blocks and parts, so that a short file has many.
SMALL = (
    "import sys, cli, scoring.reading, scoring.run; scoring.reading.BLOCK, scoring.run.PART_ROWS = {block}, {part}; "
    "import modelPredict; cli.run(modelPredict.main)"
)


def start(source, out, *options, block=50, part=150):
    command = PRELOADED.command("-c", SMALL.format(block=block, part=part), "--in", str(source), "--out", str(out), *options)
    return subprocess.Popen(command, cwd=PROJECT_DIR, stderr=subprocess.PIPE, text=True)


def fork_of(process):
    """The process that does the work. Signals go to it directly: its launcher would forward them some time later."""
    return psutil.Process(PRELOADED.fork_of(process.pid))


def finish(process):
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def make_source(path, copies=1):
    """Windows with ids, and a wrong one in each copy."""
    windows = np.concatenate([WINDOWS, -WINDOWS[:1]])
    with pq.ParquetWriter(path, pa.schema([("id", pa.int64()), ("window", pa.list_(pa.float64(), 60))])) as writer:
        for copy in range(copies):
            ids = np.arange(len(windows)) + copy * len(windows)
            writer.write_table(pa.table([pa.array(ids), pa.FixedSizeListArray.from_arrays(windows.ravel(), 60)], schema=writer.schema))
    return path


def parts(out):
    return sorted(out.with_name(f".{out.name}.parts").glob("part-*.json"))


def wait_for_part(process, out, count=2):
    deadline = time.monotonic() + 60
    while len(parts(out)) < count:
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_killed_run_continues_and_gives_the_same_file(tmp_path, jobs):
    source = make_source(tmp_path / "in.parquet", copies=2)
    whole, out = tmp_path / "whole.parquet", tmp_path / "out.parquet"
    assert finish(start(source, whole))[0] == 0
    out.write_bytes(b"older")
    process = start(source, out, "--jobs", jobs)
    fork = fork_of(process)
    wait_for_part(process, out)
    children = fork.children(recursive=True)
    fork.kill()
    assert finish(process)[0] == -signal.SIGKILL
    psutil.wait_procs(children, timeout=20)
    assert not any(child.is_running() for child in children), "worker processes outlive the command"
    assert out.read_bytes() == b"older", "nothing half written under the final name"
    done = len(parts(out))
    code, said = finish(start(source, out, "--jobs", jobs))
    assert code == 0, said
    assert f"Continuing after row {done * 150:,}." in said
    assert pq.read_table(out).equals(pq.read_table(whole))
    assert out.with_suffix(".rejects.csv").read_text() == whole.with_suffix(".rejects.csv").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.parquet", "out.parquet", "out.rejects.csv", "whole.parquet", "whole.rejects.csv"
    ]  # fmt: skip


def test_ctrl_c_says_how_to_continue(tmp_path):
    source, out = make_source(tmp_path / "in.parquet", copies=2), tmp_path / "out.csv"
    process = start(source, out, "--jobs", "2")
    fork = fork_of(process)
    wait_for_part(process, out, 1)
    fork.send_signal(signal.SIGINT)
    code, said = finish(process)
    assert code == 130
    assert "Interrupted. The same command continues after the last part, row " in said
    assert said.rstrip().endswith("\ninterrupted")
    assert "Traceback" not in said
    assert not out.exists()
    assert parts(out)


def test_changed_input_starts_again(tmp_path):
    source, out = make_source(tmp_path / "in.parquet", copies=2), tmp_path / "out.parquet"
    process = start(source, out)
    fork = fork_of(process)
    wait_for_part(process, out)
    fork.kill()
    finish(process)
    make_source(source)
    code, said = finish(start(source, out))
    assert code == 0
    assert "so this one starts at row 1" in said
    assert pq.read_table(out)["id"].to_pylist() == list(range(len(WINDOWS)))


def test_full_disk_is_one_sentence_and_the_run_continues(tmp_path):
    with small_disk(tmp_path / "disk", "60k") as disk:
        source, out = make_source(tmp_path / "in.parquet", copies=2), disk / "out.parquet"
        code, said = finish(start(source, out))
        assert code == 1
        assert said.splitlines()[-1].startswith("error: There is no space left for ")
        assert "Traceback" not in said
        assert not out.exists()
        subprocess.run(["mount", "-o", "remount,size=20m", str(disk)], check=True)
        code, said = finish(start(source, out))
        assert code == 0
        assert "Continuing after row" in said


def peak_memory(process):
    """The peak of a process's own memory in bytes."""
    peaks = [0]

    def watch():
        try:
            while process.poll() is None:
                peaks[0] = max(peaks[0], psutil.Process(process.pid).memory_info().rss)
                time.sleep(0.02)
        except psutil.NoSuchProcess:
            pass

    watcher = threading.Thread(target=watch)
    watcher.start()
    code, said = finish(process)
    watcher.join()
    assert code == 0, said
    return peaks[0]


def test_memory_does_not_grow_with_the_file(tmp_path):
    """Without the network, whose share does not depend on the file: a file ten times as large takes a few megabytes more.

    The processes are not preloaded: libraries would be most of their memory.
    """
    small, large = make_source(tmp_path / "small.parquet", 3), tmp_path / "large.parquet"
    windows = np.tile(WINDOWS, (120, 1))  # one row group of 58 MB
    cells = pa.FixedSizeListArray.from_arrays(windows.ravel(), 60)
    pq.write_table(pa.table({"window": cells}), large, compression="none", use_dictionary=False, row_group_size=10**6)
    assert os.path.getsize(large) > 50 << 20
    peaks = [peak_memory(start_without_network(source, tmp_path / "out.parquet")) for source in (small, large)]
    assert peaks[1] - peaks[0] < 40 << 20, peaks


def start_without_network(source, out):
    code = "import numpy, forecast.runtime; forecast.runtime.Network._next = lambda self, windows: windows[:, -1:]; " + SMALL.format(
        block=1000, part=10_000
    )
    command = [sys.executable, "-c", code, "--in", str(source), "--out", str(out)]
    return subprocess.Popen(command, cwd=PROJECT_DIR, stderr=subprocess.PIPE, text=True)
