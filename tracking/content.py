"""What a training run has in MLflow: its name, parameters, metrics, tags, data set, tables and description.

Metrics are grouped by the part of their name before a slash:

    mse, rmse, mae, mape, r2       errors of the model on the test days
    loss, val_loss                 after each epoch: training loss, and validation loss on the calibration days
    test/...                       other scores of the model on the test days
    persistence/...                scores of persistence, which repeats the last close, on the same days
    drift/rmse                     of the window's own trend
    validation/...                 of --symbols: RMSE against persistence on the calibration days
    gate/new/..., gate/published/...     the new and the published model on days that neither has seen

All scores are in the artifact scores.csv, and the coverage by year, volatility, horizon and symbol in coverage.csv.
"""

import csv
import io
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from forecast.metadata import Metadata
from forecast.network import FitOptions
from processData import WINDOW

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

VERSION_TAG = "model_version"
PARAMETERS = ("symbol", "source", "first_date", "last_date", "n_closes", "data_sha256", "model_version")  # besides those of the fit
ERRORS = ("mse", "rmse", "mae", "mape", "r2")
TEST = (
    "rmse_ratio", "coverage_80", "coverage_95", "winkler_80", "winkler_95", "crps", "log_score", "calibration_error",
    "directional_accuracy", "dm_p_value",
)  # fmt: skip
PERSISTENCE = ("rmse", "mae", "coverage_80", "coverage_95", "winkler_80", "winkler_95")
PREFIXES = {"persistence": "naive_", "drift": "drift_"}  # of the names in metadata.json
DIGEST_CHARACTERS = 36  # MLflow's limit
MAX_NAMED = 5  # symbols that a parameter names
SOURCES = {"yahoo": "https://finance.yahoo.com/quote/{symbol}/history", "snapshot": "data/closes.csv.gz"}


def run_name(metadata: Metadata) -> str:
    """Return the name of a run: the symbol, and when it was trained, in UTC."""
    return f"{metadata.symbol} {metadata.created_at:%Y-%m-%d %H:%M}"


def run_times(metadata: Metadata) -> tuple[int, int | None]:
    """Return when a training began and ended, in milliseconds since 1970.

    Models of earlier versions do not say how long their training took: then the first is its end, and the second is None.
    """
    end = round(metadata.created_at.timestamp() * 1000)
    return (end, None) if metadata.training_seconds is None else (end - round(1000 * metadata.training_seconds), end)


def parameters(metadata: Metadata) -> dict[str, Any]:
    """Return the parameters of a run. Models of earlier versions that do not name an option have its default."""
    given = {name: value for name, value in metadata.as_dict().items() if value is not None}
    fit = {"window": WINDOW} | asdict(FitOptions())
    values = {name: given.get(name, usual) for name, usual in fit.items()} | {name: given[name] for name in PARAMETERS if name in given}
    symbols = metadata.fitted_on or [metadata.symbol]
    values["fitted_on"] = ", ".join(symbols) if len(symbols) <= MAX_NAMED else f"{len(symbols)} symbols"
    return values | {f"version_{name}": number for name, number in metadata.versions.items()}


def metrics(metadata: Metadata) -> dict[str, float]:
    """Return the metrics of a run by their names in MLflow."""
    scores = {name: value for name, value in metadata.metrics.model_dump().items() if value is not None}
    named = {name: name for name in ERRORS} | {f"test/{name}": name for name in TEST} | {"drift/rmse": "drift_rmse"}
    named |= {f"persistence/{name}": PREFIXES["persistence"] + name for name in PERSISTENCE}
    figures = {name: scores[score] for name, score in named.items() if score in scores}
    figures |= {f"validation/rmse_ratio_{name}": value for name, value in (metadata.validation_rmse_ratio or {}).items()}
    if metadata.promotion:
        for model, judged in (("new", metadata.promotion.new), ("published", metadata.promotion.published)):
            figures |= {f"gate/{model}/{name}": value for name, value in (judged or {}).items()}
    return figures


def tags(metadata: Metadata) -> dict[str, str]:
    """Return the tags of a run."""
    verdict = metadata.promotion
    outcome = {"promotion": "published" if verdict.publish else "refused", "promotion_reason": verdict.reason} if verdict else {}
    return {VERSION_TAG: metadata.model_version, "mlflow.note.content": description(metadata)} | outcome


def description(metadata: Metadata) -> str:
    """Return what a model is and how it did on its test days, in a few sentences."""
    scores = metadata.metrics
    return (
        f"{metadata.symbol}, closes from {metadata.first_date} to {metadata.last_date} ({metadata.source}). On {scores.n_days} test days, "
        f"RMSE was {scores.rmse_ratio:.4f} times that of persistence, which repeats the last close. The 80% interval held "
        f"{scores.coverage_80:.1%} of the closes, the 95% interval {scores.coverage_95:.1%}."
    )


def dataset(metadata: Metadata) -> "DatasetInput":
    """Return the closes that a model was made from, as a data set of MLflow: name, digest, source and number of rows."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = SOURCES.get(metadata.source, metadata.source).format(symbol=metadata.symbol)
    columns = [{"type": "datetime", "name": "date", "required": True}, {"type": "double", "name": "close", "required": True}]
    days = {"first_date": str(metadata.first_date), "last_date": str(metadata.last_date)}
    found = Dataset(
        name=f"{metadata.symbol} closes",
        digest=(metadata.data_sha256 or "unknown")[:DIGEST_CHARACTERS],
        source_type=metadata.source,
        source=json.dumps({"uri": source, "symbol": metadata.symbol} | days),
        schema=json.dumps({"mlflow_colspec": columns}),
        profile=json.dumps({"num_rows": metadata.n_closes} | days),
    )
    return DatasetInput(found, tags=[InputTag("mlflow.data.context", "training")])


def tables(metadata: Metadata) -> dict[str, bytes]:
    """Return the tables of a run: the content of CSV files by name."""
    return {"scores.csv": _scores_table(metadata), "coverage.csv": _coverage_table(metadata)}


def _scores_table(metadata: Metadata) -> bytes:
    """Return all scores on the test days: a row per score, the model, persistence and drift."""
    scores = metadata.metrics.model_dump()
    prefixes = ("", *PREFIXES.values())
    names = [name for name in scores if not name.startswith(prefixes[1:])]
    return _as_csv(["score", "model", *PREFIXES], [[name, *(scores.get(prefix + name) for prefix in prefixes)] for name in names])


def _coverage_table(metadata: Metadata) -> bytes:
    """Return the coverage by group: a row per part of the test days."""
    columns = ("n_days", "coverage_80", "coverage_95")
    groups = metadata.coverage.items()
    rows = [[group, part, *(values.get(name) for name in columns)] for group, parts in groups for part, values in parts.items()]
    return _as_csv(["group", "part", *columns], rows)


def _as_csv(header: list[str], rows: list[list[Any]]) -> bytes:
    """Return a table as CSV; a cell without a value is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue().encode()
