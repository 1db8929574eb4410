"""The service under systemd: a socket that outlives it, the notice that it listens, and the unit files."""

import shutil
import socket
import subprocess
import threading

import pytest
import requests
from serving import Service, answers, free_port, wait_until

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

BODY = {"predict": read_snapshot("MSFT").prices[-60:].tolist()}
MAX_EXPOSURE = "20"  # of systemd-analyze security, in tenths


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.parametrize("worker", ["direct", "stock"])
@pytest.mark.parametrize("connection", ["keep-alive", "close"])
def test_restart_on_a_socket_of_systemd_loses_no_request(start, listener, worker, connection):
    environment = {"listener": listener, "PORT": str(listener.getsockname()[1]), "SERVER_WORKER": worker}
    service = start(**environment)
    statuses, broken, is_over = [], [], threading.Event()

    def ask():
        with requests.Session() as session:
            while not is_over.is_set():
                try:
                    answer = session.post(f"{service.url}/predict", json=BODY, headers={"Connection": connection}, timeout=120)
                    statuses.append(answer.status_code)
                except requests.RequestException as error:
                    broken.append(repr(error))

    clients = [threading.Thread(target=ask) for _ in range(6)]
    for client in clients:
        client.start()
    try:
        wait_until(lambda: len(statuses) >= 30, 60, "answers")
        assert service.stop() == 0
        service = start(**environment)
        so_far = len(statuses)
        wait_until(lambda: len(statuses) >= so_far + 30, 60, "answers after the restart")
    finally:
        is_over.set()
        for client in clients:
            client.join()
    assert broken == []
    assert set(statuses) == {200}


def test_systemd_hears_when_the_service_listens(start, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(60)
        start(NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert systemd.recv(1000).startswith(b"READY=1")


def test_port_that_has_no_effect_is_named_in_the_log(tmp_path, listener):
    other, port = free_port(), listener.getsockname()[1]
    service = Service(tmp_path, listener=listener, PORT=str(other))
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), 60, "an answer")
        assert f"PORT={other} has no effect: systemd passed a socket on port {port}." in service.said()
        assert service.stop() == 0
    finally:
        service.process.kill()
        service.stderr.close()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_units_are_valid_and_their_exposure_is_low(tmp_path):
    for name in ("flask_app.service", "flask_app.socket"):
        text = (PROJECT_DIR / "deploy" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/stock-forecast-service/.venv", str(PROJECT_DIR / ".venv")))
    files = [str(tmp_path / "flask_app.service"), str(tmp_path / "flask_app.socket")]
    checked = subprocess.run(["systemd-analyze", "verify", *files], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", files[0]]
    judged = subprocess.run(command, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout
