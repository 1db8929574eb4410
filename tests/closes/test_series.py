"""A series of closes: what it accepts, what it warns of, and its last final day."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from closes.series import MAX_CLOSE, MIN_CLOSE, Closes, jump_warnings, last_final_day, warn_suspicious
from closes.snapshot import read_snapshot
from errors import DataUnavailableError, InvalidClosesError


def series(prices: list[float], days: list[str] | None = None) -> Closes:
    """A series on some days; by default on successive ones from 1970-01-01."""
    return Closes("X", "csv", np.array(range(len(prices)) if days is None else days, "datetime64[D]"), np.array(prices))


@pytest.mark.parametrize("price", [MIN_CLOSE, MAX_CLOSE])
def test_prices_at_the_limits_are_accepted(price):
    assert series([price, price]).prices[0] == price


@pytest.mark.parametrize("price", [np.nan, np.inf, -np.inf, 0.0, -1.0, MIN_CLOSE / 10, MAX_CLOSE * 10])
def test_invalid_price_is_rejected(price):
    with pytest.raises(InvalidClosesError) as caught:
        series([1.0, price])
    assert caught.value.details[0].startswith("1970-01-02 has the close ")


def test_between_includes_both_ends():
    part = series([1.0] * 10).between("1970-01-03", "1970-01-05")
    assert part.dates.astype(str).tolist() == ["1970-01-03", "1970-01-04", "1970-01-05"]


def test_between_without_closes_names_the_available_range():
    with pytest.raises(DataUnavailableError, match="X has no closes from 1980-01-01 to 1980-12-31; the file has 1970-01-01 to 1970-01-10"):
        series([1.0] * 10).between("1980-01-01", "1980-12-31")


@pytest.mark.parametrize(("ratio", "warned"), [(0.5, True), (2.0, True), (1 / 3, True), (0.1, True), (0.7, False), (1.3, False)])
def test_jump_like_a_split_is_warned_of_once(caplog, ratio, warned):
    warn_suspicious(series([100, 101, 101 * ratio, 101 * ratio], [f"2020-01-0{day}" for day in (1, 2, 3, 6)]))
    assert caplog.text.count("X: The close of 2020-01-03 is") == warned
    assert [warning.text.split(" times")[0] for warning in jump_warnings(np.array([100, 100 * ratio]))] == [
        f"Close 2 is {ratio:.3g}"
    ] * warned


@pytest.mark.parametrize(
    ("move", "code"),
    [
        (100, "possible_unit_change"),
        (0.01, "possible_unit_change"),
        (81, "possible_unit_change"),
        (124, "possible_unit_change"),
        (1 / 81, "possible_unit_change"),
        (1 / 124, "possible_unit_change"),
        (79, "possible_split"),
        (126, "possible_split"),
        (1 / 79, "possible_split"),
        (1 / 126, "possible_split"),
        (1000, "possible_split"),
    ],
)
def test_jump_by_about_100_is_called_a_change_of_the_unit(move, code):
    (warning,) = jump_warnings(np.array([1.0, move]))
    assert warning.code == code
    assert ("pounds and pence" in warning.text, "split" in warning.text) == (code == "possible_unit_change", code == "possible_split")


@pytest.mark.parametrize(("second", "warned"), [("2020-01-08", False), ("2020-01-09", True), ("2021-01-01", True)])
def test_gap_is_warned_of(caplog, second, warned):
    warn_suspicious(series([1.0, 1.0], ["2020-01-01", second]))
    assert (f"no closes between 2020-01-01 and {second}" in caplog.text) == warned


@pytest.mark.parametrize(
    ("zone", "now", "last"),
    [
        ("Pacific/Auckland", "2026-11-23T19:30:00", "2026-11-22"),  # the 24th there, and New York still trades on the 23rd
        ("UTC", "2026-11-24T00:00:01", "2026-11-23"),
        ("America/Los_Angeles", "2026-11-24T00:00:01", "2026-11-23"),  # the 23rd there, and New York has closed
    ],
)
def test_last_final_day_does_not_depend_on_the_time_zone(monkeypatch, zone, now, last):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment.astimezone(tz or ZoneInfo(zone))

    monkeypatch.setattr("closes.series.datetime", Clock)
    assert last_final_day() == last


def test_fingerprint_depends_on_closes_and_dates_only():
    closes = read_snapshot("MSFT")
    other_price, other_date = closes.prices.copy(), closes.dates.copy()
    other_price[7] += 1e-9
    other_date[-1] += 1
    prints = {
        closes.fingerprint,
        Closes("MSFT", "csv", closes.dates, other_price).fingerprint,
        Closes("MSFT", "csv", other_date, closes.prices).fingerprint,
    }
    assert len(prints) == 3
    assert closes.fingerprint == Closes("X", "csv", closes.dates.copy(), closes.prices.copy()).fingerprint
