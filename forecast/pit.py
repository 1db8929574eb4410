"""The probability integral transform (PIT) of a published backtest, from its CSV and the model's calibration.

    add_pit(content, forecaster)     the same CSV with the column pit

The PIT of a day is the probability that its distribution gave to a lower or equal close. The central interval of a level held the close if
the PIT is between (100 - level) / 200 and (100 + level) / 200, so one column has the result of every level.

A backtest has the bounds of two levels. A bound is the forecast times exp(scale * quantile), and the quantiles are in the model's
calibration. So the bounds give the scale of each day, and with it the whole distribution, up to the rounding of floats.
"""

import csv
import io

import numpy as np
from numpy.typing import NDArray

from closes.series import Floats
from errors import DataUnavailableError
from forecast.forecaster import Forecaster
from forecast.intervals import LEVELS, PROBABILITIES, Distribution

TOLERANCE = 1e-6  # of a bound's log return, relative to the width of the widest interval


def add_pit(content: str, forecaster: Forecaster) -> str:
    """Return a backtest in the form of CSV with the column `pit`.

    Args:
        content: a backtest of this model, as in backtest_csv.
        forecaster: the model.

    Raises:
        DataUnavailableError: the bounds do not follow the calibration of this model.
    """
    header, *rows = csv.reader(io.StringIO(content))
    values = {name: np.array([row[place] for row in rows], np.float64) for place, name in enumerate(header) if name != "date"}
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow([*header, "pit"])
    writer.writerows([*row, value] for row, value in zip(rows, _pit(values, forecaster).tolist(), strict=True))
    return table.getvalue()


def _pit(values: dict[str, Floats], forecaster: Forecaster) -> Floats:
    """Return the PIT of each day (n,) from the columns of a backtest: by the distribution for closes or the one for ranges, which fits."""
    predicted = values["predicted"]
    bounds = np.array([[np.log(values[f"{end}_{level}"] / predicted) for end in ("low", "high")] for level in LEVELS])  # (levels, 2, n)
    score = np.log(values["actual"] / predicted)
    pit, missing = np.empty(len(score)), np.ones(len(score), bool)
    for distribution in (forecaster.distribution, forecaster.range_distribution):
        if distribution is not None:
            scale, fits = _scale(bounds, distribution)
            new = missing & fits
            pit[new] = np.interp(score[new] / scale[new], distribution.table[0], PROBABILITIES, left=0.0, right=1.0)
            missing &= ~fits
    if missing.any():
        raise DataUnavailableError("The intervals of the backtest do not follow the calibration of the model.")
    return pit


def _scale(bounds: Floats, distribution: Distribution) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the scale of each day (n,), and whether all its bounds (levels, 2, n) follow the distribution (n,)."""
    quantiles = distribution.limits(LEVELS)[:, :, 0]  # (levels, 2)
    width = bounds[-1, 1] - bounds[-1, 0]
    scale: Floats = width / (quantiles[-1, 1] - quantiles[-1, 0])
    return scale, (np.abs(bounds - quantiles[:, :, None] * scale) <= TOLERANCE * width).all(axis=(0, 1))
