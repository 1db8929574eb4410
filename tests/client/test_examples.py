"""The examples of docs/how-to/examples.md and client/README.md, run against a real server."""

import json
import re
import shutil
import subprocess
import sys

import pytest
import requests

from settings import PROJECT_DIR

pytestmark = pytest.mark.slow
EXAMPLES = (PROJECT_DIR / "docs" / "how-to" / "examples.md").read_text()
GUIDE = (PROJECT_DIR / "client" / "README.md").read_text()
OWN_CLOSES = [100 + 0.1 * day for day in range(60)]


def blocks(text, language):
    """The code blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.S | re.M)


@pytest.fixture(scope="module")
def answers(service):
    """What the service answers to the calls of the examples."""
    path = requests.get(f"{service.url}/forecast/MSFT?horizon=5", timeout=60).json()["path"]
    own = requests.post(f"{service.url}/predict", json={"predict": OWN_CLOSES}, timeout=60).json()["predicted_price"]
    return [(step["date"], f"{step['price']:.2f}") for step in path], f"{own:.2f}"


@pytest.fixture
def run(service, tmp_path):
    """Run code that calls the shared service instead of port 8010, and return its output."""

    def run_code(command, code, name):
        (tmp_path / name).write_text(code.replace("http://127.0.0.1:8010", service.url))
        environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(PROJECT_DIR / "client")}
        done = subprocess.run(
            [*command, str(tmp_path / name)], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run_code


def check(output, answers):
    """The output has date and price of each day, and the forecast from own closes in its last line."""
    path, own = answers
    for (date, price), line in zip(path, [line for line in output.splitlines() if "-" in line], strict=True):
        assert date in line
        assert price.rstrip("0") in line
    assert output.split()[-1] == own.rstrip("0").rstrip(".") or output.split()[-1] == own


def test_curl(run, answers):
    path, window = (json.loads(run(["bash"], code, "call.sh")) for code in blocks(EXAMPLES, "sh"))
    assert [(step["date"], f"{step['price']:.2f}") for step in path["path"]] == answers[0]
    assert len(path["probability_above"]) == 1
    assert window["last_close"] == 233.434
    assert len(window["path"]) == 2


@pytest.mark.parametrize("number", [0, 1], ids=["requests", "client"])
def test_python(run, answers, number):
    check(run([sys.executable], blocks(EXAMPLES, "python")[number], "example.py"), answers)


def test_javascript(run, answers):
    node = shutil.which("node")
    if not node:
        pytest.skip("node is missing; as root: make node")
    check(run([node], blocks(EXAMPLES, "javascript")[0], "example.mjs"), answers)


def test_r(run, answers):
    rscript = shutil.which("Rscript")
    packages = ["-e", "library(httr2); library(jsonlite)"]
    if not rscript or subprocess.run([rscript, *packages], capture_output=True, check=False).returncode:
        pytest.skip("R with httr2 and jsonlite is missing; as root: apt-get install r-cran-httr2 r-cran-jsonlite")
    check(run([rscript], blocks(EXAMPLES, "r")[0], "example.R"), answers)


def test_excel_reads_fields_that_the_answers_have(service):
    """Excel does not run here: the calls are made, and the fields that the queries and formulas name are looked up."""
    symbol, window = blocks(EXAMPLES, "powerquery")
    (path,), (options,) = re.findall(r'RelativePath = "(.*?)"', symbol), re.findall(r"Query = \[(.*?)\]", symbol)
    query = dict(re.findall(r'(\w+) = "(\d+)"', options))
    step = requests.get(f"{service.url}/{path}", params=query, timeout=60).json()["path"][0]
    assert len(re.findall(r"= .*\[intervals\]", symbol)) == 4
    for field, level in re.findall(r'\[([a-z]+)\](?:\[#"(\d+)"\])?', symbol.partition("each")[2]):
        assert step[field][level] if level else step[field]
    (path,) = re.findall(r'RelativePath = "(.*?)"', window)
    answer = requests.post(f"{service.url}/{path}", json={"predict": OWN_CLOSES}, timeout=30).json()
    for field, level in re.findall(r'Answer\[([a-z_]+)\](?:\[#"(\d+)"\])?', window):
        assert answer[field][level] if level else answer[field]


def test_excel_formulas_find_the_numbers_in_the_text(service):
    address, formulas = blocks(EXAMPLES, "text")
    (start,) = re.findall(r'"http://127.0.0.1:8010(.*?)"', address)
    text = requests.get(f"{service.url}{start}MSFT", timeout=60).text
    found = []
    for formula in formulas.splitlines():
        rest = text
        for after in reversed(re.findall(r'TEXTAFTER\((?=B1)B1, "(.*?)"\)', formula)):
            rest = rest.partition(after.replace('""', '"'))[2]
        if formula.count("TEXTAFTER") == 2:
            rest = rest.partition(",")[2]
        found.append(float(re.split("[],]", rest)[0]))
    answer = json.loads(text)
    assert found == [answer["predicted_price"], *answer["intervals"]["80"]]
    assert len(text) < 32767  # WEBSERVICE's limit


@pytest.mark.parametrize("number", range(len(blocks(GUIDE, "python"))))
def test_guide_of_the_client(run, number):
    assert run([sys.executable], blocks(GUIDE, "python")[number], "guide.py")
