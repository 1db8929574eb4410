"""What the images contain: what .dockerignore allows, and for serving without deploy/training-only.txt."""

import ast
import re
import shutil
import subprocess
import sys

import pytest
import yaml

from settings import PROJECT_DIR

DOCKERFILE = (PROJECT_DIR / "Dockerfile").read_text()
TRAINING_ONLY = (PROJECT_DIR / "deploy" / "training-only.txt").read_text().split()
ENTRIES = ("app.py", "gunicorn.conf.py", "modelPredict.py", "tracking/fetch.py")  # what runs in the serving image


INSTALLED = (".venv", "node_modules")  # folders with 100,000 files; UNWANTED has one of each


def listed(*options):
    """Files of the working copy that git lists, without those of installed packages."""
    command = ["git", "ls-files", *options, "--exclude-standard", "--", ".", *(f":(exclude){folder}*" for folder in INSTALLED)]
    names = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout.splitlines()
    return {name for name in names if (PROJECT_DIR / name).is_file()}


OWN = listed("--cached", "--others")
# Secrets, logs, caches, environments and half-written models that a working copy may have.
UNWANTED = (
    ".env", ".env.local", "deploy/compose.env", "static/.env", "api/production.env", "api_keys.txt", "server/tls.pem", "server/tls.key",
    "log_predictions.csv", "log_predictions.csv.1", "static/log_predictions.csv", "monitoring/service.log", "backtest.csv",
    "data/cache/MSFT.csv", "mlruns/mlflow.db", ".git/config", ".venv/bin/python", "venv/bin/python", "node_modules/typescript/LICENSE",
    "api/__pycache__/body.cpython-311.pyc", ".pytest_cache/README.md", "tests/test_image.py", "benchmarks/soak.py",
    "modelFiles/.lock", "modelFiles/unlogged/run/model.keras", "modelFiles/versions/.staging-1/my_model.keras",
    "modelFiles/symbols/.journal", "jupyter/.ipynb_checkpoints/forecast.ipynb",
)  # fmt: skip


def patterns():
    """The patterns of .dockerignore with whether they allow, in their order. A pattern covers what is below it."""
    for line in (PROJECT_DIR / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            glob = re.escape(line.removeprefix("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
            yield re.compile(f"{glob}(/.*)?"), line.startswith("!")


PATTERNS = list(patterns())


def is_allowed(path):
    """Whether the last pattern that covers the path allows it, as Docker decides."""
    return [allows for pattern, allows in PATTERNS if pattern.fullmatch(path)][-1]


def is_training_only(path):
    return any(path == name or path.startswith(f"{name}/") for name in TRAINING_ONLY)


SERVING = {path for path in OWN if is_allowed(path) and not is_training_only(path)}


def imported(module):
    """The project's files that a file imports, also within functions."""
    for node in ast.walk(ast.parse((PROJECT_DIR / module).read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            paths = ["/".join(parts[: n + 1]) for n in range(len(parts))]
            yield from (file for path in paths for file in (f"{path}.py", f"{path}/__init__.py") if file in OWN)


def reached(*modules):
    """The project's files that these files need."""
    found, waiting = set(), list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += imported(module)
    return found


@pytest.mark.parametrize("path", UNWANTED)
def test_no_secret_log_cache_or_environment_gets_into_an_image(path):
    assert not is_allowed(path)


def test_images_contain_no_file_that_git_ignores():
    assert {path for path in listed("--others", "--ignored") if is_allowed(path)} == set()


def builder():
    """The command that builds an image here, or None."""
    if shutil.which("docker") and subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "build"]
    return ["buildah", "build"] if shutil.which("buildah") else None


@pytest.mark.skipif(builder() is None, reason="neither docker with buildx nor buildah is installed")
def test_builder_takes_from_a_working_copy_what_is_allowed(tmp_path):
    context, content = tmp_path / "context", tmp_path / "content"
    for path in (*OWN, *UNWANTED):
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (context / path).write_text("a secret")
    shutil.copy(PROJECT_DIR / ".dockerignore", context)
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . .\n")
    command = [*builder(), "--no-cache", "--output", f"type=local,dest={content}", "-f", str(context / "Dockerfile"), str(context)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    copied = {str(file.relative_to(content)) for file in content.rglob("*") if file.is_file()}
    assert copied == {path for path in OWN if is_allowed(path)}


def test_training_only_names_what_images_contain():
    for name in TRAINING_ONLY:  # `rm` fails the build for a name that is not there
        assert any(is_allowed(path) and (path == name or path.startswith(f"{name}/")) for path in OWN), name


def test_serving_image_has_only_the_code_that_serving_imports():
    code = {path for path in SERVING if path.endswith(".py")}
    assert code - reached(*ENTRIES) == set(), "add what only training imports to deploy/training-only.txt"


def test_full_image_has_the_code_of_all_commands():
    commands = ("app.py", "gunicorn.conf.py", "modelTrain.py", "modelEvaluate.py", "modelPredict.py", "processData.py", "tracking/fetch.py")
    assert {path for path in reached(*commands) if not is_allowed(path)} == set()
    for name in ("data/closes.csv.gz", "data/ranges.csv.gz", "data/holidays.json", "requirements.txt"):
        assert is_allowed(name)


@pytest.mark.slow
def test_code_of_the_serving_image_can_be_imported(tmp_path):
    for path in SERVING:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT_DIR / path, tmp_path / path)
    code = "import app, modelPredict, api.startup, server.worker, monitoring.counters, tracking.fetch, tracking.ui; print(app.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "app.py")


def stages():
    """Each stage of the Dockerfile: its name, the stage or image that it starts from, and its instructions."""
    for text in re.split(r"^FROM ", DOCKERFILE.replace("\\\n", " "), flags=re.MULTILINE)[1:]:
        head, *lines = text.splitlines()
        parent, _, name = head.split()
        yield name, parent, [line for line in lines if re.match(r"[A-Z]+ ", line)]


STAGES = {name: (parent, lines) for name, parent, lines in stages()}


def instructions(name):
    """The instructions of a stage, after those that it starts from."""
    parent, lines = STAGES[name]
    return [*(instructions(parent) if parent in STAGES else []), *lines]


@pytest.mark.parametrize("target", ["serve", "full", "mlflow"])
def test_target_is_labelled_and_runs_as_the_user_and_installs_before_it_copies_code(target):
    lines = instructions(target)
    assert "USER 10001:10001" in lines
    labels = next(line for line in lines if line.startswith("LABEL"))
    assert 'image.version="$VERSION"' in labels
    assert 'image.revision="$COMMIT"' in labels
    installs = max(number for number, line in enumerate(lines) if "pip install" in line)
    copied = [line for line in lines[:installs] if line.startswith("COPY")]
    lists = re.compile(r"COPY \S*requirements(-serve|-mlflow)?\.txt \S+")
    assert all(lists.fullmatch(line) for line in copied), "a change of the code would install again"
    assert not any(line.startswith("ARG") for line in lines[: installs + 1])  # nor may another commit


def test_training_has_a_home_folder_that_a_read_only_container_can_write():
    stage = (PROJECT_DIR / "Dockerfile").read_text().split(" AS full\n")[1].split("\nFROM ")[0]
    assert "HOME=/tmp " in stage
    assert all(service["tmpfs"] == ["/tmp"] for service in yaml.safe_load((PROJECT_DIR / "compose.yaml").read_text())["services"].values())


def test_service_is_the_default_target():
    assert list(STAGES)[-1] == "serve"
    assert [name for name in ("full", "serve", "mlflow") if not any(line.startswith("HEALTHCHECK") for line in instructions(name))] == []
