"""Forecasts of windows, invalid windows and models, and the command."""

import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from closes.series import MAX_CLOSE, MAX_RANGE, MIN_CLOSE, Floats
from closes.snapshot import read_snapshot
from errors import InvalidClosesError, ModelUnavailableError
from forecast.forecaster import Forecaster, Question, check_windows
from forecast.intervals import MAX_HORIZON
from modelPredict import main
from models.loading import load_forecaster
from models.publishing import publish, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, read_published
from processData import WINDOW, make_windows
from settings import PROJECT_DIR


@pytest.fixture(scope="module")
def forecaster() -> Forecaster:
    return load_forecaster(PROJECT_DIR / "modelFiles")


@pytest.fixture(scope="module")
def windows() -> Floats:
    """Windows of the days that the model was fitted on, one a month."""
    return make_windows(read_snapshot("MSFT").prices[:1500])[0][::21]


# Forecasts


def test_forecast_has_the_documented_shapes_and_last_closes(forecaster, windows):
    forecast = forecaster.forecast(windows, horizon=3)
    assert forecast.prices.shape == (len(windows), 3)
    assert {level: (low.shape, high.shape) for level, (low, high) in forecast.bounds.items()} == dict.fromkeys(
        (80, 95), ((len(windows), 3),) * 2
    )
    np.testing.assert_array_equal(forecast.last_closes, windows[:, -1])


def test_forecast_lies_within_its_intervals_and_near_the_last_close(forecaster, windows):
    forecast = forecaster.forecast(windows, MAX_HORIZON)
    (low_80, high_80), (low_95, high_95) = forecast.bounds[80], forecast.bounds[95]
    assert (low_95 < low_80).all()
    assert (low_80 < forecast.prices).all()
    assert (forecast.prices < high_80).all()
    assert (high_80 < high_95).all()
    np.testing.assert_allclose(forecast.prices[:, 0], windows[:, -1], rtol=0.05)


def test_first_step_of_a_path_is_the_one_step_forecast(forecaster, windows):
    one, path = forecaster.forecast(windows), forecaster.forecast(windows, 5)
    np.testing.assert_array_equal(path.prices[:, :1], one.prices)
    first, *later = path.as_dict(0, Question(with_path=True))["path"]
    assert first == {"step": 1, "price": one.as_dict(0)["predicted_price"], "intervals": one.as_dict(0)["intervals"]}
    assert [step["step"] for step in later] == [2, 3, 4, 5]


def test_each_step_extends_the_window_by_the_previous_steps(forecaster, windows):
    prices = forecaster.forecast(windows, 3).prices
    extended = np.column_stack([windows[:, 2:], prices[:, :2]])
    np.testing.assert_allclose(forecaster.forecast(extended).prices[:, 0], prices[:, 2], rtol=1e-12)


def test_rows_of_a_batch_equal_the_forecasts_of_single_windows(forecaster, windows):
    batch = forecaster.forecast(windows, 4)
    for row, window in enumerate(windows):
        alone = forecaster.forecast(window[None], 4)
        np.testing.assert_allclose(alone.prices[0], batch.prices[row], rtol=1e-6)
        for level in (80, 95):
            np.testing.assert_allclose(np.array(alone.bounds[level])[:, 0], np.array(batch.bounds[level])[:, row], rtol=1e-6)


@pytest.mark.parametrize("factor", [1e-6, 1000.0])
def test_forecast_does_not_depend_on_the_currency(forecaster, windows, factor):
    forecast, other = forecaster.forecast(windows), forecaster.forecast(windows * factor)
    np.testing.assert_allclose(other.prices, forecast.prices * factor, rtol=1e-6)
    np.testing.assert_allclose(other.bounds[95][0], forecast.bounds[95][0] * factor, rtol=1e-6)


def test_answer_is_json_with_the_documented_names(forecaster, windows):
    answer = json.loads(json.dumps(forecaster.forecast(windows).as_dict(0), allow_nan=False))
    assert set(answer) == {"predicted_price", "last_close", "intervals", "warnings"}
    assert {level: len(bounds) for level, bounds in answer["intervals"].items()} == {"80": 2, "95": 2}


@pytest.mark.parametrize("price", [MIN_CLOSE, 1.0, MAX_CLOSE])
@pytest.mark.parametrize("shape", ["flat", "as wild as can be"])
def test_forecasts_of_extreme_windows_are_finite_and_positive(forecaster, price, shape):
    window = np.full((1, WINDOW), price)
    if shape != "flat":
        window[:, ::2] *= MAX_RANGE if price < MAX_CLOSE else 1 / MAX_RANGE
    forecast = forecaster.forecast(window, MAX_HORIZON)
    for values in (forecast.prices, *forecast.bounds[80], *forecast.bounds[95]):
        assert np.isfinite(values).all()
        assert (values > 0).all()


# Warnings


def test_usual_window_has_no_warnings(forecaster, windows):
    assert forecaster.forecast(windows).warnings == [[] for _ in windows]


