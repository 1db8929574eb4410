# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tomorrow's close: what can be known, and what cannot
#
# The whole story of the service on one page, with the project's own functions: the data, the baseline, why a network must not see prices, the
# network, its backtest, intervals on any symbol, the live API, and runs in MLflow.
#
# It runs in about a minute on two cores, because the networks that are trained here are small and train for a few epochs only. The model that
# is tested and served is the one in git. `make notebook` runs all of it again, and the outputs are the same each time.

# %%
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from pathlib import Path

PROJECT = next(folder for folder in (Path.cwd(), *Path.cwd().parents) if (folder / "processData.py").is_file())
sys.path[:0] = [str(PROJECT), str(PROJECT / "client")]
os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet"}

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from closes.snapshot import read_snapshot, snapshot_symbols
from forecast.backtest import backtest
from forecast.network import FitOptions, import_keras, fit_windows
from forecast.plots import plot_backtest, plot_reliability
from forecast.scores import coverage, point_metrics, score, summary
from forecast.split import split_in_time
from models.loading import load_forecaster
from processData import WINDOW, make_windows, relative_to_last

import_keras()  # without TensorFlow's messages about a missing GPU
import keras
from sklearn.preprocessing import MinMaxScaler

warnings.filterwarnings("ignore", message="IProgress not found")  # tqdm, without Jupyter's widgets
plt.rcParams["figure.dpi"] = 70

# %% [markdown]
# ## The data
#
# Daily closes of Microsoft, adjusted for splits and dividends, from the embedded snapshot (`data/README.md` says where it comes from).

# %%
closes = read_snapshot("MSFT")
print(len(closes), "closes,", closes.first_date, "to", closes.last_date)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5), layout="constrained")
left.plot(closes.dates, closes.prices, lw=0.8)
left.set(title="Adjusted close of MSFT", ylabel="USD")
returns = np.diff(np.log(closes.prices))
right.plot(closes.dates[1:], 100 * returns, lw=0.5)
right.set(title="Daily change: calm and wild weeks come in clusters", ylabel="percent");

# %% [markdown]
# Two things to see. The price has grown by a factor of ten, so the last years look like nothing before. And the direction of the next change
# looks random, but its **size** does not: wild days follow wild days. The first is a trap, the second is what can be forecast.
#
# ## The baseline
#
# **Persistence** repeats the last close. A window is 60 closes, the target is the close after it. The days are split in time: 60% to fit, 20% to
# calibrate, 20% to test.

# %%
windows, targets = make_windows(closes.prices)
actual, last = targets[:, 0], windows[:, -1]
split = split_in_time(len(closes))
test = slice(split.test, None)
days = closes.dates[WINDOW:][test]
naive = point_metrics(actual[test], last[test])
print(f"persistence on {len(days)} test days: RMSE {naive['rmse']:.2f} USD, MAPE {naive['mape']:.2%}, R2 {naive['r2']:.3f}")

# %% [markdown]
# An R2 of 0.985 without any model. It means nothing here: tomorrow's close is near today's, so any line that follows yesterday's close has it. A
# model is useful only where it is better than this, so every error below is divided by that of persistence.
#
# ## Why a network must not see prices
#
# Many tutorials scale the prices to 0 to 1 and train an LSTM on them. Here is that network, scaled by the training days as it must be, with the
# result on the test days.

# %%
def scaled(values, scaler):
    """Values of any shape through a scaler of one feature."""
    return scaler.transform(values.reshape(-1, 1)).reshape(values.shape)


keras.utils.set_random_seed(0)
price_scaler = MinMaxScaler().fit(closes.prices[: split.calibration + WINDOW].reshape(-1, 1))
price_model = keras.Sequential([keras.Input((WINDOW, 1)), keras.layers.LSTM(32), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
price_model.compile(optimizer="adam", loss="mse")
inputs = scaled(windows, price_scaler)[..., None]
price_model.fit(inputs[: split.calibration], scaled(targets, price_scaler)[: split.calibration], epochs=5, batch_size=32, verbose=0)
from_prices = price_scaler.inverse_transform(price_model.predict(inputs, verbose=0))[:, 0]

price_ratio = point_metrics(actual[test], from_prices[test])["rmse"] / naive["rmse"]
print(f"highest scaled price in training: 1.0, in the test: {inputs[test].max():.1f}")
print(f"RMSE of the network on prices: {price_ratio:.1f} times that of persistence")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", width_ratios=(2, 1))
left.plot(closes.dates[WINDOW:], actual, color="black", lw=0.9, label="actual close")
left.plot(closes.dates[WINDOW:], from_prices, color="tab:red", lw=0.9, label="network on prices")
left.axvspan(days[0], days[-1], color="tab:red", alpha=0.08, lw=0, label="test days")
left.axhline(closes.prices[: split.calibration + WINDOW].max(), color="gray", ls="--", lw=0.8, label="highest price of the training")
left.set(title="Far above the training prices, the network falls behind", ylabel="USD")
left.legend()
right.plot(actual[test], from_prices[test], ".", ms=3, color="tab:red")
right.plot(actual[test], actual[test], color="black", lw=0.8)
right.set(title="Forecast against close, test days", xlabel="close, USD", ylabel="forecast, USD");

# %% [markdown]
# The test prices lie outside the range that the network knows. An LSTM cannot follow: its activations are bounded. To scale by all days instead
# would tell the network the highest price of the future, and make the test worthless.
#
# ## What the network sees instead
#
# Each window is divided by its own last close. It then says how the price moved, not where it was: 2010 and 2022 look alike, and so do other
# stocks and currencies.

# %%
relative = relative_to_last(windows)
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5), layout="constrained", sharex=True)
for axes, values, title in ((left, windows, "Every 150th window: prices, USD"), (right, relative, "The same, relative to the last close")):
    axes.plot(values[::150].T, lw=0.7)
    axes.set(title=title, xlabel="close 1 to 60")

