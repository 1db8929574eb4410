"""The compiled form against Keras itself; TensorFlow takes its time to import."""

import io
import json
import re
import subprocess
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from training import PRELOADED

from closes.snapshot import read_snapshot
from errors import ModelUnavailableError
from forecast.network import FitOptions, build_network
from forecast.runtime import Network
from models import compiled
from models.compiled import CompileError, compile_files, compile_model, main
from models.loading import load_forecaster
from models.publishing import publish, replace_file, staging_folder
from models.store import KERAS_FILE, METADATA_FILE, ONNX_FILE, SCALER_FILE, current_version, read_published
from processData import WINDOW, make_windows, relative_to_last
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
    module: ModuleType = keras
    return module


@pytest.fixture(scope="module")
def folder(keras: ModuleType) -> Path:
    return read_published(PROJECT_DIR / "modelFiles").folder


@pytest.fixture(scope="module")
def model(keras: ModuleType, folder: Path) -> Any:
    return keras.saving.load_model(folder / KERAS_FILE, compile=False)


@pytest.fixture(scope="module")
def scaler(folder: Path) -> Any:
    return joblib.load(folder / SCALER_FILE)


def test_compiled_model_equals_keras_on_real_windows(model, scaler, folder):
    windows = np.concatenate([make_windows(read_snapshot(symbol).prices)[0][::13][:125] for symbol in ("MSFT", "AMD", "KO", "GE")])
    assert len(windows) == 500
    scaled = scaler.transform(relative_to_last(windows).reshape(-1, 1)).reshape(*windows.shape, 1)
    expected = scaler.inverse_transform(model.predict(scaled.astype(np.float32), batch_size=500, verbose=0))[:, 0] * windows[:, -1]
    given = Network((folder / ONNX_FILE).read_bytes()).path(windows)[:, 0]
    assert given.std() > 1
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_compiling_again_gives_the_published_bytes(folder):
    given = compile_files((folder / KERAS_FILE).read_bytes(), (folder / SCALER_FILE).read_bytes())
    assert given == (folder / ONNX_FILE).read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        FitOptions(units=3, layers=1),
        FitOptions(units=5, layers=3, features="changes"),
        FitOptions(units=64, layers=2, features="volatility"),
    ],
    ids=str,
)
def test_any_layers_units_and_features_compile_to_the_same_prices(keras, scaler, options):
    keras.utils.set_random_seed(0)
    model = build_network(scaler, 0.015, options)
    model.get_layer("change").set_weights([np.random.default_rng(0).normal(size=(options.units, 1)), np.array([0.1])])
    windows = make_windows(read_snapshot("AMD").prices)[0][::50]
    scaled = scaler.transform(relative_to_last(windows).reshape(-1, 1)).reshape(*windows.shape, 1)
    expected = scaler.inverse_transform(np.asarray(model(scaled.astype(np.float32))))[:, 0]
    given = Network(compile_model(model, scaler, {})).path(relative_to_last(windows))[:, 0]
    assert expected.std() > 1e-4
    np.testing.assert_allclose(given, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        (lambda k: [k.layers.GRU(2, name="odd")], r"Layer odd \(GRU\) is not known"),
        (lambda k: [k.layers.LSTM(2), k.layers.Dense(1, activation="relu", name="odd")], r"Layer odd \(Dense\) is not known"),
    ],
)
def test_unknown_layer_is_rejected_naming_it(keras, scaler, layers, named):
    model = keras.Sequential([keras.Input((WINDOW, 1)), *layers(keras)])
    with pytest.raises(CompileError, match=named):
        compile_model(model, scaler, {})


@pytest.mark.parametrize("activations", [{"activation": "relu"}, {"recurrent_activation": "tanh"}])
def test_compiled_form_that_differs_from_keras_is_rejected(keras, scaler, tmp_path, activations):
    keras.utils.set_random_seed(0)
    keras.Sequential([keras.Input((WINDOW, 1)), keras.layers.LSTM(4, **activations), keras.layers.Dense(1)]).save(tmp_path / KERAS_FILE)
    joblib.dump(scaler, tmp_path / SCALER_FILE)
    with pytest.raises(CompileError, match="differs from Keras by"):
        compile_files(*((tmp_path / name).read_bytes() for name in (KERAS_FILE, SCALER_FILE)))


