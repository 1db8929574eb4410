"""Benchmark of scale: symbols trained per hour with 1 process, with 2, and on a Dask cluster of 2 workers (about 15 minutes on two cores).

    python benchmarks/benchScale.py                            8 symbols, 15 epochs
    python benchmarks/benchScale.py --symbols 4 --epochs 1     a quick one

Each part of the benchmark is a module with a function that measures and returns Markdown; PARTS lists them.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scaleTraining import measure_training

PARTS: dict[str, Callable[[argparse.Namespace], str]] = {"training": measure_training}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="Measure how many symbols are trained per hour.")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS), help="which parts to measure (default: all)")
    parser.add_argument("--symbols", type=int, default=8, help="how many of the snapshot's 20 stocks to train (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="of each fit (default: %(default)s)")
    options = parser.parse_args()
    for name in options.parts:
        print(f"## {name}\n\n{PARTS[name](options)}\n", flush=True)


if __name__ == "__main__":
    main()
