"""Client of the stock forecast service, sync and async.

    from stock_forecast_client import Client

    with Client("http://127.0.0.1:8010") as service:
        forecast = service.forecast("MSFT", horizon=5)
        print(forecast.predicted_price, forecast.intervals[80].low, forecast.intervals[80].high)

`AsyncClient` has the same methods as coroutines. Prices are in the currency of the closes. Every error is a `StockForecastError`.
"""

import asyncio
import csv
import dataclasses
import datetime as dt
import functools
import json
import math
import os
import random
import re
import ssl
import time
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, Self, TypeVar, cast

import httpx

if TYPE_CHECKING:
    import pandas as pd

__version__ = "1.0.0"
__all__ = [
    "AsyncClient",
    "AuthenticationError",
    "Backtest",
    "BacktestDay",
    "BadRequestError",
    "Batch",
    "Calibration",
    "Client",
    "ConnectionFailedError",
    "Drift",
    "FileForecast",
    "Forecast",
    "ForecastWarning",
    "Histogram",
    "Interval",
    "InvalidInputError",
    "InvalidValuesError",
    "Latency",
    "LeftOut",
    "LiveAccuracy",
    "LiveDay",
    "LiveFigures",
    "LoggedRequest",
    "Model",
    "ModelChange",
    "Models",
    "Monitor",
    "NotFoundError",
    "Period",
    "Prediction",
    "RateLimitedError",
    "Readiness",
    "StatusError",
    "Step",
    "StockForecastError",
    "Summary",
    "SymbolForecast",
    "TimedOutError",
    "Timeline",
    "TrackRecord",
    "UnavailableError",
    "UnexpectedAnswerError",
    "Version",
]

WINDOW = 60  # closes per window
MAX_WINDOWS = 1024  # windows per request; larger batches are split
MAX_BODY = 2 * 1024 * 1024  # bytes
DEFAULT_URL = "http://127.0.0.1:8010"
RANGES = ("open", "high", "low")

T = TypeVar("T")


class Column(Protocol):
    """A NumPy array or a pandas Series."""

    def tolist(self) -> list[Any]:
        """Return the values."""


Prices = Sequence[float] | Column
"""Prices, oldest first: a sequence of numbers, a NumPy array or a pandas Series."""
CsvFile = str | os.PathLike[str] | bytes | typing.BinaryIO
"""A price file: its path, its content as bytes, or a file that is open in binary mode."""


# Errors


class StockForecastError(Exception):
    """Base class of all errors of the client.

    Attributes:
        message: One sentence that says what is wrong.
        details: A sentence for each place that is wrong, or how to fix it; often empty.
        status: The HTTP status; None if there was no answer.
    """

    status: int | None = None

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(" ".join([message, *details]))
        self.message = message
        self.details = tuple(details)


class InvalidInputError(StockForecastError, ValueError):
    """An argument is invalid; no request was sent."""


class ConnectionFailedError(StockForecastError):
    """The service could not be reached, or the connection was lost before the answer was complete."""


class TimedOutError(ConnectionFailedError):
    """The service did not answer in time."""


class UnexpectedAnswerError(StockForecastError):
    """The answer does not come from the service or has an unknown form, for example the page of a proxy."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class StatusError(StockForecastError):
    """The service answered with an error.

    Attributes:
        status: The HTTP status.
        retry_after: Seconds after which to try again; None if the answer does not say.
        request_id: The id of the request in the service's access log.
    """

    status: int

    def __init__(self, status: int, message: str, details: Sequence[str], retry_after: float | None, request_id: str | None) -> None:
        super().__init__(message, details)
        self.status = status
        self.retry_after = retry_after
        self.request_id = request_id


class BadRequestError(StatusError):
    """The request is malformed or too large (400, 408, 413, 414, 415)."""


class AuthenticationError(StatusError):
    """The API key is missing or wrong (401)."""


class NotFoundError(StatusError):
    """The symbol, the backtest or the address does not exist (404)."""


class InvalidValuesError(StatusError):
    """The shape or a value of the request is wrong (422); `details` names each place, or the query parameter that chooses."""


class RateLimitedError(StatusError):
    """The client sent too many requests (429)."""


class UnavailableError(StatusError):
    """The service has no model, no closes or too much work (503), or a proxy cannot reach it (502, 504)."""


_BY_STATUS: dict[int, type[StatusError]] = {
    **dict.fromkeys((400, 408, 413, 414, 415), BadRequestError),
    401: AuthenticationError,
    404: NotFoundError,
    422: InvalidValuesError,
    429: RateLimitedError,
    **dict.fromkeys((502, 503, 504), UnavailableError),
}


# Results. Fields that a newer service adds are ignored.


class Interval(NamedTuple):
    """Bounds that contain the close in the share of all cases that the level states, in the currency of the closes."""

    low: float
    high: float


@dataclass(frozen=True)
class ForecastWarning:
    """A reason to trust a forecast less.

    Attributes:
        code: What the warning is about, such as `possible_split`; newer services may have further codes.
        day: The day that the warning is about; None if there is none.
        text: One sentence.
    """

    code: str
    day: dt.date | None
    text: str


@dataclass(frozen=True)
class Step:
    """The forecast for one trading day of a path.

    Attributes:
        step: Trading days ahead, from 1.
        price: The expected close.
        intervals: An `Interval` by level in percent, such as `intervals[80]`.
        date: The trading day; None if the service does not know the symbol.
        probability_above: For each price in `above` the probability (0 to 1) that the close is above it; empty without `above`.
    """

    step: int
    price: float
    intervals: dict[float, Interval]
    date: dt.date | None = None
    probability_above: tuple[float, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """The forecast of the next close from one window.

    Attributes:
        predicted_price: The expected next close.
        last_close: The last close of the window, which is the forecast of persistence.
        intervals: An `Interval` by level in percent, such as `intervals[80]`.
        warnings: Reasons to trust the forecast less; empty for most windows.
    """

    predicted_price: float
    last_close: float
    intervals: dict[float, Interval]
    warnings: tuple[ForecastWarning, ...]


@dataclass(frozen=True)
class Forecast(Prediction):
    """The forecast from one window.

    Attributes:
        response_time_sec: Time that the service needed, in seconds.
        memory_usage_percent: Memory in use on the machine of the service, in percent.
        model_version: The model that answered.
        model_symbol: The symbol whose own model answered; None for the default model.
        path: One forecast per trading day; empty without `horizon`.
        probability_above: For each price in `above` the probability (0 to 1) that the next close is above it; empty without `above`.
    """

    response_time_sec: float
    memory_usage_percent: float
    model_version: str
    model_symbol: str | None
    path: tuple[Step, ...] = ()
    probability_above: tuple[float, ...] = ()

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame with one row per step, and the next close alone without `horizon`.

        The index is `step`. Columns: `date` if known, `price`, `low_80`, `high_80` and so on, and `above_1` and so on for each
        price in `above`, in their order.
        """
        alone = (Step(1, self.predicted_price, self.intervals, None, self.probability_above),)
        steps = self.path or alone
        return _frame([_step_row(step) for step in steps], dates=["date"] if steps[0].date else []).set_index("step")


