"""Two replicas of the service behind a real Caddy with TLS, with the configuration that compose.yaml uses."""

import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from serving import Service, free_port, has_certificate, starting, wait_until

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

pytestmark = pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed: make proxies (as root)")

BODY = {"predict": read_snapshot("MSFT").prices[-60:].tolist(), "horizon": 5}
LIMIT = 12  # requests a minute that each replica allows


@dataclass
class Site:
    """The address of Caddy, and what is behind it."""

    port: int
    http_port: int
    authority: Path
    replicas: list[Service]

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def predict(self, **options):
        return requests.post(f"{self.url}/predict", json=BODY, verify=str(self.authority), timeout=30, **options)


def configuration(port, http_port, replicas):
    """compose.Caddyfile with the ports of this test, and the replicas' addresses instead of a look-up in Docker's DNS."""
    text = (PROJECT_DIR / "deploy" / "proxy" / "compose.Caddyfile").read_text()
    looked_up = text[text.index("\t\tdynamic") : text.index("\t\tlb_policy")]
    addresses = " ".join(f"127.0.0.1:{replica.port}" for replica in replicas)
    ports = f"{{\n\tadmin off\n\tskip_install_trust\n\thttp_port {http_port}\n\thttps_port {port}\n}}\n"
    return ports + text.replace(looked_up, f"\t\tto {addresses}\n")


@pytest.fixture
def site(tmp_path):
    """A site whose replicas share the request log, the cache and the models."""
    shared = {"REQUEST_LOG": str(tmp_path / "shared.csv"), "DATA_CACHE_DIR": str(tmp_path / "cache"), "WEB_CONCURRENCY": "1"}
    running = starting(tmp_path)
    start = next(running)
    replicas = [start(TRUSTED_PROXIES="1", RATE_LIMIT=f"{LIMIT}/minute", **shared) for _ in range(2)]
    port, http_port = free_port(), free_port()
    (tmp_path / "Caddyfile").write_text(configuration(port, http_port, replicas))
    own = {"XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path), "DOMAIN": "localhost"}
    with (tmp_path / "caddy.txt").open("w") as stderr:
        caddy = subprocess.Popen(
            ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"], cwd=tmp_path, env=os.environ | own, stderr=stderr
        )
    authority = tmp_path / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    wait_until(lambda: has_certificate(port, authority), 30, "Caddy's certificate")
    yield Site(port, http_port, authority, replicas)
    caddy.terminate()
    caddy.wait(30)
    next(running, None)


def answered(replica):
    """How many forecasts a replica has answered."""
    text = requests.get(f"{replica.url}/metrics", timeout=10).text
    lines = [line for line in text.splitlines() if line.startswith("http_requests_total{") and 'route="/predict",status="200"' in line]
    return sum(float(line.split()[-1]) for line in lines)


def test_replicas_share_models_and_log_and_answer_the_same(site):
    answers = [site.predict() for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    measured = ("response_time_sec", "memory_usage_percent")
    assert len({str({name: value for name, value in answer.json().items() if name not in measured}) for answer in answers}) == 1
    assert [answered(replica) for replica in site.replicas] == [4, 4]
    of = [requests.get(f"{replica.url}/monitor?limit=100", timeout=10).json()["RESPONSES"] for replica in site.replicas]
    assert [len(rows) for rows in of] == [8, 8]


def test_http_is_redirected_to_https(site):
    answer = requests.get(f"http://localhost:{site.http_port}/monitor", allow_redirects=False, timeout=10)
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost")
    assert answer.headers["Location"].endswith("/monitor")


def test_replica_that_stops_loses_no_request(site):
    # Calls without a body, as Caddy before 2.11.3 loses the body if the first replica does not accept the connection (its issue 7546).
    site.replicas[0].stop(signal.SIGTERM)
    answers = [requests.get(f"{site.url}/models", verify=str(site.authority), timeout=30) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 6


def test_rate_limit_counts_the_client_that_caddy_sees_in_each_replica(site):
    forged = [site.predict(headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(2 * LIMIT + 2)]
    assert forged[: 2 * LIMIT] == [200] * 2 * LIMIT
    assert forged[2 * LIMIT :] == [429] * 2
