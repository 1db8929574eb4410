"""How live accuracy reads the request log: rotated and emptied files, invalid and unfinished lines, a limited part per call."""

import pytest
from live_log import check, joined, read_to_the_end, row_of, trade, window_of

from monitoring import accuracy
from monitoring.accuracy import LiveAccuracy
from monitoring.logreader import COLUMNS
from monitoring.requestlog import RequestLog

pytestmark = pytest.mark.usefixtures("_every_line_looks")


def test_late_line_in_a_rotated_part_is_read(path):
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


def test_emptied_log_is_read_from_its_start(path, log):
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


@pytest.mark.parametrize("max_bytes", [0, 4000])
def test_call_reads_a_limited_part_and_is_not_caught_up(path, monkeypatch, max_bytes):
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
def test_invalid_line_is_skipped(path, log, line):
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


def test_unfinished_line_is_read_once_it_is_complete(path, log):
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


def test_log_of_an_older_version_is_skipped(path):
    path.parent.mkdir()
    path.write_text("timestamp,response_time,memory_usage\n2024-10-01 12:00:00.123456,0.25,61.5\n")
    log = RequestLog(path)
    live = LiveAccuracy(log)
    for day in range(25):
        log.append(row_of(window_of("MSFT", day)))
    live.catch_up()
    assert (live.accuracy["n"], live.accuracy["caught_up"]) == (24, True)
    log.close()
