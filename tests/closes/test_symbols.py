"""Ticker symbols: which texts are symbols, and the symbol of a price file."""

from pathlib import Path

import pytest

from closes.symbols import check_symbol, symbol_of
from errors import InvalidSymbolError


@pytest.mark.parametrize("symbol", ["MSFT", "BRK-B", "^GSPC", "PETR4.SA", "EURUSD=X", "0700.HK", "A" * 15, "x"])
def test_symbol_is_accepted(symbol):
    check_symbol(symbol)


@pytest.mark.parametrize("symbol", ["", ".", "..", "../x", "/etc/passwd", "BRK/B", "A" * 16, "A B", "A\n", "A\0", "é", "²", "A;B", "A%2f"])
def test_invalid_symbol_is_rejected_naming_it(symbol):
    with pytest.raises(InvalidSymbolError) as caught:
        check_symbol(symbol)
    assert repr(symbol) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "symbol"), [("msft.csv", "MSFT"), ("BRK-B.csv", "BRK-B"), ("my closes.csv", "CSV"), ("prices_2024_final.csv", "CSV")]
)
def test_symbol_of_a_csv_file_is_its_name_if_valid(name, symbol):
    assert symbol_of(Path("some") / name) == symbol
