"""The compiled form against Keras itself; TensorFlow takes its time to import."""

import shutil
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest

import modelStore
from errors import ModelUnavailableError
from modelCompile import CompileError, compile_files, compile_model, main
from modelPredict import Network, load_forecaster
from modelStore import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, publish, read_published, staging_folder
from processData import WINDOW, make_windows, read_snapshot, relative_to_last
from settings import PROJECT_DIR

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),  # Keras saves variables
]


@pytest.fixture(scope="module")
def keras() -> ModuleType:
    with warnings.catch_warnings(action="ignore"):  # what TensorFlow's own imports warn of
        import keras
        import tensorflow  # noqa: F401
    return keras


@pytest.fixture(scope="module")
def folder(keras: ModuleType) -> Path:
    return read_published(PROJECT_DIR / "modelFiles").folder


@pytest.fixture(scope="module")
def model(keras: ModuleType, folder: Path) -> Any:
    return keras.saving.load_model(folder / KERAS_FILE, compile=False)


@pytest.fixture(scope="module")
def scaler(folder: Path) -> Any:
    return joblib.load(folder / SCALER_FILE)


def test_compiled_model_says_what_keras_says_on_real_windows(model, scaler, folder):
    windows = np.concatenate([make_windows(read_snapshot(symbol).prices)[0][::13][:125] for symbol in ("MSFT", "AMD", "KO", "GE")])
    assert len(windows) == 500
    scaled = scaler.transform(relative_to_last(windows).reshape(-1, 1)).reshape(*windows.shape, 1)
    expected = scaler.inverse_transform(model.predict(scaled.astype(np.float32), batch_size=500, verbose=0))[:, 0] * windows[:, -1]
    given = Network((folder / ONNX_FILE).read_bytes()).path(windows)[:, 0]
    assert given.std() > 1
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_compiling_twice_gives_the_same_bytes_as_published(folder, tmp_path):
    for name in (KERAS_FILE, SCALER_FILE):
        shutil.copy(folder / name, tmp_path)
    compile_files(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {KERAS_FILE, SCALER_FILE, ONNX_FILE}
    assert (tmp_path / ONNX_FILE).read_bytes() == (folder / ONNX_FILE).read_bytes()


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (lambda k: [k.layers.GRU(2, name="odd")], r"Layer odd \(GRU\) is not known"),
        (lambda k: [k.layers.LSTM(2), k.layers.Dense(1, activation="relu", name="odd")], r"Layer odd \(Dense\) is not known"),
    ],
)
def test_layer_that_is_not_known_is_refused_naming_it(keras, scaler, layers, named):
    model = keras.Sequential([keras.Input((WINDOW, 1)), *layers(keras)])
    with pytest.raises(CompileError, match=named):
        compile_model(model, scaler, {})


@pytest.mark.parametrize("activations", [{"activation": "relu"}, {"recurrent_activation": "tanh"}])
def test_layer_that_is_compiled_to_something_else_is_refused(keras, scaler, tmp_path, activations):
    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((WINDOW, 1)), keras.layers.LSTM(4, **activations), keras.layers.Dense(1)]).save(tmp_path / KERAS_FILE)
    joblib.dump(scaler, tmp_path / SCALER_FILE)
    with pytest.raises(CompileError, match="differs from Keras by"):
        compile_files(tmp_path)
    assert not (tmp_path / ONNX_FILE).exists()


def remove_compiled(model_dir: Path) -> bytes:
    """Delete the published version's compiled form; its content."""
    path = read_published(model_dir).folder / ONNX_FILE
    content = path.read_bytes()
    path.unlink()
    return content


def test_command_mends_a_model_without_compiled_form(model_dir):
    content = remove_compiled(model_dir)
    with pytest.raises(ModelUnavailableError, match=r"python modelCompile\.py"):
        load_forecaster(model_dir)
    command = [sys.executable, "modelCompile.py", "--model-dir", str(model_dir)]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr
    assert "my_model.onnx made" in done.stdout
    assert (load_forecaster(model_dir).version, read_published(model_dir).metadata) == (
        read_published(PROJECT_DIR / "modelFiles").version,
        read_published(PROJECT_DIR / "modelFiles").metadata,
    )
    assert (read_published(model_dir).folder / ONNX_FILE).read_bytes() == content


def test_compiling_while_another_version_is_published_does_not_put_the_old_one_back(model_dir, monkeypatch, capsys):
    import modelCompile

    remove_compiled(model_dir)

    def compile_and_publish_another(folder: Path) -> None:
        compile_files(folder)
        with staging_folder(model_dir) as staged:
            for name in (KERAS_FILE, SCALER_FILE, ONNX_FILE):
                shutil.copy(folder / name, staged)
            publish(model_dir, modelStore._read_json(folder / METADATA_FILE) | {"model_version": "newer"}, staged)

    monkeypatch.setattr(modelCompile, "compile_files", compile_and_publish_another)
    main(["--model-dir", str(model_dir)])
    assert load_forecaster(model_dir).version == "newer"


def test_command_refuses_files_that_are_not_as_published(model_dir):
    (read_published(model_dir).folder / KERAS_FILE).write_bytes(b"another")
    with pytest.raises(ModelUnavailableError, match="not as published"):
        main(["--model-dir", str(model_dir)])
