"""The split of a series in time: fit, calibration, test."""

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from errors import InvalidClosesError
from processData import WINDOW

if TYPE_CHECKING:
    pass

TRAIN_SHARE = 0.8  # of the windows; the rest is the test, unseen
CALIBRATION_SHARE = 0.25  # of the training windows: their last part calibrates the intervals, 20% of all
MIN_CALIBRATION = 60  # scores; 95% needs 19 at least


@dataclass(frozen=True)
class Split:
    """Where the parts begin, counted in windows: fit [0, calibration), calibrate [calibration, test), test [test, n)."""

    calibration: int
    test: int
    n: int


def split_in_time(n_closes: int) -> Split:
    """Cut a series in time into fit, calibration and test.

    Raises:
        InvalidClosesError: too few closes for each part to have enough.
    """
    n = n_closes - WINDOW
    test = int(n * TRAIN_SHARE)
    calibration = int(test * (1 - CALIBRATION_SHARE))
    if test - calibration < MIN_CALIBRATION:
        needed = WINDOW + int(np.ceil(np.ceil(MIN_CALIBRATION / CALIBRATION_SHARE) / TRAIN_SHARE))
        raise InvalidClosesError(f"{n_closes} closes are too few to train, calibrate and test on; it takes {needed}.")
    return Split(calibration, test, n)


def walk_forward_splits(n_closes: int, folds: int) -> list[Split]:
    """Splits whose tests are successive blocks of the second half of the windows; each fits and calibrates on all before its block.

    Raises:
        InvalidClosesError: too few closes for the first fold.
    """
    n = n_closes - WINDOW
    edges = [n // 2 + (n - n // 2) * fold // folds for fold in range(folds + 1)]
    splits = [Split(int(test * (1 - CALIBRATION_SHARE)), test, end) for test, end in itertools.pairwise(edges)]
    if splits[0].test - splits[0].calibration < MIN_CALIBRATION or splits[0].n == splits[0].test:
        raise InvalidClosesError(f"{n_closes} closes are too few for {folds} walk-forward folds.")
    return splits
