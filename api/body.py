"""The JSON body of /predict: its two forms, and one sentence for each problem.

pydantic checks in microseconds and refuses what Flask's JSON accepts: NaN, infinity, booleans, unknown keys, numbers that are too large.
"""

import threading
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Annotated, Any

from flask import g, request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError, from_json
from werkzeug.exceptions import RequestEntityTooLarge

from api.errors import MAX_BODY_BYTES, RequestError
from api.problems import first, in_words
from closes.series import RANGE_COLUMNS
from closes.symbols import check_symbol
from errors import InvalidSymbolError
from forecast.intervals import LEVELS, MAX_HORIZON, MAX_LEVEL, MIN_LEVEL
from processData import WINDOW

JSON, CSV = "application/json", "text/csv"  # content types of a body
OTHER_KEYS = ("instances", "inputs", "data", "dataframe_split", "dataframe_records", "closes", "prices")  # of other services
SHAPES = f'{{"predict": [{WINDOW} closes]}} for one window, or {{"predict": [[{WINDOW} closes], ...]}} for several'  # in messages
MAX_WINDOWS = 1024  # in a batch
MAX_LEVELS, MAX_PRICES = 9, 20  # in `levels` and in `above`
MAX_HELD_BYTES = 16 * 1024 * 1024  # of all bodies that a worker holds
LARGE_BYTES = 64 * 1024  # size from which a body waits for its turn and is most likely a batch
READ_BYTES = 64 * 1024
RETRY_SECONDS = 1  # after which a client that found the worker full should try again

Close = Annotated[FiniteFloat, Field(gt=0)]
Window = Annotated[list[Close], Field(min_length=WINDOW, max_length=WINDOW)]
Range = Annotated[list[Annotated[FiniteFloat, Field(ge=0)]], Field(min_length=WINDOW, max_length=WINDOW)]  # feeds have 0 for unknown
Level = Annotated[FiniteFloat, Field(ge=MIN_LEVEL, le=MAX_LEVEL)]


def _distinct(values: tuple[float, ...]) -> tuple[float, ...]:
    """Check that no value appears twice.

    Raises:
        ValueError: one does.
    """
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeated", "no value may appear twice")
    return values


def _a_symbol(text: str) -> str:
    """Check that a text is a symbol.

    Raises:
        ValueError: it is not; the message says what a symbol is.
    """
    try:
        check_symbol(text)
    except InvalidSymbolError as error:
        raise PydanticCustomError("symbol", "{problem}", {"problem": str(error)}) from None
    return text


Levels = Annotated[tuple[Level, ...], Field(min_length=1, max_length=MAX_LEVELS, strict=False), AfterValidator(_distinct)]
Symbol = Annotated[str, AfterValidator(_a_symbol)]
Prices = Annotated[tuple[Close, ...], Field(min_length=1, max_length=MAX_PRICES, strict=False), AfterValidator(_distinct)]


class PredictOne(BaseModel):
    """The body of /predict for one window. Its open, high and low are given together or not at all."""

    model_config = ConfigDict(strict=True, extra="forbid")
    predict: Window
    open: Range | None = None
    high: Range | None = None
    low: Range | None = None
    horizon: int = Field(1, ge=1, le=MAX_HORIZON)
    levels: Levels = LEVELS
    above: Prices = ()
    symbol: Symbol | None = None


class PredictMany(BaseModel):
    """The body of /predict for a batch."""

    model_config = ConfigDict(strict=True, extra="forbid")
    predict: Annotated[list[Window], Field(min_length=1, max_length=MAX_WINDOWS)]
    horizon: int = Field(1, ge=1, le=1)
    levels: Levels = LEVELS
    symbol: Symbol | None = None


class BodyBudget:
    """A limit on the bytes that a worker's request bodies take together, and on the large bodies that are parsed at a time.

    Parsing a body takes five times its size, so a large one waits unparsed for its turn.

    Attributes:
        held: bytes of the bodies that arrived and are not answered yet.
    """

    def __init__(self, turns: int, max_bytes: int = MAX_HELD_BYTES) -> None:
        """Allow `turns` large bodies to be parsed at a time and `max_bytes` to be held."""
        self._max_bytes, self.held = max_bytes, 0
        self._turns = threading.Semaphore(turns)  # created in the worker, so gevent's in a gevent worker

    def turn(self, size: int) -> AbstractContextManager[object]:
        """Wait until a body of `size` bytes may be parsed. Small bodies do not wait."""
        return self._turns if size >= LARGE_BYTES else nullcontext()

    def take(self, size: int) -> None:
        """Count bytes that arrived.

        Raises:
            RequestError: 503, the limit is reached; these bytes are not counted.
        """
        if self.held + size > self._max_bytes:
            raise RequestError(503, "The server has too many large requests. Try again in a second.", retry_after=RETRY_SECONDS)
        self.held += size

    def give_back(self, size: int) -> None:
        """Stop counting bytes."""
        self.held -= size


def read_body(budget: BodyBudget) -> bytearray:
    """Read the body of the current Flask request. Bytes count as they arrive, so a slow client holds only what it has sent.

    `g.held` counts the bytes that the caller must give back to the budget.

    Raises:
        RequestError: 415, neither plain JSON nor plain CSV; 503, too many bytes are held.
        RequestEntityTooLarge: the body is too large.
    """
    if request.mimetype not in (JSON, CSV):
        raise _wrong_type()
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise RequestError(415, "Compressed bodies are not accepted.", ["Send the body without Content-Encoding."])
    body = bytearray()
    while received := request.stream.read(READ_BYTES):
        budget.take(len(received))
        g.held = g.get("held", 0) + len(received)
        body += received
    if request.content_length is None and len(body) >= MAX_BODY_BYTES:  # Werkzeug cuts a chunked body at the limit
        raise RequestEntityTooLarge
    return body


