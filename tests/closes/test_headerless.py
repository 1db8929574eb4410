"""Price files without a header: lists of closes, JSON, the table of Yahoo Finance."""

import pytest

from closes.files import read_prices
from errors import InvalidClosesError


def test_yahoo_table_leaves_out_dividends():
    row = "{}, 2024\t1.00\t1.50\t0.50\t1.50\t1.25\t22,911,300"
    content = "\n".join([row.format("May 31"), "May 30, 2024\t0.75 Dividend", row.format("May 29")]).encode()
    file = read_prices(content)
    assert file.closes.prices.tolist() == [1.25, 1.25]
    assert [(item["reason"], item["lines"]) for item in file.left_out] == [("dividends and splits", [2])]


@pytest.mark.parametrize(
    "content",
    [
        b"1.5\n1.25\n",
        b"1.5, 1.25",
        b"[1.5, 1.25]",
        b"[1.5,\n1.25]",
        b" \n[\n  1.5,\n  1.25\n]\n",
        b"[1.5," + b"\n" * 200 + b"1.25]",
        b"[1.5, null, 1.25]",
        b'{"horizon": 5, "predict": [1.5, 125e-2]}',
        "1.5, 1.25".encode("utf-16"),
        b"1.5 1.25",
        b"1.5;1.25",
        b"1.5;1.25;",
        b"1.5,\n1.25\n",
    ],
)
def test_list_of_closes_needs_no_header(content):
    file = read_prices(content)
    assert file.closes.prices.tolist() == [1.5, 1.25]
    assert not file.dated
    assert file.as_of is None
    assert len(file.guesses) == 1


@pytest.mark.parametrize(
    "content",
    [
        b"1,234.50, 1,235.60, 1,236.70",
        b"1,234.50,\n1,235.60,\n1,236.70,\n",
        b"1,234, 1,235, 1,236",
        b"150,43, 151,20, 152,10",
        b"150,43; 151,20; 152,10",
        b"150,43;\n151,20;\n152,10",
        b"150,43 151,20",
    ],
)
def test_list_with_commas_within_numbers_is_refused(content):
    with pytest.raises(InvalidClosesError, match="has no header"):
        read_prices(content)


YAHOO_ROW = "2024-05-{:02},{open},{high},{low},{close},{adjusted},{volume}"

YAHOO_VALUES = {"open": 10, "high": 12, "low": 9, "close": 11, "adjusted": "10.5", "volume": 2000}


@pytest.mark.parametrize(
    ("change", "is_read"),
    [
        ({}, True),
        ({"volume": "-"}, True),
        ({"adjusted": 2000, "volume": "10.5"}, False),
        ({"adjusted": 20, "volume": 10}, False),
        ({"volume": "10.5"}, False),
        ({"high": 10}, False),
        ({"low": "10.5"}, False),
        ({"open": 11, "high": 2000, "low": 10, "close": 12, "adjusted": 9, "volume": 7}, True),
        ({"open": 11, "high": 2000, "low": 12, "close": 10, "adjusted": 9, "volume": 7}, False),
        ({"adjusted": "x"}, False),
    ],
)
def test_seven_columns_without_a_header_are_those_of_yahoo_only_if_their_values_fit(change, is_read):
    content = "\n".join(YAHOO_ROW.format(day, **(YAHOO_VALUES | change)) for day in range(1, 10)).encode()
    if is_read:
        assert read_prices(content).columns["close"] == "Adj Close"
        return
    with pytest.raises(InvalidClosesError, match="has no header: 9 lines of 7 fields"):
        read_prices(content)


def test_small_volumes_are_not_adjusted_closes():
    rows = [f"2024-05-{day:02},185,190,180,186,{volume},9" for day, volume in enumerate([120, 35, 80], 1)]
    with pytest.raises(InvalidClosesError, match="has no header: 3 lines of 7 fields"):
        read_prices("\n".join(rows).encode())


def test_json_says_what_it_ignores_and_counts_missing_closes():
    file = read_prices(b'{"predict": [1.5, null, 1.25, null, NaN], "horizon": 5, "above": [2]}')
    assert (file.total, file.guesses) == (2, ["The input is read as a list of closes. Its other keys are ignored: 'horizon', 'above'."])
    assert file.left_out == [{"rows": 3, "reason": "no close on that day", "lines": [1]}]


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (
            "150,43\n" * 60,
            "60 lines of 2 fields, the first is '150,43'. If each line is one number with a decimal comma, write a decimal point: 150.43.",
        ),
        ("1 2 3 x 4 5", "If it is a list of closes, item 4 is 'x', which is not a number."),
        ("1 2 3 x y 5", "If it is a list of closes, item 4 is 'x', which is not a number; 2 of 6 items are not."),
        ("1.5 1.25 1.5 abc n/a", "If it is a list of closes, item 4 is 'abc', which is not a number; 2 of 5 items are not."),
        (
            "R$ 30.12 R$ 30.15",
            "If it is a list of closes, write them without a currency, with decimal points, and with spaces between them.",
        ),
        (
            "R$ 30,12, R$ 30,15",
            "If it is a list of closes, write them without a currency, with decimal points, and with spaces between them.",
        ),
        ("1.5\n1.25\nabc\n1.5", "If it is a list of closes, item 3 is 'abc', which is not a number."),
        ("1,234.50, 1,235.60", "If it is a list of closes, write them with decimal points, without separators of thousands"),
        ("185.00;250\n" * 30, "Add a first line that names the columns, such as `date,close`."),
    ],
)
def test_text_without_a_header_is_refused_with_what_keeps_it_from_being_read(content, advice):
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(content.encode())
    assert advice in str(caught.value)


@pytest.mark.parametrize("line", ["$ {}", "${}", "{} USD", "R$ {}"])
@pytest.mark.parametrize(("text", "price"), [("100.50", 100.5), ("1,100.50", 1100.5), ("100,50", 100.5)])
def test_lines_of_one_price_with_a_currency_are_closes(line, text, price):
    assert read_prices("\n".join([line.format(text)] * 3).encode()).closes.prices.tolist() == [price] * 3
