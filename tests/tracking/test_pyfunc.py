"""The registered model's parameters: intervals, and windows that cannot be forecast. tests/e2e/test_spark.py uses them in Spark."""

import numpy as np
import pytest

from closes.snapshot import read_snapshot
from errors import InvalidClosesError
from forecast.bulk import FIELDS, forecast_columns
from models.loading import load_forecaster
from models.store import METADATA_FILE, ONNX_FILE, read_published
from processData import make_windows
from settings import PROJECT_DIR

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]

MODEL_DIR = PROJECT_DIR / "modelFiles"
WINDOWS = make_windows(read_snapshot("AAPL").prices[:160])[0]


@pytest.fixture(scope="module")
def model():
    from mlflow.pyfunc import PythonModelContext

    from tracking.pyfunc import NextClose

    folder = read_published(MODEL_DIR).folder
    artifacts = {"network": str(folder / ONNX_FILE), "metadata": str(folder / METADATA_FILE)}
    loaded = NextClose()
    loaded.load_context(PythonModelContext(artifacts=artifacts, model_config=None))
    return loaded


def test_intervals_are_the_columns_of_the_command(model):
    frame = model.predict(None, WINDOWS, {"intervals": True})
    assert list(frame) == list(FIELDS)
    for name, values in forecast_columns(load_forecaster(MODEL_DIR), WINDOWS).items():
        np.testing.assert_array_equal(frame[name].to_numpy(), values)


def test_without_parameters_the_answer_is_the_price_alone(model):
    np.testing.assert_array_equal(model.predict(None, WINDOWS), model.predict(None, WINDOWS, {"intervals": True})["predicted_price"])


def test_window_that_cannot_be_forecast_is_an_error_or_nan(model):
    windows = WINDOWS.copy()
    windows[3, 7], windows[5, 0] = -1.0, np.nan
    with pytest.raises(InvalidClosesError):
        model.predict(None, windows)
    prices = model.predict(None, windows, {"skip_invalid": True})
    assert np.flatnonzero(np.isnan(prices)).tolist() == [3, 5]
    good = np.delete(np.arange(len(windows)), [3, 5])
    np.testing.assert_array_equal(prices[good], model.predict(None, WINDOWS)[good])


def test_only_invalid_windows_give_nan_alone(model):
    assert np.isnan(model.predict(None, -WINDOWS, {"skip_invalid": True})).all()
