"""The notebook: its text runs in CI, gives the same outputs twice, and jupyter/forecast.ipynb has the outputs of today's text."""

import json
import os
import re
import subprocess
import sys

import jupytext
import nbformat
import pytest
from makeNotebook import NOTEBOOK, TEXT
from training import PRELOADED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NUMBER = re.compile(r"-?\d[\d,]*\.?\d*")
TOLERANCE = 0.05  # of numbers: another processor rounds a training differently
RUN = "import makeNotebook, nbformat, sys; nbformat.write(makeNotebook.execute(), sys.argv[1])"


def outputs(notebook):
    """The outputs of each cell, pictures included."""
    return [[dict(output) for output in cell.get("outputs", [])] for cell in notebook.cells]


def words(notebook):
    """The text of the outputs of each cell."""
    found = []
    for cell in notebook.cells:
        texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.get("outputs", [])]
        found.append("".join("".join(text) for text in texts))
    return found


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The text, run twice at the same time, by preloaded kernels. Those have matplotlib already, too late for ipykernel's own default."""
    folder = tmp_path_factory.mktemp("notebook")
    files = [folder / "first.ipynb", folder / "second.ipynb"]
    environment = {name: value for name, value in os.environ.items() if name != "STOCK_FORECAST_URL"}
    environment |= {"PYTHONPATH": str(TEXT.parent), "JUPYTER_PATH": str(folder)}
    kernel = folder / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    words = PRELOADED.command("-m", "ipykernel_launcher", "--matplotlib=inline", "-f", "{connection_file}")
    kernel.write_text(json.dumps({"argv": words, "display_name": "Python 3", "language": "python"}))
    running = [
        subprocess.Popen([sys.executable, "-c", RUN, str(file)], env=environment, stderr=subprocess.PIPE, text=True) for file in files
    ]
    for process in running:
        _, said = process.communicate(timeout=800)
        assert process.returncode == 0, said[-3000:]
    return [nbformat.read(file, as_version=4) for file in files]


def test_two_executions_give_the_same_outputs(executed):
    first, second = executed
    assert outputs(first) == outputs(second)


def test_notebook_in_git_is_that_of_the_text(executed):
    kept, text = nbformat.read(NOTEBOOK, as_version=4), jupytext.read(TEXT)
    assert [(cell.cell_type, cell.source) for cell in kept.cells] == [(cell.cell_type, cell.source) for cell in text.cells], (
        "run: make notebook"
    )
    for given, shown in zip(words(executed[0]), words(kept), strict=True):
        assert NUMBER.sub("#", given) == NUMBER.sub("#", shown)
        numbers = [[float(number.replace(",", "")) for number in NUMBER.findall(part)] for part in (given, shown)]
        assert numbers[0] == pytest.approx(numbers[1], rel=TOLERANCE, abs=TOLERANCE)


def test_notebook_in_git_has_its_plots_no_errors_and_no_paths():
    kept = nbformat.read(NOTEBOOK, as_version=4)
    kinds = [kind for cell in outputs(kept) for output in cell for kind in output.get("data", {})]
    assert kinds.count("image/png") == 8
    assert not [output for cell in outputs(kept) for output in cell if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert not re.findall(r"/(?:home|root|tmp|Users)/", json.dumps(words(kept)))
