"""The leaderboard of a training of many symbols: as an aligned table, and as CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

LEGEND = "(ratios: divided by the score of persistence, which repeats the last close; below 1 is better)"
LEFT = 2  # columns that are aligned to the left, from the first on


@dataclass(frozen=True)
class Row:
    """A symbol's results on its test days.

    Attributes:
        symbol: ticker.
        model: own or global.
        rmse_ratio: RMSE against persistence; below 1 is better.
        coverage_80, coverage_95: share of closes within the interval.
        crps_ratio: CRPS against that of persistence.
        validation_own, validation_global: RMSE against persistence on the validation days; None without such a model.
        n_days: test days.
        tested_from: the first of them, ISO date.
        model_version: of the model.
        published: whether it is published.
        reason: the outcome of the promotion gate.
        mlflow_run_id: None if MLflow does not have it yet.
    """

    symbol: str
    model: str
    rmse_ratio: float
    coverage_80: float
    coverage_95: float
    crps_ratio: float
    validation_own: float | None
    validation_global: float | None
    n_days: int
    tested_from: str
    model_version: str
    published: bool
    reason: str
    mlflow_run_id: str | None


def table(rows: Sequence[Row]) -> str:
    """Return the leaderboard as text, the best RMSE ratio first."""
    lines = [["symbol", "model", "RMSE ratio", "held 80%", "held 95%", "CRPS ratio", "published"]]
    lines += [
        [row.symbol, row.model, f"{row.rmse_ratio:.4f}", f"{row.coverage_80:.1%}", f"{row.coverage_95:.1%}", f"{row.crps_ratio:.4f}",
         "yes" if row.published else f"no: {row.reason}"]
        for row in ranked(rows)
    ]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        [(text.ljust if place < LEFT else text.rjust)(width) for place, (text, width) in enumerate(zip(line[:-1], widths, strict=False))]
        for line in lines
    ]
    return "\n".join([*("  ".join([*cells, line[-1]]) for cells, line in zip(aligned, lines, strict=True)), LEGEND])


def ranked(rows: Sequence[Row]) -> list[Row]:
    """Return the rows, the best RMSE ratio first."""
    return sorted(rows, key=lambda row: (row.rmse_ratio, row.symbol))


def as_csv(rows: Sequence[Row]) -> str:
    """Return the leaderboard as CSV."""
    content = io.StringIO()
    writer = csv.DictWriter(content, [field.name for field in fields(Row)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in ranked(rows))
    return content.getvalue()


def means(rows: Sequence[Row]) -> dict[str, float]:
    """Return the figures of the whole training by their names in MLflow; the scores are means over the symbols."""
    if not rows:
        return {}
    names = ("rmse_ratio", "coverage_80", "coverage_95", "crps_ratio")
    figures = {f"test/{name}": sum(getattr(row, name) for row in rows) / len(rows) for name in names}
    return figures | {
        "n_symbols": len(rows), "n_global": sum(row.model == "global" for row in rows), "n_published": sum(row.published for row in rows),
    }  # fmt: skip
