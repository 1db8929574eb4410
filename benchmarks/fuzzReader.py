"""Reads damaged price files of known closes for some minutes, and prints the seeds of those that are read wrongly.

    python benchmarks/fuzzReader.py --minutes 10

The files and the oracle are in tests/support/mutated.py; tests/closes/test_files_fuzz.py runs a few hundred of them.
"""

import argparse
import itertools
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "support")]

from mutated import MutatedFile, check, check_sound, read

MAX_SECONDS = 10  # for one file
MAX_FINDINGS = 20


def finding(seed: int) -> str:
    """Return what is wrong with the reading of a file, empty if nothing is."""
    damages, newest = seed % 4, 60 if seed % 2 else None
    started = time.monotonic()
    try:
        if damages:
            check(MutatedFile(seed, damages), newest)
        else:
            check_sound(MutatedFile(seed, 0))
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        return f"seed {seed}: {type(error).__name__}: {error}"
    seconds = time.monotonic() - started
    return f"seed {seed}: {seconds:.1f} s" if seconds > MAX_SECONDS else ""


def main() -> None:
    """Read files until the time is over."""
    parser = argparse.ArgumentParser(description="Fuzz the reader of price files.")
    parser.add_argument("--minutes", type=float, default=10, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=0, help="of the first file (default: 0)")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    findings = accepted = damaged = 0
    for seed in itertools.count(options.seed):
        if time.monotonic() > end or findings == MAX_FINDINGS:
            break
        if text := finding(seed):
            findings += 1
            print(text, flush=True)
        if seed % 40 == 1:
            damaged += 1
            accepted += read(MutatedFile(seed, 1)) is not None
    share = accepted / max(damaged, 1)
    print(f"{seed - options.seed:,} files, {findings} findings; {share:.0%} of the files with one damage are accepted.")
    sys.exit(findings > 0)


if __name__ == "__main__":
    main()