def remove_compiled(model_dir: Path) -> bytes:
    """Delete the published version's compiled form; its content."""
    path = read_published(model_dir).folder / ONNX_FILE
    content = path.read_bytes()
    path.unlink()
    return content


def compile_published(model_dir: Path) -> subprocess.CompletedProcess[str]:
    command = PRELOADED.command("-m", "models.compiled", "--model-dir", str(model_dir))
    return subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=240)


@pytest.mark.parametrize("lost", ["missing", "damaged", "cannot be loaded"])
def test_command_restores_an_unusable_compiled_form(model_dir, lost):
    version = read_published(model_dir).version
    content = remove_compiled(model_dir)
    if lost == "damaged":
        (model_dir / "versions" / version / ONNX_FILE).write_bytes(content[:-1])
    if lost == "cannot be loaded":
        replace_file(model_dir, version, ONNX_FILE, content[:-1])
    with pytest.raises(ModelUnavailableError, match=r"python -m models.compiled"):
        load_forecaster(model_dir)
    done = compile_published(model_dir)
    assert done.returncode == 0, done.stderr
    assert "my_model.onnx made" in done.stdout
    assert (load_forecaster(model_dir).version, read_published(model_dir).metadata) == (
        read_published(PROJECT_DIR / "modelFiles").version,
        read_published(PROJECT_DIR / "modelFiles").metadata,
    )
    assert (read_published(model_dir).folder / ONNX_FILE).read_bytes() == content
    assert "is as it was published" in compile_published(model_dir).stdout


def test_compiling_does_not_undo_a_concurrent_publication(model_dir, monkeypatch, capsys):

    remove_compiled(model_dir)

    def compile_and_publish_another(*files: bytes) -> bytes:
        compiled = compile_files(*files)
        with staging_folder(model_dir) as staged:
            for name, content in zip((KERAS_FILE, SCALER_FILE, ONNX_FILE), (*files, compiled), strict=True):
                (staged / name).write_bytes(content)
            publish(model_dir, json.loads((model_dir / METADATA_FILE).read_text()) | {"model_version": "newer"}, staged)
        return compiled

    monkeypatch.setattr(compiled, "compile_files", compile_and_publish_another)
    main(["--model-dir", str(model_dir)])
    assert load_forecaster(model_dir).version == "newer"


@pytest.mark.parametrize("name", [KERAS_FILE, SCALER_FILE])
def test_command_rejects_files_that_differ_from_the_publication(model_dir, name):
    (read_published(model_dir).folder / name).write_bytes(b"another")
    with pytest.raises(ModelUnavailableError, match="have changed since its publication"):
        main(["--model-dir", str(model_dir)])


# Files that bring code


