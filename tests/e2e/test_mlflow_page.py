"""What GET /mlflow opens on a fresh installation, in a real Chromium with a real MLflow UI."""

import os
import subprocess

import pytest
import requests
from browsing import MARKS
from playwright.sync_api import expect
from serving import answers, free_port, wait_until
from training import PRELOADED

from settings import PROJECT_DIR

pytestmark = MARKS


@pytest.fixture
def ui(tmp_path):
    """The environment of an MLflow UI, which starts on a new database."""
    own = {"MLFLOW_UI_PORT": str(free_port()), "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    process = subprocess.Popen(
        PRELOADED.command("-m", "tracking.ui"), cwd=PROJECT_DIR, env=os.environ | own | PRELOADED.with_children(), start_new_session=True
    )
    yield own
    process.terminate()
    assert process.wait(30) == 0


def has_run(address):
    """Whether the experiment has a run that is complete."""
    answer = requests.post(f"{address}/api/2.0/mlflow/runs/search", json={"experiment_ids": ["1"]}, timeout=30)
    return any(run["info"]["status"] == "FINISHED" for run in answer.json().get("runs", []))


@pytest.mark.timeout(600)
def test_mlflow_opens_the_runs_with_their_scores_and_that_of_the_model_in_git(start, browser, ui):
    service = start(**ui, WEB_CONCURRENCY="1")
    address = f"http://127.0.0.1:{ui['MLFLOW_UI_PORT']}"
    wait_until(lambda: answers(f"{address}/health"), 180, "the MLflow UI")
    wait_until(lambda: has_run(address), 180, "the run")  # it is logged while the UI starts
    context = browser.new_context(viewport={"width": 1600, "height": 900})
    page = context.new_page()
    page.goto(f"{service.url}/mlflow")
    page.wait_for_url("**/#/experiments/1/runs*")
    expect(page.get_by_text("MSFT 2026-")).to_be_visible()
    for column in ("test/rmse_ratio", "persistence/rmse", "test/coverage_80"):
        expect(page.get_by_role("columnheader").filter(has_text=column).first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("Model training").first).to_be_visible()
    context.close()
