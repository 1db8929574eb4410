"""The process that stays and trains every night, for a container: waits for the close of a trading day, runs, waits again.

Each run is a process of its own, so TensorFlow's memory is free between two runs, and a run that is killed does not end this process.
"""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import FrameType

from retraining.schedule import next_run, now_utc

log = logging.getLogger(__name__)

ENDED = (0, 4)  # exit codes after which the next run is that of the next trading day; 4: some symbols failed
RETRY = timedelta(minutes=30)  # after a failed run, as in deploy/retrain.service: a refusal by Yahoo Finance takes minutes to hours
SLICE_SECONDS = 60.0  # longest sleep: the clock may be set, or the machine suspended


class Keeper:
    """Runs a command now, and after the close of each trading day until SIGTERM."""

    def __init__(self, symbols: Sequence[str], command: Sequence[str], now: Callable[[], datetime] = now_utc) -> None:
        """Prepare. `command` makes one run, and does nothing where there is nothing to train; `now` is the clock."""
        self._symbols, self._command, self._now = symbols, command, now
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None

    def keep_running(self) -> None:
        """Run and wait until SIGTERM. A run in progress is stopped first. Ctrl-C raises KeyboardInterrupt."""
        signal.signal(signal.SIGTERM, self._on_sigterm)
        while not self._stop.is_set():
            code = self._run()
            if self._stop.is_set():
                break
            until = self.next_time(code)
            log.info("Next run: %s.", f"{until:%Y-%m-%d %H:%M %Z}")
            self._wait(until)

    def next_time(self, code: int) -> datetime:
        """Return when to run after a run that ended with an exit code, a negative one for a signal."""
        now = self._now()
        usual = next_run(self._symbols, now)
        return usual if code in ENDED else min(usual, (now + RETRY).astimezone(usual.tzinfo))

    def _run(self) -> int:
        """Make one run and return its exit code."""
        self._child = subprocess.Popen(self._command)
        if self._stop.is_set():  # SIGTERM arrived before the process was known
            self._child.terminate()
        code = self._child.wait()
        self._child = None
        if code < 0 and not self._stop.is_set():
            log.error("The run was killed by signal %d.", -code)
        return code

    def _wait(self, until: datetime) -> None:
        """Wait until a time or SIGTERM."""
        while not self._stop.is_set() and (left := (until - self._now()).total_seconds()) > 0:
            self._stop.wait(min(left, SLICE_SECONDS))

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Stop the run in progress, and end after it."""
        if not self._stop.is_set() and self._child is not None:
            self._child.terminate()
        self._stop.set()


def run_again(arguments: Sequence[str]) -> list[str]:
    """Return the command of one run: this command, without --keep-running."""
    return [sys.executable, "-u", sys.argv[0], *arguments, "--no-keep-running"]
