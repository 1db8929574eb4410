"""What benchServing.py measured, as goals, tables and a plot."""

import os
import platform
from dataclasses import dataclass, field
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psutil

from load import Load
from servers import PEERS_BIN, WORKERS, Memory

NOISE = 0.05  # what "does not fall" and "does not slow" allow for
COLOURS = {"ours": "#2f81f7", "noop": "#8b949e", "bento": "#d9822b", "lit": "#a371f7", "usual": "#e5534b", "mlflow": "#2da44e"}

TEMPLATE = """\
# Serving, measured

Made by {made}.
{left_out}
{goals}

## Servers

{workers} workers each (the usual server has none), loaded by wrk on the same cores; medians of {rounds} rounds that alternate over
the servers. Every server answered correctly before it was measured. A worker's memory is its largest resident set; all processes together
are counted by proportional set. Both are measured after the load and, for this service, after batches of 1,024 windows. The start is
the time from the command to the first correct answer (a median for this service, one start for the
others). The idle servers used {idle:.1f}% of a core together.

{servers}

![Latency and requests a second against connections, this service and the others](serving.svg)

## Memory

In MB, this service; a proportional set counts pages that processes share once:

{memory}

## Growth

Requests/s (p50 / p99 in ms) by number of connections:

{growth}

## Length of the log

p50 in ms on one connection:

{logs}

## Slow clients

8 connections alone, and together with clients that send a byte a second:

{slow}
{training}"""


@dataclass
class Results:
    """The results of all measurements.

    Attributes:
        load: by server and number of kept-alive connections.
        unkept: ours, by number of connections, a new one for each request.
        starts: seconds from the command to the first right answer, by server.
        memory: by server, after the load and, for ours, batches.
        batch_ms: milliseconds a window in a call with 1,024.
        logs: by call, p50 in milliseconds with 1,000 and with 1,000,000 logged requests.
        slow: 8 connections alone, and together with clients that send one byte per second.
        training: a table in Markdown; empty where it was not measured.
    """

    rounds: int
    skipped: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    load: dict[str, dict[int, Load]] = field(default_factory=dict)
    unkept: dict[int, Load] = field(default_factory=dict)
    starts: dict[str, float] = field(default_factory=dict)
    memory: dict[str, Memory] = field(default_factory=dict)
    memory_before_batches: Memory | None = None
    batch_ms: float = float("nan")
    logs: dict[str, tuple[float, float]] = field(default_factory=dict)
    slow: tuple[Load, Load] | None = None
    idle_percent: float = float("nan")
    training: str = ""
    command: str = ""
    minutes: float = float("nan")


@dataclass(frozen=True)
class Goal:
    """A goal, what was measured and whether it is met; None where it was left out."""

    text: str
    measured: str
    met: bool | None


def at_most(text: str, value: float, limit: float, form: str) -> Goal:
    """A goal that holds up to a limit."""
    return Goal(text, form.format(value), value <= limit)


def at_least(text: str, value: float, limit: float, form: str) -> Goal:
    """A goal that holds from a limit on."""
    return Goal(text, form.format(value), value >= limit)


def goals(results: Results) -> list[Goal]:
    """Every goal, judged."""
    ours, noop = results.load["ours"], results.load["noop"]
    slower = ours[1].p50 - noop[1].p50
    found = [
        at_least("requests/s at 8 connections: 0.75 times the no-op's", ours[8].rate / noop[8].rate, 0.75, "{:.2f} times"),
        at_most("p50 at 1 connection: at most 0.35 ms above the no-op's", slower, 0.35, "{:+.2f} ms"),
        at_most("p99 at 8 connections: within 4 times its p50", ours[8].p99 / ours[8].p50, 4, "{:.1f} times"),
    ]
    for name, title, factor in (
        ("usual", "the usual server", 150),
        ("mlflow", "`mlflow models serve`", 100),
        ("bento", "BentoML", 3),
        ("lit", "LitServe", 3),
    ):
        text = f"requests/s at 8 connections: {factor} times {title}"
        peer = results.load.get(name)
        found.append(at_least(text, ours[8].rate / peer[8].rate, factor, "{:.1f} times") if peer else Goal(text, "left out", None))
    found += [
        at_most("a batch of 1,024: 0.1 ms a window", results.batch_ms, 0.1, "{:.3f} ms"),
        at_most("`python app.py` to the first right answer: under 2 s", results.starts["ours"], 2, "{:.2f} s"),
        at_most("a worker: at most 150 MB", max(results.memory["ours"].resident), 150, "{:.0f} MB"),
    ]
    return found + log_goals(results) + growth_goals(results)


