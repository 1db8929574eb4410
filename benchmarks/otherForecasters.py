"""The one-step forecasts of other libraries: python otherForecasters.py SERIES_FOLDER RESULT_FOLDER, with .venv-forecast-peers.

A file SYMBOL.npz of the first folder has `returns` (n,) float64, the daily log returns of a stock, and `first`, the place of the first
return of the test. The file of the same name in the second folder has, for each peer, NAME (n - first, n_probabilities) float64, the
quantiles of each return of the test, computed from the returns before it alone, and NAME_seconds, the CPU time. The probabilities are
(1, 2, ... 199) / 200, or those of the ends of the 80% and 95% intervals. versions.json has the versions of the libraries.

All peers but GARCH forecast persistence, so their intervals are compared, not their point forecasts.
"""

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}  # one process per core

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Trading days whose scores the conformal intervals are made from; chosen on the 20% of days before the test, see benchmarks/README.md.
SCORE_DAYS = 60  # of statsforecast and darts
ENBPI_DAYS, ACI_DAYS = 125, 1000  # of MAPIE; its scores have a sign, so it needs more of them
REFIT_DAYS = 20  # trading days between two fits of GARCH
PROBABILITIES = np.arange(1, 200) / 200  # of the quantiles
EVERY_LEVEL = tuple(range(1, 100))  # percent, of intervals whose ends are all quantiles but the median
TWO_LEVELS = (0.80, 0.95)  # of the intervals of peers without a distribution
BOOTSTRAPS, BLOCKS = 10, 10  # of MAPIE's ensemble, as in its tutorial
GAMMA = 0.05  # step of adaptive conformal inference, as in MAPIE's tutorial
SEED = 0
LIBRARIES = ("statsforecast", "darts", "mapie", "numpy", "scikit-learn")


def statsforecast_naive(returns: Floats, first: int) -> dict[str, Floats]:
    """Return the quantiles of statsforecast's naive model of log closes with its conformal intervals, calibrated again every day."""
    import pandas as pd
    from statsforecast import StatsForecast
    from statsforecast.models import Naive
    from statsforecast.utils import ConformalIntervals

    logs = np.concatenate([[0.0], np.cumsum(returns)])
    frame = pd.DataFrame({"unique_id": "stock", "ds": np.arange(len(logs)), "y": logs})
    model = Naive(prediction_intervals=ConformalIntervals(n_windows=SCORE_DAYS, h=1))
    days = len(returns) - first
    result = StatsForecast(models=[model], freq=1).cross_validation(df=frame, h=1, step_size=1, n_windows=days, level=list(EVERY_LEVEL))
    low, high = (np.stack([result[f"Naive-{side}-{level}"].to_numpy() for level in EVERY_LEVEL], axis=1) for side in ("lo", "hi"))
    return {"statsforecast_naive": _quantiles(low, result["Naive"].to_numpy(), high) - logs[first:-1, None]}


def statsforecast_garch(returns: Floats, first: int) -> dict[str, Floats]:
    """Return the quantiles of statsforecast's GARCH(1,1): its own, and normal ones from its variance around persistence.

    It is fitted again every REFIT_DAYS. The variance is filtered every day, which its classes do after a fit only.
    """
    from scipy.stats import norm
    from statsforecast.garch import garch_sigma2
    from statsforecast.models import GARCH

    own, spread = [], []
    model = GARCH(1, 1)
    for day in range(first, len(returns)):
        known = 100 * returns[:day]  # percent: the optimiser starts at variances near 1
        if (day - first) % REFIT_DAYS == 0:
            model.fit(known)
        model.model_ |= {"y_vals": known[-1:], "sigma2_vals": garch_sigma2(model.model_["coeff"], known, 1, 1)[-1:]}
        forecast = model.predict(h=1, level=list(EVERY_LEVEL))
        low, high = (np.array([forecast[f"{side}-{level}"] for level in EVERY_LEVEL]).T for side in ("lo", "hi"))
        own.append(_quantiles(low, forecast["mean"], high)[0] / 100)
        spread.append(np.sqrt(forecast["sigma2"][0]) / 100)
    normal = np.array(spread)[:, None] * norm.ppf(PROBABILITIES)
    return {"statsforecast_garch": np.array(own), "statsforecast_variance": normal}


