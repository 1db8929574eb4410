"""The embedded snapshot: its symbols, days and closes."""

import pytest

from closes.snapshot import SNAPSHOT, read_snapshot, read_whole_snapshot, snapshot_symbols
from errors import DataUnavailableError

SYMBOLS = sorted("AAPL AMD BAC BBY CVX GE HD JNJ JPM KO LLY MRK MSFT PEP PFE PG RRC UNH WMT XOM".split())  # noqa: SIM905


def test_snapshot_has_twenty_symbols_and_is_small():
    assert snapshot_symbols() == SYMBOLS
    assert SNAPSHOT.stat().st_size < 400_000


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_snapshot_has_every_day_of_each_symbol(symbol):
    closes = read_snapshot(symbol)
    assert (closes.symbol, closes.source, len(closes)) == (symbol, "snapshot", 3270)
    assert (closes.first_date, closes.last_date) == ("2010-01-04", "2022-12-28")


def test_whole_snapshot_has_the_closes_of_each_symbol():
    whole = read_whole_snapshot()
    assert [closes.symbol for closes in whole] == SYMBOLS
    for closes in whole:
        alone = read_snapshot(closes.symbol)
        assert (closes.fingerprint, closes.source) == (alone.fingerprint, alone.source)


def test_snapshot_starts_with_the_known_close_of_msft():
    assert read_snapshot("MSFT").prices[0] == 23.572


def test_unknown_symbol_is_rejected_naming_the_available_ones():
    with pytest.raises(DataUnavailableError, match="NOPE is not in the embedded snapshot") as caught:
        read_snapshot("NOPE")
    assert ", ".join(SYMBOLS) in str(caught.value)
