"""Benchmark of serving: the service, a no-op and four other ways to serve the same model. make bench (make bench-quick).

Every server has two workers where it has workers, answers correctly before it is measured, and shares the cores with wrk, which loads it.
Rounds alternate over the servers, and figures are medians over rounds. A peer that does not start, a wrong answer, a refused request or a
broken connection ends the benchmark with exit code 1, and nothing is written.

    python benchmarks/benchServing.py                      writes benchmarks/serving.md and serving.svg
    python benchmarks/benchServing.py --quick              prints what it finds within two minutes, writes nothing
    python benchmarks/benchServing.py --skip metrics       leaves something out and says so; writes nothing without --out
"""

import argparse
import itertools
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from load import BenchError, Load, call, median, slow_clients, wrk
from monitoring.logreader import COLUMNS
from monitoring.requestlog import RequestLog
from servers import Question, Recipe, Server, recipes, save_mlflow_model
from servingReport import Results, goals, plot, report

PEERS = ("bento", "lit", "usual", "mlflow")
LOG_LINES = (1_000, 1_000_000)
IDLE_SECONDS, IDLE_PERCENT = 2, 5
MANY = 128
SETTLE_SECONDS = 0.2
STARTED = time.monotonic()


@dataclass(frozen=True)
class Plan:
    """How much is measured; times are in seconds.

    Attributes:
        connections: kept-alive or not, for servers that answer many requests a second.
        few_connections: for those that do not.
        own_rounds: of what compares this service with itself, where a few percent matter.
        seconds: of one run of wrk.
        many_seconds: of one with MANY connections or more, whose opening takes a part of it.
        long_seconds: of one on those that answer few.
        short_seconds: of one on a single connection.
        skip: peers and parts that are left out.
    """

    rounds: int = 5
    own_rounds: int = 7
    seconds: float = 2
    many_seconds: float = 4
    long_seconds: float = 3
    short_seconds: float = 1
    connections: tuple[int, ...] = (1, 2, 8, 32, 128, 500)
    few_connections: tuple[int, ...] = (1, 2, 8)
    starts: int = 5
    batches: int = 20
    slow_clients: int = 500
    skip: frozenset[str] = frozenset()

    def seconds_of(self, connections: int) -> float:
        """Duration of a run with this number of connections, in seconds."""
        return self.many_seconds if connections >= MANY else self.seconds


def say(text: str) -> None:
    """A line of progress."""
    print(f"[{time.monotonic() - STARTED:4.0f} s] {text}", file=sys.stderr, flush=True)


@contextmanager
def running(name: str, recipe: Recipe, folder: Path, **environment: str) -> Iterator[Server]:
    """A server that is ended with the block."""
    server = Server(name, recipe, folder, **environment)
    say(f"{recipe.title}: right after {server.start_seconds:.2f} s")
    try:
        yield server
    finally:
        server.stop()


def measure(plan: Plan, folder: Path) -> Results:
    """Measure everything except training."""
    question = Question()
    known = recipes(question, folder)
    results = Results(rounds=plan.rounds, skipped=sorted(plan.skip))
    starts = []
    for _ in range(plan.starts - 1):
        with running("ours", known["ours"], folder) as server:
            starts.append(server.start_seconds)
            check_pages(server, plan)
    if "mlflow" not in plan.skip:
        say("MLflow: saving the model in its format")
        save_mlflow_model(folder)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(name, known[name], folder)) for name in known if name not in plan.skip]
        results.titles = {server.name: server.recipe.title for server in servers}
        results.starts = {server.name: server.start_seconds for server in servers}
        results.starts["ours"] = statistics.median([*starts, servers[0].start_seconds])
        for server in servers:
            warm(server)
        results.idle_percent = idle(servers)
        results.load = throughput(servers, plan)
        results.unkept = unkept(servers[0], plan)
        results.memory_before_batches = servers[0].memory()
        results.batch_ms = batch(servers[0], plan)
        results.memory = {server.name: server.memory() for server in servers}
        results.slow = slow(servers[0], plan)
    results.logs = logs(known["ours"], plan, folder)
    return results


def warm(server: Server) -> None:
    """Every worker's first calls, which are slower."""
    with ThreadPoolExecutor(8) as threads:
        for status, _ in threads.map(lambda _: call(server.port, "POST", server.recipe.path, server.recipe.body), range(40)):
            if status != 200:
                raise BenchError(f"{server.recipe.title} answers {status} to a call among 8 at a time.")


