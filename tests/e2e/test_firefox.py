"""The page's main path in a real Firefox; the other tests of the page use Chromium."""

import os
import shutil
import subprocess

import pytest
from browsing import PROJECT

FIREFOX = shutil.which("firefox-esr") or shutil.which("firefox")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(FIREFOX is None, reason="Firefox is missing: make firefox")]


def test_main_path_works_in_firefox(server, tmp_path):
    """It sees the range and the chart, forecasts a symbol and pasted closes, and opens each tab, without an error in the console."""
    home = os.environ | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = ["node", "tests/e2e/firefox.mjs", server, str(FIREFOX)]
    walk = subprocess.run(command, cwd=PROJECT, env=home, capture_output=True, text=True, timeout=400, check=False)
    assert walk.returncode == 0, walk.stderr
    assert walk.stdout.lower().startswith("firefox"), walk.stdout
