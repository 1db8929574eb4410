"""The code that travels to a Dask cluster. tests/e2e/test_dask.py has a real cluster."""

import io
import pickle
import subprocess
import sys
import time
import zipfile

import pytest

from portfolio.cluster import make_archive


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of a worker, with the code that it is sent."""
    folder = tmp_path_factory.mktemp("worker")
    zipfile.ZipFile(io.BytesIO(make_archive())).extractall(folder)
    return folder


@pytest.mark.slow
def test_archive_has_all_code_that_a_step_imports(folder):
    done = subprocess.run(
        [sys.executable, "-c", "import portfolio.child, portfolio.task"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


class Pause:
    """Takes ten minutes to be unpickled."""

    def __reduce__(self):
        return time.sleep, (600,)


@pytest.mark.slow
def test_process_ends_with_its_worker(folder):
    request = pickle.dumps(("fit", pickle.dumps(Pause()), ()))
    with subprocess.Popen([sys.executable, "-m", "portfolio.child"], cwd=folder, stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        child.stdin.write(len(request).to_bytes(8, "big") + request)
        child.stdin.close()
        try:
            assert child.wait(60) == 1
        finally:
            child.kill()


@pytest.mark.slow
def test_process_that_fails_says_why(folder):
    """stdin stays open, as a worker keeps it."""
    request = pickle.dumps(("fit", b"no pickle", ()))
    with subprocess.Popen([sys.executable, "-m", "portfolio.child"], cwd=folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stderr is not None
        child.stdin.write(len(request).to_bytes(8, "big") + request)
        child.stdin.flush()
        assert child.wait(120) == 1
        assert child.stderr.read().splitlines()[-1].startswith(b"_pickle.UnpicklingError")
