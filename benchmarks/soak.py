"""Half an hour of mixed good and bad load with a publication a minute: does anything fail, grow or pile up? `make soak`.

A real service with a model folder of its own is asked on kept-alive and on new connections: windows, batches, paths, pages, what is wrong
in all kinds of ways, and clients that go away in the middle. Every minute the load rests for eleven seconds: then memory, open files
and threads of the workers are read, and a model is published. The verdict: no status that was not expected, memory after the warm-up within
2%, files and threads the same. Exit code 1 where it is another.

    python benchmarks/soak.py                        30 minutes; writes benchmarks/soak.md and soak.svg
    python benchmarks/soak.py --minutes 2 --out DIR
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import psutil

from closes.snapshot import read_snapshot
from load import free_port
from models.publishing import publish, staging_folder
from models.store import read_published
from processData import make_windows
from servingReport import machine, table
from settings import PROJECT_DIR, Settings

CLIENTS = 8
MINUTE = 60.0
REST_SECONDS = 11.0  # a worker gives back what is free every 10 s
WARM_UP = 1 / 6  # of all minutes
GROWTH = 0.02
TEMPLATE = """# Soak

{minutes:g} minutes of mixed load by {clients} clients, {publications} publications, two workers; {machine}. Made by `make soak`.

{goals}
{unexpected}
![Memory of the workers over time](soak.svg)

{curve}

{asked}
"""
PRICES = read_snapshot("MSFT").prices
WINDOWS = make_windows(PRICES)[0]


@dataclass(frozen=True)
class Kind:
    """A kind of request: how often it comes, in parts of all; the bytes; the status that is right."""

    weight: int
    name: str
    request: Callable[[], bytes]
    status: int


@dataclass(frozen=True)
class Sample:
    """What the workers hold while the load rests: megabytes of memory of their own, open files, threads, all summed."""

    minute: float
    requests: int
    megabytes: float
    files: int
    threads: int


@dataclass
class Soak:
    """What has come so far."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)
    publications: int = 0


def kinds() -> list[Kind]:
    """All requests of the load, valid and invalid."""
    chance = random.Random(0)

    def window() -> list[float]:
        return [float(close) for close in WINDOWS[chance.randrange(len(WINDOWS))]]

    def predict(body: Any) -> bytes:
        return post(json.dumps(body).encode())

    return [
        Kind(600, "window", lambda: predict({"predict": window()}), 200),
        Kind(30, "path", lambda: predict({"predict": window(), "horizon": 20}), 200),
        Kind(10, "batch of 64", lambda: predict({"predict": WINDOWS[:64].tolist()}), 200),
        Kind(1, "batch of 1,024", lambda: predict({"predict": WINDOWS[:1024].tolist()}), 200),
        Kind(5, "page", lambda: get("/"), 200),
        Kind(5, "monitor", lambda: get("/monitor?limit=100"), 200),
        Kind(5, "metrics", lambda: get("/metrics"), 200),
        Kind(5, "ready", lambda: get("/ready"), 200),
        Kind(2, "backtest", lambda: get("/backtest"), 200),
        Kind(5, "symbol", lambda: get("/forecast/MSFT?horizon=5"), 200),
        Kind(5, "unknown symbol", lambda: get(f"/forecast/X{chance.randrange(500)}"), 503),  # Yahoo Finance does not answer here
        Kind(5, "wrong symbol", lambda: get("/forecast/%2e%2e"), 422),
        Kind(10, "59 closes", lambda: predict({"predict": window()[1:]}), 422),
        Kind(10, "a negative close", lambda: predict({"predict": [*window()[1:], -1]}), 422),
        Kind(10, "text", lambda: post(b"hello"), 400),
        Kind(5, "deep nesting", lambda: post(b"[" * 50_000), 400),
        Kind(5, "no JSON type", lambda: post(b"{}", kind=b"text/plain"), 415),
        Kind(2, "too large", lambda: post(b" " * 2_200_000), 413),
        Kind(5, "no such address", lambda: get(f"/nothing/{chance.randrange(10**9)}"), 404),
        Kind(5, "wrong method", lambda: get("/predict").replace(b"GET", b"DELETE"), 405),
        Kind(5, "no HTTP", lambda: b"\x16\x03\x01\r\n\r\n", 400),
        Kind(5, "too many headers", lambda: get("/ready")[:-2] + b"X: x\r\n" * 200 + b"\r\n", 431),
    ]


