"""Log of requests -> how good the forecasts were, once tomorrow's request brings today's close.

    live = LiveAccuracy(request_log)
    live.catch_up()
    live.accuracy, live.returns

A window's closes 2 to 60 are the next window's closes 1 to 59. So a row whose closes_1_59 is an earlier row's closes_2_60 realises that
row's forecast, and its last_return is what came. All is compared as log returns against the last close, so that a dividend adjustment of
the whole series in between does no harm; repeating the last close forecasts the return 0.

What counts: answered requests for one window, of any model version and horizon (of a path, its first day). The same window asked several
times counts once for each version, by the first forecast. Each forecast is realised once, by the first later row that can: where somebody
asks with a close that is not final yet, by that one.

Each worker reads on its own what any of them has appended since its last look: the cost goes with what is new, not with the log's
length. The sums and the newest forecasts are kept in memory, and now and then in a checkpoint next to the log, from which a worker that
starts goes on. Without a valid checkpoint the log and its old parts are read again, for a limited time at a call; until they are,
`caught_up` is false.
"""

import contextlib
import hashlib
import logging
import math
import os
import time
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from monitoring.requestlog import BLOCK_BYTES, HEAD_BYTES, RequestLog, open_parts, read_columns

NEEDED = 20  # realised closes
KEPT_FORECASTS = 10_000  # the newest; an older one is neither realised nor recognised any more
KEPT_RETURNS = 500  # the newest
KEPT_POSITIONS = 256  # files; more than there are parts, so that one which is renamed right now is not forgotten
SECONDS_A_CALL = 0.1
SAVE_SECONDS = 60.0  # how old a checkpoint may get while requests come
HASH_LENGTH = 12
READ = (
    "status", "windows", "timestamp", "model_version", "closes_2_60", "closes_1_59", "last_return",
    "last_close", "predicted_price", "low_80", "high_80", "low_95", "high_95",
)  # fmt: skip
log = logging.getLogger(__name__)
LogReturns = tuple[float, float, float, float, float]  # forecast, low_80, high_80, low_95, high_95, each against the last close


@dataclass
class Sums:
    """Sums over realised forecasts; errors and widths are of log returns and of prices relative to the last close."""

    n: int = 0
    squared: float = 0.0
    absolute: float = 0.0
    naive_squared: float = 0.0
    naive_absolute: float = 0.0
    inside_80: int = 0
    inside_95: int = 0
    width_80: float = 0.0
    width_95: float = 0.0
    first: str | None = None
    last: str | None = None

    def add(self, forecast: LogReturns, came: float, timestamp: str) -> None:
        """Count a forecast and the return that came, known since `timestamp`."""
        predicted, low_80, high_80, low_95, high_95 = forecast
        self.n += 1
        self.squared += (predicted - came) ** 2
        self.absolute += abs(predicted - came)
        self.naive_squared += came**2
        self.naive_absolute += abs(came)
        self.inside_80 += low_80 <= came <= high_80
        self.inside_95 += low_95 <= came <= high_95
        self.width_80 += math.exp(high_80) - math.exp(low_80)
        self.width_95 += math.exp(high_95) - math.exp(low_95)
        self.first, self.last = self.first or timestamp, timestamp

    def figures(self) -> dict[str, Any]:
        """Realised error and coverage.

        Returns:
            n: realised forecasts; needed: how many it takes; rmse, mae and those of repeating the last close: of log returns; coverage_80
            and coverage_95: the share of closes within the interval; mean_width_80 and mean_width_95: relative to the last close;
            first, last: when the first and the last of these closes became known. Null where there are too few.
        """
        n = max(self.n, 1)
        figures = {
            "rmse": math.sqrt(self.squared / n), "mae": self.absolute / n,
            "naive_rmse": math.sqrt(self.naive_squared / n), "naive_mae": self.naive_absolute / n,
            "coverage_80": self.inside_80 / n, "coverage_95": self.inside_95 / n,
            "mean_width_80": self.width_80 / n, "mean_width_95": self.width_95 / n,
            "first": self.first, "last": self.last,
        }  # fmt: skip
        return {"n": self.n, "needed": NEEDED, **(figures if self.n >= NEEDED else dict.fromkeys(figures))}


