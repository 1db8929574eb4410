"""Splits a series in time: 60% to fit the network, 20% to calibrate the intervals, and the last 20%, which nothing has used, to test."""

import itertools
from dataclasses import dataclass
from datetime import date

import numpy as np

from closes.series import Closes, Floats
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


@dataclass(frozen=True)
class Dataset:
    """A series and its split. Part names are those of `Split`; a window belongs to the part of the close that follows it.

    Attributes:
        closes: the whole series.
        split: where the parts begin.
    """

    closes: Closes
    split: Split

    def check_movement(self) -> None:
        """Check that the closes of each part move.

        Raises:
            InvalidClosesError: on more than half of the days of a part the close does not change.
        """
        moved = np.diff(self.closes.prices) != 0
        split = self.split
        parts = {"fit": (0, split.calibration), "calibrate": (split.calibration, split.test), "test": (split.test, split.n)}
        for name, (start, end) in parts.items():
            if moved[start + WINDOW - 1 : end + WINDOW - 1].mean() < 0.5:
                first, last = self._day(start), self._day(end - 1)
                raise InvalidClosesError(
                    f"On more than half of the days to {name} on, {first} to {last}, the close is equal to the one before: "
                    "there is nothing to learn from, and the intervals would promise too much."
                )

    @property
    def fit_prices(self) -> Floats:
        """The closes that the network is fitted on (n_days,), float64."""
        return self.closes.prices[: self.split.calibration + WINDOW]

    @property
    def calibration_prices(self) -> Floats:
        """The closes of the calibration days and the 60 before them (n_days,), float64."""
        return self.closes.prices[self.split.calibration : self.split.test + WINDOW]

    @property
    def before_test(self) -> Closes:
        """All closes before the test."""
        return self.closes.part(slice(self.split.test + WINDOW))

    @property
    def fitted_until(self) -> date:
        """The day of the last close that the network is fitted on."""
        return self._day(self.split.calibration - 1)

    @property
    def tested_from(self) -> date:
        """The first day of the test."""
        return self._day(self.split.test)

    @property
    def tested_to(self) -> date:
        """The last day of the test."""
        return self._day(self.split.n - 1)

    def _day(self, window: int) -> date:
        """Return the day after a window, the one that is forecast."""
        return date.fromisoformat(str(self.closes.dates[window + WINDOW]))


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
        raise InvalidClosesError(f"{n_closes} closes are too few. Fitting, calibrating and testing need {needed} closes.")
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
