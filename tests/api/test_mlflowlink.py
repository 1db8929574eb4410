"""GET /mlflow, with programs that stand where the MLflow UI would; a real one is in tests/e2e/test_service.py."""

import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app import create_app
from tracking import ui


def test_mlflow_says_how_to_start_a_missing_ui(client):
    answer = client.get("/mlflow")
    assert answer.status_code == 503
    assert "does not answer" in answer.json["error"]
    assert answer.json["details"]


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"), [(None, "json"), ("*/*", "json"), ("application/json", "json"), (BROWSER, "html"), ("text/html", "html")]
)
def test_mlflow_error_is_html_only_for_browsers(client, accept, kind):
    answer = client.get("/mlflow", headers={"Accept": accept} if accept else {})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert answer.content_type == {"json": "application/json", "html": "text/html; charset=utf-8"}[kind]
    assert "Accept" in [name.strip() for name in answer.headers["Vary"].split(",")]
    error = client.get("/mlflow").json
    for sentence in (error["error"], *error["details"]):
        assert sentence in answer.text
    assert ("<h2" in answer.text) == (kind == "html")


@pytest.mark.parametrize("name", ["MLFLOW_UI_URL", "MLFLOW_TRACKING_URI"])
def test_mlflow_redirects_to_the_configured_ui(settings, name):
    own = settings.model_copy(update={name: "https://mlflow.example.org/ui"})
    assert ui.start(own) is None
    client = create_app(own).test_client()
    answer = client.get("/mlflow")
    assert (answer.status_code, answer.location) == (302, "https://mlflow.example.org/ui")


@pytest.mark.parametrize("host", ["example.org:8010", "example.org", "[::1]:8010", "[::1]"])
def test_mlflow_redirects_to_the_requesters_own_host(settings, host, unused_listener):
    client = create_app(settings.model_copy(update={"MLFLOW_UI_PORT": unused_listener})).test_client()
    answer = client.get("/mlflow", headers={"Host": host})
    assert answer.location == f"http://{re.sub(':8010$', '', host)}:{unused_listener}/"


class Mlflow(BaseHTTPRequestHandler):
    """Answers as MLflow does: its version to anyone, and the rest to localhost and the host allowed.example."""

    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"3.17.2")

    def do_POST(self):
        host = self.headers["Host"]
        is_allowed = host.startswith(("localhost:", "allowed.example:")) and self.headers["Origin"] == f"http://{host}"
        self.send_response(404 if is_allowed else 403)
        self.end_headers()

    def log_message(self, *_):
        pass


def listening(handler):
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture
def program():
    """The port of a web server that is not MLflow."""
    yield from listening(BaseHTTPRequestHandler)


@pytest.fixture
def mlflow():
    """The port of an MLflow."""
    yield from listening(Mlflow)


def ask(settings, host="localhost:8010", client="127.0.0.1", headers=None, **changes):
    """Status, and where the redirect leads or why there is none."""
    app = create_app(settings.model_copy(update=changes))
    answer = app.test_client().get("/mlflow", headers={"Host": host} | (headers or {}), environ_base={"REMOTE_ADDR": client})
    return answer.status_code, answer.location or answer.json


@pytest.mark.parametrize("host", ["localhost", "localhost:8010", "allowed.example", "allowed.example:443"])
def test_mlflow_redirects_to_a_host_that_mlflow_allows(settings, mlflow, host):
    assert ask(settings, host, MLFLOW_UI_PORT=mlflow) == (302, f"http://{host.partition(':')[0]}:{mlflow}/")


@pytest.mark.parametrize(("allowed", "advised"), [("", "stocks.example"), ("a.example", "a.example,stocks.example")])
def test_mlflow_says_how_to_allow_another_host(settings, mlflow, allowed, advised):
    status, answer = ask(settings, "stocks.example:8010", MLFLOW_UI_PORT=mlflow, MLFLOW_UI_ALLOWED_HOSTS=allowed)
    assert (status, answer["error"]) == (503, "MLflow does not allow requests to the host stocks.example.")
    assert answer["details"][0] == f"Set MLFLOW_UI_ALLOWED_HOSTS={advised} and restart the service."


def test_mlflow_advises_only_hosts_that_the_setting_takes(settings, mlflow):
    status, answer = ask(settings, "a_b:8010", MLFLOW_UI_PORT=mlflow)
    assert status == 503
    assert "MLFLOW_UI_ALLOWED_HOSTS" not in str(answer)


def test_mlflow_is_redirected_to_with_http_behind_tls(settings, mlflow):
    headers = {"X-Forwarded-Host": "allowed.example", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.5"}
    open_ = {"MLFLOW_UI_PORT": mlflow, "MLFLOW_UI_HOST": "0.0.0.0", "TRUSTED_PROXIES": 1}
    assert ask(settings, headers=headers, **open_) == (302, f"http://allowed.example:{mlflow}/")
    assert ask(settings, headers=headers, **open_ | {"MLFLOW_UI_URL": "https://ui.example/"}) == (302, "https://ui.example/")


@pytest.mark.parametrize(
    ("client", "headers", "proxies"),
    [
        ("203.0.113.5", {}, 0),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.5"}, 1),
        ("127.0.0.1", {"X-Forwarded-For": "203.0.113.5"}, 0),
        ("127.0.0.1", {"X-Real-IP": "203.0.113.5"}, 0),
        ("127.0.0.1", {"Forwarded": "for=203.0.113.5"}, 0),
        ("127.0.0.1", {"Via": "1.1 proxy"}, 0),
    ],
)
def test_mlflow_of_this_machine_alone_is_not_offered_to_others(settings, mlflow, client, headers, proxies):
    status, answer = ask(settings, client=client, headers=headers, MLFLOW_UI_PORT=mlflow, TRUSTED_PROXIES=proxies)
    assert (status, answer["error"]) == (503, "The MLflow UI is open to its own machine only.")
    assert answer["details"][0].startswith(f"From your machine: ssh -L {mlflow}:127.0.0.1:{mlflow} ")


def test_mlflow_asks_for_the_proxies_if_it_does_not_know_its_address(settings, mlflow):
    forwarded = {"X-Forwarded-For": "203.0.113.5"}
    status, answer = ask(settings, headers=forwarded, MLFLOW_UI_PORT=mlflow, MLFLOW_UI_HOST="0.0.0.0")
    assert status == 503
    assert answer["details"][0].startswith("Set TRUSTED_PROXIES to the number of proxies")


def test_mlflow_names_another_program_on_its_port(settings, program):
    client = create_app(settings.model_copy(update={"MLFLOW_UI_PORT": program})).test_client()
    answer = client.get("/mlflow")
    assert answer.status_code == 503
    assert answer.json
    assert answer.json["error"] == f"Another program uses MLFLOW_UI_PORT={program}, so the MLflow UI could not start."
    assert "Set MLFLOW_UI_PORT to a free port" in answer.json["details"][0]
