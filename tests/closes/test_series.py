"""A series of closes."""

from closes.series import Closes
from closes.snapshot import read_snapshot


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
