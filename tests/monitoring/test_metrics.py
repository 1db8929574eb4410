"""The metrics for Prometheus, of one process and of several that start and stop."""

import os
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app import STATE, create_app
from closes.snapshot import read_snapshot
from models.holder import ModelHolder
from monitoring.counters import FOLDER_VARIABLE
from monitoring.metrics import Metrics
from settings import PROJECT_DIR, Settings


def samples(text):
    """Every sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def requests(text, route="/predict", status="200", method="POST"):
    return samples(text).get(("http_requests_total", ("method", method), ("route", route), ("status", status)))


@pytest.fixture
def client(tmp_path, model_dir):
    return create_app(Settings(REQUEST_LOG=tmp_path / "log.csv", MODEL_DIR=model_dir)).test_client()


def test_every_answer_is_counted_by_route_method_and_status(client):
    client.get("/health")
    client.get("/health")
    client.post("/health")
    client.post("/predict", json={})
    client.get("/nowhere")
    client.get("/static/js/main.js").close()
    text = client.get("/metrics").text
    assert requests(text, "/health", "200", "GET") == 2
    assert requests(text, "unmatched", "405", "POST") == 1
    assert requests(text, "/predict", "422", "POST") == 1
    assert requests(text, "unmatched", "404", "GET") == 1
    assert requests(text, "/static/<path:filename>", "200", "GET") == 1


def test_latencies_are_a_histogram_in_seconds(client):
    for _ in range(3):
        client.get("/health")
    found = samples(client.get("/metrics").text)
    assert found["http_request_duration_seconds_count", ("route", "/health")] == 3
    assert 0 < found["http_request_duration_seconds_sum", ("route", "/health")] < 30
    assert found["http_request_duration_seconds_bucket", ("le", "+Inf"), ("route", "/health")] == 3


def test_unknown_methods_and_addresses_make_no_new_series(client):
    for number in range(20):
        client.open(f"/nowhere/{number}", method=f"INVENTED{number}")
    text = client.get("/metrics").text
    assert requests(text, "unmatched", "404", "other") == 20
    assert "INVENTED" not in text
    assert "nowhere" not in text


def test_metrics_report_the_model_and_its_age(client):
    metadata = client.application.extensions[STATE].service.models.current().metadata
    found = samples(client.get("/metrics").text)
    labels = [("last_date", str(metadata.last_date)), ("symbol", "MSFT"), ("version", metadata.model_version)]
    assert found["forecast_model_info", *labels] == 1
    assert found["forecast_model_age_seconds",] > 0
    assert (found["forecast_model_ready",], found["forecast_model_refused",]) == (1, 0)


def test_metrics_report_a_rejected_model(client, model_dir):
    (model_dir / "metadata.json").write_text("{}")
    client.application.extensions[STATE].service.models.refresh()
    found = samples(client.get("/metrics").text)
    assert (found["forecast_model_ready",], found["forecast_model_refused",]) == (1, 1)


def test_metrics_report_a_missing_model(tmp_path):
    client = create_app(Settings(REQUEST_LOG=tmp_path / "log.csv", MODEL_DIR=tmp_path / "none")).test_client()
    found = samples(client.get("/metrics").text)
    assert found["forecast_model_ready",] == 0
    assert not [name for name, *_ in found if name in ("forecast_model_info", "forecast_model_age_seconds")]


def test_figures_of_too_few_closes_have_no_sample(client):
    found = samples(client.get("/metrics").text)
    assert (found["forecast_live_samples",], found["forecast_live_caught_up",], found["forecast_drift_samples",]) == (0, 1, 0)
    assert found["request_log_lost_lines_total",] == 0
    assert not [name for name, *_ in found if name in ("forecast_live_rmse", "forecast_live_coverage", "forecast_drift_distance")]


def test_live_accuracy_and_drift_are_reported(client):
    prices = read_snapshot("MSFT").prices
    for end in range(60, 90):
        client.post("/predict", json={"predict": prices[end - 60 : end].tolist()})
    summary = client.get("/monitor").json["SUMMARY"]
    found = samples(client.get("/metrics").text)
    live, drift = summary["live_accuracy"], summary["drift"]
    assert (found["forecast_live_samples",], found["forecast_live_rmse",]) == (29, live["rmse"])
    assert found["forecast_live_naive_rmse",] == live["naive_rmse"]
    assert [found["forecast_live_coverage", ("level", level)] for level in ("80", "95")] == [live["coverage_80"], live["coverage_95"]]
    assert (found["forecast_drift_distance",], found["forecast_drift_threshold",]) == (drift["ks_distance"], drift["threshold"])


def test_lost_log_lines_are_counted(client, monkeypatch):
    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("monitoring.requestlog.os.write", refuse)
        assert client.post("/predict", json={}).status_code == 422
    client.post("/predict", json={})
    assert samples(client.get("/metrics").text)["request_log_lost_lines_total",] == 1


WORKER = """
import sys
from pathlib import Path
from monitoring import metrics
from monitoring.counters import SharedCounters
from models.holder import ModelHolder
import tempfile
tempfile.mkdtemp = lambda prefix: sys.argv[1]
counters = SharedCounters()
counters.use_slot(int(sys.argv[2]))
counters.reserve()
worker = metrics.Metrics(ModelHolder(Path("none")))
for _ in range(int(sys.argv[3])):
    worker.count("/predict", "POST", 200, 0.01)
sys.stdout.write(worker.text().decode())
sys.stdout.flush()
if sys.argv[4:]:
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


def run_worker(folder, slot, count, *killed):
    command = [sys.executable, "-c", WORKER, str(folder), str(slot), str(count), *killed]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, timeout=60, check=not killed).stdout


@pytest.mark.slow
def test_counts_are_summed_over_workers_and_survive_a_kill(tmp_path):
    assert requests(run_worker(tmp_path, 0, 3)) == 3
    assert requests(run_worker(tmp_path, 1, 4, "killed")) == 7
    text = run_worker(tmp_path, 1, 5)
    assert requests(text) == 12
    assert samples(text)["http_request_duration_seconds_bucket", ("le", "0.01"), ("route", "/predict")] == 12
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["counter_0.db", "counter_1.db", "histogram_0.db", "histogram_1.db"]


def test_one_process_counts_in_memory(tmp_path):
    assert FOLDER_VARIABLE not in os.environ
    one = Metrics(ModelHolder(tmp_path))
    one.count("/predict", "POST", 200, 0.01)
    assert requests(one.text().decode()) == 1