@pytest.mark.parametrize(
    ("unusual", "words"),
    [
        (lambda usual: np.where(np.arange(WINDOW) < 30, usual * 5, usual), ["times its last close", "split"]),
        (lambda usual: np.full(WINDOW, usual[-1]), ["daily volatility is 0.00%"]),
        (lambda usual: np.geomspace(0.2, 1, WINDOW) * usual[-1], ["times its last close"]),
        (lambda usual: usual * np.where(np.arange(WINDOW) % 2, 1.2, 1), ["daily volatility"]),
    ],
    ids=["split", "flat", "fivefold", "jagged"],
)
def test_window_unlike_the_training_data_has_only_that_warning(forecaster, windows, unusual, words):
    warnings = forecaster.forecast(np.array([windows[0], unusual(windows[0])])).warnings
    assert warnings[0] == []
    for word in words:
        assert any(word in warning.text for warning in warnings[1]), (word, warnings[1])


def test_split_is_warned_of_even_within_the_training_range(forecaster, windows):
    wide = {"relative_close_range": [0.01, 100.0], "volatility_range": [0.0, 1.0]}
    other = Forecaster(forecaster._network, forecaster.metadata.changed(training=forecaster.metadata.training.model_copy(update=wide)))
    window = windows[0].copy()
    window[:30] *= 2
    (warning,) = other.forecast(window[None]).warnings[0]
    assert (warning.code, warning.day) == ("possible_split", None)
    assert warning.text.startswith(f"Close 31 is {window[30] / window[29]:.3g} times the close before it.")


# Windows that no forecast can be made from


@pytest.mark.parametrize("shape", [(60,), (1, 59), (1, 61), (2, 60, 1), (0,)])
def test_windows_of_another_shape_are_rejected(shape):
    with pytest.raises(InvalidClosesError, match="A window has 60 closes"):
        check_windows(np.ones(shape))


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf, -np.inf, MIN_CLOSE / 10, MAX_CLOSE * 10])
def test_invalid_close_is_rejected_naming_its_place(value):
    windows = np.ones((3, WINDOW))
    windows[1, 4] = value
    with pytest.raises(InvalidClosesError) as caught:
        check_windows(windows)
    assert caught.value.details == [f"window 2, close 5: {value} is not between 1e-100 and 1e+100"]


def test_closes_too_far_apart_are_rejected_naming_the_window():
    windows = np.ones((2, WINDOW))
    windows[1, 0] = MAX_RANGE
    check_windows(windows)
    windows[1, 0] *= 1.001
    with pytest.raises(InvalidClosesError) as caught:
        check_windows(windows)
    assert caught.value.details == ["window 2: the largest close is more than 1,000,000 times the smallest"]


def test_at_most_five_invalid_closes_are_named():
    with pytest.raises(InvalidClosesError) as caught:
        check_windows(np.zeros((1000, WINDOW)))
    assert len(caught.value.details) == 5


# Loading


def republish(model_dir: Path, compiled: bytes, drop: str = "") -> None:
    """Publish the model with another compiled form, or without one of its metadata."""
    published = read_published(model_dir)
    metadata = {name: value for name, value in published.metadata.items() if name != drop} | {"model_version": "other"}
    with staging_folder(model_dir) as folder:
        for name in (KERAS_FILE, SCALER_FILE):
            (folder / name).write_bytes((published.folder / name).read_bytes())
        (folder / ONNX_FILE).write_bytes(compiled)
        publish(model_dir, metadata, folder)


def compiled_of(model_dir: Path) -> bytes:
    return (read_published(model_dir).folder / ONNX_FILE).read_bytes()


def test_published_model_is_loaded_with_its_version(forecaster, model_dir):
    assert load_forecaster(model_dir).version == forecaster.version == read_published(PROJECT_DIR / "modelFiles").version


def test_error_for_a_missing_compiled_form_names_the_command(model_dir):
    (read_published(model_dir).folder / ONNX_FILE).unlink()
    with pytest.raises(ModelUnavailableError, match=r"python -m models.compiled") as caught:
        load_forecaster(model_dir)
    assert caught.value.details == ["my_model.onnx is missing"]


@pytest.mark.parametrize("name", [KERAS_FILE, SCALER_FILE, ONNX_FILE])
def test_damaged_file_of_a_model_is_rejected_naming_it(model_dir, name):
    (read_published(model_dir).folder / name).write_bytes(b"damaged")
    with pytest.raises(ModelUnavailableError) as caught:
        load_forecaster(model_dir)
    assert caught.value.details == [f"{name} has another SHA-256 than when it was published"]


def test_compiled_form_of_other_files_is_rejected(model_dir):
    graph = onnx.load_from_string(compiled_of(model_dir))
    next(prop for prop in graph.metadata_props if prop.key == f"sha256:{KERAS_FILE}").value = "0" * 64
    republish(model_dir, graph.SerializeToString())
    with pytest.raises(ModelUnavailableError, match=r"made from other files.*python -m models.compiled"):
        load_forecaster(model_dir)


