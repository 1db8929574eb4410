"""Requests by period."""

from datetime import UTC, datetime, timedelta

import pytest

from monitoring.timeline import MOST_PERIODS, timeline

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


def logged(second, status=200, latency=0.01):
    return {"timestamp": (START + timedelta(seconds=second)).isoformat(), "status": status, "response_time": latency}


def test_requests_are_counted_by_period():
    rows = [logged(0, latency=0.1), logged(0.5, latency=0.3), logged(2, 422), logged(2.9, 503), logged(4, None, None)]
    assert timeline(rows) == {
        "period_seconds": 1,
        "periods": [
            {"start": "2026-11-23T12:00:00+00:00", "requests": 2, "refused": 0, "failed": 0, "p50": 0.2, "p95": pytest.approx(0.29)},
            {"start": "2026-11-23T12:00:01+00:00", "requests": 0, "refused": 0, "failed": 0, "p50": None, "p95": None},
            {"start": "2026-11-23T12:00:02+00:00", "requests": 2, "refused": 1, "failed": 1, "p50": None, "p95": None},
            {"start": "2026-11-23T12:00:03+00:00", "requests": 0, "refused": 0, "failed": 0, "p50": None, "p95": None},
            {"start": "2026-11-23T12:00:04+00:00", "requests": 1, "refused": 0, "failed": 0, "p50": None, "p95": None},
        ],
        "changes": [],
    }


@pytest.mark.parametrize(
    ("span", "length"), [(0, 1), (59, 1), (60, 5), (3_000, 60), (3_600, 300), (10_000_000, 604_800), (10**9, 16_949_153)]
)
def test_period_is_long_enough_for_few_periods(span, length):
    result = timeline([logged(0), logged(span)])
    assert result["period_seconds"] == length
    assert len(result["periods"]) <= MOST_PERIODS
    assert sum(period["requests"] for period in result["periods"]) == 2


def test_empty_log_has_no_periods():
    assert timeline([]) == {"period_seconds": None, "periods": [], "changes": []}


def test_rows_without_a_valid_time_are_left_out():
    rows = [logged(0), *(logged(0) | {"timestamp": time} for time in ("", "yesterday", "2026-13-01T00:00:00+00:00"))]
    assert [period["requests"] for period in timeline(rows)["periods"]] == [1]
    assert timeline(rows[1:]) == {"period_seconds": None, "periods": [], "changes": []}


def test_time_without_a_zone_is_utc():
    (period,) = timeline([logged(0) | {"timestamp": "2026-11-23 12:00:00"}])["periods"]
    assert period["start"] == START.isoformat()


def changes(*rows):
    """Seconds and version of each change in a log of rows (second, version, whose own model)."""
    logs = [logged(second) | {"model_version": version, "model_symbol": symbol} for second, version, symbol in rows]
    found = timeline(logs)["changes"]
    return [((datetime.fromisoformat(change["at"]) - START).total_seconds(), change["model_version"]) for change in found]


def test_new_version_of_the_default_model_is_a_change():
    assert changes((0, "a", None), (1, None, None), (2, "own", "KO"), (3, "b", None), (9, "b", None)) == [(3, "b")]


def test_workers_that_change_one_after_the_other_are_one_change_and_a_rollback_is_another():
    rows = [(0, "a", None), (100, "b", None), (100.5, "a", None), (101, "b", None), (102, "a", None), (103, "b", None)]
    assert changes(*rows) == [(100, "b")]
    assert changes(*rows, (200, "a", None)) == [(100, "b"), (200, "a")]


def test_changes_are_bounded():
    assert len(changes(*((100 * i, str(i), None) for i in range(50)))) == 20
