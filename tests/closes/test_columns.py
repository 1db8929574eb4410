"""Which columns of a price file are read, and of which stock."""

import pytest
from price_files import table_of

from closes.files import read_prices
from errors import InvalidClosesError


def test_columns_of_two_stocks_or_of_one_name_need_a_choice():
    content = table_of(["2020-01-01,1,2"], "date,Close,Close")
    with pytest.raises(InvalidClosesError, match=r"'Close', 'Close'\. Give them other names, or keep one of them\.$"):
        read_prices(content)


def test_header_chooses_the_adjusted_column_in_any_spelling():
    for name in (
        "Adj Close",
        "adjClose",
        "Adj. Close",
        "5. adjusted close",
        "close_adj",
        "Adjusted",
        "Fechamento Ajustado",
        "adjusted_close_price",
    ):
        file = read_prices(table_of(["2020-01-01,4,1"], f"date,close,{name}"))
        assert file.closes.prices.tolist() == [1], name
        assert file.columns["close"] == name


@pytest.mark.parametrize(
    "header",
    ["AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,AAPL.Volume,AAPL.Adjusted", "1. open,2. high,3. low,4. close,5. volume,6. adjusted close"],
)
def test_columns_of_r_and_alpha_vantage_are_known(header):
    file = read_prices(table_of(["2020-01-01,2,4,2,4,1,2"], f"date,{header}"))
    assert file.closes.prices.tolist() == [2]
    assert file.closes.ranges is not None
    assert file.closes.ranges.tolist() == [[1, 2, 1]]  # adjusted as the close


def test_column_can_be_chosen():
    content = table_of(["2020-01-01,4,1,3", "2020-01-02,4,1,3"], "date,Close,Adj Close,Mean of day")
    assert read_prices(content, column="Close").closes.prices.tolist() == [4, 4]
    assert read_prices(content, column="mean of day").closes.prices.tolist() == [3, 3]
    assert read_prices(content, column="mean_of_day").closes.prices.tolist() == [3, 3]
    with pytest.raises(InvalidClosesError, match=r"has no column 'Median'\. It has 'date', 'Close', 'Adj Close', 'Mean of day'"):
        read_prices(content, column="Median")


def test_ranges_that_do_not_belong_to_the_column_are_not_read():
    content = table_of(["2020-01-01,1,2,1,2,3"], "date,open,high,low,close,vwap")
    ranges = read_prices(content).closes.ranges
    assert ranges is not None
    assert ranges.tolist() == [[1, 2, 1]]
    assert read_prices(content, column="vwap").closes.ranges is None


def test_adjusted_column_that_jumps_alone_is_warned_of_by_name():
    rows = [f"2020-01-0{day},{4 + day / 10},{1 if day < 5 else 4}" for day in range(1, 8)]
    (warning,) = read_prices(table_of(rows, "date,Close,Adj Close")).warnings
    assert (warning.code, warning.day) == ("suspicious_column", "2020-01-05")
    assert "'Adj Close' jumps on 2020-01-05, and 'Close' does not" in warning.text


def test_several_stocks_in_columns_need_a_choice():
    content = b"Price,Close,Close\nTicker,AAPL,MSFT\nDate,,\n2020-01-01,1,2\n"
    assert read_prices(content, "MSFT").closes.prices.tolist() == [2]
    with pytest.raises(InvalidClosesError, match="several stocks: AAPL, MSFT"):
        read_prices(content)


def test_only_stock_of_a_file_is_named_if_it_is_another_one():
    file = read_prices(b"date,symbol,close\n2026-01-01,AAPL,1.5\n2026-01-02,AAPL,1.6\n", "MSFT")
    assert "The only stock is AAPL, not MSFT. It is read." in file.guesses


def test_turnover_is_not_a_close():
    rows = ["2020-01-01,1000000,1.5", "2020-01-02,1000000,1.25"]
    assert read_prices(table_of(rows, "Data,Valor,Cotação")).closes.prices.tolist() == [1.5, 1.25]
    with pytest.raises(InvalidClosesError, match="needs a column `date` and a column `close`"):
        read_prices(table_of(rows, "Data,Valor,Quantidade"))


def test_only_stock_of_a_header_of_three_rows_is_named_if_it_is_another_one():
    content = b"Price,Close\nTicker,AAPL\nDate,\n2020-01-01,1.5\n2020-01-02,1.25\n"
    assert read_prices(content, "xom").guesses == ["The only stock is AAPL, not XOM. It is read."]
    assert read_prices(content, "aapl").guesses == read_prices(content).guesses == []