@dataclass(frozen=True)
class LeftOut:
    """Rows of a price file that were left out.

    Attributes:
        rows: The number of rows.
        reason: Why they were left out.
        lines: The line numbers of the first of them, from 1.
    """

    rows: int
    reason: str
    lines: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FileForecast(Forecast):
    """The forecast from a price file, and how the file was read.

    Attributes:
        as_of: Date of the last close; None if the file has no dates.
        columns: The names of the columns that were read, by `date`, `close`, and `open`, `high`, `low` if the file has all three.
        left_out: Rows that were left out.
        guesses: A sentence for each guess, such as decimal commas.
        total: How many closes the file has.
        used: How many of them are used.
        dates: The dates of `closes`; empty if the file has none.
        closes: The newest closes, oldest first; empty without `closes`.
    """

    as_of: dt.date | None
    columns: dict[str, str | None]
    left_out: tuple[LeftOut, ...]
    guesses: tuple[str, ...]
    total: int
    used: int
    dates: tuple[dt.date, ...] = ()
    closes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Calibration:
    """The scores that the intervals of a symbol come from: its own and those of other stocks, averaged.

    Attributes:
        volatility: `closes` or `ranges` (open, high and low too).
        own_scores: Days of the symbol; 0 if it has too few closes.
        own_weight: Weight (0 to 1) of the symbol's own scores one day ahead.
        own_from: First of these days; None without own scores.
        own_to: Last of these days; None without own scores.
        pooled_symbols: The other stocks.
        pooled_scores: Days of the other stocks.
        pooled_from: First of these days.
        pooled_to: Last of these days.
    """

    volatility: str
    own_scores: int
    own_weight: float
    own_from: dt.date | None
    own_to: dt.date | None
    pooled_symbols: tuple[str, ...]
    pooled_scores: int
    pooled_from: dt.date
    pooled_to: dt.date


