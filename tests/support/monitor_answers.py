"""Answers of /monitor for the tests of the page's tab Monitoring."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from playwright.sync_api import Locator, Page

from monitoring.timeline import timeline

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)


def logged(second: float, **fields: Any) -> dict[str, Any]:
    """A row of the log, `seconds` before NOW."""
    row = {"timestamp": (NOW - timedelta(seconds=second)).isoformat(), "response_time": 0.0012, "memory_usage": 5.0, "status": 200}
    return row | {"windows": 1, "last_close": 100.0, "predicted_price": 100.5, "low_80": 98.0, "high_80": 103.0} | fields


def state(rows: list[dict[str, Any]], **summary: Any) -> dict[str, Any]:
    """An answer of /monitor."""
    none = dict.fromkeys(("rmse", "naive_rmse", "coverage_80", "coverage_95", "mean_width_80", "mean_width_95"))
    usual = {
        "requests": len(rows),
        "by_status": {"200": len(rows)} if rows else {},
        "latency_seconds": {"p50": 0.001, "p95": 0.002, "p99": 0.003},
        "live_accuracy": {"n": 3, "needed": 20, "verdict": "Not enough data: 3 of 20 closes.", "by_symbol": {}, "caught_up": True} | none,
        "drift": {"n": 3, "needed": 20, "verdict": "Not enough data: 3 of 20 closes."},
        "timeline": timeline(rows),
    }
    return {"CURRENT CPU": 12.5, "MEMORY %": 34.25, "RESPONSES": rows, "SUMMARY": usual | summary}


def answer_with(page: Page, content: dict[str, Any]) -> None:
    headers = {"Date": format_datetime(NOW, usegmt=True), "Content-Type": "application/json"}
    page.route("**/monitor?limit=100", lambda route: route.fulfill(json=content, headers=headers))


def told(page: Page, name: str) -> Locator:
    return page.locator(f'[data-monitor="{name}"]')
