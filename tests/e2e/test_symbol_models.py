"""Models of symbols on a real server: published, rolled back, damaged and removed while it serves, evicted, and a thousand of them."""

import os
import re
import threading
from pathlib import Path

import pytest
import requests
from publishing import publish_changed, publish_symbol
from serving import Service, wait_until
from threads import Clients

from closes.snapshot import read_snapshot
from models.publishing import rollback
from models.store import ONNX_FILE, symbol_folder

pytestmark = pytest.mark.slow

CLOSES = read_snapshot("KO").prices[-60:].tolist()
FOLLOW_SECONDS = 5  # two on an idle machine
PAUSE_SECONDS = 0.01  # between two questions of a client: some arrive during each load of a model


def ask(service: Service, symbol: str, **options):
    """The answer for a symbol's closes, on a new connection."""
    answer = requests.post(f"{service.url}/predict", json={"predict": CLOSES, "symbol": symbol} | options, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def serve_only(service: Service, symbol: str | None, version: str) -> bool:
    """Whether this model answers for KO on each of several new connections, which are spread over the workers."""
    answers = (ask(service, "KO") for _ in range(6))
    return all((answer["model_symbol"], answer["model_version"]) == (symbol, version) for answer in answers)


def warned(service: Service) -> bool:
    """Whether all answers for KO have the warning."""
    return all("untrusted_model" in [warning["code"] for warning in ask(service, "KO")["warnings"]] for _ in range(6))


class Readers(Clients):
    """Clients that ask every hundredth of a second for a symbol, a batch and no symbol, and count what is not a forecast."""

    def __init__(self, service: Service) -> None:
        super().__init__()
        bodies = [{"predict": CLOSES}, {"predict": CLOSES, "symbol": "KO"}, {"predict": [CLOSES] * 40, "symbol": "KO"}]
        self.threads = [threading.Thread(target=self._ask_on, args=(f"{service.url}/predict", body)) for body in bodies]

    def _ask_on(self, url, body):
        with requests.Session() as session:
            while not self.stop.wait(PAUSE_SECONDS):
                answer = session.post(url, json=body, timeout=30)
                if answer.status_code != 200 or ("symbol" not in body and answer.json()["model_symbol"] is not None):
                    self.failed.append(answer.text)
                    return
                self.answered += 1


@pytest.mark.parametrize("worker", ["direct", "stock"])
def test_publications_reach_all_workers_without_a_failed_request(start, model_dir, worker, tmp_path):
    service = start(MODEL_DIR=str(model_dir), SERVER_WORKER=worker)
    default = ask(service, "KO")["model_version"]

    def follow(symbol, version):
        wait_until(lambda: serve_only(service, symbol, version), FOLLOW_SECONDS, f"{version} in all workers")

    with Readers(service) as readers:
        follow(None, default)
        publish_symbol(model_dir, "KO", "first")
        follow("KO", "first")
        publish_symbol(model_dir, "KO", "second")
        follow("KO", "second")
        rollback(symbol_folder(model_dir, "KO"))
        follow("KO", "first")
        damaged = publish_symbol(tmp_path / "elsewhere", "KO", "damaged")
        (damaged.folder / ONNX_FILE).write_bytes(b"corrupt")
        publish_changed(symbol_folder(model_dir, "KO"), damaged)
        wait_until(lambda: warned(service), FOLLOW_SECONDS, "the warning")
        follow("KO", "first")
        symbol_folder(model_dir, "KO").rename(model_dir / "removed")
        follow(None, default)
        (model_dir / "removed").rename(symbol_folder(model_dir, "KO"))
        publish_symbol(model_dir, "KO", "third")
        follow("KO", "third")
    assert readers.failed == []
    assert readers.answered > 50
    assert requests.get(f"{service.url}/ready", timeout=30).json()["problem"] is None


def test_evicted_models_are_loaded_again(start, model_dir):
    symbols = ["A", "B", "C", "D"]
    for symbol in symbols:
        publish_symbol(model_dir, symbol, f"own-{symbol}")
    service = start(MODEL_DIR=str(model_dir), MAX_MODELS="2", WEB_CONCURRENCY="1")
    for _ in range(5):
        for symbol in symbols:
            assert ask(service, symbol)["model_version"] == f"own-{symbol}"
    metrics = requests.get(f"{service.url}/metrics", timeout=30).text
    assert re.findall(r"^forecast_symbol_model_(\w+)_total (\S+)", metrics, flags=re.M) == [("answers", "20.0"), ("loads", "20.0")]


def test_first_requests_of_many_symbols_at_once_are_answered(start, model_dir):
    symbols = [f"S{number}" for number in range(12)]
    for symbol in symbols:
        publish_symbol(model_dir, symbol, f"own-{symbol}")
    service = start(MODEL_DIR=str(model_dir), MAX_MODELS="4", WEB_CONCURRENCY="1")
    answers = {}
    threads = [threading.Thread(target=lambda symbol=symbol: answers.update({symbol: ask(service, symbol)})) for symbol in symbols * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {symbol: answer["model_version"] for symbol, answer in answers.items()} == {symbol: f"own-{symbol}" for symbol in symbols}


def link_thousand(model_dir: Path) -> None:
    """Publish KO, and 999 other symbols whose files are links to its files."""
    publish_symbol(model_dir, "KO", "own")
    source = symbol_folder(model_dir, "KO")
    for number in range(999):
        target = source.with_name(f"S{number}")
        for file in source.rglob("*"):
            if file.is_file():
                (target / file.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                os.link(file, target / file.relative_to(source))


def test_thousand_models_are_listed_while_others_are_answered(start, model_dir):
    link_thousand(model_dir)
    service = start(MODEL_DIR=str(model_dir), WEB_CONCURRENCY="1")
    listed = []
    reading = threading.Thread(target=lambda: listed.append(requests.get(f"{service.url}/models", timeout=60)))
    reading.start()
    meanwhile = 0
    while reading.is_alive():
        assert ask(service, "S998")["model_symbol"] == "S998"
        meanwhile += 1
    reading.join()
    print(f"{meanwhile} answers during the first list, which took {listed[0].elapsed.total_seconds():.1f} s")
    models = listed[0].json()["models"]
    assert len(models) == 1001
    assert [model["default"] for model in models] == [True] + [False] * 1000
    again = requests.get(f"{service.url}/models", headers={"If-None-Match": listed[0].headers["ETag"]}, timeout=30)
    print(f"again: {again.elapsed.total_seconds():.3f} s")
    assert again.status_code == 304
    metrics = requests.get(f"{service.url}/metrics", timeout=30).text
    assert "forecast_symbol_model_loads_total 1.0" in metrics
