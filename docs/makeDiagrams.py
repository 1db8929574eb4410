"""Draws the Mermaid diagrams of the documents: `python docs/makeDiagrams.py` writes docs/diagrams/ for the site.

GitHub draws the diagrams by itself. This script needs Node.js and Chromium (`make node chromium`), and uses mmdc of
@mermaid-js/mermaid-cli, which npx downloads if it is not installed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "diagrams"
sys.path.insert(0, str(ROOT / "docs"))

from hooks import DIAGRAM, picture_name  # noqa: E402


def diagrams() -> Iterator[str]:
    """Yield the source of each diagram in docs/."""
    for document in sorted((ROOT / "docs").rglob("*.md")):
        yield from DIAGRAM.findall(document.read_text())


def draw(diagram: str) -> None:
    """Write the picture of a diagram."""
    installed = shutil.which("mmdc")
    command = [installed] if installed else ["npx", "--yes", "--package", "@mermaid-js/mermaid-cli", "mmdc"]
    chromium = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "browser.json").write_text(json.dumps({"executablePath": chromium, "args": ["--no-sandbox"]}))
        (folder / "diagram.mmd").write_text(diagram)
        (folder / "style.json").write_text(json.dumps({"theme": "neutral", "deterministicIds": True, "htmlLabels": False}))
        files = ["--input", "diagram.mmd", "--output", picture_name(diagram)]
        options = ["--quiet", "--backgroundColor", "white", "--puppeteerConfigFile", "browser.json", "--configFile", "style.json"]
        subprocess.run([*command, *files, *options], cwd=folder, check=True)
        shutil.copy(folder / picture_name(diagram), FOLDER)


def main() -> None:
    """Draw the diagrams that have no picture, and remove pictures without a diagram."""
    FOLDER.mkdir(exist_ok=True)
    wanted = {picture_name(diagram): diagram for diagram in diagrams()}
    for file in FOLDER.glob("*.svg"):
        if file.name not in wanted:
            file.unlink()
    for name, diagram in wanted.items():
        if not (FOLDER / name).exists():
            draw(diagram)


if __name__ == "__main__":
    main()
