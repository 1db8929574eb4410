"""How every command of the project ends: 0 done, 1 failed with one line on stderr, 2 wrong usage, 130 interrupted.

modelTrain.py adds 3, not promoted (0 with --nightly), and 4, some of several symbols failed.
"""

import argparse
import errno
import logging
import signal
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from types import FrameType
from typing import NoReturn

import preflight
from errors import ForecastError
from settings import PROJECT_DIR, SettingError, Settings

NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class Interruption:
    """Ctrl-C. A library that calls back into Python may swallow the KeyboardInterrupt; `check` raises it again."""

    def __init__(self) -> None:
        self._happened = False

    def install(self) -> None:
        """Handle SIGINT, unless the parent process ignores it."""
        if signal.getsignal(signal.SIGINT) in (signal.default_int_handler, preflight.interrupt):
            signal.signal(signal.SIGINT, self.on_signal)

    def on_signal(self, number: int, frame: FrameType | None) -> NoReturn:
        """Raise KeyboardInterrupt, and remember it."""
        self._happened = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if Ctrl-C was pressed before."""
        if self._happened:
            raise KeyboardInterrupt


interruption = Interruption()  # of this process, as its signal handlers


def run(main: Callable[[], None]) -> NoReturn:
    """Run a command's main function and exit with its code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    interruption.install()
    try:
        main()
    except (ForecastError, SettingError) as error:
        details = "; ".join(getattr(error, "details", []))
        print(f"error: {error}" + (f" ({details})" if details else ""), file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        print(f"error: {describe(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(preflight.EXIT_INTERRUPTED)
    sys.exit(0)


def describe(error: OSError) -> str:
    """Return one sentence about a file that cannot be read or written, and what to do for a folder that cannot be written."""
    if error.filename is None or not error.strerror:
        return str(error)
    advice = " Choose a folder that can be written." if error.errno in NOT_WRITABLE else ""
    return f"{error.filename}: {error.strerror}.{advice}"


def add_file(parser: argparse.ArgumentParser | argparse._ArgumentGroup, *, required: bool) -> None:
    """Add the options of a price file."""
    parser.add_argument(
        "--csv", type=Path, required=required, metavar="PATH", help="price file: an export with a header, a date and a close column"
    )
    parser.add_argument("--column", metavar="NAME", help="the file's column of closes (default: an adjusted one if there is one)")


def add_model_dir(parser: argparse.ArgumentParser, settings: Settings) -> None:
    """Add --model-dir, with MODEL_DIR as its default."""
    folder = settings.MODEL_DIR
    shown = folder.relative_to(PROJECT_DIR) if folder.is_relative_to(PROJECT_DIR) else folder
    help_text = f"folder of the published model (default: {str(shown).replace('%', '%%')}, the setting MODEL_DIR)"
    parser.add_argument("--model-dir", type=Path, default=folder, metavar="PATH", help=help_text)


def iso_date(text: str) -> str:
    """Parse a date argument, YYYY-MM-DD."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a date such as 2020-01-31") from None


def positive_int(text: str) -> int:
    """Parse a whole number above zero."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above zero")
    return int(text)
