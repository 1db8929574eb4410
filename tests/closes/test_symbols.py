"""Ticker symbols: which texts are symbols, and the symbol of a price file."""

from pathlib import Path

import pytest

from closes.symbols import check_symbol, symbol_of, with_dash
from errors import InvalidSymbolError


@pytest.mark.parametrize(
    "symbol", ["MSFT", "BRK-B", "^GSPC", "PETR4.SA", "EURUSD=X", "0700.HK", "M&M.NS", "NIFTY_FIN_SERVICE.NS", "A" * 32, "x"]
)
def test_symbol_is_accepted(symbol):
    check_symbol(symbol)


@pytest.mark.parametrize(
    "symbol", ["", ".", "..", "../x", "/etc/passwd", "BRK/B", "A\\B", "A" * 33, "A B", "A\n", "A\0", "é", "²", "A;B", "A%2f", ".A&B_C"]
)
def test_invalid_symbol_is_rejected_naming_it(symbol):
    with pytest.raises(InvalidSymbolError) as caught:
        check_symbol(symbol)
    assert repr(symbol) in str(caught.value)
    assert "1 to 32 letters, digits and . ^ = - & _ (not a dot first)" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("msft.csv", "MSFT"),
        ("BRK-B.csv", "BRK-B"),
        ("m&m.ns.csv", "M&M.NS"),
        ("NIFTY_FIN_SERVICE.NS.csv", "NIFTY_FIN_SERVICE.NS"),
        ("my closes.csv", "CSV"),
        ("prices_2024_final.csv", "CSV"),
    ],
)
def test_symbol_of_a_csv_file_is_its_name_if_valid(name, symbol):
    assert symbol_of(Path("some") / name) == symbol


@pytest.mark.parametrize(
    ("symbol", "other"), [("BRK.B", "BRK-B"), ("RCI.B.TO", "RCI-B.TO"), ("M&M.NS", "M&M-NS"), ("BRK-B", None), ("MSFT", None)]
)
def test_share_class_is_written_with_a_dash(symbol, other):
    assert with_dash(symbol) == other
