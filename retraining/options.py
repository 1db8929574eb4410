"""The options of nightly trainings on the command line."""

import argparse


def add_nightly(parser: argparse.ArgumentParser) -> None:
    """Add --nightly and --keep-running."""
    parser.add_argument(
        "--nightly",
        action="store_true",
        help="train only if a newer trading day is final, from a download; exit code 0 also if not promoted; see docs/how-to/retraining.md",
    )
    parser.add_argument(
        "--keep-running",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="of --nightly: run now, and after the close of each trading day until SIGTERM",
    )


def check_nightly(parser: argparse.ArgumentParser, given: argparse.Namespace) -> None:
    """End with a usage error if options do not go together with --nightly, or need it."""
    if not given.nightly:
        if given.keep_running:
            parser.error("--keep-running needs --nightly")
        return
    for option, value in (("--rollback", given.rollback), ("--walk-forward", given.walk_forward), ("--tune", given.tune)):
        if value:
            parser.error(f"--nightly and {option} exclude each other")
    if given.csv or given.source not in ("auto", "yahoo"):
        parser.error("--nightly downloads its closes from Yahoo Finance: leave out --csv and --source")
    if given.end:
        parser.error("--nightly trains up to the newest final trading day: leave out --end")
