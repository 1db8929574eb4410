"""Imports run one way, serving imports nothing heavy, and docs/explanation/architecture.md shows the packages that exist."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from settings import PROJECT_DIR

TACH = tomllib.loads((PROJECT_DIR / "tach.toml").read_text())
ARCHITECTURE = (PROJECT_DIR / "docs" / "explanation" / "architecture.md").read_text()
PICTURE = ARCHITECTURE[ARCHITECTURE.index("flowchart TD") : ARCHITECTURE.index("```\n", ARCHITECTURE.index("flowchart TD"))]


def drawn_modules():
    """The layer of each module in the picture."""
    layers: dict[str, str] = {}
    for layer, content in re.findall(r'subgraph layer_\w+ \["(\w+)"\]\n(.*?)\n    end', PICTURE, flags=re.S):
        layers |= dict.fromkeys(re.findall(r'^ +(\w+)\["', content, flags=re.M), layer)
    return layers


def existing_modules():
    """Top-level modules and packages of the project."""
    files = {file.stem for file in PROJECT_DIR.glob("*.py")} - {"gunicorn.conf"}  # gunicorn reads its configuration file by path
    return files | {file.parent.name for file in PROJECT_DIR.glob("*/__init__.py")}


def test_picture_shows_the_modules_and_layers_of_tach():
    assert drawn_modules() == {module["path"]: module["layer"] for module in TACH["modules"]}


def test_tach_covers_every_module():
    assert {module["path"] for module in TACH["modules"]} == existing_modules()


def test_picture_draws_the_layers_from_top_to_bottom():
    arrows = re.findall(r"layer_(\w+) --> layer_(\w+)", PICTURE)
    assert arrows == list(zip(TACH["layers"], TACH["layers"][1:], strict=False))


def test_picture_names_files_and_folders_that_exist():
    for name in re.findall(r'\["([\w/]+(?:\.py|/))"\]', PICTURE):
        assert (PROJECT_DIR / name).exists(), name


def tach_check(folder: Path):
    command = [str(Path(sys.executable).with_name("tach")), "check"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def small_tree(tmp_path):
    """One empty file per module, under the project's own tach.toml."""
    shutil.copy(PROJECT_DIR / "tach.toml", tmp_path)
    for module in TACH["modules"]:
        is_file = (PROJECT_DIR / f"{module['path']}.py").exists()
        file = tmp_path / (f"{module['path']}.py" if is_file else f"{module['path']}/__init__.py")
        file.parent.mkdir(exist_ok=True)
        file.touch()
    return tmp_path


def test_tach_accepts_an_import_of_a_lower_layer(small_tree):
    (small_tree / "api" / "__init__.py").write_text("import models\nimport closes\n")
    assert tach_check(small_tree).returncode == 0


@pytest.mark.parametrize(("lower", "higher"), [("closes", "forecast"), ("forecast", "models"), ("models", "api"), ("server", "errors")])
def test_tach_rejects_an_import_of_a_higher_layer(small_tree, lower, higher):
    (small_tree / lower / "__init__.py").write_text(f"import {higher}\n")
    checked = tach_check(small_tree)
    assert checked.returncode == 1
    assert f"Cannot use '{higher}'" in checked.stdout + checked.stderr


@pytest.mark.slow
@pytest.mark.parametrize("module", ["processData", "modelPredict", "models.holder", "app"])
def test_serving_modules_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    assert not {
        "pandas",
        "sklearn",
        "tensorflow",
        "keras",
        "yfinance",
        "mlflow",
        "onnx",
        "joblib",
        "scipy",
        "matplotlib",
        "pyarrow",
        "tqdm",
        "filelock",
        "asyncio",
    } & set(loaded)
