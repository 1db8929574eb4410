"""The parent run of a training of many symbols: its parameters, its leaderboard, and nothing of a single symbol.

The runs of the symbols are its children (RunRecord.parent_run_id), which the MLflow UI folds under it.
"""

import time
from pathlib import Path

from settings import Settings
from tracking.client import log_metrics, log_params, start_run
from tracking.connection import NO_ANSWER, connect, one_sentence


def start_parent(name: str, params: dict[str, str], settings: Settings) -> str:
    """Create a parent run and return its id.

    Raises:
        TrackingError: MLflow failed.
    """
    with one_sentence(settings, *NO_ANSWER):
        experiment = connect(settings)
        import mlflow

        client = mlflow.MlflowClient()
        run_id = start_run(client, experiment, name)
        log_params(client, run_id, params.items())
        return run_id


def finish_parent(run_id: str, metrics: dict[str, float], leaderboard: Path, settings: Settings) -> None:
    """Log the figures of the whole training and its leaderboard, and end the run.

    Raises:
        TrackingError: MLflow failed.
    """
    with one_sentence(settings, "did not accept the leaderboard"):
        connect(settings)
        import mlflow

        client = mlflow.MlflowClient()
        log_metrics(client, run_id, [(name, value, 0) for name, value in metrics.items()], time.time_ns() // 1_000_000)
        client.log_artifact(run_id, str(leaderboard))
        client.set_terminated(run_id)
