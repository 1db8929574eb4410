"""Downloads in a process of their own, so that a server's workers do not import pandas and yfinance, which take 80 MB each time.

    downloader = Downloader()
    closes = downloader.download("MSFT", FIRST_DAY, last_final_day(), settings, seconds=5.0, newest=1000)

The process is a child of the worker. It starts with the first download, which takes a second or two for the imports, and ends after
IDLE_SECONDS without one, or when the worker ends. Requests and answers are lines of JSON on its stdin and stdout.
"""

import json
import logging
import os
import select
import signal
import sys
import time
import weakref
from contextlib import suppress
from typing import Any

import numpy as np
from gevent.monkey import get_original

from closes.series import Closes
from errors import DataUnavailableError, ForecastError, InvalidClosesError, NoAnswerError, UnknownSymbolError
from settings import PROJECT_DIR, Settings

IDLE_SECONDS = 60.0  # without a download, after which the process ends
START_SECONDS = 20.0  # for the imports on a slow machine
SETTINGS = ("YAHOO_URL", "YAHOO_TIMEOUT", "YAHOO_RETRIES", "DATA_CACHE_DIR")  # that a download uses
ERRORS = {kind.__name__: kind for kind in (DataUnavailableError, InvalidClosesError, NoAnswerError, UnknownSymbolError)}

log = logging.getLogger(__name__)


class _EndedError(Exception):
    """The process ended without an answer."""


class _Process:
    """A running downloader process.

    Downloads run in a thread, where gevent's replacements of subprocess, posix_spawn and poll do not work: they need the event loop.
    """

    def __init__(self) -> None:
        theirs_in, self._requests = os.pipe()
        self._answers, theirs_out = os.pipe()
        paths = filter(None, (str(PROJECT_DIR), os.environ.get("PYTHONPATH")))
        try:
            self.pid = get_original("os", "posix_spawn")(
                sys.executable,
                [sys.executable, "-P", "-m", __name__],
                os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs_in, 0), (os.POSIX_SPAWN_DUP2, theirs_out, 1)],
            )
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        self._received = b""
        self.stop = weakref.finalize(self, _stop, self.pid, self._requests, self._answers)

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request and return the answer.

        Raises:
            TimeoutError: there is no answer within `seconds`.
            _EndedError: the process ended instead.
        """
        deadline = time.monotonic() + seconds
        try:
            os.write(self._requests, json.dumps(request).encode() + b"\n")
        except BrokenPipeError:
            raise _EndedError from None
        poll = get_original("select", "poll")()
        poll.register(self._answers, select.POLLIN)
        while not self._received.endswith(b"\n"):
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise TimeoutError
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise _EndedError
            self._received += part
        answer, self._received = self._received, b""
        content: dict[str, Any] = json.loads(answer)
        return content


def _stop(pid: int, *descriptors: int) -> None:
    """End a process: close its pipes, and kill it in case it is busy."""
    for descriptor in descriptors:
        os.close(descriptor)
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGKILL)
        get_original("os", "waitpid")(pid, 0)


class Downloader:
    """Downloads closes in a child process. One download at a time: the caller makes sure of that."""

    def __init__(self) -> None:
        self._process: _Process | None = None

    def download(self, symbol: str, start: str, end: str, settings: Settings, seconds: float, newest: int) -> Closes:
        """Download and cache closes as `closes.download.download_closes` does, and return the newest `newest` of them.

        Raises:
            UnknownSymbolError: Yahoo Finance does not have the symbol.
            NoAnswerError: Yahoo Finance did not answer.
            DataUnavailableError: the download failed for another reason.
            InvalidClosesError: the closes are not a valid series.
        """
        own = settings.model_dump(mode="json", include=set(SETTINGS))
        request = {"symbol": symbol, "start": start, "end": end, "settings": own, "seconds": seconds, "newest": newest}
        answer = self._ask(request, START_SECONDS + seconds)
        if "error" in answer:
            raise ERRORS[answer["error"]](answer["message"], answer["details"])
        ranges = None if answer["ranges"] is None else np.array(answer["ranges"], np.float64).reshape(-1, 3)
        dates = np.array(answer["dates"], "datetime64[D]")
        return Closes(symbol, "yahoo", dates, np.array(answer["prices"], np.float64), ranges, answer["exchange"])

    def _ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a request to the process, and start it if it is not running. If it ends before it answers, start it and ask again."""
        for _ in range(2):
            try:
                self._process = self._process or _Process()
                return self._process.ask(request, seconds)
            except _EndedError:
                self.close()
            except OSError as error:  # TimeoutError is one
                self.close()
                why = "does not answer" if isinstance(error, TimeoutError) else f"cannot be started ({error.strerror})"
                raise DataUnavailableError(f"Yahoo Finance cannot be asked: the downloader process {why}.") from None
        raise DataUnavailableError("Yahoo Finance cannot be asked: the downloader process ends before it answers.")

    def close(self) -> None:
        """End the process."""
        if self._process:
            self._process.stop()
        self._process = None


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return the answer to one request."""
    os.environ.setdefault("XDG_CACHE_HOME", request["settings"]["DATA_CACHE_DIR"])  # of yfinance: a server may have no home folder
    try:
        from closes.download import download_closes

        arguments = (request["symbol"], request["start"], request["end"], Settings(**request["settings"]), request["seconds"])
        closes = download_closes(*arguments, request["newest"]).part(slice(-request["newest"], None))
    except ForecastError as error:
        kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
        return {"error": kind, "message": str(error), "details": error.details}
    except Exception as error:
        log.exception("The download failed.")
        return {"error": "DataUnavailableError", "message": f"The download failed ({type(error).__name__}).", "details": []}
    ranges = None if closes.ranges is None else closes.ranges.tolist()
    return {"dates": closes.dates.astype(str).tolist(), "prices": closes.prices.tolist(), "ranges": ranges, "exchange": closes.exchange}


def main() -> None:
    """Answer requests from stdin until there has been none for IDLE_SECONDS, or stdin is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops the server, which then closes stdin
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints must not get between the answers
    while select.select([sys.stdin], [], [], IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            return
        print(json.dumps(_answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
