"""Request logs with forecasts of real closes, and their live accuracy by a plain pandas join over the whole log."""

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from closes.series import Floats
from closes.snapshot import read_snapshot
from models.loading import load_forecaster
from monitoring.accuracy import LiveAccuracy
from monitoring.logreader import COLUMNS
from monitoring.overlap import window_keys
from settings import PROJECT_DIR

FIGURES = (
    "n", "rmse", "mae", "naive_rmse", "naive_mae", "coverage_80", "coverage_95", "mean_width_80", "mean_width_95", "first", "last",
)  # fmt: skip
FORECASTER = load_forecaster(PROJECT_DIR / "modelFiles")
MICROSECONDS = count()


def row_of(window: Floats, version: str = "v1", **changed: Any) -> dict[str, Any]:
    """The row that a request for a window leaves in the log."""
    answer = FORECASTER.forecast(window[None]).as_dict(0)
    later, earlier = window_keys(window)
    (low_80, high_80), (low_95, high_95) = answer["intervals"]["80"], answer["intervals"]["95"]
    return {
        "timestamp": f"2026-01-02T03:04:05.{next(MICROSECONDS):06}+00:00", "response_time": 0.001, "memory_usage": 5.0, "status": 200,
        "windows": 1, "horizon": 1, "last_close": answer["last_close"], "predicted_price": answer["predicted_price"], "low_80": low_80,
        "high_80": high_80, "low_95": low_95, "high_95": high_95, "model_version": version, "closes_2_60": later, "closes_1_59": earlier,
        "last_return": float(np.log(window[-1] / window[-2])), "model_symbol": "", "symbol": "",
    } | changed  # fmt: skip


@cache
def prices_of(symbol: str) -> Floats:
    return read_snapshot(symbol).prices


def window_of(symbol: str, day: int) -> Floats:
    return prices_of(symbol)[day : day + 60]


def whole_log(path: Path) -> pd.DataFrame:
    """All rows of all parts, oldest first."""
    parts = sorted(path.parent.glob("log.csv.[0-9]*"), key=lambda part: -int(part.suffix[1:]))
    kinds = dict.fromkeys(COLUMNS[1:12], "float64") | {"last_return": "float64"} | dict.fromkeys(("closes_2_60", "closes_1_59"), "str")
    tables = [pd.read_csv(io.StringIO(part.read_text()), dtype=kinds) for part in (*parts, path)]
    return pd.concat(tables, ignore_index=True)


def joined(path: Path) -> tuple[dict[str, Any], list[float]]:
    """The same by a plain join: the first forecast of each window and version with the first later row that realises it."""
    rows = whole_log(path)
    rows = rows[(rows["status"] == 200) & (rows["windows"] == 1)].rename_axis("number").reset_index()
    asked = rows.drop_duplicates(["closes_2_60", "closes_1_59", "model_version"])
    pairs = asked.merge(rows, left_on="closes_2_60", right_on="closes_1_59", suffixes=("", "_came"))
    pairs = pairs[(pairs["number_came"] > pairs["number"])]
    pairs = pairs.sort_values("number_came").drop_duplicates("number")
    came, last = pairs["last_return_came"], pairs["last_close"]
    error = np.log(pairs["predicted_price"] / last) - came
    result: dict[str, Any] = {
        "n": len(pairs), "rmse": np.sqrt((error**2).mean()), "mae": error.abs().mean(),
        "naive_rmse": np.sqrt((came**2).mean()), "naive_mae": came.abs().mean(),
        "first": pairs["timestamp_came"].iloc[0], "last": pairs["timestamp_came"].iloc[-1],
    }  # fmt: skip
    for level in (80, 95):
        low, high = pairs[f"low_{level}"], pairs[f"high_{level}"]
        result[f"coverage_{level}"] = ((np.log(low / last) <= came) & (came <= np.log(high / last))).mean()
        result[f"mean_width_{level}"] = ((high - low) / last).mean()
    returns = rows.drop_duplicates(["closes_2_60", "closes_1_59"])["last_return"]
    return result, returns.tolist()[-500:]


def check(live: LiveAccuracy, path: Path, n: int | None = None) -> None:
    """What was read is what the join over the whole log gives."""
    expected, returns = joined(path)
    assert live.accuracy["caught_up"]
    assert {name: live.accuracy[name] for name in FIGURES} == {
        name: pytest.approx(value, rel=1e-9) if isinstance(value, float) else value for name, value in expected.items()
    }
    assert live.returns == returns
    assert n is None or live.accuracy["n"] == n


def read_to_the_end(live: LiveAccuracy) -> LiveAccuracy:
    for _ in range(10_000):
        live.catch_up()
        if live.accuracy["caught_up"]:
            return live
    raise AssertionError("never caught up")


def trade(days: Iterable[int], symbols: Sequence[str] = ("MSFT", "KO", "AMD"), seed: int = 0) -> Iterator[dict[str, Any]]:
    """Rows of requests day by day: each window some times, by two versions, with refused ones and batches between."""
    random = np.random.default_rng(seed)
    for day in days:
        for symbol in symbols:
            for _ in range(random.integers(0, 4)):  # on some days nobody asks
                scale = random.choice([1.0, 0.985, 0.5])  # a dividend or a split since
                yield row_of(window_of(symbol, day) * scale, str(random.choice(["v1", "v2"])), horizon=int(random.choice([1, 5])))
        yield {"timestamp": "2026-01-01T00:00:00+00:00", "response_time": 0.001, "memory_usage": 5.0, "status": 422}
        yield {"timestamp": "2026-01-01T00:00:00+00:00", "status": 200, "windows": 3, "horizon": 1, "model_version": "v1"}
