"""RATE_LIMIT with a real memcached: all workers count together."""

import os
import shutil
import signal
import subprocess

import pytest
import requests
from serving import free_port, listens, wait_until

pytestmark = pytest.mark.skipif(shutil.which("memcached") is None, reason="memcached is not installed: make memcached (as root)")


@pytest.fixture
def memcached():
    port = free_port()
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    process = subprocess.Popen(["memcached", "-l", "127.0.0.1", "-p", str(port), *user])
    wait_until(lambda: listens(port), 10, "memcached")
    yield process, f"memcached://127.0.0.1:{port}"
    process.kill()
    process.wait()


def ask(service):
    """The answer to a request on a new connection, which any worker may accept."""
    return requests.get(f"{service.url}/monitor?limit=0", timeout=30)


def test_limit_counts_over_all_workers(start, memcached):
    _, address = memcached
    service = start(RATE_LIMIT="10/day", RATE_LIMIT_STORAGE=address, WEB_CONCURRENCY="2")
    statuses = [ask(service).status_code for _ in range(40)]
    assert statuses == [200] * 10 + [429] * 30


@pytest.mark.parametrize("failure", [signal.SIGSTOP, signal.SIGKILL])
def test_requests_are_refused_while_the_storage_fails(start, memcached, failure):
    process, address = memcached
    service = start(RATE_LIMIT="10/day", RATE_LIMIT_STORAGE=address, WEB_CONCURRENCY="1")
    assert ask(service).status_code == 200
    process.send_signal(failure)
    answer = ask(service)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json() == {"error": "The storage of the rate limit does not answer.", "details": []}
    assert requests.get(f"{service.url}/ready", timeout=30).status_code == 200
    if failure == signal.SIGSTOP:
        process.send_signal(signal.SIGCONT)
        assert ask(service).status_code == 200
