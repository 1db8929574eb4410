"""Live accuracy against a plain pandas join over the whole log."""

import numpy as np
import pytest
from live_log import FIGURES, check, row_of, trade, window_of

from monitoring import accuracy
from monitoring.accuracy import LiveAccuracy
from monitoring.requestlog import RequestLog
from monitoring.sums import coverage_verdict

pytestmark = pytest.mark.usefixtures("_every_line_looks")


@pytest.mark.slow
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


def test_too_few_closes_have_no_figures(log):
    live = LiveAccuracy(log)
    for day in range(20):
        log.append(row_of(window_of("MSFT", day)))
    live.catch_up()
    verdict = "Not enough data: 19 of 20 closes."
    (day,) = live.accuracy.pop("by_day")
    assert (day["date"], day["n"]) == ("2026-01-02", 19)
    assert live.accuracy == dict.fromkeys(FIGURES) | {"n": 19, "needed": 20, "verdict": verdict, "by_symbol": {}, "caught_up": True}


def test_closes_are_counted_by_the_day_on_which_they_became_known(log, monkeypatch):
    live = LiveAccuracy(log)
    for day in range(61):
        log.append(row_of(window_of("MSFT", day)) | {"timestamp": f"2026-01-{1 + day // 2:02}T10:00:00+00:00"})
        log.append(row_of(window_of("KO", day)) | {"timestamp": f"2026-01-{1 + day // 2:02}T23:59:59.9+00:00"})
    log.append(row_of(window_of("KO", 61)) | {"timestamp": "not a time"})
    live.catch_up()
    days = live.accuracy["by_day"]
    assert [(day["date"], day["n"]) for day in days] == [
        ("2026-01-01", 2),
        *((f"2026-01-{day:02}", 4) for day in range(2, 31)),
        ("2026-01-31", 2),
    ]
    assert sum(day["n"] for day in days) == live.accuracy["n"] - 1 == 120
    for level in (80, 95):
        assert sum(day[f"held_{level}"] for day in days) == pytest.approx(live.accuracy[f"coverage_{level}"] * 121, abs=1)
        assert all(day["held_80"] <= day["held_95"] <= day["n"] for day in days)


def test_days_are_bounded(log, monkeypatch):
    monkeypatch.setattr("monitoring.sums.KEPT_DAYS", 3)
    live = LiveAccuracy(log)
    for day in range(9):
        log.append(row_of(window_of("MSFT", day)) | {"timestamp": f"2026-01-{1 + day:02}T10:00:00+00:00"})
    live.catch_up()
    assert [day["date"] for day in live.accuracy["by_day"]] == ["2026-01-07", "2026-01-08", "2026-01-09"]


def test_each_symbol_has_its_own_figures(log):
    live = LiveAccuracy(log)
    for day in range(30):
        log.append(row_of(window_of("MSFT", day), symbol="MSFT"))
        log.append(row_of(window_of("KO", day), symbol="KO" if day < 10 else ""))  # later requests do not name it
        log.append(row_of(window_of("AMD", day)))
    live.catch_up()
    figures = live.accuracy["by_symbol"]
    assert {symbol: own["n"] for symbol, own in figures.items()} == {"MSFT": 29, "KO": 10}
    alone = LiveAccuracy(RequestLog(log.path.with_name("other.csv")))
    other = RequestLog(log.path.with_name("other.csv"))
    for day in range(30):
        other.append(row_of(window_of("MSFT", day), symbol="MSFT"))
    alone.catch_up()
    other.close()
    for name in ("rmse", "naive_rmse", "coverage_80", "coverage_95", "mean_width_80"):
        assert figures["MSFT"][name] == alone.accuracy[name]
    assert figures["KO"]["rmse"] is None
    assert live.accuracy["n"] == 87


def test_answers_of_symbols_own_models_count_for_accuracy_but_not_for_drift(log):
    live = LiveAccuracy(log)
    for day in range(30):
        log.append(row_of(window_of("MSFT", day), symbol="MSFT"))
        log.append(row_of(window_of("KO", day), symbol="KO", model_symbol="KO"))
    live.catch_up()
    assert {symbol: own["n"] for symbol, own in live.accuracy["by_symbol"].items()} == {"MSFT": 29, "KO": 29}
    assert live.accuracy["n"] == 58
    alone = [float(np.log(window_of("MSFT", day)[-1] / window_of("MSFT", day)[-2])) for day in range(30)]
    assert live.returns == alone


@pytest.mark.parametrize("order", [("", "KO"), ("KO", ""), ("KO", "PEP", "")])
def test_window_that_several_models_forecast_counts_once_for_each(log, order):
    """The models have the same version, as a model that is published for several symbols has."""
    live = LiveAccuracy(log)
    for day in range(30):
        for model_symbol in order:
            log.append(row_of(window_of("KO", day), symbol="KO", model_symbol=model_symbol))
    live.catch_up()
    assert live.accuracy["n"] == 29 * len(order)
    assert len(live.returns) == 30


def test_figures_of_symbols_are_bounded(log, monkeypatch):
    monkeypatch.setattr(accuracy, "KEPT_SYMBOLS", 3)
    monkeypatch.setattr(accuracy, "SHOWN_SYMBOLS", 2)
    live = LiveAccuracy(log)
    for number in range(5):
        for day in range(2 + number):
            log.append(row_of(window_of("MSFT", 100 * number + day), symbol=f"S{number}"))
    live.catch_up()
    assert list(live._state.symbols) == ["S2", "S3", "S4"]
    assert {symbol: own["n"] for symbol, own in live.accuracy["by_symbol"].items()} == {"S4": 5, "S3": 4}


def test_log_without_symbols_is_read(path):
    path.parent.mkdir()
    rows = [row_of(window_of("MSFT", day)) for day in range(25)]
    header = [name for name in rows[0] if name != "symbol"]
    path.write_text("".join(",".join(line) + "\n" for line in [header, *([str(row[name]) for name in header] for row in rows)]))
    log = RequestLog(path)
    live = LiveAccuracy(log)
    live.catch_up()
    assert (live.accuracy["n"], live.accuracy["by_symbol"]) == (24, {})
    log.close()


@pytest.mark.parametrize(("n", "inside", "named"), [
    (400, {80: 320, 95: 380}, []),
    (400, {80: 290, 95: 372}, []),  # 3.75 and 1.8 standard errors
    (400, {80: 287, 95: 380}, ["the 80% interval held 71.8%"]),
    (10_000, {80: 8_300, 95: 9_300}, ["the 80% interval held 83.0%", "the 95% interval held 93.0%"]),
])  # fmt: skip
def test_verdict_names_intervals_outside_of_what_chance_allows(n, inside, named):
    verdict = coverage_verdict(n, inside)
    assert [level for level in (80, 95) if f"the {level}% interval" in verdict] == [int(name[4:6]) for name in named]
    assert all(name in verdict for name in named)
    assert ("python modelTrain.py" in verdict) == bool(named)


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
