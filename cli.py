"""How every command of the project ends: 0 done, 1 failed with one line on stderr, 2 wrong usage, 130 interrupted."""

import argparse
import logging
import signal
import sys
from collections.abc import Callable
from datetime import date
from types import FrameType
from typing import NoReturn

from errors import ForecastError
from settings import SettingError

_interrupted = False


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command's main function and exit with its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not if the parent process ignores it
        signal.signal(signal.SIGINT, _interrupt)
    try:
        main()
    except (ForecastError, SettingError) as error:
        details = "; ".join(getattr(error, "details", []))
        print(f"error: {error}" + (f" ({details})" if details else ""), file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)  # a full disk, a folder that may not be written
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(0)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """Ctrl-C."""
    global _interrupted  # noqa: PLW0603
    _interrupted = True
    raise KeyboardInterrupt


def go_on_unless_interrupted() -> None:
    """Raise KeyboardInterrupt again after Ctrl-C: where it met a library that calls back into Python, it may have got lost there."""
    if _interrupted:
        raise KeyboardInterrupt


def iso_date(text: str) -> str:
    """An argument that is a date, YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date like 2020-01-31") from None


def positive_int(text: str) -> int:
    """An argument that is a whole number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
