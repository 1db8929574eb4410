"""The logic of the serving benchmark: parsing, errors, goals and report. Nothing here is timed."""

import sys
from pathlib import Path

import pytest

import benchServing
import load
import servers
import servingReport
from load import BenchError, Load
from monitoring.requestlog import RequestLog

WRK = """Running 3s test @ http://127.0.0.1:18123/predict
  1 threads and 8 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    80.63ms  148.87ms 760.30ms   86.32%
    Req/Sec   558.93    104.76   780.00     73.33%
  Latency Distribution
     50%  317.00us
     75%   74.19ms
     90%    1.02s
     99%    2.00m
  1669 requests in 3.00s, 751.29KB read
Requests/sec:    555.50
Transfer/sec:    250.05KB
"""


def test_wrk_output_is_read_in_every_unit():
    assert load.parse(WRK) == Load(rate=555.5, p50=0.317, p75=74.19, p90=1020, p99=120_000)


@pytest.mark.parametrize(
    "line",
    [
        "  Non-2xx or 3xx responses: 1275",
        "  Socket errors: connect 0, read 3, write 0, timeout 0",
        "  Socket errors: connect 0, read 0, write 0, timeout 20",
    ],
)
def test_failed_requests_end_the_run(line):
    with pytest.raises(BenchError, match=line.strip()):
        load.parse(WRK.replace("Requests/sec", f"{line}\nRequests/sec"))


def test_output_without_answers_is_an_error():
    with pytest.raises(BenchError, match="no answers"):
        load.parse(WRK.replace("555.50", "0.00"))
    with pytest.raises(BenchError, match="no answers"):
        load.parse("unable to connect to 127.0.0.1:1 Connection refused")


def test_median_is_taken_per_figure():
    assert load.median([Load(1, 5, 1, 1, 9), Load(2, 4, 1, 1, 7), Load(3, 6, 1, 1, 8)]) == Load(2, 5, 1, 1, 8)


def recipe(tmp_path, code, right=lambda answer: None, **more):
    script = tmp_path / "server.py"
    script.write_text(code)
    return servers.Recipe("a peer", [sys.executable, str(script), "{port}"], b'{"predict": [1, 2]}', right, **more)


ANSWERS = """
import http.server, sys
class Answers(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"predicted_price": 1}')
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answers).serve_forever()
"""


def test_server_is_stopped_at_the_end_of_its_block(tmp_path):
    with benchServing.running("peer", recipe(tmp_path, ANSWERS), tmp_path) as server:
        assert server.start_seconds > 0
        assert server.memory().all_processes > 1
    assert server.process.poll() is not None


def test_error_quotes_the_output_of_a_server_that_exits(tmp_path):
    with pytest.raises(BenchError, match=r"(?s)a peer ended with code 1 .*No module named 'bentoml'"):
        servers.Server("peer", recipe(tmp_path, "raise ModuleNotFoundError(\"No module named 'bentoml'\")"), tmp_path)


def test_missing_server_is_an_error_that_names_the_fix(tmp_path):
    missing = servers.Recipe("a peer", ["/nowhere/bentoml"], b"{}", lambda answer: None)
    with pytest.raises(BenchError, match=r"a peer cannot be started: .*make \.venv-bench/requirements"):
        servers.Server("peer", missing, tmp_path)


def test_wrong_answer_is_rejected(tmp_path):
    question = servers.Question()
    wrong = recipe(tmp_path, ANSWERS, lambda answer: question.check(0, answer["predicted_price"]))
    with pytest.raises(BenchError, match=r"a peer: .*wrong answer"):
        servers.Server("peer", wrong, tmp_path)


def test_peer_without_input_checks_is_rejected(tmp_path):
    with pytest.raises(BenchError, match="a body that is to be refused"):
        servers.Server("peer", recipe(tmp_path, ANSWERS, checks=True), tmp_path)


def test_answer_must_equal_the_forecaster():
    question = servers.Question(3)
    price, intervals = float(question.forecast.prices[2, 0]), question.forecast.as_dict(2)["intervals"]
    question.check(2, price * (1 + 9e-6), intervals)
    for answer in ((price * (1 + 2e-5), intervals), (price, intervals | {"80": [0.0, 1.0]}), (float("nan"), intervals)):
        with pytest.raises(BenchError, match="wrong answer"):
            question.check(2, *answer)