# %% [markdown]
# The same small network on relative windows, with the project's own fit. Its output starts at "no change", and the change that it learns is
# halved, because half of it is noise.

# %%
fitted = fit_windows(windows[: split.test], targets[: split.test], split.calibration, FitOptions(epochs=3, units=32, layers=1), progress=False)
change = fitted.scaler.inverse_transform(fitted.model.predict(scaled(relative, fitted.scaler)[..., None], verbose=0))[:, 0]
from_relative = change * last
relative_ratio = point_metrics(actual[test], from_relative[test])["rmse"] / naive["rmse"]
pd.Series(
    {"persistence": 1.0, "network on prices": price_ratio, "network on relative windows": relative_ratio}, name="RMSE / persistence"
).round(2).to_frame()

# %% [markdown]
# Not better than persistence, and not worse: what daily closes allow.
#
# ## The network in git
#
# It has two LSTM layers of 50 units, each with dropout, and was trained for 15 epochs (`python modelTrain.py --source snapshot`).

# %%
forecaster = load_forecaster(PROJECT / "modelFiles")
path = PROJECT / "modelFiles" / "versions" / forecaster.version / "my_model.keras"
model = keras.saving.load_model(path, compile=False, safe_mode=True)
for layer in model.layers:
    print(f"{type(layer).__name__:10} {str(layer.output.shape):16} {layer.count_params():>7,} parameters")

# %% [markdown]
# ## The backtest
#
# The last 20% of the days, which neither network nor intervals have seen. Each day is forecast from the 60 closes before it.

# %%
result = backtest(forecaster, closes, first=str(forecaster.metadata.tested_from))
print(summary(score(result)))
plot_backtest(result, "MSFT: the closes of the test days and their forecasts")

# %% [markdown]
# The forecast line hides under the actual one, one day late, as that of every model of this kind. Below: how much of the next day's change the
# forecast says, and how wide the intervals are, day by day.

# %%
expected = result.predicted / result.last_close - 1
realised = result.actual / result.last_close - 1
low, high = result.bounds[80]
figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.5), layout="constrained")
left.plot(100 * realised, 100 * expected, ".", ms=3)
left.set(title="The forecast hardly varies", xlabel="change of the next day, percent", ylabel="forecast change, percent")
right.plot(result.dates, 100 * (high - low) / result.last_close / 2)
right.set(title="Half width of the 80% interval", ylabel="percent of the close")
right.tick_params(axis="x", rotation=30)

# %% [markdown]
# Whether the intervals hold in calm weeks as in wild ones, and in every year:

# %%
plot_reliability(result)

# %% [markdown]
# ## Intervals on any symbol
#
# The intervals have no constant of one stock: a window's own volatility times quantiles that come from 20 stocks. So they should hold for each of them, on
# days that the quantiles have not seen.

# %%
rows = []
for symbol in snapshot_symbols():
    tested = backtest(forecaster, read_snapshot(symbol), first=str(forecaster.metadata.tested_from))
    held = {f"{level}%": 100 * coverage(tested.actual, *tested.bounds[level]) for level in (80, 95)}
    width = np.mean((tested.bounds[80][1] - tested.bounds[80][0]) / tested.last_close)
    rows.append({"symbol": symbol, **held, "mean width of 80%": 100 * width})
by_symbol = pd.DataFrame(rows).set_index("symbol").sort_values("mean width of 80%")

figure, (left, right) = plt.subplots(1, 2, figsize=(12, 3.8), layout="constrained", width_ratios=(3, 2))
for level, colour in (("80%", "tab:blue"), ("95%", "tab:orange")):
    left.plot(by_symbol.index, by_symbol[level], "o", color=colour, label=f"{level} interval")
    left.axhline(float(level[:-1]), color=colour, lw=0.8, ls="--")