def idle(servers: list[Server], patience: float = 60) -> float:
    """CPU in percent of a core that all servers use while nobody asks them, once all of their workers have started.

    Raises:
        BenchError: so much that it would spoil what is measured of the others.
    """
    end = time.monotonic() + patience
    while True:
        before = sum(server.cpu_seconds() for server in servers)
        time.sleep(IDLE_SECONDS)
        percent = 100 * (sum(server.cpu_seconds() for server in servers) - before) / IDLE_SECONDS
        if percent <= IDLE_PERCENT:
            say(f"idle: all servers together use {percent:.1f}% of a core")
            return percent
        if time.monotonic() > end:
            raise BenchError(f"The idle servers use {percent:.0f}% of a core, more than {IDLE_PERCENT}%.")


def settle(servers: list[Server], patience: float = 5) -> None:
    """Wait until no server works on what an earlier run has left it; some have threads that spin for a while."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = sum(server.cpu_seconds() for server in servers)
        time.sleep(SETTLE_SECONDS)
        if sum(server.cpu_seconds() for server in servers) - before <= SETTLE_SECONDS / 10:
            return


def throughput(servers: list[Server], plan: Plan) -> dict[str, dict[int, Load]]:
    """By server and number of kept-alive connections; a server's runs follow one another, since growth is judged by a few percent."""
    runs: dict[tuple[str, int], list[Load]] = {}
    for number in range(plan.rounds):
        turn = [*servers[number % len(servers) :], *servers[: number % len(servers)]]  # so that none always comes after the same one
        for server, connections in itertools.product(turn, plan.connections):
            if not server.recipe.slow or connections in plan.few_connections:
                settle(servers)
                seconds = plan.long_seconds if server.recipe.slow else plan.seconds_of(connections)
                load = wrk(server.url, connections, seconds, server.body_file)
                runs.setdefault((server.name, connections), []).append(load)
        at_8 = ", ".join(f"{server.recipe.title} {runs[server.name, 8][-1].rate:.0f}" for server in servers)
        say(f"round {number + 1} of {plan.rounds}, requests a second at 8 connections: {at_8}")
    found: dict[str, dict[int, Load]] = {}
    for (name, connections), loads in runs.items():
        found.setdefault(name, {})[connections] = median(loads)
    return found


def unkept(server: Server, plan: Plan) -> dict[int, Load]:
    """By number of connections, with a new one for each request."""
    runs: dict[int, list[Load]] = {connections: [] for connections in plan.connections}
    for _, connections in itertools.product(range(plan.own_rounds), plan.connections):
        runs[connections].append(wrk(server.url, connections, plan.seconds_of(connections), server.body_file, keep_alive=False))
    say("not kept-alive: done")
    return {connections: median(loads) for connections, loads in runs.items()}


def batch(server: Server, plan: Plan) -> float:
    """Milliseconds a window of calls with 1,024 windows, from connecting to the last byte of the answer."""
    question = Question(1024)
    body, times = question.body, []
    for _ in range(plan.batches):
        started = time.perf_counter()
        status, content = call(server.port, "POST", "/predict", body)
        times.append(time.perf_counter() - started)
        if status != 200:
            raise BenchError(f"A batch was answered with {status}: {content[:300]!r}")
    predictions = json.loads(content)["predictions"]
    if len(predictions) != 1024:
        raise BenchError(f"A batch of 1,024 windows was answered with {len(predictions)} predictions.")
    for row, prediction in enumerate(predictions):
        question.check(row, prediction["predicted_price"], prediction["intervals"])
    say("batches: done")
    return 1000 * statistics.median(times) / 1024


def slow(server: Server, plan: Plan) -> tuple[Load, Load]:
    """8 connections alone, and together with clients that send one byte per second."""
    alone, with_slow = [], []
    for _ in range(plan.own_rounds):
        alone.append(wrk(server.url, 8, plan.seconds, server.body_file))
        with slow_clients(server.port, plan.slow_clients):
            with_slow.append(wrk(server.url, 8, plan.seconds, server.body_file))
    say("slow clients: done")
    return median(alone), median(with_slow)


def pages(plan: Plan) -> list[str]:
    """What is read while the log grows."""
    return ["/monitor?limit=100", *([] if "metrics" in plan.skip else ["/metrics"])]


def check_pages(server: Server, plan: Plan) -> None:
    """Fail now rather than after ten minutes, where one is missing.

    Raises:
        BenchError: one is.
    """
    for path in pages(plan):
        if (status := call(server.port, "GET", path)[0]) != 200:
            raise BenchError(f"GET {path} is answered with {status}; --skip metrics leaves /metrics out.")