class State(BaseModel):
    """The content of a checkpoint.

    Attributes:
        positions: how far each file was read, in bytes, by its identity.
        windows: closes_2_60 -> closes_1_59 -> model version -> its forecast, None once it is realised; the window first asked first.
        returns: of the newest windows, each counted once, the last daily log return.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: Literal[1] = 1
    positions: dict[str, int] = Field(default_factory=dict)
    sums: Sums = Field(default_factory=Sums)
    windows: dict[str, dict[str, dict[str, LogReturns | None]]] = Field(default_factory=dict)
    returns: list[float] = Field(default_factory=list)


class Part:
    """An open file of the log: its identity, its columns and its size in bytes."""

    def __init__(self, descriptor: int) -> None:
        """Look at a file; it keeps its identity when it is renamed, and a new file in its place has another."""
        status, head = os.fstat(descriptor), os.pread(descriptor, HEAD_BYTES, 0)
        first = b"\n".join(head.split(b"\n", 2)[:2])
        self.descriptor, self.size = os.dup(descriptor), status.st_size
        self.is_empty = head.count(b"\n") < 2 and len(head) < HEAD_BYTES  # no row yet, so nothing that tells it from others
        self.identity = f"{status.st_ino}-{hashlib.blake2b(first, digest_size=8).hexdigest()}"
        columns = read_columns(head)
        self.n_columns = len(columns)
        self.pick = itemgetter(*map(columns.index, READ)) if set(READ) <= set(columns) else None

    def lines(self, position: int) -> bytes:
        """Whole lines from a position on, a block of them at most; empty where only a line being written is left."""
        block = os.pread(self.descriptor, BLOCK_BYTES, position)
        end = block.rfind(b"\n") + 1
        return block[:end] if end or len(block) < BLOCK_BYTES else block  # no line of the log is as long as a block


class LiveAccuracy:
    """What one worker knows of the forecasts that came true.

    Attributes:
        accuracy: see Sums.figures, and caught_up: whether the last call of catch_up came to the end of the log.
        returns: the newest daily log returns, each close counted once, in the order in which they came.
    """

    def __init__(self, request_log: RequestLog) -> None:
        """Read nothing yet."""
        self._path, self._parts = request_log.path, request_log.parts
        self._checkpoint = self._path.with_name(self._path.name + ".state")
        self._seen_checkpoint: tuple[int, int] | None = None
        self._saved_at = -math.inf
        self._saved_positions: dict[str, int] = {}
        self._take_over(State())
        self._tell(caught_up=False)

    def catch_up(self) -> None:
        """Read what was appended since the last call, for SECONDS_A_CALL at most. Not from two threads at once."""
        until = time.monotonic() + SECONDS_A_CALL
        with contextlib.ExitStack() as stack:
            parts = []
            for descriptor in open_parts(self._path, self._parts):
                part = Part(descriptor)
                stack.callback(os.close, part.descriptor)
                if not part.is_empty:
                    parts.append(part)
            if self._unread(parts, self._state) > BLOCK_BYTES or not self._state.positions:
                self._look_at_checkpoint(parts)
            caught_up = all(self._read(part, until) for part in reversed(parts))
        self._tell(caught_up=caught_up)
        if caught_up and self._state.positions != self._saved_positions and time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._save()

    def _tell(self, *, caught_up: bool) -> None:
        """Let others see what is known now."""
        self.accuracy = {**self._state.sums.figures(), "caught_up": caught_up}
        self.returns = self._state.returns[-KEPT_RETURNS:]

    def _read(self, part: Part, until: float) -> bool:
        """Read on in a file, a block at least, until the time is over; whether its end was reached."""
        positions = self._state.positions
        position = positions.get(part.identity, 0)
        if position > part.size or part.pick is None:  # cut off by somebody, or a log without what it takes
            position = part.size
        is_over = False
        while position < part.size and not is_over and (block := part.lines(position)):
            for line in block.decode(errors="replace").split("\n"):
                fields = line.split(",")
                if part.pick and len(fields) == part.n_columns:
                    self._take(part.pick(fields))
            position += len(block)
            is_over = time.monotonic() >= until
        positions[part.identity] = position
        while len(positions) > KEPT_POSITIONS:
            del positions[next(iter(positions))]
        return position >= part.size or not is_over

    def _take(self, row: tuple[str, ...]) -> None:
        """Realise earlier forecasts with a row's last close, and remember the row's own forecast."""
        status, windows, timestamp, version, later, earlier, *numbers = row
        if status != "200" or windows != "1" or len(later) != HASH_LENGTH or len(earlier) != HASH_LENGTH:
            return
        versions = self._state.windows.get(later, {}).get(earlier, {})
        waiting = self._state.windows.get(earlier, {})
        if version in versions and not any(any(others.values()) for others in waiting.values()):
            return  # asked again
        try:
            came, last_close, *prices = map(float, numbers)
            predicted, low_80, high_80, low_95, high_95 = (math.log(price / last_close) for price in prices)
        except (ValueError, ZeroDivisionError):
            return
        forecast = predicted, low_80, high_80, low_95, high_95
        if not all(map(math.isfinite, (came, *forecast))):
            return
        self._realise(waiting, (later, earlier), came, timestamp)
        if version not in versions:
            self._remember(later, earlier, version, forecast, came)

    def _realise(self, waiting: dict[str, dict[str, LogReturns | None]], own: tuple[str, str], came: float, timestamp: str) -> None:
        """Count the forecasts that waited for this window; one whose closes never move is its own next, and realises nothing."""
        for earlier, versions in waiting.items():
            if (own[1], earlier) == own:
                continue
            for version, forecast in versions.items():
                if forecast is not None:
                    self._state.sums.add(forecast, came, timestamp)
                    versions[version] = None

    def _remember(self, later: str, earlier: str, version: str, forecast: LogReturns, last_return: float) -> None:
        """Keep a forecast to be realised, and the window's last return if no version was asked for it before."""
        windows, returns = self._state.windows, self._state.returns
        versions = windows.setdefault(later, {}).setdefault(earlier, {})
        if not versions:
            returns.append(last_return)
            if len(returns) > 2 * KEPT_RETURNS:  # now and then, since it costs
                del returns[:-KEPT_RETURNS]
        versions[version] = forecast
        self._n_forecasts += 1
        while self._n_forecasts > KEPT_FORECASTS:
            self._n_forecasts -= sum(map(len, windows.pop(next(iter(windows))).values()))

    def _take_over(self, state: State) -> None:
        """Go on from a state."""
        self._state = state
        self._n_forecasts = sum(len(versions) for windows in state.windows.values() for versions in windows.values())

    def _unread(self, parts: list[Part], state: State) -> int:
        """How many bytes a state has not read."""
        return sum(max(0, part.size - state.positions.get(part.identity, 0)) for part in parts)

    def _look_at_checkpoint(self, parts: list[Part]) -> None:
        """Go on from the checkpoint, this worker's last life's or another worker's, if it is of this log and further than this worker."""
        try:
            status = os.stat(self._checkpoint)
            if (seen := (status.st_ino, status.st_mtime_ns)) == self._seen_checkpoint:
                return
            self._seen_checkpoint = seen
            state = State.model_validate_json(self._checkpoint.read_bytes(), strict=True)
        except (OSError, ValueError):  # none, or damaged
            return
        fits = all(state.positions.get(part.identity, 0) <= part.size for part in parts)
        if fits and self._unread(parts, state) < self._unread(parts, self._state):  # another log's has read nothing of this one
            self._take_over(state)
            self._saved_positions = dict(state.positions)

    def _save(self) -> None:
        """Write the checkpoint: whole or not at all."""
        self._saved_at, self._saved_positions = time.monotonic(), dict(self._state.positions)
        new = Path(f"{self._checkpoint}.{os.getpid()}.tmp")
        try:
            new.write_text(self._state.model_dump_json())
            os.replace(new, self._checkpoint)
            status = os.stat(self._checkpoint)
            self._seen_checkpoint = status.st_ino, status.st_mtime_ns
        except OSError as error:  # a restart takes longer
            log.debug("No checkpoint at %s: %s", self._checkpoint, error)
            with contextlib.suppress(OSError):
                new.unlink()
