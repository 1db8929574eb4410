"""Fixtures of the monitoring tests."""

import pytest


@pytest.fixture
def _every_line_looks(monkeypatch):
    """A log looks for its file at every line: these tests write faster than requests arrive."""
    monkeypatch.setattr("monitoring.requestlog.LOOK_SECONDS", 0)
