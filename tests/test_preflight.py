"""The first step of each command: a Python that does not fit, missing packages, Ctrl-C before the command has begun."""

import ast
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import preflight
from settings import PROJECT_DIR

COMMANDS = ["app.py", "modelTrain.py", "modelPredict.py", "modelEvaluate.py"]
MODULES = ["tracking.ui", "tracking.runs", "tracking.fetch", "models.compiled"]
OLD = [
    *(path for name in ("python3.8", "python3.9", "python3.10") if (path := shutil.which(name)) and "shims" not in path),
    *(str(path) for minor in (8, 9, 10) for path in Path.home().glob(f".pyenv/versions/3.{minor}.*/bin/python")),
]
SWALLOWS = """
print("importing", flush=True)
try:
    input()
except KeyboardInterrupt:
    pass
input()
"""


def run(*command, **environment):
    return subprocess.run(
        command,
        cwd=PROJECT_DIR,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def one_sentence(done):
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Python 3.11 to 3.13" in line
    assert "make run" in line
    return line


def test_versions_are_those_of_pyproject():
    project = tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]
    (_, oldest), (_, newest) = preflight.VERSIONS
    assert project["requires-python"] == f">=3.{oldest},<3.{newest + 1}"
    fit = [minor for minor in range(20) if not preflight.python_problem((3, minor))]
    assert fit == list(range(oldest, newest + 1))


@pytest.mark.parametrize("command", [*COMMANDS, "preflight.py"])
def test_old_python_can_read_the_file(command):
    tree = ast.parse((PROJECT_DIR / command).read_text(), feature_version=(3, 8))
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if command in COMMANDS:
        assert [name.name for name in imports[0].names] == ["preflight"]


@pytest.mark.parametrize("command", COMMANDS)
def test_python_that_does_not_fit_is_one_sentence(command):
    code = "import preflight, runpy, sys; preflight.VERSIONS = ((4, 0), (4, 1)); runpy.run_path(sys.argv[1], run_name='__main__')"
    found = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"This is Python {found}, " in one_sentence(run(sys.executable, "-c", code, command))


@pytest.mark.parametrize("python", OLD)
@pytest.mark.parametrize("command", COMMANDS)
def test_real_old_python_gets_one_sentence(python, command):
    assert "This is Python 3." in one_sentence(run(python, command))


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_packages_are_one_sentence(command):
    line = one_sentence(run(sys.executable, "-S", command, PYTHONPATH=""))  # -S: without site-packages
    assert "The package flask is not installed" in line
    assert f".venv/bin/python {command}" in line


@pytest.mark.slow
@pytest.mark.parametrize("module", ["modelTrain", "tracking.runs", "tracking.ui"])
def test_training_says_what_an_installation_for_serving_lacks(module):
    missing = "import preflight, runpy, sys; preflight.TRAINING = ('numpy', 'not_installed')"
    code = f"{missing}; runpy.run_module(sys.argv.pop(1), run_name='__main__')"
    done = run(sys.executable, "-c", code, module)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"error: The package not_installed is not installed for {sys.executable}; training and MLflow need all of requirements.txt: "
        f"{sys.executable} -m pip install --require-hashes -r requirements.txt\n"
    )


def test_packages_of_training_are_not_those_of_serving():
    def names(file):
        return {line.split("==")[0] for line in (PROJECT_DIR / file).read_text().splitlines() if "==" in line}

    packages = {name.replace("sklearn", "scikit-learn") for name in preflight.TRAINING}
    assert packages <= names("requirements.txt")
    assert not packages & names("requirements-serve.txt")


@pytest.mark.slow
@pytest.mark.parametrize("command", [*([command] for command in COMMANDS), *(["-m", module] for module in MODULES)], ids=lambda c: c[-1])
def test_ctrl_c_during_the_imports_ends_quietly(tmp_path, command):
    (tmp_path / "pydantic.py").write_text(SWALLOWS)
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=PROJECT_DIR,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate("\n\n", timeout=60)
    assert (process.returncode, said) == (130, "interrupted\n")


@pytest.mark.slow
def test_import_of_a_command_leaves_ctrl_c_alone():
    code = "import signal, app, modelTrain; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    assert run(sys.executable, "-c", code).stdout == "True\n"


def own_make():
    """The environment without what `make test` passes to a make that it starts."""
    return {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")}


@pytest.fixture
def project(tmp_path):
    """The files that `make run` needs to install, with limits that no Python fits."""
    for name in ("Makefile", "requirements.txt", "requirements-serve.txt"):
        shutil.copy(PROJECT_DIR / name, tmp_path)
    text = (PROJECT_DIR / "preflight.py").read_text()
    (tmp_path / "preflight.py").write_text(text.replace("((3, 11), (3, 13))", "((4, 0), (4, 1))"))
    return tmp_path


@pytest.mark.parametrize("tool", [[], ["UV="]], ids=["uv", "pip"])
@pytest.mark.parametrize("python", [sys.executable, "python3.99"])
def test_make_run_names_a_python_that_does_not_fit_and_leaves_no_environment(project, tool, python):
    command = ["make", "-s", "run", f"PYTHON={python}", *tool]
    done = subprocess.run(command, cwd=project, env=own_make(), capture_output=True, text=True, check=False)
    assert done.stdout == ""
    line, of_make = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Python 3.11 to 3.13" in line
    assert "make run" in line
    assert of_make.startswith("make: ***")
    assert not (project / ".venv").exists()


PIP = """#!/bin/sh
echo 'Collecting flask==3.1.3 (from -r requirements.txt (line 1))'
echo '  Downloading flask.whl'
echo 'Installing collected packages: flask'
exit $FAILS
"""
UV = """#!/bin/sh
[ "$1" = pip ] || exec ./python -m venv .venv
printf 'Downloading tensorflow (600MiB)\\n + flask==3.1.3\\n' >&2
exit $FAILS
"""
PYTHON = """#!/bin/sh
[ "$1" = -m ] || exit 0
mkdir -p "$3/bin" && cp pip "$3/bin/pip" && printf '#!/bin/sh\\necho served' > "$3/bin/python" && chmod +x "$3/bin/python"
"""


@pytest.mark.parametrize("fails", [False, True])
def test_make_run_shows_the_progress_of_pip(project, fails):
    for name, text in (("pip", PIP), ("python", PYTHON)):
        (project / name).write_text(text)
        (project / name).chmod(0o755)
    environment = own_make() | {"FAILS": str(int(fails))}
    command = ["make", "run", f"PYTHON={project / 'python'}", "UV="]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    total = sum("==" in line and line[0].isalpha() for line in (project / "requirements-serve.txt").read_text().splitlines() if line)
    assert f"  1 of at most {total}: flask==3.1.3\n  Installing them ...\n" in done.stdout
    assert ("served" in done.stdout) != fails
    assert bool(done.returncode) == fails


@pytest.mark.parametrize("fails", [False, True])
def test_make_run_shows_the_progress_of_uv(project, fails):
    for name, text in (("pip", PIP), ("python", PYTHON), ("uv", UV)):
        (project / name).write_text(text)
        (project / name).chmod(0o755)
    environment = own_make() | {"FAILS": str(int(fails))}
    command = ["make", "run", f"PYTHON={project / 'python'}", f"UV={project / 'uv'}"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert "Downloading tensorflow (600MiB)\n" in done.stdout
    assert "flask" not in done.stdout
    assert ("served" in done.stdout) != fails
    assert bool(done.returncode) == fails
