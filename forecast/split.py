"""Splits a series in time: 60% to fit the network, 20% to calibrate the intervals, and the last 20%, which nothing has used, to test."""

import itertools
from dataclasses import dataclass

import numpy as np

from errors import InvalidClosesError
from processData import WINDOW

TRAIN_SHARE = 0.8  # of the windows; the rest is the test
CALIBRATION_SHARE = 0.25  # of these: the last part, 20% of all windows, calibrates the intervals
MIN_CALIBRATION = 60  # scores; 95% needs at least 19


@dataclass(frozen=True)
class Split:
    """Where the parts begin, in windows: fit [0, calibration), calibrate [calibration, test), test [test, n)."""

    calibration: int
    test: int
    n: int


def split_in_time(n_closes: int) -> Split:
    """Split a series into fit, calibration and test.

    Raises:
        InvalidClosesError: there are too few closes for the parts.
    """
    n = n_closes - WINDOW
    test = int(n * TRAIN_SHARE)
    calibration = int(test * (1 - CALIBRATION_SHARE))
    if test - calibration < MIN_CALIBRATION:
        needed = WINDOW + int(np.ceil(np.ceil(MIN_CALIBRATION / CALIBRATION_SHARE) / TRAIN_SHARE))
        raise InvalidClosesError(f"{n_closes} closes are too few. Fitting, calibrating and testing need {needed}.")
    return Split(calibration, test, n)


def walk_forward_splits(n_closes: int, folds: int) -> list[Split]:
    """Return splits whose tests are successive blocks of the second half of the windows. Each fits and calibrates on all windows before.

    Raises:
        InvalidClosesError: too few closes for the first fold.
    """
    n = n_closes - WINDOW
    edges = [n // 2 + (n - n // 2) * fold // folds for fold in range(folds + 1)]
    splits = [Split(int(test * (1 - CALIBRATION_SHARE)), test, end) for test, end in itertools.pairwise(edges)]
    if splits[0].test - splits[0].calibration < MIN_CALIBRATION or splits[0].n == splits[0].test:
        raise InvalidClosesError(f"{n_closes} closes are too few for {folds} walk-forward folds.")
    return splits
