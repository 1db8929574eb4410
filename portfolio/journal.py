"""The journal of a training of many symbols: what is done, so that the same command continues after an interruption.

    modelFiles/symbols/.training-<id>/run.json            the command and when it started
                                     /closes/<SYMBOL>     the closes, so that all steps use the same ones
                                     /plan                what the global model is fitted on
                                     /fits/<SYMBOL>       the symbol's own model, and the global one
                                     /nets/<SYMBOL>       the part of it that the last step needs
                                     /rows/<SYMBOL>.json  its row of the leaderboard: the symbol is finished

Each file is written under a temporary name and renamed: it is complete or missing. <id> depends on the options that change the result,
not on --jobs or --dask. A finished training removes its journal.
"""

import hashlib
import json
import os
import pickle
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import Timeout

from closes.series import Closes
from errors import BusyError
from portfolio.leaderboard import Row
from portfolio.pooled import PoolPlan
from portfolio.task import Candidate, Outcome
from storage import locked, remove_stale, write_atomic, write_json

PREFIX = ".training-"
RUN_FILE = "run.json"
GLOBAL = "global"  # in place of a symbol; symbols are in capitals


@contextmanager
def one_training(root: Path) -> Iterator[None]:
    """Hold the lock of a folder of symbols' models. It ends with the process.

    Raises:
        BusyError: another process holds it.
    """
    try:
        with locked(root, wait=False):
            yield
    except Timeout:
        raise BusyError(f"Another training of many symbols is writing to {root}. Wait for it, or give another --model-dir.") from None


class Journal:
    """The files of one training.

    Attributes:
        folder: where they are.
        resumed: whether an interrupted training is continued.
        run: content of run.json.
    """

    def __init__(self, root: Path, identity: dict[str, Any]) -> None:
        """Open the journal of a command, or start one. Those of other commands are removed when they are a day old."""
        name = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.folder = root / f"{PREFIX}{name}"
        remove_stale(root, PREFIX)
        self.resumed = (self.folder / RUN_FILE).is_file()
        for part in ("closes", "fits", "nets", "rows"):
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        if not self.resumed:
            write_json(self.folder / RUN_FILE, {"options": identity, "started": datetime.now(UTC).isoformat(timespec="seconds")})
        self.run: dict[str, Any] = json.loads((self.folder / RUN_FILE).read_bytes())

    def note(self, **values: Any) -> None:
        """Add values to run.json."""
        self.run |= values
        write_json(self.folder / RUN_FILE, self.run)

    def closes_file(self, symbol: str) -> Path:
        """Return where the closes of a symbol are."""
        return self.folder / "closes" / symbol

    def fit_file(self, symbol: str) -> Path:
        """Return where the outcome of a symbol's fit is."""
        return self.folder / "fits" / symbol

    @property
    def plan_file(self) -> Path:
        """Where the plan of the global model is."""
        return self.folder / "plan"

    def net_file(self, symbol: str) -> Path:
        """Return where the part of a fit is that the last step needs."""
        return self.folder / "nets" / symbol

    def write(self, path: Path, content: bytes) -> None:
        """Write a file of the journal completely, and mark the journal as used now."""
        write_atomic(path, content)
        os.utime(self.folder)

    def read_closes(self, symbol: str) -> Closes | None:
        """Return the closes of a symbol, None if they are not loaded yet."""
        try:
            closes: Closes = pickle.loads(self.closes_file(symbol).read_bytes())  # noqa: S301 - our own file
        except FileNotFoundError:
            return None
        return closes

    def read_fit(self, symbol: str) -> Candidate:
        """Return a model that was fitted."""
        outcome: Outcome = pickle.loads(self.fit_file(symbol).read_bytes())  # noqa: S301 - our own file
        if not isinstance(outcome.value, Candidate):
            raise TypeError(symbol)
        return outcome.value

    def plan(self, make: Callable[[], PoolPlan | None]) -> PoolPlan | None:
        """Return the plan of the global model; `make()` makes it the first time."""
        if not self.plan_file.exists():
            self.write(self.plan_file, pickle.dumps(make()))
        plan: PoolPlan | None = pickle.loads(self.plan_file.read_bytes())  # noqa: S301 - our own file
        return plan

    def add_row(self, row: Row) -> None:
        """Note that a symbol is finished."""
        self.write(self.folder / "rows" / f"{row.symbol}.json", json.dumps(asdict(row)).encode())

    def rows(self) -> dict[str, Row]:
        """Return the rows of the finished symbols."""
        return {path.stem: Row(**json.loads(path.read_bytes())) for path in sorted((self.folder / "rows").glob("*.json"))}

    def remove(self) -> None:
        """Remove the journal of a finished training, run.json before the rest: without it, nothing is continued."""
        (self.folder / RUN_FILE).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