def _wrong_type() -> RequestError:
    """Return the error for a body that is declared neither as JSON nor as CSV. It says what to send."""
    as_file = "Send a price file as the body: curl --data-binary @prices.csv -H 'Content-Type: text/csv'."
    if request.mimetype == "multipart/form-data":
        return RequestError(415, "Forms with files (multipart/form-data) are not accepted. Send the file itself as the body.", [as_file])
    as_json = "Send closes with the header Content-Type: application/json (curl: -H 'Content-Type: application/json')."
    declared = f"as {request.mimetype[:80]}" if request.mimetype else "without a Content-Type"
    return RequestError(415, f"The body must be declared as application/json or text/csv. It was sent {declared}.", [as_json, as_file])


_QUERIES: dict[str, TypeAdapter[tuple[float, ...]]] = {"levels": TypeAdapter(Levels), "above": TypeAdapter(Prices)}
_NUMBERS = {
    "levels": f"1 to {MAX_LEVELS} different numbers from {MIN_LEVEL:g} to {MAX_LEVEL:g}, separated by commas",
    "above": f"1 to {MAX_PRICES} different positive prices, separated by commas",
}


def check_numbers(name: str, text: str) -> tuple[float, ...]:
    """Return the numbers of the query parameter `levels` or `above`.

    Raises:
        RequestError: 422, it is not a list of valid numbers.
    """
    try:
        return _QUERIES[name].validate_python(text.split(","))
    except ValidationError as error:
        problems = [f"{name}{problem}" for problem in in_words(error)]
        raise RequestError(422, f"{name} must be {_NUMBERS[name]}.", problems) from None


def check_body(body: bytes | bytearray) -> PredictOne | PredictMany:
    """Parse and validate a body.

    Raises:
        RequestError: 400, not JSON; 422, wrong shape or values, each named.
    """
    if body.startswith(BOM_UTF8):
        body = body[len(BOM_UTF8) :]
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        raise RequestError(400, "The body is in UTF-16. JSON must be in UTF-8.")
    # A batch of more than about 60 windows is large. Whatever fails is parsed again.
    usual: type[PredictOne | PredictMany] = PredictOne if len(body) < LARGE_BYTES else PredictMany
    asked: PredictOne | PredictMany | None = None
    with suppress(ValidationError, OverflowError):
        asked = usual.model_validate_json(body)  # in one step
    if asked is None:
        asked = _check_in_steps(body)
    if isinstance(asked, PredictOne):
        check_ranges(asked)
    return asked


def _check_in_steps(body: bytes | bytearray) -> PredictOne | PredictMany:
    """Parse a body, then validate it as what it looks like. This takes longer and says what is wrong.

    Raises:
        RequestError: 400, not JSON; 422, wrong shape or values, each named.
    """
    try:
        content = from_json(body)
    except ValueError as error:
        raise RequestError(400, "The body is not JSON.", [str(error)]) from None
    if not isinstance(content, dict):
        raise RequestError(422, f"The body must be an object. Send {SHAPES}.")
    _refuse_other_shapes(content)
    closes = content.get("predict")
    kind = PredictMany if isinstance(closes, list) and closes and isinstance(closes[0], list) else PredictOne
    try:
        return kind.model_validate(content)
    except (ValidationError, OverflowError) as error:
        shape = f'{{"predict": [{WINDOW} closes], "horizon": 1 to {MAX_HORIZON}}}'
        if kind is PredictMany:
            shape = f'{{"predict": [[{WINDOW} closes], ...]}}, with up to {MAX_WINDOWS} windows and no horizon'
        raise RequestError(422, f"The body must have the form {shape}.", in_words(error)) from None


def _refuse_other_shapes(content: dict[str, Any]) -> None:
    """Refuse the shapes that Keras and model servers take, with a sentence that names the right one.

    Raises:
        RequestError: 422.
    """
    key = next((key for key in content if key in OTHER_KEYS or key.lower() == "predict" != key), None)
    if key:
        raise RequestError(422, f"The closes must be in `predict`, not in `{key}`. Send {SHAPES}.")
    rows = content.get("predict")
    row = rows[0] if isinstance(rows, list) and rows else None
    if isinstance(row, list) and row and (len(row) == 1 or isinstance(row[0], list)):
        raise RequestError(422, f"`predict` must not wrap each close in a list, as Keras takes them. Send {SHAPES}.")


def check_ranges(asked: PredictOne) -> None:
    """Check that open, high and low are given together, and that no high is below the low.

    Raises:
        RequestError: 422, naming each problem.
    """
    if asked.high is None or asked.low is None or asked.open is None:
        missing = [name for name in RANGE_COLUMNS if getattr(asked, name) is None]
        if len(missing) < len(RANGE_COLUMNS):
            raise RequestError(422, "open, high and low must be given together.", [f"{name}: is missing" for name in missing])
        return
    pairs = enumerate(zip(asked.high, asked.low, strict=True))
    wrong = [f"high[{day}]: is below low[{day}]" for day, (high, low) in pairs if 0 < high < low]
    if wrong:
        raise RequestError(422, "A high must not be below the low of its day.", first(wrong))
