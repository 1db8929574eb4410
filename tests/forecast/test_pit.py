"""The PIT of a published backtest, which its CSV does not have."""

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from closes.snapshot import read_ranges, read_snapshot
from errors import DataUnavailableError
from forecast.backtest import backtest, backtest_csv
from forecast.pit import add_pit
from models.loading import load_forecaster
from settings import PROJECT_DIR

FORECASTER = load_forecaster(PROJECT_DIR / "modelFiles")
IBM = read_ranges()[3].part(slice(0, 500))


def pit_of(content: str) -> list[float]:
    return [float(row["pit"]) for row in csv.DictReader(io.StringIO(content))]


def with_a_gap():
    """A series whose windows can use their ranges on some days only."""
    assert IBM.ranges is not None
    ranges = IBM.ranges.copy()
    ranges[430:434] = np.nan
    return replace(IBM, ranges=ranges)


@pytest.mark.parametrize("closes", [read_snapshot("AMD").part(slice(-800, None)), IBM, with_a_gap()], ids=["closes", "ranges", "both"])
def test_pit_is_that_of_the_forecasts(closes):
    result = backtest(FORECASTER, closes)
    content = add_pit(backtest_csv(result), FORECASTER)
    np.testing.assert_allclose(pit_of(content), result.verification.pit, atol=1e-9)
    assert content == add_pit(backtest_csv(result), FORECASTER)
    assert [line.rpartition(",")[0] for line in content.splitlines()] == backtest_csv(result).splitlines()
    for level, (low, high) in result.bounds.items():
        held = (low <= result.actual) & (result.actual <= high)
        np.testing.assert_array_equal(held, np.abs(np.array(pit_of(content)) - 0.5) <= level / 200)


def test_csv_of_a_result_has_its_pit():
    result = backtest(FORECASTER, IBM)
    assert pit_of(backtest_csv(result, pit=True)) == result.verification.pit.tolist()
    assert "pit" not in backtest_csv(result)


def test_bounds_of_another_calibration_are_refused():
    content = backtest_csv(backtest(FORECASTER, IBM))
    low = content.splitlines()[1].split(",")[3]
    with pytest.raises(DataUnavailableError, match="do not follow the calibration of the model"):
        add_pit(content.replace(low, str(float(low) * 0.999)), FORECASTER)
