"""The query parameters of a forecast: horizon, levels, above, closes, column and symbol."""

from flask import request

from api.body import check_numbers
from api.errors import RequestError
from api.pricefile import Reading
from closes.columns import MAX_NAME
from closes.newest import MAX_CLOSES
from closes.symbols import UNNAMED, check_symbol
from forecast.forecaster import Question
from forecast.intervals import LEVELS, MAX_HORIZON

FILE_PARAMETERS = ("horizon", "levels", "above", "closes", "column", "symbol")  # of POST /predict with a price file


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


def reading() -> Reading:
    """Return how to read a price file.

    Raises:
        RequestError: 422, a parameter is unknown or repeated, the name of the column is empty or too long, or a wrong number of closes.
        InvalidSymbolError: the stock is not a symbol.
    """
    for name, values in request.args.lists():
        if name not in FILE_PARAMETERS:
            raise RequestError(422, f"There is no parameter {name[:MAX_NAME]!r}. A price file takes {', '.join(FILE_PARAMETERS)}.")
        if len(values) > 1:
            raise RequestError(422, f"{name} is given {len(values)} times. Give it once.")
    column, stock = request.args.get("column"), request.args.get("symbol", UNNAMED)
    if column is not None and not 1 <= len(column.strip()) <= 4 * MAX_NAME:
        raise RequestError(422, f"column must be the name of a column, 1 to {4 * MAX_NAME} characters.")
    check_symbol(stock)
    return Reading(column, stock, shown_closes())


def shown_closes() -> int:
    """Return how many closes the answer has.

    Raises:
        RequestError: 422, a wrong number.
    """
    return whole_number("closes", 0, MAX_CLOSES, default=0)
