"""Loading closes from a source, and cutting and scaling windows."""

import logging
from pathlib import Path

import numpy as np
import pytest

from errors import DataUnavailableError, InvalidClosesError
from processData import WINDOW, fit_scaler, load_closes, make_windows, relative_to_last
from settings import Settings


def csv_of(tmp_path: Path, days: list[str], prices: list[float]) -> Path:
    path = tmp_path / "closes.csv"
    path.write_text("date,close\n" + "".join(f"{day},{price}\n" for day, price in zip(days, prices, strict=True)))
    return path


def test_csv_is_used_up_to_its_last_row(caplog, tmp_path):
    caplog.set_level(logging.INFO, "processData")
    closes = load_closes("acme", csv_path=csv_of(tmp_path, ["2009-12-31", "2010-01-01", "2099-01-01"], [1.0, 2.0, 3.0]))
    assert closes.last_date == "2099-01-01"
    assert closes.symbol == "ACME"
    assert "3 of 3 closes, 2009-12-31 to 2099-01-01" in caplog.text


def test_source_csv_reads_the_file_between_the_dates(tmp_path):
    file = tmp_path / "closes.csv"
    file.write_text("date,close\n2020-01-01,1\n2020-01-02,1.1\n2020-01-03,1.2\n")
    closes = load_closes("MINE", "2020-01-02", "2020-01-03", source="csv", csv_path=file)
    assert (closes.symbol, closes.source, closes.prices.tolist()) == ("MINE", "csv", [1.1, 1.2])


def test_source_csv_without_a_file_is_an_error():
    with pytest.raises(DataUnavailableError, match="--csv PATH"):
        load_closes(source="csv")


def test_load_logs_range_and_source(caplog):
    caplog.set_level(logging.INFO, "processData")
    load_closes("KO", "2022-01-01", source="snapshot", settings=Settings())
    assert caplog.messages == ["KO: 249 closes, 2022-01-03 to 2022-12-28, from snapshot."]


def test_load_logs_each_warning_of_the_series_once(caplog, tmp_path):
    load_closes("X", csv_path=csv_of(tmp_path, ["2020-01-01", "2020-01-02", "2020-01-31"], [100, 50, 50]))
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert [message.split(" is ")[0] for message in warnings] == [
        "X: The close of 2020-01-02",
        "X: There are no closes between 2020-01-02 and 2020-01-31.",
    ]


def test_flat_series_is_accepted_without_warning(caplog, tmp_path):
    assert len(load_closes(csv_path=csv_of(tmp_path, ["2020-01-01", "2020-01-02"], [5.0, 5.0]))) == 2
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("start", "warned"), [("1990-01-01", True), ("2010-01-01", False), ("2010-01-08", False)])
def test_late_start_is_warned_of(caplog, start, warned):
    load_closes("MSFT", start, source="snapshot")
    assert (f"the snapshot begins on 2010-01-04, later than the requested start, {start}" in caplog.text) == warned


@pytest.mark.parametrize(("n", "horizon", "count"), [(61, 1, 1), (100, 1, 40), (80, 20, 1), (100, 5, 36)])
def test_windows_and_targets_have_the_documented_shapes(n, horizon, count):
    windows, targets = make_windows(np.arange(1.0, n + 1), horizon)
    assert (windows.shape, targets.shape) == ((count, WINDOW), (count, horizon))


@pytest.mark.parametrize("horizon", [1, 3])
def test_targets_are_the_closes_after_each_window(horizon):
    prices = np.arange(1.0, 101)
    windows, targets = make_windows(prices, horizon)
    for i, (window, target) in enumerate(zip(windows, targets, strict=True)):
        np.testing.assert_array_equal(window, prices[i : i + 60])
        np.testing.assert_array_equal(target, prices[i + 60 : i + 60 + horizon])
    assert targets[-1, -1] == prices[-1]


def test_windows_are_copies():
    prices = np.ones(100)
    make_windows(prices)[0][:] = 2
    assert prices.max() == 1


@pytest.mark.parametrize(("n", "horizon", "needed"), [(60, 1, 61), (0, 1, 61), (79, 20, 80)])
def test_too_few_closes_are_rejected_naming_the_minimum(n, horizon, needed):
    with pytest.raises(InvalidClosesError, match=f"{n} closes are too few.* need {needed}"):
        make_windows(np.ones(n), horizon)


def test_relative_windows_end_in_1_in_any_currency():
    windows = np.random.default_rng(0).uniform(1, 2, (5, WINDOW))
    relative = relative_to_last(windows)
    assert relative[:, -1].tolist() == [1.0] * 5
    np.testing.assert_allclose(relative_to_last(windows * 1000), relative, rtol=1e-14)


def test_scaler_maps_the_training_windows_to_0_and_1():
    relative = np.random.default_rng(0).uniform(0.5, 1.5, (20, WINDOW))
    scaled = fit_scaler(relative).transform(relative.reshape(-1, 1))
    assert (scaled.min(), scaled.max()) == (pytest.approx(0), pytest.approx(1))
