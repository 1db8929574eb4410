"""The checkpoint of live accuracy: a new worker continues from it, and reads the log again without a valid one."""

import json

import pytest
from live_log import check, read_to_the_end, trade

from monitoring import accuracy
from monitoring.accuracy import LiveAccuracy
from monitoring.requestlog import RequestLog

pytestmark = pytest.mark.usefixtures("_every_line_looks")


def test_restart_continues_from_the_checkpoint_without_old_parts(path, monkeypatch):
    monkeypatch.setattr(accuracy, "SAVE_SECONDS", 0)
    log = RequestLog(path, 3000, parts=100)
    live = LiveAccuracy(log)
    for row in trade(range(20)):
        log.append(row)
    live.catch_up()
    expected = live.accuracy["n"], len(live.returns)
    for part in path.parent.glob("log.csv.[0-9]*"):
        part.unlink()
    again = LiveAccuracy(log)
    again.catch_up()
    assert (again.accuracy["n"], len(again.returns)) == expected
    assert again.accuracy == live.accuracy
    for row in trade(range(20, 25)):
        log.append(row)
    for one in (live, again):
        one.catch_up()
    assert again.accuracy == live.accuracy
    assert again.accuracy["n"] > expected[0]
    log.close()


def test_restart_reads_only_new_rows(path, log, monkeypatch):
    monkeypatch.setattr(accuracy, "SAVE_SECONDS", 0)
    for row in trade(range(20)):
        log.append(row)
    LiveAccuracy(log).catch_up()
    taken = []
    take = LiveAccuracy._take

    def note_and_take(self, row):
        taken.append(row)
        take(self, row)

    monkeypatch.setattr(LiveAccuracy, "_take", note_and_take)
    new = list(trade(range(20, 24)))
    for row in new:
        log.append(row)
    live = LiveAccuracy(log)
    live.catch_up()
    assert len(taken) == len(new)
    check(live, path)


def wrong_checkpoint(path):
    """A checkpoint whose taking over would show."""
    state = json.loads(path.with_name("log.csv.state").read_text())
    state["sums"]["n"] += 1000
    return state


DAMAGES = {
    "missing": lambda state: None,
    "empty": lambda state: "",
    "cut off": lambda state: json.dumps(state)[:-20],
    "no JSON": lambda state: "\0\xff",
    "another shape": lambda state: "[]",
    "another format": lambda state: json.dumps(state | {"format": 1}),
    "of another log": lambda state: json.dumps(state | {"positions": {"1-abc": 7}}),
    "beyond the end": lambda state: json.dumps(state | {"positions": dict.fromkeys(state["positions"], 10**9)}),
    "wrong types": lambda state: json.dumps(state | {"windows": {"a": {"b": {"c": "d"}}}}),
    "not finite": lambda state: json.dumps(state | {"returns": [float("nan")]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_invalid_checkpoint_is_ignored_and_the_log_read_again(path, log, monkeypatch, damage):
    monkeypatch.setattr(accuracy, "SAVE_SECONDS", 0)
    for row in trade(range(20)):
        log.append(row)
    LiveAccuracy(log).catch_up()
    text = damage(wrong_checkpoint(path))
    path.with_name("log.csv.state").unlink()
    if text is not None:
        path.with_name("log.csv.state").write_text(text)
    live = LiveAccuracy(log)
    live.catch_up()
    check(live, path)


def test_lagging_worker_continues_from_another_workers_checkpoint(path, monkeypatch):
    monkeypatch.setattr(accuracy, "BLOCK_BYTES", 1000)
    monkeypatch.setattr("monitoring.logreader.BLOCK_BYTES", 1000)
    log = RequestLog(path)
    slow = LiveAccuracy(log)
    for row in trade(range(20)):
        log.append(row)
    monkeypatch.setattr(accuracy, "SECONDS_A_CALL", 0)
    slow.catch_up()
    assert not slow.accuracy["caught_up"]
    read_to_the_end(LiveAccuracy(log))
    slow.catch_up()
    check(slow, path)
    log.close()


def test_failed_checkpoint_is_ignored(log, path):
    path.with_name("log.csv.state").mkdir()
    live = LiveAccuracy(log)
    for row in trade(range(20)):
        log.append(row)
    live.catch_up()
    check(live, path)
    assert not list(path.parent.glob("*.tmp"))
