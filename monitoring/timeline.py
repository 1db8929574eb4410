"""Rate, latency and errors of requests over time, from rows of the request log."""

import math
from datetime import UTC, datetime
from typing import Any

import numpy as np

MOST_PERIODS = 60
PERIOD_SECONDS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400, 604_800)
MOST_CHANGES = 20
RETURN_SECONDS = 60  # after a change, workers that have not reloaded may still answer with the old version
FIRST_ERROR, FIRST_FAILURE = 400, 500  # statuses


def timeline(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Count requests by period.

    Args:
        rows: of the request log. Those without a valid time are left out.

    Returns:
        period_seconds: length of a period, so that there are at most 60; None without rows.
        periods: from the first to the last request, each with `start` in UTC, numbers of `requests`, of those `refused` (status 4xx) and
        `failed` (5xx), and `p50` and `p95` of the latency in seconds of those with status 200, None if there are none.
        changes: the newest 20 times `at` which another version of the default model answered than before, with its `model_version`.
    """
    timed = [(seconds, row) for row in rows if (seconds := _seconds(row["timestamp"])) is not None]
    if not timed:
        return {"period_seconds": None, "periods": [], "changes": []}
    times = np.array([seconds for seconds, _ in timed])
    length = _length(float(np.ptp(times)))
    places = (times // length).astype(int).tolist()
    by_place: dict[int, list[dict[str, Any]]] = {place: [] for place in range(min(places), max(places) + 1)}  # also those without a request
    for place, (_, row) in zip(places, timed, strict=True):
        by_place[place].append(row)
    periods = [_period(place * length, own) for place, own in by_place.items()]
    return {"period_seconds": length, "periods": periods, "changes": _changes(timed)}


def _changes(timed: list[tuple[float, dict[str, Any]]]) -> list[dict[str, str]]:
    """Return when the default model changed, from rows with their times in seconds."""
    changes: list[dict[str, str]] = []
    known: set[str] = set()
    current, changed = None, -math.inf
    for seconds, row in timed:
        version = row.get("model_version")
        if version is None or row.get("model_symbol") is not None or version == current:
            continue
        if current is None:
            current = version
        elif version not in known or seconds - changed >= RETURN_SECONDS:
            current, changed = version, seconds
            changes.append({"at": datetime.fromtimestamp(seconds, UTC).isoformat(), "model_version": version})
        known.add(version)
    return changes[-MOST_CHANGES:]


def _seconds(time: str) -> float | None:
    """Return a time of the request log in seconds since 1970, or None if it is not valid. UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _length(span: float) -> int:
    """Return the shortest period that divides a span in seconds into few enough."""
    return next((seconds for seconds in PERIOD_SECONDS if span / seconds <= MOST_PERIODS - 1), int(span / (MOST_PERIODS - 1)) + 1)


def _period(start: float, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one period."""
    statuses = [row["status"] for row in rows if row["status"] is not None]
    latencies = [row["response_time"] for row in rows if row["status"] == 200 and row["response_time"] is not None]
    middle, slow = np.percentile(latencies, (50, 95)).tolist() if latencies else (None, None)
    return {
        "start": datetime.fromtimestamp(start, UTC).isoformat(),
        "requests": len(rows),
        "refused": sum(FIRST_ERROR <= status < FIRST_FAILURE for status in statuses),
        "failed": sum(status >= FIRST_FAILURE for status in statuses),
        "p50": middle,
        "p95": slow,
    }
