"""The service as its users run it: a real gunicorn, real requests, a real MLflow UI."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest
import requests
import yaml
from serving import answers, free_port, wait_until
from training import PRELOADED, copy_empty_database

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()


@pytest.fixture(scope="module")
def service(start_module):
    """A service whose workers the tests leave as they are."""
    return start_module()


def test_window_of_real_closes_is_forecast_logged_and_shown(service):
    before = len(service.log.read_text().splitlines())
    body = requests.post(f"{service.url}/predict", json={"predict": CLOSES, "horizon": 5}, timeout=10).json()
    assert body["last_close"] == CLOSES[-1]
    assert len(body["path"]) == 5
    with service.log.open() as file:
        (row,) = list(csv.DictReader(file))[before - 1 :]  # one line more; the header is not a row
    assert float(row["predicted_price"]) == body["predicted_price"]
    shown = requests.get(f"{service.url}/monitor?limit=1", timeout=10).json()["RESPONSES"]
    assert [entry["predicted_price"] for entry in shown] == [body["predicted_price"]]


def test_workers_stay_small_and_import_no_training_library(service):
    requests.post(f"{service.url}/predict", json={"predict": CLOSES}, timeout=10)
    workers = service.children()
    assert len(workers) == 2
    for worker in workers:
        assert worker.memory_info().rss < 150e6
        loaded = " ".join(mapping.path for mapping in worker.memory_maps())
        for library in ("pandas", "sklearn", "tensorflow", "mlflow"):
            assert f"/{library}/" not in loaded


def test_sigterm_exits_with_code_0_and_leaves_no_process(start):
    service = start()
    children = service.children()
    assert service.stop() == 0
    assert not [child for child in children if child.is_running()]


def test_every_accepted_request_is_answered_before_shutdown(start):
    service = start(WEB_CONCURRENCY="1")
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        body = json.dumps({"predict": CLOSES}).encode()
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        client.sendall(head.encode() + body[:100])
        time.sleep(0.5)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        client.sendall(body[100:])
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert service.process.wait(30) == 0


def test_new_model_is_loaded_and_a_corrupt_one_is_not(start, tmp_path):
    folder = shutil.copytree(PROJECT_DIR / "modelFiles", tmp_path / "modelFiles")
    metadata_file = folder / "metadata.json"
    metadata = json.loads(metadata_file.read_text())
    service = start(MODEL_DIR=str(folder))

    def switch_to(version, break_it=False):
        shutil.copytree(folder / "versions" / metadata["model_version"], folder / "versions" / version)
        if break_it:
            (folder / "versions" / version / "my_model.onnx").write_bytes(b"broken")
        temporary = folder / "new.json"
        temporary.write_text(json.dumps(metadata | {"model_version": version}))
        os.replace(temporary, metadata_file)

    def versions():
        answers = [requests.get(f"{service.url}/ready", timeout=5).json() for _ in range(10)]
        return {(answer["model_version"], answer["problem"] is None) for answer in answers}

    switch_to("20990101-000000-000000")
    wait_until(lambda: versions() == {("20990101-000000-000000", True)}, 30, "the new model in all workers")
    switch_to("20990102-000000-000000", break_it=True)
    wait_until(lambda: versions() == {("20990101-000000-000000", False)}, 30, "the old model and the problem")


def test_command_lists_its_settings_and_accepts_no_arguments():
    for command in (["app.py"], ["-m", "tracking.ui"]):
        shown = subprocess.run(
            [sys.executable, *command, "--help"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True, timeout=60
        )
        assert "environment variables" in " ".join(shown.stdout.split())
        wrong = subprocess.run([sys.executable, *command, "--port", "9"], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
        assert wrong.returncode == 2
        assert "unrecognized arguments: --port 9" in wrong.stderr
    assert (
        "WEB_CONCURRENCY"
        in subprocess.run([sys.executable, "app.py", "-h"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True, timeout=60).stdout
    )


def test_empty_settings_of_compose_count_as_not_set(start):
    compose = yaml.safe_load((PROJECT_DIR / "compose.yaml").read_text())
    given = compose["services"]["api"]["environment"]
    unset = {name: "" for name, value in given.items() if value == f"${{{name}:-}}"}
    assert "WEB_CONCURRENCY" in unset
    assert requests.get(f"{start(**unset).url}/ready", timeout=10).status_code == 200


@pytest.mark.parametrize(("name", "value"), [("PORT", "x"), ("PORT", "0"), ("MLFLOW_UI", "maybe"), ("WEB_CONCURRENCY", "0")])
def test_invalid_setting_stops_the_start_and_is_named(name, value):
    done = subprocess.run(
        [sys.executable, "app.py"], cwd=PROJECT_DIR, env=os.environ | {name: value}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"{name}='{value}'" in done.stderr
    assert "Traceback" not in done.stderr


def test_failed_start_is_one_line_that_names_the_setting(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        own = {"PORT": str(port)}
        done = subprocess.run(
            [sys.executable, "app.py"], cwd=PROJECT_DIR, env=os.environ | own, capture_output=True, text=True, check=False
        )
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
        assert f"PORT={port}" in done.stderr
    own = {"REQUEST_LOG": str(tmp_path), "PORT": str(free_port())}
    done = subprocess.run([sys.executable, "app.py"], cwd=PROJECT_DIR, env=os.environ | own, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"REQUEST_LOG={tmp_path}" in done.stderr


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_service_listens_on_ipv6_if_host_says_so(start):
    service = start(HOST="::")
    for host in ("127.0.0.1", "[::1]"):
        assert requests.post(f"http://{host}:{service.port}/predict", json={"predict": CLOSES}, timeout=30).status_code == 200
    assert f"Stock forecasts on http://[::]:{service.port}" in service.said()
    assert '"client":"::1"' in service.said()
    own = {"HOST": "::", "PORT": str(service.port)}
    done = subprocess.run([sys.executable, "app.py"], cwd=PROJECT_DIR, env=os.environ | own, capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert f"HOST=:: PORT={service.port}: Address already in use" in done.stderr


def test_refused_windows_leave_no_traceback(service):
    refused = requests.post(f"{service.url}/predict", json={"predict": [[1.0] * 59 + [1e9]] * 3}, timeout=10)
    assert refused.status_code == 422
    assert refused.json()["error"] == "Some closes cannot be those of one stock in one currency."
    assert "Traceback" not in service.said()


def test_chunked_body_is_limited(service):
    body = json.dumps({"predict": CLOSES}).encode()

    def chunks(spaces):
        yield body
        for _ in range(spaces // 65536):
            yield b" " * 65536

    headers = {"Content-Type": "application/json"}
    assert requests.post(f"{service.url}/predict", data=chunks(1024**2), headers=headers, timeout=10).status_code == 200
    assert requests.post(f"{service.url}/predict", data=chunks(3 * 1024**2), headers=headers, timeout=10).status_code == 413


def origin(headers):
    """The header with which a page of a host sends its own requests."""
    return {"Origin": f"http://{headers['Host']}"}


def runs(process, name):
    """Whether a process runs a module of Python; one that has just ended does not."""
    try:
        return name in process.cmdline()
    except psutil.NoSuchProcess:  # also a zombie
        return False


@pytest.fixture
def forking(tmp_path):
    """The environment in which sys.executable starts `tracking.published` as a fork, and all once the file `all-forks` exists; that file.

    In a fork, PRELOADED_PYTHON is sys.executable. In other processes, a module that Python imports at its start makes it so.
    """
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os, sys\nsys.executable = os.environ['PRELOADED_PYTHON']\n")
    python, switch = tmp_path / "python", tmp_path / "all-forks"
    python.write_text(
        f"""#!/bin/sh
        if [ "$2" = tracking.published ] || [ -e {switch} ]; then exec {PRELOADED.python()} "$@"; fi
        exec {sys.executable} "$@"
        """
    )
    python.chmod(0o755)
    return {"PYTHONPATH": str(tmp_path / "site"), "PRELOADED_PYTHON": str(python)}, switch


@pytest.mark.slow
def test_mlflow_ui_is_restarted_and_stops_with_the_service(start, forking, tmp_path):
    """The first start of the UI is a real process. The second one is a fork, which takes less time."""
    environment, switch = forking
    copy_empty_database(tmp_path)
    port = free_port()
    database = f"sqlite:///{tmp_path}/mlflow.db"
    hosts = {"MLFLOW_UI_ALLOWED_HOSTS": "stocks.example"}
    service = start(MLFLOW_UI="on", MLFLOW_UI_PORT=str(port), MLFLOW_TRACKING_URI=database, **hosts, **environment)
    assert requests.get(f"{service.url}/ready", timeout=5).status_code == 200  # long before the UI
    ui = f"http://127.0.0.1:{port}"
    wait_until(lambda: answers(f"{ui}/health"), 180, "the MLflow UI")
    redirect = requests.get(f"{service.url}/mlflow", allow_redirects=False, timeout=5)
    assert redirect.status_code == 302
    assert redirect.headers["Location"].startswith(f"{ui}/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=")
    assert "MLflow" in requests.get(f"{service.url}/mlflow", timeout=30).text
    for host, is_allowed in (("stocks.example", True), ("127.0.0.1", True), ("other.example", False)):
        at = {"Host": f"{host}:{port}"}
        redirect = requests.get(f"{service.url}/mlflow", headers=at, allow_redirects=False, timeout=30)
        assert redirect.status_code == (302 if is_allowed else 503)
        found = requests.post(f"{ui}/ajax-api/2.0/mlflow/experiments/search", json={"max_results": 1}, headers=at | origin(at), timeout=30)
        assert found.status_code == (200 if is_allowed else 403)  # as the UI's own page asks
    counted = set(re.findall(r"^([a-z]+)_", requests.get(f"{service.url}/metrics", timeout=30).text, flags=re.M))
    assert counted == {"http", "request", "forecast"}  # MLflow counts too, but not here
    switch.touch()
    first = [child for child in service.children() if runs(child, "mlflow")]
    assert len(first) == 1
    first[0].kill()
    wait_until(lambda: not answers(f"{ui}/health"), 10, "the end of the MLflow UI")
    wait_until(lambda: answers(f"{ui}/health"), 180, "the MLflow UI again")
    children = service.children()
    (second,) = (child for child in children if runs(child, "mlflow"))
    children += map(psutil.Process, PRELOADED.forks_of(second.pid))  # MLflow's command and uvicorn
    assert service.stop() == 0
    psutil.wait_procs(children, timeout=15)
    assert not [child for child in children if child.is_running()]


@pytest.mark.slow
def test_mlflow_ui_stops_when_the_service_is_killed(start, tmp_path):
    copy_empty_database(tmp_path)
    port = free_port()
    service = start(MLFLOW_UI="on", MLFLOW_UI_PORT=str(port), MLFLOW_TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
    wait_until(lambda: any(runs(child, "mlflow") for child in service.children()), 90, "the MLflow UI's process")
    children = service.children()
    service.process.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
