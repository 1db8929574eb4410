"""Functions that run inside Dask workers, which do not have this project.

They are defined inside functions, so that Dask pickles them by value, and they import what they use.
"""

from collections.abc import Callable
from typing import Any


def make_probe() -> Callable[..., tuple[list[str], dict[str, str]]]:
    """Return a function that says which modules a worker misses, and the versions of others."""

    def probe(modules: Any, packages: Any) -> Any:
        from importlib.metadata import version
        from importlib.util import find_spec

        missing = [name for name in modules if find_spec(name) is None]
        return missing, {name: version(name) for name in packages if name not in missing}

    return probe


def make_run_in_child() -> Callable[..., bytes]:
    """Return a function that runs portfolio/child.py in a fresh process, and returns what that writes."""

    def run_in_child(archive: bytes, step: str, options: bytes, *inputs: bytes) -> bytes:
        import hashlib
        import io
        import os
        import pickle
        import shutil
        import subprocess
        import sys
        import tempfile
        import zipfile

        from distributed import get_worker

        worker = get_worker()
        key = worker.get_current_task()
        folder = os.path.join(worker.local_directory, f"stock-forecast-{hashlib.sha256(archive).hexdigest()[:16]}")
        if not os.path.isdir(folder):
            fresh = tempfile.mkdtemp(dir=worker.local_directory)
            zipfile.ZipFile(io.BytesIO(archive)).extractall(fresh)
            try:
                os.rename(fresh, folder)
            except OSError:  # another thread was faster
                shutil.rmtree(fresh)
        request = pickle.dumps((step, options, inputs))
        with tempfile.TemporaryFile() as written, tempfile.TemporaryFile() as said:
            child = subprocess.Popen(
                [sys.executable, "-m", "portfolio.child"], cwd=folder, stdin=subprocess.PIPE, stdout=written, stderr=said
            )
            try:
                child.stdin.write(len(request).to_bytes(8, "big") + request)  # type: ignore[union-attr]
                child.stdin.flush()  # type: ignore[union-attr]
            except BrokenPipeError:
                pass  # it has ended; its stderr says why
            while True:
                try:
                    code = child.wait(0.5)
                    break
                except subprocess.TimeoutExpired:
                    state = worker.state.tasks.get(key)
                    if state is None or state.state == "cancelled":
                        child.kill()
            said.seek(0)
            written.seek(0)
            if code != 0:
                lines = said.read().decode(errors="replace").strip().splitlines()
                ended = f"ended with signal {-code}, perhaps of too little memory" if code < 0 else f"failed: {lines[-1:]}"
                raise RuntimeError(f"The process on the Dask worker {ended}.")
            return written.read()

    return run_in_child