def log_goals(results: Results) -> list[Goal]:
    """Calls take the same time whatever the log's length."""
    found = []
    for path, title in (("/monitor?limit=100", "`/monitor`"), ("/metrics", "`/metrics`"), ("/predict", "`/predict` with its log")):
        text = f"{title}, 1,000,000 logged requests: within 1.2 times the time with 1,000"
        if times := results.logs.get(path):
            found.append(at_most(text, times[1] / times[0], 1.2, "{:.2f} times"))
        else:
            found.append(Goal(text, "left out", None))
    return found


def growth_goals(results: Results) -> list[Goal]:
    """More connections, or additional slow ones, do not reduce requests/s."""
    assert results.slow
    alone, with_slow = results.slow
    least = 1 - NOISE
    shown = f"at least {least:.2f} times"
    counts = f"{min(results.unkept)} to {max(results.unkept)} connections"
    return [
        at_least(
            f"requests/s do not fall, {counts}, kept-alive: {shown} those at fewer", steadiness(results.load["ours"]), least, "{:.2f} times"
        ),
        at_least(f"the same, a new connection a request: {shown} those at fewer", steadiness(results.unkept), least, "{:.2f} times"),
        at_least(
            f"clients that send a byte a second do not slow others: {shown} the requests/s alone",
            with_slow.rate / alone.rate,
            least,
            "{:.2f} times",
        ),
        at_most("and the others' p99 at most doubles", with_slow.p99 / alone.p99, 2, "{:.2f} times"),
    ]


def steadiness(load: dict[int, Load]) -> float:
    """The smallest rate as a part of the largest at fewer connections."""
    rates = [load[connections].rate for connections in sorted(load)]
    return min(rate / max(rates[:place]) for place, rate in enumerate(rates) if place)


def table(header: list[str], rows: list[list[str]], text_columns: int = 1) -> str:
    """A table in Markdown; columns after the first ones are figures."""
    marks = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))


def figure(value: float) -> str:
    """Return a number with about three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def servers_table(results: Results) -> str:
    """Each server's main figures."""
    header = [
        "",
        "requests/s, 8 connections",
        "p50 at 1, ms",
        "p50 at 8, ms",
        "p99 at 8, ms",
        "start, s",
        "worker, MB",
        "all processes, MB",
    ]
    rows = []
    for name, title in results.titles.items():
        load, memory = results.load[name], results.memory[name]
        values = [load[8].rate, load[1].p50, load[8].p50, load[8].p99, results.starts[name], max(memory.resident), memory.all_processes]
        rows.append([f"**{title}**" if name == "ours" else title, *map(figure, values)])
    return table(header, rows)


def summary(load: Load) -> str:
    """Requests a second, with p50 and p99."""
    return f"{figure(load.rate)} ({figure(load.p50)} / {figure(load.p99)})"


def growth_table(results: Results) -> str:
    """Requests a second, p50 and p99 by number of connections."""
    counts = sorted(results.unkept)
    rows = [[f"{title}, kept-alive", *(summary(load[n]) if n in load else "" for n in counts)] for title, load in titled(results)]
    rows.insert(1, ["this service, a new connection a request", *(summary(results.unkept[n]) for n in counts)])
    return table(["connections", *map(str, counts)], rows)