def test_invalid_compiled_form_is_rejected(model_dir):
    republish(model_dir, b"not a graph")
    with pytest.raises(ModelUnavailableError, match=r"cannot be loaded.*python -m models.compiled"):
        load_forecaster(model_dir)


@pytest.mark.parametrize("name", ["calibration", "training"])
def test_metadata_without_a_required_part_is_rejected_naming_it(model_dir, name):
    republish(model_dir, compiled_of(model_dir), drop=name)
    with pytest.raises(ModelUnavailableError, match="is incomplete") as caught:
        load_forecaster(model_dir)
    assert name in caught.value.details[0]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("training.relative_close_range", None),
        ("training.volatility_range", [0.1]),
        ("metrics", None),
        ("metrics.rmse_ratio", "good"),
        ("symbol", None),
        ("created_at", "yesterday"),
        ("last_date", "2022-13-01"),
        ("calibration.quantiles", {}),
        ("calibration.quantiles", [[1.0] * 199] * 10),  # a horizon of 15 would fail later
        ("calibration.quantiles", [[1.0] * 199] * 19 + [[1.0] * 198]),
    ],
)
def test_invalid_metadata_is_rejected_naming_the_place(model_dir, place, value):
    published = read_published(model_dir)
    metadata = json.loads(json.dumps(published.metadata))
    *way, last = place.split(".")
    part = metadata
    for name in way:
        part = part[name]
    part[last] = value
    for folder in (model_dir, published.folder):
        (folder / "metadata.json").write_text(json.dumps(metadata))
    with pytest.raises(ModelUnavailableError, match="is incomplete") as caught:
        load_forecaster(model_dir)
    assert len(caught.value.details) == 1
    assert last in caught.value.details[0] or place == "calibration.quantiles"


BATCH = """
from server import memory
memory.use_one_heap()
from pathlib import Path
import psutil
from models.loading import load_forecaster
from processData import make_windows
from closes.snapshot import read_snapshot
windows = make_windows(read_snapshot("MSFT").prices)[0][:1024]
forecaster = load_forecaster(Path("modelFiles"))
forecaster.forecast(windows[:1])
before = psutil.Process().memory_full_info().uss
forecaster.forecast(windows)
memory.give_back_memory()
print(psutil.Process().memory_full_info().uss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can return memory on request")
def test_memory_of_a_batch_is_freed():
    done = subprocess.run([sys.executable, "-c", BATCH], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 8_000_000  # ONNX Runtime would keep 18


# The command


def write_csv(path: Path, n: int) -> Path:
    closes = read_snapshot("MSFT")
    rows = zip(closes.dates[-n:], closes.prices[-n:], strict=True)
    path.write_text("date,close\n" + "".join(f"{day},{price!r}\n" for day, price in ((str(d), float(p)) for d, p in rows)))
    return path


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "modelPredict.py", *arguments]
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.slow
def test_command_forecasts_from_the_last_60_closes_as_json(forecaster, tmp_path):
    done = run("--csv", str(write_csv(tmp_path / "c.csv", 100)), "--horizon", "5")
    assert done.returncode == 0
    assert re.fullmatch(r"CSV: The last close is from 2022-12-28, [\d,]+ weekdays ago\.\n", done.stderr)
    answer = json.loads(done.stdout)
    expected = forecaster.forecast(read_snapshot("MSFT").prices[None, -WINDOW:], 5)
    assert answer == {
        "as_of": "2022-12-28",
        **expected.as_dict(0),
        "model_version": forecaster.version,
        "path": expected.as_dict(0, Question(with_path=True))["path"],
    }


def test_command_without_horizon_gives_no_path(tmp_path, capsys):
    main(["--csv", str(write_csv(tmp_path / "c.csv", 60))])
    assert "path" not in json.loads(capsys.readouterr().out)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--csv", "short.csv"], 1, "has 59 closes; a forecast needs 60"),
        (["--csv", "none.csv"], 1, "No such file or directory"),
        (["--csv", "wrong.csv"], 1, "line 2: date '2020-01-01', close 'abc'"),
        (["--csv", "good.csv", "--model-dir", "nothing"], 1, "No model is published yet"),
        (["--csv", "good.csv", "--model-dir", "broken"], 1, "cannot be read"),
        ([], 2, "--csv"),
        (["--csv", "good.csv", "--horizon", "0"], 2, "--horizon must be 1 to 20"),
        (["--csv", "good.csv", "--horizon", "21"], 2, "--horizon must be 1 to 20"),
        (["--csv", "good.csv", "--horizon", "x"], 2, "invalid int value"),
    ],
)
def test_command_fails_with_an_exit_code_and_one_line(tmp_path, arguments, code, said):
    write_csv(tmp_path / "short.csv", 59)
    write_csv(tmp_path / "good.csv", 60)
    (tmp_path / "wrong.csv").write_text("date,close\n2020-01-01,abc\n")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / METADATA_FILE).write_text("{")
    done = run(*(str(tmp_path / word) if word[0].isalpha() and len(word) > 1 else word for word in arguments))
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1
