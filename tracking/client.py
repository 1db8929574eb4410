"""What all runs in MLflow have in common: how a run starts, and how its metrics and files are logged."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

METRICS_AT_ONCE = 1000  # MLflow's limit


def start_run(
    client: Any, experiment: str, name: str, parent: str | None = None, tags: dict[str, str] | None = None, start: int | None = None
) -> str:
    """Create a run and return its id.

    Args:
        client: of MLflow.
        experiment: its id.
        name: of the run.
        parent: id of the run that the MLflow UI folds it under; None for none.
        tags: further tags.
        start: its start, in milliseconds since 1970; None for now.
    """
    from mlflow.tracking.context import registry
    from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

    all_tags = registry.resolve_tags() | ({MLFLOW_PARENT_RUN_ID: parent} if parent else {}) | (tags or {})
    return str(client.create_run(experiment, start_time=start, run_name=name, tags=all_tags).info.run_id)


def log_params(client: Any, run_id: str, params: Iterable[tuple[str, Any]]) -> None:
    """Log parameters as text."""
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, str(value)) for name, value in params])


def log_metrics(client: Any, run_id: str, metrics: Sequence[tuple[str, float, int]], now: int) -> None:
    """Log metrics.

    Args:
        client: of MLflow.
        run_id: of the run.
        metrics: name, value and step of each.
        now: their time, milliseconds since 1970.
    """
    from mlflow.entities import Metric

    points = [Metric(name, value, now, step) for name, value, step in metrics]
    for start in range(0, len(points), METRICS_AT_ONCE):
        client.log_batch(run_id, metrics=points[start : start + METRICS_AT_ONCE])


def log_data_set(client: Any, run_id: str, data_set: Any) -> None:
    """Log the data set of a run, an mlflow.entities.DatasetInput.

    MLflow fails if another run adds the same data set to the experiment at this moment. Then the data set is there, and it is logged again.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.log_inputs(run_id, [data_set])
    except MlflowException as error:
        if "unique" not in str(error).lower():  # "UNIQUE constraint failed" of SQLite, "violates unique constraint" of PostgreSQL
            raise
        client.log_inputs(run_id, [data_set])


def log_files(client: Any, run_id: str, files: dict[str, bytes], place: str | None = None) -> None:
    """Log files, given by their names, to a folder of the run's artifacts."""
    if not files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder, place)
