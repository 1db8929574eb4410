"""What a training of many symbols says at its end."""

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from portfolio.leaderboard import Row, table
from portfolio.task import peak_memory

log = logging.getLogger(__name__)


def report(rows: Sequence[Row], board: Path, run_id: str, kept: Sequence[Path]) -> None:
    """Log the leaderboard, where the models are, and which runs MLflow does not have.

    Args:
        rows: of the finished symbols.
        board: the leaderboard's file.
        run_id: MLflow run of the whole training.
        kept: folders of the runs that MLflow did not accept.
    """
    if rows:
        log.info("\n%s\n", table(rows))
    published = sum(row.published for row in rows)
    log.info("Published %d of %d models in %s. Leaderboard: %s. MLflow run: %s.", published, len(rows), board.parent, board, run_id)
    if kept:
        log.warning("MLflow does not have %d runs. Log them later: python -m tracking.runs %s/*", len(kept), kept[0].parent)


def report_usage(peaks: dict[str, int], cpu_seconds: float) -> None:
    """Log the memory and the CPU of the workers and of this process.

    Args:
        peaks: peak memory in bytes of each worker process.
        cpu_seconds: of all steps.
    """
    if peaks:
        log.info("Peak memory: %d worker process%s of at most %.0f MB, this process %.0f MB. CPU: %.0f s and %.0f s.",
                 len(peaks), "es" * (len(peaks) > 1), max(peaks.values()) / 1e6, peak_memory() / 1e6, cpu_seconds,
                 time.process_time())  # fmt: skip


def report_failures(failures: dict[str, str], n_symbols: int) -> None:
    """Print which symbols failed, and why."""
    if failures:
        print(f"{len(failures)} of {n_symbols} symbols failed:", file=sys.stderr)
    for symbol, reason in failures.items():
        print(f"  {symbol}: {reason}", file=sys.stderr)