left.set(title="Closes within their interval, percent", ylim=(70, 100))
left.tick_params(axis="x", rotation=60)
left.legend()
right.barh(by_symbol.index, by_symbol["mean width of 80%"], color="tab:blue", alpha=0.6)
right.set(title="Mean width of the 80% interval, percent of the close")
right.tick_params(axis="y", labelsize=7)
print(f"80%: {by_symbol['80%'].min():.1f} to {by_symbol['80%'].max():.1f}; 95%: {by_symbol['95%'].min():.1f} to {by_symbol['95%'].max():.1f}")

# %% [markdown]
# The widths differ by a factor of several, the coverage hardly. This is what the service is for.
#
# ## Calling the live API
#
# The same forecast over HTTP, with the Python client. If `STOCK_FORECAST_URL` names a running service, it is called; otherwise this cell
# starts one on a free port, and the last cell stops it.

# %%
import socket

from stock_forecast_client import Client

service, url = None, os.environ.get("STOCK_FORECAST_URL")
if not url:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = Path(tempfile.mkdtemp()) / "log.csv"
    own = {"PORT": str(port), "WEB_CONCURRENCY": "1", "MLFLOW_UI": "off", "MLFLOW_UI_PORT": "1", "REQUEST_LOG": str(log), "ACCESS_LOG": "off"}
    service = subprocess.Popen([sys.executable, "app.py"], cwd=PROJECT, env=os.environ | own, stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{url}/ready").close()
            break
        except OSError:
            time.sleep(0.1)

with Client(url) as api:
    answer = api.predict(closes.prices[-WINDOW:], horizon=20, levels=[50, 80, 95], above=[240])
print(f"after {closes.last_date}: {answer.predicted_price:.2f}, 8 times in 10 from {answer.intervals[80].low:.2f} to {answer.intervals[80].high:.2f}")
print(f"above 240 USD: {answer.probability_above[0]:.0%} tomorrow, {answer.path[-1].probability_above[0]:.0%} in 20 days")

# %%
figure, axes = plt.subplots(figsize=(9, 3.8), layout="constrained")
steps = np.array([step.step for step in answer.path])
axes.plot(np.arange(-WINDOW + 1, 1), closes.prices[-WINDOW:], color="black", lw=1, label="close")
axes.plot(steps, [step.price for step in answer.path], color="tab:orange", label="forecast")
for level, shade in ((95, 0.15), (80, 0.2), (50, 0.3)):
    bounds = np.array([step.intervals[level] for step in answer.path])
    axes.fill_between(steps, bounds[:, 0], bounds[:, 1], color="tab:blue", alpha=shade, lw=0, label=f"{level}% interval")
axes.axhline(240, color="gray", ls="--", lw=0.8)
axes.set(title="The answer of POST /predict", xlabel="trading days from the last close", ylabel="USD")
axes.legend(loc="upper left");

# %% [markdown]
# ## Comparing runs in MLflow
#
# `modelTrain.py` logs each training to MLflow; `/mlflow` opens its UI. Runs can be compared in code too. Here are the two networks of this page in a
# store of their own, with what was different and what came out.

# %%
import logging

logging.disable(logging.INFO)  # MLflow reports the tables that it creates
import mlflow

folder = tempfile.mkdtemp()
mlflow.set_tracking_uri(f"sqlite:///{folder}/mlflow.db")
mlflow.set_experiment(experiment_id=mlflow.create_experiment("notebook", artifact_location=f"file://{folder}/artifacts"))
for name, forecasts, epochs in (("network on prices", from_prices, 5), ("network on relative windows", from_relative, 3), ("persistence", last, 0)):
    with mlflow.start_run(run_name=name):
        mlflow.log_params({"epochs": epochs, "units": 32 if epochs else 0})
        metrics = point_metrics(actual[test], forecasts[test])
        mlflow.log_metrics({"rmse_ratio": metrics["rmse"] / naive["rmse"], "mape": metrics["mape"]})

runs = mlflow.search_runs(order_by=["metrics.rmse_ratio"])
table = runs[["tags.mlflow.runName", "params.epochs", "metrics.rmse_ratio", "metrics.mape"]]
table.set_axis(["run", "epochs", "RMSE / persistence", "MAPE"], axis=1).set_index("run").sort_index().round(3)

# %% [markdown]
# For the runs of `modelTrain.py`, use the address in `MLFLOW_TRACKING_URI`, by default `sqlite:///mlruns/mlflow.db`.
#
# So the honest use of this service is its intervals: they follow the stock's own volatility, they hold for any symbol, and they say how far
# tomorrow may be from today.

# %%
if service:
    service.terminate()
    print("The service stopped with exit code", service.wait(30))
