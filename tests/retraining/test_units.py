"""The systemd units of the nightly training."""

import re
import shutil
import subprocess
import sys

import pytest

from modelTrain import parse
from retraining.schedule import RUN_AT
from retraining.waiting import ENDED, RETRY
from settings import PROJECT_DIR, Settings

DEPLOY = PROJECT_DIR / "deploy"
SERVICE, TIMER, SERVER = ((DEPLOY / name).read_text() for name in ("retrain.service", "retrain.timer", "flask_app.service"))


def lines(unit):
    return {line for line in unit.splitlines() if line and line[0] not in "#["}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_accepts_the_units(tmp_path):
    for name in ("retrain.service", "retrain.timer"):
        text = (DEPLOY / name).read_text().replace("/opt/stock-forecast-service/.venv/bin/python", sys.executable)
        (tmp_path / name).write_text(re.sub(r"^(User|Group)=.*$", r"\1=root", text, flags=re.M))
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "retrain.service"), str(tmp_path / "retrain.timer")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_timer_starts_the_run_when_the_close_is_final():
    assert f"OnCalendar=*-*-* {RUN_AT:%H:%M:%S} America/New_York" in lines(TIMER)
    assert "Persistent=true" in lines(TIMER)


def test_training_is_hardened_as_the_server():
    hardening = SERVER[SERVER.index("# It can reach nothing else.") : SERVER.index("[Install]")]
    families = {line for line in lines(hardening) if line.startswith("RestrictAddressFamilies=")}  # AF_NETLINK is for the MLflow UI
    assert lines(hardening) - families <= lines(SERVICE)
    assert "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX" in lines(SERVICE)
    writable = re.findall(r"^ReadWritePaths=(.*)$", SERVICE, flags=re.M)
    assert writable == ["/opt/stock-forecast-service/modelFiles -/opt/stock-forecast-service/mlruns"]
    assert "EnvironmentFile=-/etc/stock-forecast-service.env" in lines(SERVICE)


def test_failed_run_is_repeated_as_by_keep_running():
    assert f"RestartSec={RETRY.total_seconds() / 60:.0f}min" in lines(SERVICE)
    prevented = re.findall(r"^RestartPreventExitStatus=(.*)$", SERVICE, flags=re.M)[0].split()
    assert set(map(int, prevented)) == set(ENDED) - {0} | {2}


def test_command_of_the_unit_exists():
    (command,) = re.findall(r"^ExecStart=\S+ modelTrain.py (.*) \$RETRAIN_OPTIONS$", SERVICE, flags=re.M)
    assert parse(Settings(), [*command.split(), "--symbols", "MSFT,KO"]).nightly


def test_training_has_the_memory_limit_of_the_container():
    (limit,) = re.findall(r"^  trainer:$.*?^    mem_limit: (\d+g)$", (PROJECT_DIR / "compose.yaml").read_text(), flags=re.M | re.S)
    assert {f"MemoryMax={limit.upper()}", "MemorySwapMax=0"} <= lines(SERVICE)
