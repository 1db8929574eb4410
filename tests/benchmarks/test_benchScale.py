"""The scale benchmark reads what the command says at its end. Nothing here is timed."""

import logging

import pytest

import benchScale
from portfolio.report import report_usage


@pytest.mark.parametrize("peaks", [{"one": 1_252_000_000}, {"one": 1_252_000_000, "two": 900_000_000}])
def test_usage_of_one_and_of_several_workers_is_read(caplog, peaks):
    with caplog.at_level(logging.INFO):
        report_usage(peaks, 445.2)
    found = benchScale.CLOSING.search(caplog.text)
    assert found is not None
    assert found.group(1, 2, 4) == (str(len(peaks)), "1252", "445")