def darts_naive(returns: Floats, first: int) -> dict[str, Floats]:
    """Return the quantiles of darts' ConformalNaiveModel around persistence, calibrated again every day."""
    from darts import TimeSeries
    from darts.models import ConformalNaiveModel, SKLearnModel
    from sklearn.dummy import DummyRegressor

    series = TimeSeries.from_values(returns)
    persistence = SKLearnModel(lags=1, model=DummyRegressor(strategy="constant", constant=0.0)).fit(series[:SCORE_DAYS])
    model = ConformalNaiveModel(persistence, quantiles=PROBABILITIES.tolist(), cal_length=SCORE_DAYS)
    forecasts = model.historical_forecasts(
        series, forecast_horizon=1, start=first, start_format="position", predict_likelihood_parameters=True, show_warnings=False
    )
    return {"darts_naive": forecasts.values()}


def mapie_enbpi(returns: Floats, first: int) -> dict[str, Floats]:
    """Return the ends of MAPIE's 80% and 95% intervals by EnbPI around persistence, one score replaced every day."""
    return {"mapie_enbpi": _mapie(returns, first, "enbpi", ENBPI_DAYS)}


def mapie_aci(returns: Floats, first: int) -> dict[str, Floats]:
    """Return the ends of MAPIE's 80% and 95% intervals by adaptive conformal inference around persistence, adapted every day."""
    return {"mapie_aci": _mapie(returns, first, "aci", ACI_DAYS)}


def _mapie(returns: Floats, first: int, method: str, days: int) -> Floats:
    """Return the ends of the intervals of MAPIE's TimeSeriesRegressor, (n - first, 4), in the loop of its tutorial.

    An infinite bound becomes the largest absolute return so far. The 80% interval can be wider than the 95% interval, because adaptive
    conformal inference adapts each alone.
    """
    from mapie.regression import TimeSeriesRegressor
    from mapie.subsample import BlockBootstrap
    from sklearn.dummy import DummyRegressor

    inputs = np.zeros((len(returns), 1))  # persistence needs none
    blocks = BlockBootstrap(n_resamplings=BOOTSTRAPS, n_blocks=BLOCKS, overlapping=False, random_state=SEED)
    persistence = DummyRegressor(strategy="constant", constant=0.0)
    model = TimeSeriesRegressor(persistence, method=method, cv=blocks, agg_function="mean")
    known = slice(max(0, first - days), first)
    model.fit(inputs[known], returns[known])
    intervals = []
    for day in range(first, len(returns)):
        if day > first:
            before = slice(day - 1, day)
            model.update(inputs[before], returns[before])
            if method == "aci":
                model.adapt_conformal_inference(inputs[before], returns[before], gamma=GAMMA)
        _, limits = model.predict(inputs[day : day + 1], confidence_level=TWO_LEVELS, ensemble=True, allow_infinite_bounds=True)
        largest = np.abs(returns[:day]).max()
        (low_80, low_95), (high_80, high_95) = np.clip(limits[0], -largest, largest)
        intervals.append((low_95, low_80, high_80, high_95))
    return np.array(intervals)


def _quantiles(low: Floats, middle: Floats, high: Floats) -> Floats:
    """Return the ends of intervals (n, 99), narrowest first, and the medians (n,) as quantiles (n, 199), lowest first."""
    return np.concatenate([low[:, ::-1], middle[:, None], high], axis=1)


PEERS: tuple[Callable[[Floats, int], dict[str, Floats]], ...] = (
    statsforecast_naive,
    statsforecast_garch,
    darts_naive,
    mapie_enbpi,
    mapie_aci,
)


def forecast_stock(path: Path, target: Path) -> None:
    """Write the forecasts of all peers for one stock."""
    warnings.simplefilter("ignore")  # MAPIE's update warns on every call
    with np.load(path) as series:
        returns, first = series["returns"], int(series["first"])
    results: dict[str, NDArray[np.float64]] = {}
    for peer in PEERS:
        started = time.process_time()
        forecasts = peer(returns, first)
        seconds = time.process_time() - started
        results |= forecasts | {f"{name}_seconds": np.array(seconds) for name in forecasts}
    np.savez(target, allow_pickle=False, **results)
    print(f"{path.stem:5} forecast by the peers", file=sys.stderr, flush=True)


if __name__ == "__main__":
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    Parallel(n_jobs=os.cpu_count())(delayed(forecast_stock)(path, target / path.name) for path in sorted(source.glob("*.npz")))
    (target / "versions.json").write_text(json.dumps({name: version(name) for name in LIBRARIES}))
