"""Prices as text: decimal signs, thousands, currencies."""

import re
from datetime import date, timedelta

import pytest
from price_files import table_of

from closes.files import read_prices
from errors import InvalidClosesError


@pytest.mark.parametrize(
    ("texts", "price"),
    [
        (["1.5"], 1.5),
        (["1,5"], 1.5),
        (["1.234,5"], 1234.5),
        (["1,234.5"], 1234.5),
        (["1,234,567"], 1234567),
        (["1,234"], 1234),
        (["1,234", "1,2"], 1.234),
        (["1 234,5"], 1234.5),
        (["1'234.5"], 1234.5),
        (["12,34,567.5"], 1234567.5),
        (["R$ 1.234,50"], 1234.5),
        (["150.44 USD"], 150.44),
        (["€1,50"], 1.5),
        ([".5"], 0.5),
        (["+1.5E+2"], 150),
    ],
)
def test_prices_are_read_in_usual_forms(texts, price):
    file = read_prices(table_of([f'2020-01-0{day},"{text}"' for day, text in enumerate(texts, 1)]))
    assert file.closes.prices[0] == price


@pytest.mark.parametrize("text", ["0x10", "1_0", "inf", "1.2.3", "1,2,3", "12 50", "1e", "--1", "1.5%", "1.5x", "\u0661"])
def test_other_texts_are_not_prices(text):
    with pytest.raises(InvalidClosesError, match="1 row with wrong values"):
        read_prices(table_of(["2020-01-01,1.25", f'2020-01-02,"{text}"']))


POINT_IN, COMMA_IN = "The point is read as {}, for example in {}.", "The comma is read as {}, for example in {}."

DECIMAL, THOUSANDS = "the decimal sign", "a separator of thousands"


@pytest.mark.parametrize(
    ("header", "rows", "last", "guess"),
    [
        ("Data;Último;Var%", ["131.856;0,35%", "129.210;-1,20%"], 129210.0, POINT_IN.format(THOUSANDS, "131.856")),
        ("Data;Último;Var%", ["5.185;0.35%", "5.210;-1.20%"], 5.21, POINT_IN.format(DECIMAL, "5.185")),
        ("Data;Fechamento;Vol.", ["131.856;1.234.567", "129.210;1.234.567"], 129210.0, POINT_IN.format(THOUSANDS, "131.856")),
        ("date;close", ["988", "1.002"], 1002.0, POINT_IN.format(THOUSANDS, "1.002")),
        ("date;close", ["1.131.856", "1.129.210"], 1129210.0, POINT_IN.format(THOUSANDS, "1.131.856")),
        ("date;close", ["131.856", "129.210"], 129.21, POINT_IN.format(DECIMAL, "131.856")),
        ("Date;Close", ["1,110", "987"], 987.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Date;Close", ["987", "1,110"], 1110.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Date;Close", ["1,234,567", "1,234,568"], 1234568.0, COMMA_IN.format(THOUSANDS, "1,234,567")),
        ("Date;Close;Volume", ["1,110;1,234,567", "1,112;1,000,000"], 1112.0, COMMA_IN.format(THOUSANDS, "1,110")),
        ("Datum\tSchlusskurs", ["150,438", "150,492"], 150.492, COMMA_IN.format(DECIMAL, "150,438")),
        ("日付\t終値", ["1,110", "1,120"], 1120.0, COMMA_IN.format(THOUSANDS, "1,110")),
    ],
)
def test_sign_before_three_digits_is_read_by_its_surroundings_and_named(header, rows, last, guess):
    delimiter = "\t" if "\t" in header else ";"
    file = read_prices(table_of([f"2026-01-0{day}{delimiter}{row}" for day, row in enumerate(rows, start=1)], header))
    assert file.closes.prices[-1] == last
    assert file.guesses == [guess]


@pytest.mark.parametrize(
    ("header", "price"),
    [
        ("Data;Último", "5.185"),
        ("Data;Último", "5,185"),
        ("Fecha;Cierre", "5,185"),
        ("Data;Fechamento", "131.856"),
        ("Date;Close", "1,110"),
        ("Date\tClose", "150,438"),
    ],
)
def test_sign_before_three_digits_that_nothing_explains_is_refused(header, price):
    delimiter = "\t" if "\t" in header else ";"
    with pytest.raises(InvalidClosesError) as caught:
        read_prices(table_of([f"2026-01-01{delimiter}{price}", f"2026-01-02{delimiter}{price}"], header))
    whole, rest = re.split("[.,]", price)
    assert f"such as {price}, in which the {'comma' if ',' in price else 'point'} may be the decimal sign or separate thousands. " in str(
        caught.value
    )
    assert f"Write {price} as {whole}.{rest}0 or as {whole}{rest}." in str(caught.value)
    for written, value in ((f"{whole}.{rest}0", float(f"{whole}.{rest}")), (f"{whole}{rest}", float(whole + rest))):
        assert read_prices(table_of([f"2026-01-01{delimiter}{written}"], header)).closes.prices.tolist() == [value]


def test_prices_of_both_forms_that_fit_both_are_refused():
    with pytest.raises(InvalidClosesError, match=r"such as 1\.234, in which the point may be"):
        read_prices(table_of(["2026-01-01;1.234", "2026-01-02;1,234"], "date;close"))


@pytest.mark.parametrize(("others", "is_believed"), [(45, True), (55, False)])
def test_damaged_number_does_not_tell_the_decimal_sign(others, is_believed):
    days = [date(2020, 1, 1) + timedelta(days=index) for index in range(others + 1)]
    rows = [f"{day};154,246" for day in days[:-1]] + [f"{days[-1]};154,2"]
    if is_believed:
        assert read_prices(table_of(rows, "Date;Close")).closes.prices[0] == 154.246
    else:
        with pytest.raises(InvalidClosesError, match="may be the decimal sign or separate thousands"):
            read_prices(table_of(rows, "Date;Close"))
