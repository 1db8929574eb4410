"""The files of the serving image are complete."""

import re
import shutil
import subprocess
import sys

from settings import PROJECT_DIR

DOCKERFILE = (PROJECT_DIR / "Dockerfile").read_text()
TRAINING_ONLY = {"tests", "portfolio", "retraining", "scoring", "tuning"}  # packages that serving does not import
IGNORED = [line for line in (PROJECT_DIR / ".dockerignore").read_text().splitlines() if re.fullmatch(r"[\w/]+\.py", line)]


def test_code_of_the_image_can_be_imported(tmp_path):
    folders = re.findall(r"^COPY (\w+) \1$", DOCKERFILE, re.M)
    for folder in folders:
        shutil.copytree(PROJECT_DIR / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for file in PROJECT_DIR.glob("*.py"):
        shutil.copy(file, tmp_path)
    for name in IGNORED:
        (tmp_path / name).unlink()
    assert {file.parent.name for file in PROJECT_DIR.glob("*/__init__.py")} - TRAINING_ONLY <= set(folders)
    code = "import app, modelPredict, api.startup, server.worker, monitoring.counters, tracking.fetch, tracking.ui; print(app.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "app.py")
