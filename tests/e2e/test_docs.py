"""Every command and call in the documents runs, against one shared service and a stub of Yahoo Finance.

The blocks of a document run in their order, in a folder that looks like the project. Trainings are short.
`make` checks that the target exists: `make test` would run these tests again. A block that is not run says why, see
tests/support/documents.py.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from documents import DOCUMENTS, blocks
from serving import starting
from training import PRELOADED, ROUGH_PLOTS, copy_empty_database
from yahoo_stub import YahooStub

from closes.snapshot import read_snapshot
from models.publishing import publish, staging_folder
from models.store import PublishedModel, read_published
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

RUN = {"sh", "bash", "python", "javascript", "r"}
NOT_RUN = {  # documents whose blocks are not run one by one
    "deploy/README.md": "needs root, Docker or systemd",
    "deploy/ec2/README.md": "needs an AWS account",
    "docs/how-to/kubernetes.md": "needs a cluster; tests/e2e/test_cluster.py runs what it can without one",
    "docs/how-to/examples.md": "tests/client/test_examples.py runs each block",
    "client/README.md": "tests/client/test_examples.py runs each block",
    "docs/reference/client.md": "signatures and fragments; tests/client/ runs them",
}
TRANSLATIONS = {
    name for name in DOCUMENTS if name.startswith("docs/pt/") or ".pt-BR." in name
}  # have the same code, see tests/test_docs.py
# The blocks of other documents that are not run: how many have a reason next to them.
EXCEPTIONS = {
    "CONTRIBUTING.md": 3,
    "README.md": 2,
    "docs/explanation/direct-path.md": 1,
    "docs/how-to/many-symbols.md": 4,
    "docs/how-to/mlflow.md": 3,
    "docs/how-to/retraining.md": 2,
    "docs/how-to/spark.md": 2,
    "docs/how-to/tuning.md": 1,
    "docs/operations/backup.md": 1,
    "docs/tutorial.md": 1,
}
CHECKED = [name for name in DOCUMENTS if name not in NOT_RUN and name not in TRANSLATIONS]
RUNNABLE = [name for name in CHECKED if any(block.language in RUN and not block.reason for block in blocks(name))]
N_CLOSES = 600  # of each symbol, in the stub of Yahoo Finance
FIRST_DAY = "2020-06-01"  # of the closes of a training, unless it has a day of its own
NOT_PROMOTED = 3  # exit code of a training whose model is worse than the published one: not a failure

# Stands in for `python`: runs the project's own script. Trainings are short, of a small network, and the same one runs once.
PYTHON = """#!/bin/bash
if [ "$1" != modelTrain.py ] || [[ " $* " == *" --rollback "* ]]; then exec "{program}" "$@"; fi
trained={folder}/trained-$(echo "$*" | sha256sum | cut -c 1-16)
[ -e "$trained" ] && exit 0
"{program}" "$1" --epochs 1 --units 8 --layers 1 --start {first_day} "${{@:2}}"
code=$?
[ "$code" = {not_promoted} ] && code=0
[ "$code" = 0 ] && touch "$trained"
exit "$code"
"""
MAKE = """#!/bin/bash
exec grep --quiet "^$1:" {project}/Makefile
"""


def test_exceptions_are_those_that_are_listed():
    found = Counter(block.document for name in CHECKED for block in blocks(name) if block.reason)
    assert found == EXCEPTIONS


@pytest.mark.parametrize("document", DOCUMENTS)
def test_reasons_name_tests_that_exist(document):
    for block in blocks(document):
        for word in (block.reason or "").replace(",", " ").split():
            if word.startswith("tests/"):
                assert (PROJECT_DIR / word).exists(), f"{document}:{block.line}: {word}"


@pytest.fixture(scope="module")
def yahoo():
    """Yahoo Finance, which answers for every symbol with closes up to yesterday."""
    last = datetime.now(UTC).date() - timedelta(days=1)
    days = [day for day in (last - timedelta(days=back) for back in range(2 * N_CLOSES)) if day.weekday() < 5][:N_CLOSES]
    with YahooStub() as stub:
        stub.serve(read_snapshot("MSFT").prices[-N_CLOSES:].tolist(), days[::-1])
        yield stub


def publish_again(folder) -> PublishedModel:
    """Publish the model that is in git a second time, so that there is a version to roll back to."""
    published = read_published(folder)
    with staging_folder(folder) as staged:
        for name in published.metadata["files"]:
            shutil.copy(published.folder / name, staged / name)
        return publish(folder, published.metadata | {"model_version": f"{published.version}-again"}, staged)


@pytest.fixture(scope="module")
def environment(tmp_path_factory, yahoo):
    """The settings of the service and of all commands: nothing of the working copy changes."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copytree(PROJECT_DIR / "modelFiles", folder / "modelFiles", ignore=shutil.ignore_patterns(".*"))
    publish_again(folder / "modelFiles")
    (folder / "mlruns").mkdir()
    copy_empty_database(folder / "mlruns")
    programs = folder / "bin"
    programs.mkdir()
    scripts = {
        "python": PYTHON.format(program=PRELOADED.python(), folder=folder, first_day=FIRST_DAY, not_promoted=NOT_PROMOTED),
        "make": MAKE.format(project=PROJECT_DIR),
    }
    for name, text in scripts.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": f"{PROJECT_DIR}:{PROJECT_DIR / 'client'}",
        "MODEL_DIR": str(folder / "modelFiles"),
        "MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlruns/mlflow.db",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "MATPLOTLIBRC": ROUGH_PLOTS,
        "YAHOO_URL": yahoo.url,
        "DATA_CACHE_DIR": str(folder / "cache"),
        "XDG_CACHE_HOME": str(folder / "yfinance"),
        "TRUSTED_PROXIES": "1",
    } | PRELOADED.with_children()


@pytest.fixture(scope="module")
def service(tmp_path_factory, environment):
    services = starting(tmp_path_factory.mktemp("service"))
    own = {name: value for name, value in environment.items() if name != "PATH"}
    yield next(services)(WEB_CONCURRENCY="1", **own)
    next(services, None)


@pytest.fixture
def folder(tmp_path):
    """A folder that looks like the project; what commands write stays in it."""
    for path in PROJECT_DIR.iterdir():
        if not path.name.startswith((".", "mlruns", "modelFiles", "log_predictions")):
            (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.timeout(900)  # pages about training train up to eight times
@pytest.mark.parametrize("document", RUNNABLE)
def test_commands_and_calls_run(service, environment, folder, document):
    (folder / "modelFiles").symlink_to(environment["MODEL_DIR"])
    interpreters = {"sh": "bash -e", "bash": "bash -e", "python": sys.executable, "javascript": "node", "r": "Rscript"}
    for block in blocks(document):
        if block.language not in RUN or block.reason:
            continue
        file = folder / f"block-{block.line}"
        file.write_text(block.code.replace("http://127.0.0.1:8010", service.url))
        done = subprocess.run(
            [*interpreters[block.language].split(), str(file)],
            cwd=folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        said = f"{document}:{block.line}\n{block.code}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0, said
        assert '"error":' not in done.stdout or "/mlflow" in block.code, said