class Touch:
    """What writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "code was run"


def malicious_scaler(marker: Path) -> bytes:
    content = io.BytesIO()
    joblib.dump(Touch(marker), content)
    return content.getvalue()


def malicious_network(keras: ModuleType, folder: Path, marker: Path) -> bytes:
    write = eval(f"lambda inputs: (open({str(marker)!r}, 'w').close(), inputs)[1]")  # with the path in its code
    keras.Sequential([keras.Input((WINDOW, 1)), keras.layers.Lambda(write)]).save(folder / "malicious.keras")
    marker.unlink(missing_ok=True)  # building it ran it
    return (folder / "malicious.keras").read_bytes()


def test_malicious_files_run_code_when_loaded_unchecked(keras, tmp_path, marker):
    joblib.load(io.BytesIO(malicious_scaler(marker)))
    assert marker.exists()
    malicious_network(keras, tmp_path, marker)
    assert not marker.exists()
    keras.saving.load_model(tmp_path / "malicious.keras", compile=False, safe_mode=False)(np.zeros((1, WINDOW, 1), np.float32))
    assert marker.exists()


@pytest.mark.parametrize("name", [SCALER_FILE, KERAS_FILE])
def test_swapped_file_is_rejected_before_its_code_runs(keras, model_dir, tmp_path, marker, name):
    remove_compiled(model_dir)
    content = malicious_scaler(marker) if name == SCALER_FILE else malicious_network(keras, tmp_path, marker)
    for path in (model_dir / name, model_dir / "versions" / current_version(model_dir) / name):
        path.write_bytes(content)
    done = compile_published(model_dir)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"({name} has another SHA-256 than when it was published)")
    assert "Traceback" not in done.stderr
    with pytest.raises(ModelUnavailableError, match="have changed since its publication"):
        load_forecaster(model_dir)
    assert not marker.exists()


@pytest.mark.parametrize("name", [SCALER_FILE, KERAS_FILE])
@pytest.mark.parametrize(("step", "refused"), [("load_forecaster", True), ("compile_files", False)])
def test_file_swapped_after_a_check_does_not_run(keras, model_dir, tmp_path, marker, monkeypatch, name, step, refused):
    """`step` is what the command does next: after read_published, and after it has read the files."""

    remove_compiled(model_dir)
    content = malicious_scaler(marker) if name == SCALER_FILE else malicious_network(keras, tmp_path, marker)
    path = read_published(model_dir, only=[KERAS_FILE]).folder / name
    next_step = getattr(compiled, step)

    def swap_first(*arguments: Any) -> Any:
        path.write_bytes(content)
        return next_step(*arguments)

    monkeypatch.setattr(compiled, step, swap_first)
    with pytest.raises(ModelUnavailableError, match="have changed since its publication") if refused else nullcontext():
        main(["--model-dir", str(model_dir)])
    assert not marker.exists()


def test_network_with_code_is_rejected_despite_a_valid_checksum(keras, model_dir, tmp_path, marker):
    version = read_published(model_dir).version
    remove_compiled(model_dir)
    replace_file(model_dir, version, KERAS_FILE, malicious_network(keras, tmp_path, marker))
    done = compile_published(model_dir)
    assert done.returncode == 1
    said = done.stderr.splitlines()[-1]
    assert said.startswith("error: The network or its scaler cannot be loaded: ")
    assert "Lambda" in said
    assert "Traceback" not in done.stderr
    assert not marker.exists()


def tracked_files() -> list[str]:
    """The files of the project, by git."""
    return subprocess.run(["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout.splitlines()


OF_ONE_TRAINING = {  # calls of pickle.loads: of worker processes, and of the journal in the model folder, which the command wrote itself
    "portfolio/child.py": 2,
    "portfolio/journal.py": 3,
    "portfolio/task.py": 1,
    "portfolio/training.py": 1,
}


def test_a_training_of_many_symbols_unpickles_only_what_it_wrote():
    found = {path: (PROJECT_DIR / path).read_text().count("pickle.loads(") for path in tracked_files() if path.startswith("portfolio/")}
    assert {path: count for path, count in found.items() if count} == OF_ONE_TRAINING


def test_only_checked_bytes_are_unpickled_or_loaded():
    """A new place needs a review: it may load only what PublishedModel.read returns, or what a process of the same training wrote."""
    paths = [path for path in map(PROJECT_DIR.joinpath, tracked_files()) if path.suffix == ".py" and "tests" not in path.parts]
    calls = {
        (str(path.relative_to(PROJECT_DIR)), line.strip().rpartition(" = ")[2])
        for path in paths
        for line in path.read_text().splitlines()
        if "portfolio" not in path.parts  # see OF_ONE_TRAINING
        and re.search(r"joblib\.load\(|\bpickle\b.*\bload|load_model\(|allow_pickle", line)
        and not line.lstrip().startswith("mlflow.pyfunc")
    }
    checked_network = "keras.saving.load_model(published.folder / KERAS_FILE, compile=False, safe_mode=True)"
    checked_scaler = "joblib.load(io.BytesIO({}.read(SCALER_FILE)))"
    assert calls == {
        ("models/compiled.py", "return keras.saving.load_model(path, compile=False, safe_mode=True)"),
        ("models/compiled.py", "joblib.load(io.BytesIO(scaler_file))"),
        ("benchmarks/peers/mlflowModel.py", checked_network),
        ("jupyter/forecast.py", "keras.saving.load_model(path, compile=False, safe_mode=True)"),
        ("benchmarks/otherForecasters.py", "np.savez(target, allow_pickle=False, **results)"),
        ("benchmarks/peers/usual.py", checked_network),
        ("benchmarks/peers/usual.py", checked_scaler.format("published")),
        ("benchmarks/servers.py", checked_scaler.format('read_published(PROJECT_DIR / "modelFiles")')),
    }