def memory_table(results: Results) -> str:
    """Our processes' memory before and after batches."""
    rows = []
    for name, memory in (("after the load", results.memory_before_batches), ("after batches of 1,024", results.memory["ours"])):
        if memory:
            each = [", ".join(map(figure, sets)) for sets in (memory.resident, memory.proportional)]
            rows.append([name, *each, figure(sum(memory.proportional)), figure(memory.all_processes)])
    return table(["", "workers, resident", "workers, proportional", "sum over workers, proportional", "with the master"], rows)


def titled(results: Results) -> list[tuple[str, dict[int, Load]]]:
    """Each server's title and load."""
    return [(title, results.load[name]) for name, title in results.titles.items()]


def machine() -> str:
    """Processor, cores, memory."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{model}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB"


def versions() -> str:
    """What runs, ours and the peers'."""
    own = [
        f"{name} {version(name)}" for name in ("flask", "gunicorn", "gevent", "onnxruntime", "pydantic", "keras", "tensorflow", "mlflow")
    ]
    peers = []
    for name in ("bentoml", "litserve"):
        found = next(PEERS_BIN.parent.glob(f"lib/*/site-packages/{name}-*.dist-info"), None)
        if found:
            peers.append(found.name.removesuffix(".dist-info").replace("-", " "))
    return ", ".join([f"Python {platform.python_version()}", *own, *peers])


def report(results: Results) -> str:
    """serving.md."""
    assert results.slow
    words = {True: "yes", False: "**no**", None: "left out"}
    slow = zip(("alone", "together"), results.slow, strict=True)
    return TEMPLATE.format(
        made=f"`{results.command}` on {date.today()} in {results.minutes:.0f} minutes: {machine()}; {versions()}",
        left_out=f"\nLeft out in this run: {', '.join(results.skipped)}.\n" if results.skipped else "",
        goals=table(["goal", "measured", "met"], [[goal.text, goal.measured, words[goal.met]] for goal in goals(results)], 3),
        workers=WORKERS,
        rounds=results.rounds,
        idle=results.idle_percent,
        servers=servers_table(results),
        memory=memory_table(results),
        growth=growth_table(results),
        logs=table(
            ["", "1,000 logged requests", "1,000,000", "ratio"],
            [[path, *(f"{value:.3f}" for value in times), f"{times[1] / times[0]:.2f}"] for path, times in results.logs.items()],
        ),
        slow=table(
            ["", "requests/s", "p50, ms", "p99, ms"], [[name, figure(load.rate), figure(load.p50), figure(load.p99)] for name, load in slow]
        ),
        training=f"\n## Training\n\n{results.training}\n" if results.training else "",
    )


def plot(results: Results, path: Path) -> None:
    """Latency, and requests a second, against connections; readable on white and on dark, the same bytes for the same figures."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "serving", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False}
    for part in ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"):
        matplotlib.rcParams[part] = "#808890"
    from matplotlib import pyplot

    drawing, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
    for name, title in results.titles.items():
        counts = sorted(results.load[name])
        loads = [results.load[name][count] for count in counts]
        style = {"color": COLOURS[name], "linewidth": 2.4 if name == "ours" else 1.5, "marker": "o", "markersize": 4, "label": title}
        left.plot(counts, [load.p50 for load in loads], **style)
        left.plot(counts, [load.p99 for load in loads], color=COLOURS[name], linewidth=1, linestyle=(0, (3, 3)), alpha=0.7)
        right.plot(counts, [load.rate for load in loads], **style)
    left.set_title("Latency in ms: p50, dashed p99", loc="left", fontsize=10)
    right.set_title("Requests a second", loc="left", fontsize=10)
    counts = sorted(results.unkept)
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="connections")
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
        axes.grid(axis="y", color="#808890", alpha=0.25, linewidth=0.6)
    drawing.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(results.titles), frameon=False)
    drawing.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})
    pyplot.close(drawing)
