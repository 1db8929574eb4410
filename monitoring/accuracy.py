"""Live accuracy: how good the forecasts in the request log were, once a later request brings the actual close.

    live = LiveAccuracy(request_log)
    live.catch_up()
    live.accuracy, live.returns

A window's closes 2 to 60 are the next window's closes 1 to 59 (overlap.py). So a row whose closes_1_59 match an earlier row's closes_2_60
has the actual close of that row's forecast: its last_return. Everything is compared as a log return against the last close, so a dividend
adjustment in between does not matter. Persistence, which repeats the last close, forecasts the return 0.

Every answered request for one window counts, whatever its model, version and horizon; of a path, only the first step counts. A window that
is requested several times counts once for each model and version, by its first forecast. Each forecast gets one actual close, from the
first later row that has it, even if that close was not final yet. It counts for the symbol that its request or the later one named, and for
none if neither did.

Drift compares returns with the training of the default model, so its returns are those of windows that the default model forecast.

Each worker reads what was appended since its last look, so the cost depends on what is new, not on the length of the log. The sums and the
newest forecasts are in memory, and once a minute in a checkpoint next to the log, from which a new worker continues. Without a valid
checkpoint the log and its old parts are read again, for a limited time per call; until that is done, `caught_up` is false.
"""

import contextlib
import logging
import math
import os
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from monitoring.logreader import BLOCK_BYTES, Part, open_parts
from monitoring.overlap import KeyIndex, is_key
from monitoring.requestlog import RequestLog
from monitoring.sums import Days, LogReturns, Sums, count_by_day
from storage import Identity, identity_of, write_atomic

KEPT_FORECASTS = 10_000  # the newest; older ones are forgotten
KEPT_RETURNS = 500  # the newest
KEPT_SYMBOLS = 100  # with figures of their own; the one whose last close is oldest is dropped
SHOWN_SYMBOLS = 20  # those with the most closes
KEPT_POSITIONS = 256  # of files; more than there are parts, so that one that is being renamed is not forgotten
SECONDS_A_CALL = 0.1
SAVE_SECONDS = 60.0  # between two checkpoints
READ = (
    "status", "windows", "timestamp", "model_version", "closes_2_60", "closes_1_59", "last_return",
    "last_close", "predicted_price", "low_80", "high_80", "low_95", "high_95",
)  # fmt: skip
OPTIONAL = ("model_symbol", "symbol")  # logs of earlier versions do not have them
OF_SYMBOL = "/"  # between symbol and version in the key of a symbol's own model; neither has this character
log = logging.getLogger(__name__)
Waiting = tuple[LogReturns, str]  # a forecast without its actual close, and its symbol, empty if unknown


