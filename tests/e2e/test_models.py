"""Publications while the service runs: new models are loaded without a failed request, damaged ones are rejected."""

import itertools
import json
import re
import shutil
import signal
import socket
import threading
import time
from functools import partial

import pytest
import requests
from publishing import publish_changed
from serving import wait_until
from threads import Clients

from closes.snapshot import read_snapshot
from models.publishing import publish, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, read_published
from monitoring.accesslog import ID_HEADER
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

BODY = json.dumps({"predict": read_snapshot("MSFT").prices[-60:].tolist()}).encode()
REQUEST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
JSON = {"Content-Type": "application/json"}
FOLLOW_SECONDS = 5
PAUSE_SECONDS = 0.01  # between two questions of a client: some arrive during each load of a model
PATIENCE_SECONDS = 60  # for what has no limit on a busy machine
IN_GIT = PROJECT_DIR / "modelFiles"
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def shared(start_module, tmp_path_factory):
    """A service whose models the tests damage, one after the other, and its folder of models."""
    model_dir = shutil.copytree(IN_GIT, tmp_path_factory.mktemp("shared") / "modelFiles", ignore=shutil.ignore_patterns(".*"))
    service = start_module(MODEL_DIR=str(model_dir))
    wait_until(lambda: living(service) == 2, 30, "two workers")
    yield service, model_dir
    assert service.stop() == 0


@pytest.fixture
def serving(shared):
    """That service and folder, and the valid version that it has loaded."""
    service, model_dir = shared
    version = f"valid-{next(NUMBERS)}"
    publish_again(model_dir, version, IN_GIT)
    wait_until(lambda: serve_only(service, version) and state(service)[2] == {0}, PATIENCE_SECONDS, f"{version} in all workers")
    return service, model_dir, version


def publish_again(model_dir, version, source=None):
    """Publish the files of the published version, or of another folder's, under another name."""
    published = read_published(source or model_dir)
    with staging_folder(model_dir) as staged:
        for name in published.metadata["files"]:
            shutil.copy(published.folder / name, staged / name)
        return publish(model_dir, published.metadata | {"model_version": version}, staged)


def of_both_workers(ask):
    """The answers of both workers to a question on a new connection. The id of a request begins with that of its worker."""
    answers: dict[str, requests.Response] = {}
    end = time.monotonic() + PATIENCE_SECONDS
    while len(answers) < 2:
        assert time.monotonic() < end, "one worker answers alone"
        answer = ask()
        answers[answer.headers[ID_HEADER].partition("-")[0]] = answer
    return list(answers.values())


def versions(service):
    """The versions that both workers answer with."""
    answers = of_both_workers(lambda: requests.post(f"{service.url}/predict", data=BODY, headers=JSON, timeout=30))
    assert {answer.status_code for answer in answers} == {200}
    return {answer.json()["model_version"] for answer in answers}


def serve_only(service, version):
    """Whether all workers have this version."""
    return versions(service) == {version}


def living(service):
    return requests.get(f"{service.url}/monitor?limit=0", timeout=30).json()["SUMMARY"]["workers"]


def restart_workers(service):
    """Have the service replace its workers, and wait until the old ones are gone."""
    before = set(service.children())
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: len(children := set(service.children())) == 2 and not before & children, PATIENCE_SECONDS, "new workers")


def state(service):
    """What both workers say is wrong in /ready, and in /metrics: the status, the problem, and whether a model is refused, each once."""
    metrics = of_both_workers(lambda: requests.get(f"{service.url}/metrics", timeout=30))
    ready = of_both_workers(lambda: requests.get(f"{service.url}/ready", timeout=30))
    return (
        {answer.status_code for answer in ready},
        {answer.json().get("problem") for answer in ready},
        {float(re.findall(r"^forecast_model_refused (\S+)", answer.text, flags=re.M)[0]) for answer in metrics},
    )


