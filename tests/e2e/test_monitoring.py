"""The files in deploy/monitoring, tested with promtool and a real Prometheus."""

import json
import re
import shutil
import subprocess

import pytest
import requests
import yaml
from serving import free_port, wait_until

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

FOLDER = PROJECT_DIR / "deploy" / "monitoring"
prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed: make prometheus (as root)")


def promtool(*arguments):
    return subprocess.run(["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)


@prometheus
@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts.test.yml")]
)
def test_promtool_accepts_the_configuration(arguments):
    done = promtool(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@prometheus
def test_promtool_accepts_the_metrics(start):
    text = requests.get(f"{start().url}/metrics", timeout=10).text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboard_use_only_existing_metrics(start):
    service = start()
    told = set(re.findall(r"^# TYPE (\w+)", requests.get(f"{service.url}/metrics", timeout=10).text, flags=re.M))
    rules = [rule["expr"] for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
    shown = [target["expr"] for panel in json.loads((FOLDER / "grafana.json").read_text())["panels"] for target in panel["targets"]]
    asked = set(re.findall(r"\b((?:http|forecast|request_log)_\w+)", " ".join(rules + shown)))
    assert len(asked) > 10
    assert {name.removesuffix("_bucket") for name in asked} <= told


def test_right_answers_with_503_have_the_routes_that_the_alert_on_errors_leaves_out(start, tmp_path):
    service = start(YAHOO_URL=f"http://127.0.0.1:{free_port()}", YAHOO_RETRIES="0", DATA_CACHE_DIR=str(tmp_path / "cache"), MLFLOW_UI="off")
    for path in ("/forecast/MISTYPED", "/backtest/MISTYPED", "/mlflow"):
        assert requests.get(f"{service.url}{path}", timeout=30).status_code == 503
    counted = requests.get(f"{service.url}/metrics", timeout=10).text
    routes = set(re.findall(r'^http_requests_total\{.*route="([^"]+)",status="503"', counted, flags=re.M))
    left_out = re.findall(r'route!~"([^"]+)"', (FOLDER / "alerts.yml").read_text())
    assert len(left_out) == 1
    assert len(routes) == 3
    assert all(re.fullmatch(left_out[0], route) for route in routes)


@prometheus
def test_prometheus_collects_from_the_service(start, tmp_path):
    service, port = start(), free_port()
    closes = read_snapshot("MSFT").prices[-60:].tolist()
    for _ in range(5):
        requests.post(f"{service.url}/predict", json={"predict": closes}, timeout=10)
    for name in ("prometheus.yml", "alerts.yml"):
        text = (FOLDER / name).read_text().replace("127.0.0.1:8010", f"127.0.0.1:{service.port}")
        (tmp_path / name).write_text(text.replace("15s", "1s"))
    command = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:

        def value(query):
            try:
                found = requests.get(f"http://127.0.0.1:{port}/api/v1/query", {"query": query}, timeout=5).json()["data"]["result"]
            except (requests.RequestException, ValueError, KeyError):
                return None
            return float(found[0]["value"][1]) if found else None

        wait_until(lambda: value('http_requests_total{route="/predict",status="200"}') == 5, 60, "the count of five requests")
        assert value('up{job="stock-forecast"}') == 1
        assert value("forecast_model_ready") == 1
    finally:
        server.terminate()
        server.wait(30)
