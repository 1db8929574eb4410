"""Runs jupyter/forecast.py, the notebook as text, and writes jupyter/forecast.ipynb with its outputs: `make notebook`.

The text is what people edit and review. The .ipynb stays in git, because GET /notebook serves it and GitHub shows it.
tests/e2e/test_notebook.py runs the text and compares the outputs.
"""

import re
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
TEXT, NOTEBOOK = FOLDER / "forecast.py", FOLDER / "forecast.ipynb"
CELL_SECONDS = 600


def execute() -> Any:
    """Run the text and return the notebook with its outputs: the same each time on one machine.

    Raises:
        CellExecutionError: a cell fails.
    """
    notebook = jupytext.read(TEXT)
    NotebookClient(notebook, timeout=CELL_SECONDS, record_timing=False, resources={"metadata": {"path": str(FOLDER)}}).execute()
    notebook.metadata.pop("language_info", None)  # has the version of Python
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        for output in cell.get("outputs", []):
            for kind in ("text/html",) if "text/html" in output.get("data", {}) else ():
                output.data[kind] = re.sub(r"<style scoped>.*?</style>\n?", "", output.data[kind], flags=re.S)
    return notebook


def main() -> None:
    """Write the notebook."""
    nbformat.write(execute(), NOTEBOOK)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