def complain(service, word):
    """Whether both workers say so."""
    _, problems, is_refused = state(service)
    return is_refused == {1} and all(word in (problem or "") for problem in problems)


class Readers(Clients):
    """Clients that ask every hundredth of a second, so also while a model is loaded, and count what is not a forecast."""

    def __init__(self, service):
        super().__init__()
        self.threads = [threading.Thread(target=self._ask_on, args=(service.port,)) for _ in range(4)]

    def _ask_on(self, port):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            while not self.stop.wait(PAUSE_SECONDS):
                connection.sendall(REQUEST)
                received = b""
                while b'"model_version"' not in received and (more := connection.recv(65536)):
                    received += more
                if received.startswith(b"HTTP/1.1 200"):
                    self.answered += 1
                else:
                    self.failed.append(received)
                    return


def test_publications_under_load_fail_no_request_and_reach_all_workers(start, model_dir):
    service = start(MODEL_DIR=str(model_dir))
    wait_until(lambda: living(service) == 2, 30, "two workers")
    slowest = 0.0
    with Readers(service) as readers:
        for number in range(20):
            version = f"version-{number:02}"
            publish_again(model_dir, version)
            started = time.monotonic()
            wait_until(partial(serve_only, service, version), FOLLOW_SECONDS, f"{version} in all workers")
            slowest = max(slowest, time.monotonic() - started)
    print(f"{readers.answered} answers, loaded within {slowest:.1f} s")
    assert readers.failed == []
    assert readers.answered > 200
    assert state(service) == ({200}, {None}, {0})


def truncate(folder, name):
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) // 2])


def corrupt(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def swap(folder, name):
    (folder / name).write_bytes((folder / (SCALER_FILE if name != SCALER_FILE else KERAS_FILE)).read_bytes())


def remove(folder, name):
    (folder / name).unlink()


@pytest.mark.parametrize("name", [KERAS_FILE, SCALER_FILE, ONNX_FILE])
@pytest.mark.parametrize("damage", [truncate, corrupt, swap, remove])
def test_damaged_model_is_reported_and_the_old_one_keeps_serving(serving, name, damage, tmp_path):
    service, model_dir, before = serving
    damaged = publish_again(shutil.copytree(model_dir, tmp_path / "elsewhere"), f"damaged-{before}")
    damage(damaged.folder, name)
    publish_changed(model_dir, damaged)
    wait_until(lambda: complain(service, "damaged"), PATIENCE_SECONDS, "both workers' word of the damage")
    assert state(service)[0] == {200}
    assert versions(service) == {before}
    restart_workers(service)  # the new ones never had the old one
    assert versions(service) == {before}
    assert (state(service)[0], state(service)[2]) == ({200}, {1})


def test_calls_without_any_valid_model_are_503(start, model_dir):
    truncate(read_published(model_dir).folder, ONNX_FILE)
    service = start(MODEL_DIR=str(model_dir))
    refused = requests.post(f"{service.url}/predict", data=BODY, headers=JSON, timeout=30)
    assert refused.status_code == 503
    assert "is not as published" in refused.json()["error"]
    wait_until(lambda: living(service) == 2, 30, "two workers")
    status, _, is_refused = state(service)
    assert (status, is_refused) == ({503}, {1})
    assert requests.get(f"{service.url}/health", timeout=30).status_code == 200
    assert requests.get(service.url, timeout=30).status_code == 200


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model_version": "../../etc"}', "null"])
def test_invalid_metadata_is_rejected_and_the_old_model_keeps_serving(serving, content):
    service, model_dir, before = serving
    valid = (model_dir / METADATA_FILE).read_text()
    (model_dir / METADATA_FILE).write_text(content)
    wait_until(lambda: state(service)[2] == {1}, PATIENCE_SECONDS, "both workers' word of the damage")
    assert versions(service) == {before}
    assert state(service)[0] == {200}
    (model_dir / METADATA_FILE).write_text(valid)
