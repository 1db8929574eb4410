"""Live accuracy against a plain pandas join over the whole log."""

import numpy as np
import pytest
from live_log import FIGURES, check, row_of, trade, window_of

from monitoring import accuracy
from monitoring.accuracy import LiveAccuracy
from monitoring.requestlog import RequestLog

pytestmark = pytest.mark.usefixtures("_every_line_looks")


@pytest.mark.parametrize("max_bytes", [0, 1000, 5000])
def test_live_accuracy_equals_a_join_over_the_whole_log(path, max_bytes):
    log = RequestLog(path, max_bytes, parts=100)
    one, two = LiveAccuracy(log), LiveAccuracy(log)
    for number, row in enumerate(trade(range(40))):
        log.append(row)
        if number % 7 == 0:
            one.catch_up()
        if number % 41 == 0:
            two.catch_up()
    assert (len(list(path.parent.glob("log.csv.[0-9]*"))) > 5) == (max_bytes > 0)
    for live in (one, two, LiveAccuracy(log)):
        live.catch_up()
        check(live, path)
    assert one.accuracy["n"] > 60
    log.close()


def test_workers_read_the_lines_of_each_other(path):
    logs = [RequestLog(path, 3000, parts=100) for _ in range(2)]
    lives = [LiveAccuracy(log) for log in logs]
    for number, row in enumerate(trade(range(30), seed=1)):
        logs[number % 2].append(row)
        if number % 5 == 0:
            lives[number // 5 % 2].catch_up()
    for log, live in zip(logs, lives, strict=True):
        live.catch_up()
        check(live, path)
        log.close()


def test_line_written_late_to_a_part_that_was_rotated_away_is_read(path):
    log = RequestLog(path)
    rows = [row_of(window_of("MSFT", day)) for day in range(30)]
    for row in rows[:29]:
        log.append(row)
    live = LiveAccuracy(log)
    live.catch_up()
    late = path.open("a")
    path.rename(path.with_name("log.csv.1"))
    log.append(rows[28])  # opens the new file
    live.catch_up()
    late.write(",".join(str(rows[29][column]) for column in COLUMNS) + "\n")
    late.close()
    live.catch_up()
    check(live, path, n=29)
    log.close()


def test_restart_goes_on_from_the_checkpoint_though_old_parts_are_gone(path, monkeypatch):
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


def test_restart_reads_only_what_is_new(path, log, monkeypatch):
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
    "another format": lambda state: json.dumps(state | {"format": 2}),
    "of another log": lambda state: json.dumps(state | {"positions": {"1-abc": 7}}),
    "beyond the end": lambda state: json.dumps(state | {"positions": dict.fromkeys(state["positions"], 10**9)}),
    "wrong types": lambda state: json.dumps(state | {"windows": {"a": {"b": {"c": "d"}}}}),
    "not finite": lambda state: json.dumps(state | {"returns": [float("nan")]}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_an_invalid_checkpoint_means_reading_the_log_again(path, log, monkeypatch, damage):
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


def test_new_log_in_the_old_one_s_place_is_read_from_its_start(path, log):
    live = LiveAccuracy(log)
    for row in trade(range(10)):
        log.append(row)
    live.catch_up()
    before = live.accuracy["n"]
    path.write_text("")  # the inode stays
    for row in trade(range(100, 140)):
        log.append(row)
    live.catch_up()
    assert live.accuracy["n"] - before == joined(path)[0]["n"]


def test_worker_that_lags_goes_on_from_another_s_checkpoint(path, monkeypatch):
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


@pytest.mark.parametrize("max_bytes", [0, 4000])
def test_call_reads_a_limited_part_and_says_so(path, monkeypatch, max_bytes):
    monkeypatch.setattr(accuracy, "BLOCK_BYTES", 1000)
    monkeypatch.setattr("monitoring.logreader.BLOCK_BYTES", 1000)
    monkeypatch.setattr(accuracy, "SECONDS_A_CALL", 0)
    log = RequestLog(path, max_bytes, parts=100)
    for row in trade(range(30)):
        log.append(row)
    live = LiveAccuracy(log)
    calls = 0
    while not live.accuracy["caught_up"]:
        before = sum(live._state.positions.values())
        live.catch_up()
        calls += 1
        assert before < sum(live._state.positions.values())
    assert calls > 10
    check(live, path)
    log.close()


SOUND = dict.fromkeys(COLUMNS, "1") | {"status": "200", "closes_2_60": "a" * 12, "closes_1_59": "b" * 12}
WRONG = [("last_close", "0"), ("last_close", "-1"), ("low_80", "nan"), ("high_95", "inf"), ("last_return", ""), ("last_return", "nan"),
         ("predicted_price", "1e400"), ("predicted_price", "0"), ("closes_2_60", ""), ("windows", "2"), ("status", "503")]  # fmt: skip
LINES = ["", "garbage", ",".join("x" * 16), 'é\0"' * 10, ",".join(COLUMNS), "x" * 200_000]
LINES += [",".join((SOUND | {name: value}).values()) for name, value in WRONG]


@pytest.mark.parametrize("line", LINES)
def test_an_invalid_line_is_skipped(path, log, line):
    rows = list(trade(range(20)))
    for row in rows[: len(rows) // 2]:
        log.append(row)
    live = LiveAccuracy(log)
    live.catch_up()
    before = path.read_bytes()
    with path.open("a") as file:
        file.write(line + "\n")
    for row in rows[len(rows) // 2 :]:
        log.append(row)
    after = path.read_bytes()[len(before) + len(line.encode()) + 1 :]
    again = LiveAccuracy(log)
    for one in (live, again):
        read_to_the_end(one)
    path.write_bytes(before + after)  # for the join
    for one in (live, again):
        check(one, path)


def test_line_being_written_waits_for_its_end(path, log):
    rows = [row_of(window_of("MSFT", day)) for day in range(21)]
    for row in rows[:20]:
        log.append(row)
    live = LiveAccuracy(log)
    text = ",".join(str(rows[20][column]) for column in COLUMNS) + "\n"
    with path.open("a") as file:
        for piece in (text[:10], text[10:150], text[150:]):
            live.catch_up()
            assert (live.accuracy["n"], live.accuracy["rmse"], live.accuracy["caught_up"]) == (19, None, True)
            file.write(piece)
            file.flush()
    live.catch_up()
    check(live, path, n=20)


def test_too_few_closes_have_no_figures(log):
    live = LiveAccuracy(log)
    for day in range(20):
        log.append(row_of(window_of("MSFT", day)))
    live.catch_up()
    assert live.accuracy == dict.fromkeys(FIGURES) | {"n": 19, "needed": 20, "caught_up": True}


def test_repeated_window_counts_once_per_version(log):
    live = LiveAccuracy(log)
    for version in ("v1", "v2", "v1"):
        for day in range(30):
            for _ in range(2):
                log.append(row_of(window_of("MSFT", day), version))
    live.catch_up()
    assert (live.accuracy["n"], len(live.returns)) == (58, 30)


def test_flat_window_is_not_its_own_next_day(log):
    live = LiveAccuracy(log)
    for _ in range(100):
        log.append(row_of(np.full(60, 100.0)))
    live.catch_up()
    assert (live.accuracy["n"], live.returns) == (0, [0.0])


def test_memory_is_bounded_to_the_newest_forecasts(log, monkeypatch):
    monkeypatch.setattr(accuracy, "KEPT_FORECASTS", 50)
    monkeypatch.setattr(accuracy, "KEPT_RETURNS", 30)
    monkeypatch.setattr(accuracy, "KEPT_POSITIONS", 3)
    base = row_of(window_of("MSFT", 0))
    live = LiveAccuracy(log)
    for number in range(500):  # a stock that is asked for daily among many that are never asked for again
        log.append(base | {"closes_2_60": f"{number + 1:012}", "closes_1_59": f"{number:012}", "last_return": number})
        for other in range(3):
            log.append(base | {"closes_2_60": f"x{other}{number:010}", "closes_1_59": f"y{other}{number:010}", "last_return": -1})
        if number % 50 == 0:
            log.path.rename(log.path.with_name("log.csv.1"))
        live.catch_up()
    state = live._state
    kept = sum(len(versions) for windows in state.windows.values() for versions in windows.values())
    assert live.accuracy["n"] == 499
    assert kept == live._n_forecasts <= 50
    assert (len(live.returns), live.returns[-4:]) == (30, [499, -1, -1, -1])
    assert len(state.returns) <= 60
    assert len(state.positions) <= 3
    for number in range(300):  # many windows with one end
        log.append(base | {"closes_1_59": f"z{number:011}"})
    live.catch_up()
    assert live._n_forecasts <= 50
