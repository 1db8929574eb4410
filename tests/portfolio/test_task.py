"""One step of a training of many symbols, in a process of its own."""

import os
import subprocess
import sys

import pytest

from settings import PROJECT_DIR

STEP = "import os; from forecast.network import FitOptions; from portfolio.task import work; work('no such step', FitOptions(), [])"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="only Linux has batch scheduling")
def test_steps_are_scheduled_as_batch():
    code = f"{STEP}; print(os.sched_getscheduler(0) == os.SCHED_BATCH)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


@pytest.mark.slow
def test_system_without_batch_scheduling_does_the_step():
    code = f"import os; del os.SCHED_BATCH; {STEP}"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, check=True)