def post(body: bytes, kind: bytes = b"application/json") -> bytes:
    """A request to /predict."""
    return b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body)


def get(path: str) -> bytes:
    """A request for a page."""
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


class Service:
    """The service under test, with a model folder and a log of its own."""

    def __init__(self, folder: Path) -> None:
        self.model_dir = folder / "modelFiles"
        shutil.copytree(PROJECT_DIR / "modelFiles", self.model_dir)
        self.port = free_port()
        own = {
            "PORT": str(self.port), "WEB_CONCURRENCY": "2", "MLFLOW_UI": "off", "MODEL_DIR": str(self.model_dir),
            "REQUEST_LOG": str(folder / "log.csv"), "REQUEST_LOG_MAX_BYTES": "4000000", "DATA_CACHE_DIR": str(folder / "cache"),
            "YAHOO_URL": "http://127.0.0.1:1", "XDG_CACHE_HOME": str(folder),
        }  # fmt: skip
        shell = {name: value for name, value in os.environ.items() if name not in Settings.model_fields}
        self.stderr = (folder / "stderr.txt").open("wb")
        self.process = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT_DIR, env=shell | own, stderr=self.stderr)

    def workers(self) -> list[psutil.Process]:
        """The workers, the oldest first."""
        return sorted(psutil.Process(self.process.pid).children(), key=lambda worker: worker.pid)

    def publish(self, number: int) -> None:
        """Publish the same model under another name."""
        published = read_published(self.model_dir)
        with staging_folder(self.model_dir) as staged:
            for name in published.metadata["files"]:
                shutil.copy(published.folder / name, staged / name)
            publish(self.model_dir, published.metadata | {"model_version": f"soak-{number:04}"}, staged)

    def sample(self, minute: float, requests: int) -> Sample:
        """What the workers hold."""
        workers = self.workers()
        return Sample(
            minute, requests, sum(worker.memory_full_info().uss for worker in workers) / 1e6,
            sum(worker.num_fds() for worker in workers), sum(worker.num_threads() for worker in workers),
        )  # fmt: skip

    def stop(self) -> int:
        """End it; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


async def answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """The status of an answer, read to its end, and whether the connection goes on."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length"))
    await reader.readexactly(length)
    return int(head.split()[1]), "connection: close" not in head


async def ask(port: int, chosen: list[Kind], chance: random.Random, soak: Soak, is_over: Callable[[], bool]) -> None:
    """One connection: some requests on it, of which the last may be broken off."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for kind in chosen:
            if is_over():
                return
            request = kind.request()
            if chance.random() < 0.002:  # a client that goes away in the middle
                writer.write(request[: len(request) // 2])
                await writer.drain()
                return
            writer.write(request)
            await writer.drain()
            status, goes_on = await asyncio.wait_for(answer(reader), 30)
            soak.statuses[kind.name, status] += 1
            if status != kind.status:
                soak.unexpected[f"{kind.name}: {status} instead of {kind.status}"] += 1
            if not goes_on or kind.status == 413:  # more may be on its way to a server that does not read it
                return
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        soak.unexpected[f"{kind.name}: {type(error).__name__}"] += 1
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def load(port: int, seconds: float, soak: Soak, seed: int) -> None:
    """Let all clients ask for so long."""
    ends, all_kinds = time.monotonic() + seconds, kinds()
    weights = [kind.weight for kind in all_kinds]

    async def client(chance: random.Random) -> None:
        while time.monotonic() < ends:
            count = chance.choice([1, 1, 5, 50])
            await ask(port, chance.choices(all_kinds, weights, k=count), chance, soak, lambda: time.monotonic() >= ends)

    clients: list[Coroutine[Any, Any, None]] = [client(random.Random(1000 * seed + number)) for number in range(CLIENTS)]
    await asyncio.gather(*clients)


def run(minutes: float, folder: Path) -> Soak:
    """Load, rest, read, publish, minute by minute."""
    soak, service, started = Soak(), Service(folder), time.monotonic()
    try:
        wait_for(service)
        steps = max(4, round(minutes))
        for step in range(1, steps + 1):
            asyncio.run(load(service.port, minutes * MINUTE / steps - REST_SECONDS, soak, step))
            time.sleep(REST_SECONDS)
            soak.samples.append(service.sample((time.monotonic() - started) / MINUTE, sum(soak.statuses.values())))
            say(soak.samples[-1], soak)
            service.publish(step)
            soak.publications += 1
    finally:
        code = service.stop()
    if code:
        soak.unexpected[f"exit code {code}"] += 1
    said = (folder / "stderr.txt").read_text(errors="replace")
    if "Traceback" in said:
        soak.unexpected["a traceback on stderr"] += said.count("Traceback")
        print(said[said.index("Traceback") - 200 :][:3000], file=sys.stderr)
    return soak


def wait_for(service: Service, seconds: float = 60) -> None:
    """Wait until both workers are there and one answers."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with suppress(OSError), socket.create_connection(("127.0.0.1", service.port), timeout=5) as connection:
            connection.sendall(get("/ready"))
            if connection.recv(100).startswith(b"HTTP/1.1 200") and len(service.workers()) == 2:
                return
        time.sleep(0.1)
    sys.exit("error: the service does not answer")