def test_failure_gives_exit_code_1_and_writes_nothing(tmp_path, monkeypatch, capsys):
    def fail(plan, folder):
        raise BenchError("BentoML cannot be started")

    monkeypatch.setattr(benchServing, "measure", fail)
    assert benchServing.main(["--out", str(tmp_path / "out")]) == 1
    assert "error: BentoML cannot be started" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def results(**more):
    def loads(rate, p50=1.0):
        return {connections: Load(rate, p50, p50, p50, 3.9 * p50) for connections in (1, 8, 128)}

    titles = dict.fromkeys(("ours", "noop", "bento", "lit", "usual", "mlflow"), "")
    values = {
        "rounds": 5,
        "titles": {name: name for name in titles},
        "load": {name: loads(rate) for name, rate in zip(titles, (1500, 2000, 500, 500, 10, 15), strict=True)},
        "unkept": loads(700),
        "starts": dict.fromkeys(titles, 1.9),
        "memory": dict.fromkeys(titles, servers.Memory([140, 149], [100, 100], 250)),
        "batch_ms": 0.1,
        "logs": {"/monitor?limit=100": (1.0, 1.2), "/metrics": (1.0, 1.1), "/predict": (1.0, 1.0)},
        "slow": (Load(1500, 1, 1, 1, 1), Load(1500, 1, 1, 1, 1)),
    }
    return servingReport.Results(**(values | more))


def met(goals, part):
    (found,) = [goal.met for goal in goals if part in goal.text]
    return found


def test_goals_are_met_at_their_limits():
    assert all(goal.met is True for goal in servingReport.goals(results()))


def test_goals_are_missed_beyond_their_limits():
    good = results()
    slow = good.load | {"ours": {1: Load(1490, 1.36, 1, 1, 1), 8: Load(1490, 1, 1, 1, 4.1), 128: Load(1400, 1, 1, 1, 1)}}
    fewer = {1: Load(100, 1, 1, 1, 1), 8: Load(90, 1, 1, 1, 1)}
    memory = good.memory | {"ours": servers.Memory([140, 151], [100, 100], 250)}
    logs = dict.fromkeys(good.logs, (1.0, 1.21))
    alone = (Load(1500, 1, 1, 1, 1), Load(1400, 1, 1, 1, 2.1))
    bad = results(load=slow, unkept=fewer, starts={"ours": 2.1}, memory=memory, batch_ms=0.11, logs=logs, slow=alone)
    assert all(goal.met is False for goal in servingReport.goals(bad))


def test_skipped_measurements_are_neither_met_nor_missed():
    full = results()
    rest = results(
        load={name: load for name, load in full.load.items() if name != "bento"},
        logs={path: times for path, times in full.logs.items() if path != "/metrics"},
    )
    judged = servingReport.goals(rest)
    assert met(judged, "BentoML") is None
    assert met(judged, "`/metrics`") is None
    assert met(judged, "LitServe") is True


def test_steadiness_shows_a_temporary_fall_of_the_rate():
    rates = {1: 100, 2: 200, 8: 150, 32: 190}
    assert servingReport.steadiness({n: Load(rate, 1, 1, 1, 1) for n, rate in rates.items()}) == pytest.approx(0.75)


def test_report_names_every_goal_server_and_skipped_part():
    text = servingReport.report(results(skipped=["metrics"], training="| epoch | s |"))
    assert "Left out in this run: metrics." in text
    assert "| **ours** | 1,500 |" in text
    assert "## Training\n\n| epoch | s |" in text
    assert "| a worker: at most 150 MB | 149 MB | yes |" in text


def test_plot_is_deterministic(tmp_path):
    for name in ("a.svg", "b.svg"):
        servingReport.plot(results(), tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_generated_log_is_readable_by_the_service(tmp_path):
    path = benchServing.write_log(tmp_path / "log.csv", 3000)
    assert path.read_text().count("\n") == 3001
    rows = RequestLog(path).tail(10_000)
    assert len(rows) == 3000
    assert all(row["status"] == 200 and row["closes_1_59"] for row in rows)


def test_peers_have_at_most_50_lines():
    for path in Path(servers.PEERS).glob("*.py"):
        assert len(path.read_text().splitlines()) <= 50, path
