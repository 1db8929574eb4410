"""The data set of a run, which two runs may add to MLflow at the same moment. tests/test_modelTrain_faults.py has two real trainings."""

import re

import pytest

from tracking.client import log_data_set

pytestmark = pytest.mark.slow  # imports MLflow


class Client:
    """Fails as MLflow does, then accepts."""

    def __init__(self, *failures):
        self._failures, self.logged, self.calls = list(failures), [], 0

    def log_inputs(self, run_id, data_sets):
        from mlflow.exceptions import MlflowException

        self.calls += 1
        if self._failures:
            raise MlflowException(self._failures.pop(0))
        self.logged.append((run_id, data_sets))


DUPLICATES = (
    "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.experiment_id, datasets.name, datasets.digest",
    'duplicate key value violates unique constraint "dataset_pk"',
)


@pytest.mark.parametrize("said", DUPLICATES, ids=["SQLite", "PostgreSQL"])
def test_data_set_that_another_run_adds_meanwhile_is_logged_again(said):
    client = Client(said)
    log_data_set(client, "run", "closes")
    assert client.logged == [("run", ["closes"])]


@pytest.mark.parametrize("failures", [["No."], [DUPLICATES[0], DUPLICATES[0]]], ids=["another failure", "a second one"])
def test_other_failures_are_raised(failures):
    client = Client(*failures)
    with pytest.raises(Exception, match=re.escape(failures[-1])):
        log_data_set(client, "run", "closes")
    assert client.calls == len(failures)
    assert client.logged == []