class State(BaseModel):
    """The content of a checkpoint.

    Attributes:
        positions: how far each file was read, in bytes, by the identity of the file.
        symbols: the sums of each symbol; the one whose last close is newest is last.
        days: by day in UTC, how many closes became known, and how many of them the 80% and the 95% interval held.
        windows: closes_2_60 -> closes_1_59 -> model version -> forecast, None once its actual close is known; oldest first. The version of
            a symbol's own model has the symbol and a slash before it.
        returns: the last daily log return of the newest windows that the default model forecast, each counted once.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[3] = 3
    positions: dict[str, int] = Field(default_factory=dict)
    sums: Sums = Field(default_factory=Sums)
    symbols: dict[str, Sums] = Field(default_factory=dict)
    days: Days = Field(default_factory=dict)
    windows: dict[str, dict[str, dict[str, Waiting | None]]] = Field(default_factory=dict)
    returns: list[float] = Field(default_factory=list)


class LiveAccuracy:
    """The live accuracy that one worker knows.

    Attributes:
        accuracy: see Sums.figures; by_symbol: the same for the symbols with the most closes; by_day: for each of the newest days with
            closes, oldest first, how many became known (n) and how many the intervals held (held_80, held_95); and caught_up: whether the
            last call of catch_up reached the end of the log.
        returns: the newest daily log returns of windows that the default model forecast, each close counted once, oldest first.
    """

    def __init__(self, request_log: RequestLog) -> None:
        """Start without reading."""
        self._path, self._parts = request_log.path, request_log.parts
        self._checkpoint = self._path.with_name(self._path.name + ".state")
        self._seen_checkpoint: Identity | None = None
        self._saved_at = -math.inf
        self._saved_positions: dict[str, int] = {}
        self._take_over(State())
        self._show(caught_up=False)

    def catch_up(self) -> None:
        """Read what was appended since the last call, for at most SECONDS_A_CALL. Do not call this in two threads at once."""
        until = time.monotonic() + SECONDS_A_CALL
        with contextlib.ExitStack() as stack:
            parts = []
            for descriptor in open_parts(self._path, self._parts):
                part = Part(descriptor, READ, OPTIONAL)
                stack.callback(os.close, part.descriptor)
                if not part.is_empty:
                    parts.append(part)
            if self._unread(parts, self._state) > BLOCK_BYTES or not self._state.positions:
                self._look_at_checkpoint(parts)
            caught_up = all(self._read(part, until) for part in reversed(parts))
        self._show(caught_up=caught_up)
        if caught_up and self._state.positions != self._saved_positions and time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _show(self, *, caught_up: bool) -> None:
        """Publish the current figures."""
        most = sorted(self._state.symbols.items(), key=lambda item: -item[1].n)[:SHOWN_SYMBOLS]
        by_symbol = {symbol: sums.figures() for symbol, sums in most}
        by_day = [
            {"date": day, "n": n, "held_80": held_80, "held_95": held_95} for day, (n, held_80, held_95) in sorted(self._state.days.items())
        ]
        self.accuracy = {**self._state.sums.figures(), "by_symbol": by_symbol, "by_day": by_day, "caught_up": caught_up}
        self.returns = self._state.returns[-KEPT_RETURNS:]

    def _read(self, part: Part, until: float) -> bool:
        """Continue to read a file, at least one block, until the time is over. Return whether its end was reached."""
        positions = self._state.positions
        position = positions.get(part.identity, 0)
        if position > part.size or part.pick is None:  # truncated, or a log that lacks a column
            position = part.size
        is_over = False
        while position < part.size and not is_over and (block := part.lines(position)):
            for line in block.decode(errors="replace").split("\n"):
                fields = line.split(",")
                if part.pick and len(fields) == part.n_columns:
                    self._take(part.pick((*fields, "")))
            position += len(block)
            is_over = time.monotonic() >= until
        positions[part.identity] = position
        while len(positions) > KEPT_POSITIONS:
            del positions[next(iter(positions))]
        return position >= part.size or not is_over

    def _take(self, row: tuple[str, ...]) -> None:
        """Score earlier forecasts against a row's last close, and remember the row's own forecast."""
        status, windows, timestamp, version, later, earlier, *numbers, model_symbol, symbol = row
        if status != "200" or windows != "1" or not is_key(later) or not is_key(earlier):
            return
        version = f"{model_symbol}{OF_SYMBOL}{version}" if model_symbol else version
        later, before = self._index.find(later), self._index.find(earlier)
        earlier = KeyIndex(list(self._state.windows.get(later, {}))).find(earlier)
        versions = self._state.windows.get(later, {}).get(earlier, {})
        waiting = self._state.windows.get(before, {})
        if version in versions and not any(any(others.values()) for others in waiting.values()):
            return  # requested again
        try:
            came, last_close, *prices = map(float, numbers)
            predicted, low_80, high_80, low_95, high_95 = (math.log(price / last_close) for price in prices)
        except (ValueError, ZeroDivisionError):
            return
        forecast = predicted, low_80, high_80, low_95, high_95
        if not all(map(math.isfinite, (came, *forecast))):
            return
        self._realise(waiting, (later, earlier), came, timestamp, symbol)
        if version not in versions:
            self._remember(later, earlier, version, (forecast, symbol), came)

    def _realise(
        self, waiting: dict[str, dict[str, Waiting | None]], own: tuple[str, str], came: float, timestamp: str, symbol: str
    ) -> None:  # fmt: skip
        """Add the forecasts whose actual close is in this window. A window whose closes never move follows itself and is skipped."""
        for earlier, versions in waiting.items():
            if (own[1], earlier) == own:
                continue
            for version, known in versions.items():
                if known is not None:
                    forecast, own_symbol = known
                    self._state.sums.add(forecast, came, timestamp)
                    count_by_day(self._state.days, forecast, came, timestamp)
                    if own_symbol or symbol:
                        self._add_to_symbol(own_symbol or symbol, forecast, came, timestamp)
                    versions[version] = None

    def _add_to_symbol(self, symbol: str, forecast: LogReturns, came: float, timestamp: str) -> None:
        """Add a forecast to the figures of its symbol."""
        symbols = self._state.symbols
        sums = symbols.pop(symbol, None) or Sums()
        sums.add(forecast, came, timestamp)
        symbols[symbol] = sums
        if len(symbols) > KEPT_SYMBOLS:
            del symbols[next(iter(symbols))]

    def _remember(self, later: str, earlier: str, version: str, forecast: Waiting, last_return: float) -> None:
        """Keep a forecast, and the window's last return if it is the default model's first forecast of this window."""
        windows, returns = self._state.windows, self._state.returns
        self._index.add(later)
        versions = windows.setdefault(later, {}).setdefault(earlier, {})
        if OF_SYMBOL not in version and all(OF_SYMBOL in other for other in versions):
            returns.append(last_return)
            if len(returns) > 2 * KEPT_RETURNS:  # now and then, since it costs
                del returns[:-KEPT_RETURNS]
        versions[version] = forecast
        self._n_forecasts += 1
        while self._n_forecasts > KEPT_FORECASTS:
            oldest = next(iter(windows))
            self._index.remove(oldest)
            self._n_forecasts -= sum(map(len, windows.pop(oldest).values()))

    def _take_over(self, state: State) -> None:
        """Continue from a state."""
        self._state = state
        self._index = KeyIndex(list(state.windows))
        self._n_forecasts = sum(len(versions) for windows in state.windows.values() for versions in windows.values())

    def _unread(self, parts: list[Part], state: State) -> int:
        """Return how many bytes a state has not read."""
        return sum(max(0, part.size - state.positions.get(part.identity, 0)) for part in parts)

    def _look_at_checkpoint(self, parts: list[Part]) -> None:
        """Continue from the checkpoint if it belongs to this log and has read more of it than this worker."""
        seen = identity_of(self._checkpoint)
        if seen is None or seen == self._seen_checkpoint:
            return
        self._seen_checkpoint = seen
        try:
            state = State.model_validate_json(self._checkpoint.read_bytes(), strict=True)
        except (OSError, ValueError):  # removed meanwhile, or damaged
            return
        fits = all(state.positions.get(part.identity, 0) <= part.size for part in parts)
        if fits and self._unread(parts, state) < self._unread(parts, self._state):  # another log's has read nothing
            self._take_over(state)
            self._saved_positions = dict(state.positions)

    def _save(self) -> None:
        """Write the checkpoint."""
        self._saved_at, self._saved_positions = time.monotonic(), dict(self._state.positions)
        try:
            write_atomic(self._checkpoint, self._state.model_dump_json().encode(), durable=False, unlocked=True)
            self._seen_checkpoint = identity_of(self._checkpoint)
        except OSError as error:  # a new worker reads the whole log then
            log.debug("No checkpoint at %s: %s", self._checkpoint, error)