@dataclass(frozen=True)
class TrackRecord:
    """What the model would have forecast on the symbol's last days, each from the days before it alone.

    Attributes:
        days: The number of days, at most 250.
        first_date: The first of them.
        last_date: The last of them.
        held: How many closes were within the interval, by level in percent.
        rmse_ratio: RMSE divided by that of persistence; None if the close never changed.
        median_width: Median width of the interval relative to the last close, by level in percent; None from an older service.
    """

    days: int
    first_date: dt.date
    last_date: dt.date
    held: dict[float, int]
    rmse_ratio: float | None
    median_width: dict[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class SymbolForecast(Forecast):
    """The forecast from the newest closes of a symbol.

    Attributes:
        symbol: The symbol, in upper case.
        as_of: Date of the last close.
        source: `yahoo`, `cache` (an older download) or `snapshot` (the data in the service).
        calendar: The trading days of `path`: the ISO 10383 code of the exchange, `daily`, or `weekdays` if the exchange is unknown.
        calibration: What the intervals are calibrated on.
        track_record: How the intervals held on the symbol's last days; None if it has too few closes.
        dates: The dates of `closes`.
        closes: The newest closes, oldest first; empty without `closes`.
        probability_of_rise: Probability that the next close is above `last_close`; None from an older service.
    """

    symbol: str
    as_of: dt.date
    source: str
    calendar: str
    calibration: Calibration
    track_record: TrackRecord | None
    dates: tuple[dt.date, ...] = ()
    closes: tuple[float, ...] = ()
    probability_of_rise: float | None = None


@dataclass(frozen=True)
class Batch:
    """The forecasts of many windows.

    Attributes:
        predictions: One per window, in the same order.
        response_time_sec: Time that the service needed, in seconds, summed over the requests.
        memory_usage_percent: Memory in use on the machine of the service, in percent, the highest of the answers.
        model_versions: The models that answered, without repetition: more than one if a model was published in between.
        model_symbol: The symbol whose own model answered; None for the default model.
        labels: The columns, if the windows were a DataFrame; otherwise the numbers of the windows from 0.
    """

    predictions: tuple[Prediction, ...]
    response_time_sec: float
    memory_usage_percent: float
    model_versions: tuple[str, ...]
    model_symbol: str | None
    labels: tuple[Any, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame with one row per window; the index is `labels`, columns as `Forecast.to_frame`, plus `last_close`."""
        rows = [{"last_close": one.last_close, "price": one.predicted_price, **_bounds(one.intervals)} for one in self.predictions]
        frame = _frame(rows)
        frame.index = type(frame.columns)(self.labels)
        return frame


@dataclass(frozen=True)
class BacktestDay:
    """One day of a backtest, forecast from the 60 closes before it.

    Attributes:
        date: The trading day.
        actual: The close.
        predicted: Its forecast.
        intervals: An `Interval` by level in percent, such as `intervals[80]`.
        pit: The probability that the forecast gave to a lower or equal close; None unless asked for.
    """

    date: dt.date
    actual: float
    predicted: float
    intervals: dict[float, Interval]
    pit: float | None = None


@dataclass(frozen=True)
class Backtest:
    """What a model would have forecast on past days.

    Attributes:
        days: One per trading day, oldest first.
        model_version: The model; None for the backtest of the default model, which the service does not say.
        model_symbol: The symbol that the model was published for; None for the default model.
    """

    days: tuple[BacktestDay, ...]
    model_version: str | None
    model_symbol: str | None

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame of the days by `date`, with `actual`, `predicted`, `low_80`, `high_80` and so on, and `pit` if it is known."""
        rows = [
            {"date": day.date, "actual": day.actual, "predicted": day.predicted, **_bounds(day.intervals)}
            | ({} if day.pit is None else {"pit": day.pit})
            for day in self.days
        ]
        return _frame(rows, dates=["date"]).set_index("date")


@dataclass(frozen=True)
class Model:
    """A published model.

    Attributes:
        symbol: The symbol that it was published for; of the default model, the one that it was trained on.
        default: Whether it is the default model.
        model_version: Its version.
        created_at: When it was trained.
        last_date: Date of the last close of its data.
        metrics: Scores on its test days, by name.
    """

    symbol: str
    default: bool
    model_version: str
    created_at: dt.datetime
    last_date: dt.date
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class Version:
    """A version of the default model that is kept.

    Attributes:
        model_version: Its version.
        created_at: When it was trained. It is published at the end of its training.
        published: Whether it is the published version.
    """

    model_version: str
    created_at: dt.datetime
    published: bool


@dataclass(frozen=True)
class Models:
    """The published models.

    Attributes:
        models: The default model, then those of symbols.
        problems: The models that are left out because they cannot be read.
        versions: The versions of the default model that are kept, the newest first; None from an older service.
    """

    models: tuple[Model, ...]
    problems: tuple[str, ...]
    versions: tuple[Version, ...] | None = None

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame with one row per model; each metric is a column."""
        rows = [dataclasses.asdict(model) for model in self.models]
        return _frame([row | row.pop("metrics") for row in rows], dates=["last_date"])


@dataclass(frozen=True)
class LoggedRequest:
    """A request of the request log. Fields that the request did not have are None.

    Attributes:
        timestamp: When it was answered.
        response_time: Seconds.
        memory_usage: Percent.
        status: The HTTP status.
        windows: The number of windows.
        horizon: Trading days ahead.
        last_close: The last close of the window.
        predicted_price: The forecast of the next close.
        low_80: Lower bound of the 80% interval.
        high_80: Upper bound of the 80% interval.
        low_95: Lower bound of the 95% interval.
        high_95: Upper bound of the 95% interval.
        model_version: The model that answered.
        model_symbol: The symbol whose own model answered.
        symbol: The symbol that the request named.
        last_return: Log return of the window's last day.
    """

    timestamp: dt.datetime
    response_time: float | None
    memory_usage: float | None
    status: int | None
    windows: int | None = None
    horizon: int | None = None
    last_close: float | None = None
    predicted_price: float | None = None
    low_80: float | None = None
    high_80: float | None = None
    low_95: float | None = None
    high_95: float | None = None
    model_version: str | None = None
    model_symbol: str | None = None
    symbol: str | None = None
    last_return: float | None = None


@dataclass(frozen=True)
class Latency:
    """Percentiles of the latency of requests answered with 200, in seconds."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Period:
    """The requests of a period.

    Attributes:
        start: When it begins.
        requests: The number of requests.
        refused: Those answered with 4xx.
        failed: Those answered with 5xx.
        p50: Median latency in seconds of those answered with 200; None if there are none.
        p95: 95th percentile of the same.
    """

    start: dt.datetime
    requests: int
    refused: int
    failed: int
    p50: float | None
    p95: float | None


@dataclass(frozen=True)
class ModelChange:
    """The time at which another version of the default model began to answer.

    Attributes:
        at: The time of its first answer.
        model_version: The version.
    """

    at: dt.datetime
    model_version: str


@dataclass(frozen=True)
class Timeline:
    """The requests of the summary over time.

    Attributes:
        period_seconds: Length of a period; None without requests.
        periods: At most 60, oldest first.
        changes: When other versions of the default model began to answer, at most 20; None from an older service.
    """

    period_seconds: int | None
    periods: tuple[Period, ...]
    changes: tuple[ModelChange, ...] | None = None


@dataclass(frozen=True)
class LiveFigures:
    """Accuracy of the forecasts whose close arrived in a later request. Errors are of daily log returns.

    All figures are None until `needed` closes have arrived.

    Attributes:
        n: Forecasts whose close has arrived.
        needed: How many the figures need.
        rmse: Root mean squared error.
        mae: Mean absolute error.
        naive_rmse: Root mean squared error of persistence.
        naive_mae: Mean absolute error of persistence.
        coverage_80: Share (0 to 1) of closes within the 80% interval.
        coverage_95: Share (0 to 1) of closes within the 95% interval.
        mean_width_80: Mean width of the 80% interval relative to the last close.
        mean_width_95: Mean width of the 95% interval relative to the last close.
        first: When the first of these closes arrived.
        last: When the last of them arrived.
        verdict: A sentence.
    """

    n: int
    needed: int
    rmse: float | None
    mae: float | None
    naive_rmse: float | None
    naive_mae: float | None
    coverage_80: float | None
    coverage_95: float | None
    mean_width_80: float | None
    mean_width_95: float | None
    first: dt.datetime | None
    last: dt.datetime | None
    verdict: str


@dataclass(frozen=True)
class LiveDay:
    """The closes that arrived on one day, and the forecasts that they belong to.

    Attributes:
        date: The day, in UTC.
        n: How many closes arrived.
        held_80: How many of them were within the 80% interval.
        held_95: The same for the 95% interval.
    """

    date: dt.date
    n: int
    held_80: int
    held_95: int


@dataclass(frozen=True)
class LiveAccuracy(LiveFigures):
    """Live accuracy of all symbols, by symbol and by day.

    Attributes:
        by_symbol: The same figures for the 20 symbols with the most closes.
        caught_up: False while a long log is still being read; later calls continue.
        by_day: The newest 120 days with closes, oldest first; None from an older service.
    """

    by_symbol: dict[str, LiveFigures]
    caught_up: bool
    by_day: tuple[LiveDay, ...] | None = None


@dataclass(frozen=True)
class Histogram:
    """Daily log returns now and in the training data, in the same bins.

    Attributes:
        edges: The returns between the bins; the first and the last bin also have the returns beyond them.
        now: Share of the newest returns in each bin.
        trained: The same for the training data.
    """

    edges: tuple[float, ...]
    now: tuple[float, ...]
    trained: tuple[float, ...]


@dataclass(frozen=True)
class Drift:
    """The newest 500 daily returns compared with those of the training data. Figures are None below `needed` returns.

    Attributes:
        n: The number of returns.
        needed: How many the figures need.
        ks_distance: Kolmogorov-Smirnov distance, 0 to 1.
        threshold: Distance above which the returns have drifted.
        volatility_ratio: Mean absolute return divided by that of the training data.
        verdict: A sentence.
        histogram: Both distributions; also None from an older service.
    """

    n: int
    needed: int
    ks_distance: float | None
    threshold: float | None
    volatility_ratio: float | None
    verdict: str
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Summary:
    """Counts and latencies of up to 1,000 of the newest requests; live accuracy and drift of the whole log.

    Attributes:
        workers: Worker processes that are alive and respond.
        requests: The number of requests in the summary.
        by_status: The number of requests by HTTP status.
        latency_seconds: Latency in seconds; None without requests answered with 200.
        timeline: Requests, errors and latency by period.
        live_accuracy: Errors and coverage of past forecasts.
        drift: Whether the returns have changed since training.
    """

    workers: int
    requests: int
    by_status: dict[int, int]
    latency_seconds: Latency | None
    timeline: Timeline
    live_accuracy: LiveAccuracy
    drift: Drift


@dataclass(frozen=True)
class Monitor:
    """The state of the service.

    Attributes:
        cpu_percent: CPU in use on its machine.
        memory_percent: Memory in use on its machine.
        responses: The newest requests, oldest first.
        summary: Counts, latency, live accuracy and drift.
    """

    cpu_percent: float = field(metadata={"name": "CURRENT CPU"})
    memory_percent: float = field(metadata={"name": "MEMORY %"})
    responses: tuple[LoggedRequest, ...] = field(metadata={"name": "RESPONSES"})
    summary: Summary = field(metadata={"name": "SUMMARY"})

    def to_frame(self) -> "pd.DataFrame":
        """Return a DataFrame of `responses` with the index `timestamp`."""
        names = [one.name for one in dataclasses.fields(LoggedRequest)]
        return _frame([dataclasses.asdict(one) for one in self.responses], columns=names).set_index("timestamp")


@dataclass(frozen=True)
class Readiness:
    """A valid model is loaded.

    Attributes:
        model_version: The default model.
        problem: Why the newest published version does not serve; None if it serves.
    """

    model_version: str
    problem: str | None


def _frame(rows: Sequence[Mapping[str, Any]], dates: Sequence[str] = (), columns: list[str] | None = None) -> "pd.DataFrame":
    """Return a DataFrame of rows, the columns in `dates` as datetime64."""
    try:
        import pandas as pd
    except ImportError:
        raise StockForecastError("pandas is not installed. Run: pip install 'stock-forecast-client[pandas]'") from None
    frame = pd.DataFrame(rows, columns=columns)
    for name in dates:
        frame[name] = pd.to_datetime(frame[name])
    return frame


def _bounds(intervals: Mapping[float, Interval]) -> dict[str, float]:
    """Return the bounds by column, such as `low_80`."""
    return {f"{side}_{level:g}": getattr(bounds, side) for level, bounds in intervals.items() for side in ("low", "high")}


def _step_row(step: Step) -> dict[str, Any]:
    """Return the row of a step in a DataFrame."""
    day = {"date": step.date} if step.date else {}
    chances = {f"above_{number}": chance for number, chance in enumerate(step.probability_above, 1)}
    return {"step": step.step, **day, "price": step.price, **_bounds(step.intervals), **chances}


# From JSON to results


def _read(kind: Any, value: Any) -> Any:
    """Return a JSON value as the annotated type: a dataclass, tuple, dict, date, time or plain value.

    Raises:
        TypeError, ValueError, KeyError: The value has another form.
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _read(next(part for part in parts if part is not types.NoneType), value)
    if origin is tuple:
        return tuple(_read(parts[0], one) for one in value)
    if origin is dict:
        return {parts[0](key): _read(parts[1], one) for key, one in value.items()}
    return _read_object(kind, value) if dataclasses.is_dataclass(kind) else _read_plain(kind, value)


def _read_plain(kind: Any, value: Any) -> Any:
    """Return a JSON value as an interval, date, time, number, text or truth value."""
    if kind is Interval:
        return Interval(*map(float, value))
    if kind in (dt.date, dt.datetime):
        return kind.fromisoformat(value)
    if kind is float:
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not of type {kind}")
    return value


def _read_object(kind: Any, value: Mapping[str, Any]) -> Any:
    """Return a JSON object as a dataclass; a field without a default must be there."""
    hints = typing.get_type_hints(kind)
    known = {}
    for one in dataclasses.fields(kind):
        name = one.metadata.get("name", one.name)
        if name in value or one.default is dataclasses.MISSING:
            known[one.name] = _read(hints[one.name], value[name])
    return kind(**known)


def _read_backtest(answer: httpx.Response) -> Backtest:
    """Return the CSV file of a backtest."""
    days, reader = [], csv.DictReader(answer.text.splitlines())
    if "date" not in (reader.fieldnames or ()):
        raise ValueError("not a backtest")
    for row in reader:
        levels = [name.removeprefix("low_") for name in row if name.startswith("low_")]
        intervals = {float(level): Interval(float(row[f"low_{level}"]), float(row[f"high_{level}"])) for level in levels}
        pit = float(row["pit"]) if "pit" in row else None
        days.append(BacktestDay(dt.date.fromisoformat(row["date"]), float(row["actual"]), float(row["predicted"]), intervals, pit))
    return Backtest(tuple(days), answer.headers.get("X-Model-Version"), answer.headers.get("X-Model-Symbol"))


# Calls: what is sent, and how the answer is read


@dataclass(frozen=True)
class _Call(Generic[T]):
    """A request. `logged` says that the service writes it to the request log, see `_wait`."""

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    params: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str | None = None
    logged: bool = False


def _json_call(method: str, path: str, kind: type[T], **options: Any) -> _Call[T]:
    """Return a call whose answer is a JSON object."""
    return _Call(method, path, lambda answer: cast("T", _read(kind, answer.json())), **options)


def _items(values: Any, name: str) -> list[Any]:
    """Return the items of a list, array or Series."""
    try:
        return list(values.tolist() if hasattr(values, "tolist") else values)
    except TypeError:
        raise InvalidInputError(f"{name} must be a list, not {values!r}.") from None


def _numbers(prices: Any, name: str) -> list[float]:
    """Return the newest 60 prices as numbers; a Series with dates is sorted by them."""
    if hasattr(prices, "sort_index") and hasattr(prices.index, "tz"):  # a Series with a DatetimeIndex
        prices = prices.sort_index()
    given = _items(prices, name)
    if any(isinstance(price, list | tuple) for price in given):
        raise InvalidInputError(f"{name} must be a list of numbers. For several windows use predict_batch.")
    first = max(0, len(given) - WINDOW)
    return [_number(price, name, first + place) for place, price in enumerate(given[first:])]


def _number(price: Any, name: str, place: int) -> float:
    """Return a price as a number that JSON can hold."""
    try:
        number = float(price)
    except (TypeError, ValueError, OverflowError):
        raise InvalidInputError(f"{name}[{place}] is not a number: {price!r}.") from None
    if not math.isfinite(number):
        raise InvalidInputError(f"{name}[{place}] is {number}. Remove or fill missing prices.")
    return number


def _is_frame(value: Any) -> bool:
    """Return whether a value is a DataFrame. pandas is not imported for this."""
    return hasattr(value, "columns") and hasattr(value, "tail")


def _columns(frame: Any) -> dict[str, Any]:
    """Return close, and open, high and low if all three are there, from a DataFrame, whatever the case of their names.

    An adjusted close is preferred; open, high and low are then adjusted by the same factor. The second level of columns, as of
    `yfinance.download`, is dropped if it has one symbol.

    Raises:
        InvalidInputError: There is no column `Close`, or there are several, as for several symbols.
    """
    if frame.columns.nlevels == 2 and len(frame.columns.unique(1)) == 1:
        frame = frame.droplevel(1, axis=1)
    by_name = {str(name).lower().replace("_", " "): name for name in frame.columns}
    if "close" not in by_name or frame.columns.nlevels > 1:
        shown = ", ".join(map(str, list(frame.columns)[:8]))
        raise InvalidInputError(f"The DataFrame has no single column Close, but: {shown}. Use predict_batch for one column per symbol.")
    close = frame[by_name["close"]]
    adjusted = frame[by_name["adj close"]] if "adj close" in by_name else close
    ranges = RANGES if all(name in by_name for name in RANGES) else ()
    return {"close": adjusted} | {name: frame[by_name[name]] * (adjusted / close) for name in ranges}


def _listed(values: Iterable[float] | None, name: str) -> str | None:
    """Return numbers as a query parameter."""
    numbers = _floats(values, name)
    return None if numbers is None else ",".join(repr(number).removesuffix(".0") for number in numbers)


def _given(**options: Any) -> dict[str, Any]:
    """Return the options that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _floats(values: Iterable[float] | None, name: str) -> list[float] | None:
    """Return numbers as a list that JSON can hold."""
    return None if values is None else [_number(value, name, place) for place, value in enumerate(_items(values, name))]


def _query(levels: Iterable[float] | None = None, above: Iterable[float] | None = None, **options: Any) -> dict[str, str]:
    """Return the options of a call as query parameters."""
    given = _given(levels=_listed(levels, "levels"), above=_listed(above, "above"), **options)
    return {name: str(value) for name, value in given.items()}


def _body(levels: Iterable[float] | None = None, above: Iterable[float] | None = None, **fields: Any) -> dict[str, Any]:
    """Return the options of a call with a JSON body."""
    given = _given(**fields, levels=_floats(levels, "levels"), above=_floats(above, "above"))
    content = json.dumps(given, allow_nan=False, separators=(",", ":")).encode()
    return {"content": content, "content_type": "application/json", "logged": True}


def _predict_call(
    closes: "Prices | pd.DataFrame",
    open: Prices | None,  # noqa: A002
    high: Prices | None,
    low: Prices | None,
    **options: Any,
) -> _Call[Forecast]:
    """Return the call for one window."""
    taken = _columns(closes) if _is_frame(closes) else {"close": closes}
    taken |= _given(open=open, high=high, low=low)
    prices = {name: _numbers(values, "closes" if name == "close" else name) for name, values in taken.items()}
    return _json_call("POST", "/predict", Forecast, **_body(predict=prices.pop("close"), **prices, **options))


def _batch_windows(windows: Any) -> tuple[list[list[float]], tuple[Any, ...]]:
    """Return the windows and their labels: each column of a DataFrame, otherwise each row."""
    if _is_frame(windows):
        rows, labels = [windows[name] for name in windows.columns], tuple(windows.columns)
    else:
        rows = _items(windows, "windows")
        labels = tuple(range(len(rows)))
    if not rows:
        raise InvalidInputError("There are no windows.")
    return [_numbers(row, f"windows[{label!r}]") for label, row in zip(labels, rows, strict=True)], labels


@dataclass(frozen=True)
class _Part:
    """The answer for up to 1,024 windows."""

    predictions: tuple[Prediction, ...]
    response_time_sec: float
    memory_usage_percent: float
    model_version: str
    model_symbol: str | None


def _batch_calls(windows: list[list[float]], **options: Any) -> list[_Call[_Part]]:
    """Return one call per 1,024 windows."""
    parts = [windows[first : first + MAX_WINDOWS] for first in range(0, len(windows), MAX_WINDOWS)]
    return [_json_call("POST", "/predict", _Part, **_body(predict=part, **options)) for part in parts]


def _joined(parts: Sequence[_Part], labels: tuple[Any, ...]) -> Batch:
    """Return the answers of the calls of a batch as one."""
    return Batch(
        tuple(prediction for part in parts for prediction in part.predictions),
        sum(part.response_time_sec for part in parts),
        max(part.memory_usage_percent for part in parts),
        tuple(dict.fromkeys(part.model_version for part in parts)),
        parts[-1].model_symbol,
        labels,
    )


def _file_content(file: Any) -> bytes:
    """Return the content of a price file in any of its forms."""
    if _is_frame(file):
        return bytes(file.to_csv().encode())
    if isinstance(file, bytes):
        return file
    if isinstance(file, str) and "\n" in file:
        raise InvalidInputError("file is the content of a file, not its path. Pass it as bytes: file.encode().")
    if isinstance(file, str | os.PathLike):
        try:
            return Path(file).read_bytes()
        except OSError as error:
            raise InvalidInputError(f"{os.fspath(file)} cannot be read: {error.strerror}.") from error
    if not hasattr(file, "read"):
        raise InvalidInputError(f"file must be a path, bytes, an open file or a DataFrame, not {type(file).__name__}.")
    content = file.read()
    return content.encode() if isinstance(content, str) else bytes(content)  # text, if it is open in text mode


def _file_call(file: "CsvFile | pd.DataFrame", **options: Any) -> _Call[FileForecast]:
    """Return the call for a price file."""
    content = _file_content(file)
    if len(content) > MAX_BODY:
        raise InvalidInputError(f"The price file has {len(content):,} bytes; the service takes {MAX_BODY:,}. Send its newest rows.")
    return _json_call("POST", "/predict", FileForecast, params=_query(**options), content=content, content_type="text/csv", logged=True)


def _symbol_path(prefix: str, symbol: str) -> str:
    """Return the path of a symbol, which may contain characters such as & and ^."""
    if not isinstance(symbol, str) or not re.fullmatch(r"[A-Za-z0-9^=&_-][A-Za-z0-9.^=&_-]{0,31}", symbol):
        raise InvalidInputError(f"{symbol!r} is not a symbol: 1 to 32 letters, digits and . ^ = - & _, without a dot at the start.")
    return f"{prefix}/{symbol}"  # httpx encodes it


def _forecast_call(symbol: str, **options: Any) -> _Call[SymbolForecast]:
    """Return the call for the newest closes of a symbol."""
    return _json_call("GET", _symbol_path("/forecast", symbol), SymbolForecast, params=_query(**options), logged=True)


def _backtest_call(symbol: str | None, days: int | None, pit: bool) -> _Call[Backtest]:
    """Return the call for a backtest."""
    if symbol is None and days is not None:
        raise InvalidInputError("days needs a symbol: the backtest of the published model has all its test days.")
    path = "/backtest" if symbol is None else _symbol_path("/backtest", symbol)
    return _Call("GET", path, _read_backtest, _query(days=days, pit=1 if pit else None))


def _read_health(answer: httpx.Response) -> bool:
    """Return whether the process says that it is alive."""
    return bool(answer.json()["status"] == "ok")


# Sending: errors and retries


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the seconds of the header Retry-After, which is a number or a date; None if it is missing or malformed."""
    value = answer.headers.get("Retry-After", "")
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - dt.datetime.now(dt.UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _connection_error(error: httpx.RequestError, url: str, timeout: float) -> ConnectionFailedError:
    """Return httpx's error as a sentence."""
    if isinstance(error, httpx.ConnectTimeout):
        return TimedOutError(f"No connection to {url} within {timeout:g} s. Check the address and the firewall.")
    if isinstance(error, httpx.TimeoutException):
        return TimedOutError(f"{url} did not answer within {timeout:g} s. Set a longer timeout if the service is busy.")
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return ConnectionFailedError(f"{url} cannot be reached ({error}). Check that the service runs and that the address is right.")
    return ConnectionFailedError(f"The connection to {url} was lost before the answer was complete ({error}).")


def _status_error(answer: httpx.Response) -> StockForecastError:
    """Return the error that an answer with another status than 200 states."""
    status = answer.status_code
    if answer.is_redirect:
        return UnexpectedAnswerError(f"The address moved to {answer.headers.get('Location')}. Use its start as the address.", status)
    try:
        body = answer.json()
        message, details = str(body["error"]), [str(one) for one in body["details"]]
    except (ValueError, KeyError, TypeError):
        if status not in (413, 429, 502, 503, 504):  # a proxy answers these for the service
            return UnexpectedAnswerError(
                f"The answer has status {status}, but is not from the forecast service. Check the address.", status
            )
        message, details = f"A proxy answered {status} {answer.reason_phrase}.", []
    kind = _BY_STATUS.get(status, StatusError)
    return kind(status, message, details, _retry_after(answer), answer.headers.get("X-Request-ID"))


def _result(call: _Call[T], answer: httpx.Response) -> T:
    """Return the result of an answer, or raise its error."""
    if answer.status_code != httpx.codes.OK:
        raise _status_error(answer)
    try:
        return call.read(answer)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = "The answer is not from the forecast service, or from a version with another format. Check the address."
        raise UnexpectedAnswerError(message, answer.status_code) from error


@functools.cache
def _certificates() -> ssl.SSLContext:
    """Return the trusted certificates. To read them takes longer than a forecast, so all clients share them."""
    return httpx.create_ssl_context()


class _Settings:
    """What both clients share: address, key, time-out and the policy of retries."""

    def __init__(self, url: str | None, api_key: str | None, timeout: float, retries: int, max_wait: float) -> None:
        self.url = (url or os.environ.get("STOCK_FORECAST_URL") or DEFAULT_URL).rstrip("/")
        try:
            valid = bool(httpx.URL(self.url).host) and self.url.startswith(("http://", "https://"))
        except httpx.InvalidURL:
            valid = False
        if not valid:
            raise InvalidInputError(f"{self.url!r} is not an address such as {DEFAULT_URL}.")
        key = api_key or os.environ.get("STOCK_FORECAST_API_KEY")
        if key and not (key.isascii() and key.isprintable() and key == key.strip()):
            raise InvalidInputError("The API key has characters that a header cannot contain, such as a line break or a space at its end.")
        self.timeout = timeout
        self.retries = retries
        self.max_wait = max_wait
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "timeout": timeout,
            "verify": _certificates(),
            "headers": {"User-Agent": f"stock-forecast-client/{__version__}"} | ({"X-API-Key": key} if key else {}),
        }

    def __repr__(self) -> str:
        """Return the address, without the API key."""
        return f"{type(self).__name__}({self.url!r})"

    def _arguments(self, call: _Call[Any]) -> dict[str, Any]:
        """Return the arguments of httpx's request()."""
        headers = {"Content-Type": call.content_type} if call.content_type else {}
        return {"method": call.method, "url": call.path, "params": call.params, "content": call.content, "headers": headers}

    def _wait(self, call: _Call[Any], attempt: int, outcome: httpx.Response | httpx.RequestError) -> float | None:
        """Return the seconds to wait before the next attempt; None if there is none.

        A logged call is repeated only if the service made no forecast: no connection, 429 or 503. All other calls change nothing, so
        they are repeated after a lost connection, a time-out, 502 and 504 too.
        """
        if attempt >= self.retries:
            return None
        asked = None
        if isinstance(outcome, httpx.Response):
            if outcome.status_code not in ((429, 503) if call.logged else (429, 502, 503, 504)):
                return None
            asked = _retry_after(outcome)
        elif call.logged and not isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return None
        backoff = random.uniform(0.5, 1) * 0.5 * 2**attempt
        wait = backoff if asked is None else asked + random.uniform(0, 0.5)
        return wait if wait <= self.max_wait else None


class Client(_Settings):
    """Calls the service, one request at a time. Use it as a context manager, or call `close()`.

    A client may be shared by threads.

    Args:
        url: The address of the service, with the prefix of a proxy if there is one. Default: the environment variable
            STOCK_FORECAST_URL, then http://127.0.0.1:8010.
        api_key: The API key, if the service has one. Default: the environment variable STOCK_FORECAST_API_KEY.
        timeout: Seconds to wait for a connection, and for each part of an answer.
        retries: How often a failed request is repeated, 0 for never.
        max_wait: Longest wait before a retry, in seconds. If the service asks for a longer one, the error is raised at once.

    Raises:
        InvalidInputError: The address or the API key is malformed.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout: float = 30, retries: int = 2, max_wait: float = 30
    ) -> None:
        super().__init__(url, api_key, timeout, retries, max_wait)
        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, call: _Call[T]) -> T:
        """Send a request until it succeeds, fails for good or there are no retries left."""
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = self._http.request(**self._arguments(call))
            except httpx.RequestError as error:
                outcome = error
            wait = self._wait(call, attempt, outcome)
            if wait is None:
                break
            time.sleep(wait)
            attempt += 1
        if isinstance(outcome, httpx.RequestError):
            raise _connection_error(outcome, self.url, self.timeout) from outcome
        return _result(call, outcome)

    def predict(
        self,
        closes: "Prices | pd.DataFrame",
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        open: Prices | None = None,  # noqa: A002
        high: Prices | None = None,
        low: Prices | None = None,
        symbol: str | None = None,
    ) -> Forecast:
        """Forecast the next close from a window of 60 closes.

        Args:
            closes: At least 60 closes, oldest first, adjusted for splits and dividends; the newest 60 are used. A Series with dates is
                sorted by them. A DataFrame must have a column `Close`, and its columns `Open`, `High` and `Low` are used if there.
            horizon: Trading days ahead, 1 to 20; adds `path`.
            levels: Levels of the intervals in percent, 50 to 99; default 80 and 95.
            above: 1 to 20 prices; adds the probability that the close is above each.
            open: Opening prices of the same days. Give all of open, high and low, or none; they make the intervals sharper.
            high: Highest prices of the same days.
            low: Lowest prices of the same days.
            symbol: The stock. Its own model answers if one is published.

        Raises:
            InvalidInputError: A price is not a number.
            StockForecastError: The request failed.
        """
        return self._send(_predict_call(closes, open, high, low, horizon=horizon, levels=levels, above=above, symbol=symbol))

    def predict_batch(
        self, windows: "Iterable[Prices] | pd.DataFrame", *, levels: Iterable[float] | None = None, symbol: str | None = None
    ) -> Batch:
        """Forecast the next close of many windows. More than 1,024 windows are sent in several requests, one after the other.

        Args:
            windows: Closes of each window, as in `predict`. Of a DataFrame each column is a window, for example of one symbol.
            levels: Levels of the intervals in percent, 50 to 99; default 80 and 95.
            symbol: The stock of all windows. Its own model answers if one is published.

        Raises:
            InvalidInputError: A price is not a number, or there are no windows.
            StockForecastError: A request failed; no later one is sent.
        """
        rows, labels = _batch_windows(windows)
        return _joined([self._send(call) for call in _batch_calls(rows, levels=levels, symbol=symbol)], labels)

    def predict_file(
        self,
        file: "CsvFile | pd.DataFrame",
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        closes: int | None = None,
        column: str | None = None,
        symbol: str | None = None,
    ) -> FileForecast:
        """Forecast from the newest 60 closes of a price file.

        Args:
            file: The path of a CSV file with a header, a date and a close column, its content as bytes, or an open file; also compressed
                with gzip; at most 2 MiB. A DataFrame is sent as CSV with its index.
            horizon: Trading days ahead, 1 to 20; adds `path`.
            levels: Levels of the intervals in percent, 50 to 99; default 80 and 95.
            above: 1 to 20 prices; adds the probability that the close is above each.
            closes: How many of the newest closes to return, with their dates, 0 to 1,000.
            column: The column of closes; by default an adjusted one if there is one.
            symbol: The stock. Its own model answers if one is published. In a file with several stocks it says which to read.

        Raises:
            InvalidInputError: The file cannot be read or is too large.
            StockForecastError: The request failed.
        """
        return self._send(_file_call(file, horizon=horizon, levels=levels, above=above, closes=closes, column=column, symbol=symbol))

    def forecast(
        self,
        symbol: str,
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        closes: int | None = None,
    ) -> SymbolForecast:
        """Forecast from the newest closes of a symbol, which the service downloads.

        Args:
            symbol: The symbol as Yahoo Finance writes it, such as BRK-B, 7203.T or ^GSPC.
            horizon: Trading days ahead, 1 to 20; adds `path`.
            levels: Levels of the intervals in percent, 50 to 99; default 80 and 95.
            above: 1 to 20 prices; adds the probability that the close is above each.
            closes: How many of the newest closes to return, with their dates, 0 to 1,000.

        Raises:
            InvalidInputError: This is not a symbol.
            NotFoundError: The symbol is unknown.
            StockForecastError: The request failed.
        """
        return self._send(_forecast_call(symbol, horizon=horizon, levels=levels, above=above, closes=closes))

    def backtest(self, symbol: str | None = None, *, days: int | None = None, pit: bool = False) -> Backtest:
        """Return what a model would have forecast on past days, each from the 60 closes before it.

        Args:
            symbol: The symbol; by default the test days of the published model.
            days: How many of the symbol's last days, 1 to 940; default 250.
            pit: Whether each day has its `pit`, from which the result of every level follows.

        Raises:
            InvalidInputError: This is not a symbol, or `days` is given without one.
            NotFoundError: The symbol is unknown, or the published version has no backtest.
            StockForecastError: The request failed.
        """
        return self._send(_backtest_call(symbol, days, pit))

    def models(self) -> Models:
        """Return the published models: the default model, then those of symbols."""
        return self._send(_json_call("GET", "/models", Models))

    def monitor(self, limit: int = 100) -> Monitor:
        """Return CPU, memory, the newest `limit` requests (0 to 1,000), their summary, live accuracy and drift."""
        return self._send(_json_call("GET", "/monitor", Monitor, params={"limit": str(limit)}))

    def health(self) -> bool:
        """Return True if the service is alive; otherwise the error says what is wrong."""
        return self._send(_Call("GET", "/health", _read_health))

    def ready(self) -> Readiness:
        """Return the model that is loaded; without a valid model this is an `UnavailableError`."""
        return self._send(_json_call("GET", "/ready", Readiness))


class AsyncClient(_Settings):
    """Calls the service with the methods of `Client`, as coroutines of asyncio. Use it with `async with`, or await `aclose()`.

    Arguments and errors are those of `Client`.
    """

    def __init__(
        self, url: str | None = None, api_key: str | None = None, *, timeout: float = 30, retries: int = 2, max_wait: float = 30
    ) -> None:
        super().__init__(url, api_key, timeout, retries, max_wait)
        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, call: _Call[T]) -> T:
        """Send a request until it succeeds, fails for good or there are no retries left."""
        attempt = 0
        while True:
            outcome: httpx.Response | httpx.RequestError
            try:
                outcome = await self._http.request(**self._arguments(call))
            except httpx.RequestError as error:
                outcome = error
            wait = self._wait(call, attempt, outcome)
            if wait is None:
                break
            await asyncio.sleep(wait)
            attempt += 1
        if isinstance(outcome, httpx.RequestError):
            raise _connection_error(outcome, self.url, self.timeout) from outcome
        return _result(call, outcome)

    async def predict(
        self,
        closes: "Prices | pd.DataFrame",
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        open: Prices | None = None,  # noqa: A002
        high: Prices | None = None,
        low: Prices | None = None,
        symbol: str | None = None,
    ) -> Forecast:
        """Forecast the next close from a window of 60 closes, as `Client.predict`."""
        call = _predict_call(closes, open, high, low, horizon=horizon, levels=levels, above=above, symbol=symbol)
        return await self._send(call)

    async def predict_batch(
        self, windows: "Iterable[Prices] | pd.DataFrame", *, levels: Iterable[float] | None = None, symbol: str | None = None
    ) -> Batch:
        """Forecast the next close of many windows, as `Client.predict_batch`."""
        rows, labels = _batch_windows(windows)
        return _joined([await self._send(call) for call in _batch_calls(rows, levels=levels, symbol=symbol)], labels)

    async def predict_file(
        self,
        file: "CsvFile | pd.DataFrame",
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        closes: int | None = None,
        column: str | None = None,
        symbol: str | None = None,
    ) -> FileForecast:
        """Forecast from the newest 60 closes of a price file, as `Client.predict_file`."""
        return await self._send(_file_call(file, horizon=horizon, levels=levels, above=above, closes=closes, column=column, symbol=symbol))

    async def forecast(
        self,
        symbol: str,
        *,
        horizon: int | None = None,
        levels: Iterable[float] | None = None,
        above: Iterable[float] | None = None,
        closes: int | None = None,
    ) -> SymbolForecast:
        """Forecast from the newest closes of a symbol, as `Client.forecast`."""
        return await self._send(_forecast_call(symbol, horizon=horizon, levels=levels, above=above, closes=closes))

    async def backtest(self, symbol: str | None = None, *, days: int | None = None, pit: bool = False) -> Backtest:
        """Return what a model would have forecast on past days, as `Client.backtest`."""
        return await self._send(_backtest_call(symbol, days, pit))

    async def models(self) -> Models:
        """Return the published models, as `Client.models`."""
        return await self._send(_json_call("GET", "/models", Models))

    async def monitor(self, limit: int = 100) -> Monitor:
        """Return the state of the service, as `Client.monitor`."""
        return await self._send(_json_call("GET", "/monitor", Monitor, params={"limit": str(limit)}))

    async def health(self) -> bool:
        """Return True if the service is alive, as `Client.health`."""
        return await self._send(_Call("GET", "/health", _read_health))

    async def ready(self) -> Readiness:
        """Return the model that is loaded, as `Client.ready`."""
        return await self._send(_json_call("GET", "/ready", Readiness))