def say(sample: Sample, soak: Soak) -> None:
    """A line of progress."""
    held = f"{sample.megabytes:6.1f} MB  {sample.files} files  {sample.threads} threads"
    unexpected = sum(soak.unexpected.values())
    print(f"[{sample.minute:5.1f} min] {sample.requests:9,} answers  {held}  {unexpected} unexpected", file=sys.stderr, flush=True)


def verdict(soak: Soak) -> dict[str, tuple[str, bool]]:
    """Each goal: what was measured, and whether it is met."""
    warm = soak.samples[max(1, round(WARM_UP * len(soak.samples))) :]
    part = max(1, len(warm) // 5)
    first, last = (statistics.median(sample.megabytes for sample in some) for some in (warm[:part], warm[-part:]))
    growth = last / first - 1
    files, threads = {sample.files for sample in warm}, {sample.threads for sample in warm}
    return {
        "unexpected statuses and broken connections: 0": (f"{sum(soak.unexpected.values())}", not soak.unexpected),
        f"memory of the workers after the warm-up: less than {GROWTH:.0%} more at the end": (f"{growth:+.2%}", growth < GROWTH),
        "open files of the workers: constant": (" to ".join(map(str, sorted({min(files), max(files)}))), len(files) == 1),
        "threads of the workers: constant": (" to ".join(map(str, sorted({min(threads), max(threads)}))), len(threads) == 1),
    }  # fmt: skip


def report(soak: Soak, minutes: float) -> str:
    """Goals, what was asked, and the curve as a table."""
    goals = [[goal, measured, "yes" if met else "**no**"] for goal, (measured, met) in verdict(soak).items()]
    asked = [[name, str(status), f"{count:,}"] for (name, status), count in sorted(soak.statuses.items())]
    curve = [
        [f"{sample.minute:.1f}", f"{sample.requests:,}", f"{sample.megabytes:.1f}", str(sample.files), str(sample.threads)]
        for sample in soak.samples[:: max(1, len(soak.samples) // 30)]
    ]
    return TEMPLATE.format(
        minutes=minutes, clients=CLIENTS, publications=soak.publications, machine=machine(),
        goals=table(["goal", "measured", "met"], goals, 3),
        unexpected="".join(f"\n- {what}: {count:,} times" for what, count in soak.unexpected.items()),
        curve=table(["minute", "answers", "MB of the workers' own", "open files", "threads"], curve),
        asked=table(["request", "status", "answers"], asked),
    )  # fmt: skip


def plot(soak: Soak, path: Path) -> None:
    """Memory over time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([sample.minute for sample in soak.samples], [sample.megabytes for sample in soak.samples], "o-", markersize=3)
    axes.set(xlabel="minutes", ylabel="MB, both workers", ylim=(0, None), title="Memory of the workers while the load rests")
    figure.savefig(path, metadata={"Date": None})


def main(arguments: list[str] | None = None) -> int:
    """Soak, print, write."""
    parser = argparse.ArgumentParser(description="Load the service for long and see whether anything fails, grows or piles up.")
    parser.add_argument("--minutes", type=float, default=30, help="how long (default: 30)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of soak.md and soak.svg (default: benchmarks/)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        soak = run(options.minutes, Path(folder))
    text = report(soak, options.minutes)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "soak.md").write_text(text)
    plot(soak, options.out / "soak.svg")
    return 0 if all(met for _, met in verdict(soak).values()) else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the service is ended
    sys.exit(main())