def logs(recipe: Recipe, plan: Plan, folder: Path) -> dict[str, tuple[float, float]]:
    """p50 in milliseconds on one connection by call, with a short and with a long log; /predict last, since it makes the logs longer."""
    files = [write_log(folder / f"{lines}.csv", lines) for lines in LOG_LINES]
    paths = [*pages(plan), "/predict"]
    found: dict[str, tuple[float, float]] = {}
    with (
        running("ours", recipe, folder, REQUEST_LOG=str(files[0])) as short,
        running("ours", recipe, folder, REQUEST_LOG=str(files[1])) as long,
    ):
        for server in (short, long):
            catch_up(server)
        for path in paths:
            runs: tuple[list[float], list[float]] = ([], [])
            for _ in range(plan.own_rounds):
                for server, times in zip((short, long), runs, strict=True):
                    body = server.body_file if path == "/predict" else None
                    times.append(wrk(f"http://127.0.0.1:{server.port}{path}", 1, plan.short_seconds, body).p50)
            found[path] = statistics.median(runs[0]), statistics.median(runs[1])
            say(f"{path}: {found[path][0]:.2f} ms with {LOG_LINES[0]:,} logged requests, {found[path][1]:.2f} ms with {LOG_LINES[1]:,}")
    return found


def catch_up(server: Server) -> None:
    """Wait until all workers have read their log: a long one takes them some seconds after the first start, once."""
    row, end = 0, time.monotonic() + 120
    while row < 20:
        live = json.loads(call(server.port, "GET", "/monitor?limit=0")[1])["SUMMARY"]["live_accuracy"]
        row = row + 1 if live["caught_up"] else 0
        if time.monotonic() > end:
            raise BenchError("A worker has not read its log within two minutes.")


def write_log(path: Path, lines: int) -> Path:
    """A log of this length: a thousand requests, over and over."""
    log = RequestLog(path)
    prices = {name: 233.43400000000003 for name in COLUMNS if name.startswith(("last", "predicted", "low", "high"))}
    for number in range(1000):
        row = {"timestamp": f"2026-11-23T12:{number // 60:02}:{number % 60:02}.123456+00:00", "response_time": 0.001 + number / 1e6}
        hashes = {"closes_2_60": f"{number + 1:012x}", "closes_1_59": f"{number:012x}", "last_return": 0.01 * (-1) ** number}
        log.append(row | {"memory_usage": 3.1, "status": 200, "windows": 1, "horizon": 1, "model_version": "bench"} | prices | hashes)
    log.close()
    content = path.read_bytes().partition(b"\n")[2]
    with path.open("ab") as file:
        for _ in range(lines // 1000 - 1):
            file.write(content)
    return path


def training(quick: bool) -> str:
    """What the training's benchmark prints; empty where there is none."""
    script = HERE / "benchTraining.py"
    if not script.exists():
        say("benchmarks/benchTraining.py is not there: training is not measured")
        return ""
    say("training")
    done = subprocess.run([sys.executable, str(script), *(["--quick"] if quick else [])], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"benchmarks/benchTraining.py ended with code {done.returncode}.")
    return done.stdout.strip()


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure the service and its peers.")
    parser.add_argument("--quick", action="store_true", help="few short rounds, without the usual server and MLflow; writes nothing")
    parser.add_argument("--skip", nargs="+", default=[], choices=[*PEERS, "metrics", "training"], help="leave out, and say so")
    parser.add_argument("--out", type=Path, help="folder of serving.md and serving.svg (default: benchmarks/, if nothing is left out)")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and write unless something was left out."""
    options = options_of(arguments)
    skip = frozenset(options.skip)
    plan = Plan(skip=skip)
    if options.quick:
        skip |= {"usual", "mlflow"}
        plan = Plan(rounds=2, own_rounds=2, seconds=1, connections=(1, 8), starts=1, batches=5, slow_clients=200, skip=skip)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-serving-") as folder:
            results = measure(plan, Path(folder))
        if "training" not in skip:
            results.training = training(options.quick)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    results.command = " ".join(["python benchmarks/benchServing.py", *(arguments if arguments is not None else sys.argv[1:])])
    results.minutes = (time.monotonic() - STARTED) / 60
    target = options.out or (None if skip else HERE)
    text = report(results)
    print(text)
    if target:
        target.mkdir(parents=True, exist_ok=True)
        plot(results, target / "serving.svg")
        (target / "serving.md").write_text(text)
    say(
        f"{sum(goal.met is True for goal in goals(results))} of {len(goals(results))} goals met; "
        + (f"in {target}" if target else "not written")
    )
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers are ended
    sys.exit(main())
