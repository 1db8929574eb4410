"""Errors of price files name what their reader can do: an option of a command, a query parameter, or the file's columns."""

import pytest

from closes.files import read_prices
from errors import InvalidClosesError
from scoring.columns import find_form

SEVERAL_COLUMNS = b"date,Close,close\n2020-01-01,1,2\n"
UNCLEAR = b"date,Close,Adj. Foo\n2020-01-01,1,2\n"
UNKNOWN = b"date,median,mean\n2020-01-01,1,2\n"
SEVERAL_STOCKS = b"date,symbol,close\n2020-01-01,A,1\n2020-01-02,B,2\n"
CHOICES = [
    (SEVERAL_COLUMNS, "Choose one: ", "column", "NAME"),
    (UNCLEAR, "Choose the column of closes: ", "column", "NAME"),
    (UNKNOWN, "Another column of closes can be chosen: ", "column", "NAME"),
    (SEVERAL_STOCKS, "Choose one: ", "symbol", "A"),
]


def refusal(source):
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(source)
    return caught.value


@pytest.mark.parametrize(("content", "advice", "option", "value"), CHOICES)
def test_error_names_the_option_of_its_reader(tmp_path, content, advice, option, value):
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    assert refusal(content).details == [f"{advice}{option}={value}."]
    assert str(refusal(path)).endswith(f"{advice}--{option} {value}.")
    assert refusal(path).details == []


def test_error_of_a_request_does_not_say_file():
    assert [str(refusal(content)).startswith("The input has ") for content in (SEVERAL_COLUMNS, UNCLEAR, SEVERAL_STOCKS)] == [True] * 3


def test_a_file_of_windows_has_no_such_options():
    import pyarrow as pa

    def refused(*names):
        with pytest.raises(InvalidClosesError) as caught:
            find_form(pa.schema([(name, pa.float64()) for name in names]), "prices.csv")
        return str(caught.value)

    assert refused("date", "Close", "close").endswith("'Close', 'close'. Keep one of them.")
    assert "Name it 'adjusted close' if it has adjusted closes, or remove it." in refused("date", "Close", "Adj. Foo")
