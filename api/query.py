"""The query parameters of a forecast: horizon, levels, above, column and symbol."""

from flask import request

from api.body import check_numbers
from api.errors import RequestError
from closes.columns import MAX_NAME
from closes.symbols import UNNAMED, check_symbol
from forecast.forecaster import Question
from forecast.intervals import LEVELS, MAX_HORIZON


def whole_number(name: str, low: int, high: int, default: int) -> int:
    """Return a whole number from the query.

    Raises:
        RequestError: 422, it is not a whole number from `low` to `high`.
    """
    text = request.args.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise RequestError(422, f"{name} must be a whole number from {low} to {high}.")
    return int(text)


def horizon_and_question() -> tuple[int, Question]:
    """Return the horizon, and what the answer has.

    Raises:
        RequestError: 422, one of them is wrong.
    """
    horizon = whole_number("horizon", 1, MAX_HORIZON, default=1)
    levels = check_numbers("levels", request.args["levels"]) if "levels" in request.args else LEVELS
    above = check_numbers("above", request.args["above"]) if "above" in request.args else ()
    return horizon, Question(levels, above, with_path="horizon" in request.args)


def column_and_stock() -> tuple[str | None, str]:
    """Return the column of closes and the stock to read from a price file.

    Raises:
        RequestError: 422, the name of the column is empty or too long.
        InvalidSymbolError: the stock is not a symbol.
    """
    column, stock = request.args.get("column"), request.args.get("symbol", UNNAMED)
    if column is not None and not 1 <= len(column.strip()) <= 4 * MAX_NAME:
        raise RequestError(422, f"column must be the name of a column, 1 to {4 * MAX_NAME} characters.")
    check_symbol(stock)
    return column, stock
