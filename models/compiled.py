"""The compiled form of a published model: network and scaler as one ONNX graph.

    python -m models.compiled --model-dir modelFiles      recreates the published version's my_model.onnx if it is missing or damaged

The graph is written layer by layer from the Keras weights, so that the same model gives the same bytes: six kinds of layers
are known (LSTM, Dropout, Dense, Rescaling, and Conv1D and PReLU for features), any other is rejected. It is compared with Keras
before it is saved. Its metadata names the SHA-256 of the two files that it was made from.
"""

import preflight

if __name__ == "__main__":
    preflight.check()

import argparse
import io
import logging
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import cli
from errors import ForecastError, ModelUnavailableError
from forecast.network import import_keras
from forecast.runtime import Network
from models.loading import load_forecaster
from models.publishing import replace_file
from models.store import KERAS_FILE, ONNX_FILE, SCALER_FILE, read_published
from processData import WINDOW
from settings import Settings
from storage import sha256_of

if TYPE_CHECKING:
    import keras
    from sklearn.preprocessing import MinMaxScaler

log = logging.getLogger(__name__)
OPSET, IR_VERSION = 17, 8  # what ONNX Runtime has read since 1.12
PRODUCER = "modelCompile.py"  # part of the graph; unchanged, so that a published model compiles to the same bytes
TOLERANCE = 1e-5  # relative, between a price of Keras and of the compiled form


class CompileError(ForecastError):
    """The network cannot be loaded or compiled, or its compiled form gives other prices."""


class Graph:
    """Nodes and constants of an ONNX graph, added in the order in which they run."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """Add a constant and return its name."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> str:
        """Add a node and return the name of its last output; earlier ones are not used."""
        names = [""] * (outputs - 1) + [f"{operator.lower()}_{len(self.nodes)}"]
        self.nodes.append(helper.make_node(operator, inputs, names, **attributes))
        return names[-1]


def compile_model(model: "keras.Model", scaler: "MinMaxScaler", made_from: dict[str, str]) -> bytes:
    """Build the ONNX graph of scaler, network and inverse scaler.

    Args:
        model: scaled relative closes (n, 60, 1) -> scaled relative close (n, 1).
        scaler: fitted on relative closes, one feature.
        made_from: SHA-256 by file name, written into the graph's metadata.

    Returns:
        The serialised graph: `relative_closes` (n, 60) float32 -> `relative_forecast` (n, 1) float32, both in units of a window's
        last close.

    Raises:
        CompileError: a layer that is not known.
    """
    graph = Graph()
    scale, offset = (graph.constant(value) for value in (scaler.scale_, scaler.min_))
    steps = graph.add("Transpose", "relative_closes", perm=[1, 0])  # (60, n)
    steps = graph.add("Unsqueeze", steps, graph.constant([2], np.int64))  # (60, n, 1)
    value = graph.add("Add", graph.add("Mul", steps, scale), offset)
    for layer in model.layers:
        value = _add_layer(graph, layer, value)
    value = graph.add("Div", graph.add("Sub", value, offset), scale)
    graph.nodes[-1].output[0] = "relative_forecast"
    onnx_model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "next_close",
            [helper.make_tensor_value_info("relative_closes", TensorProto.FLOAT, ["n", WINDOW])],
            [helper.make_tensor_value_info("relative_forecast", TensorProto.FLOAT, ["n", 1])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )
    helper.set_model_props(onnx_model, {f"sha256:{name}": made_from[name] for name in sorted(made_from)})
    onnx.checker.check_model(onnx_model, full_check=True)
    serialised: bytes = onnx_model.SerializeToString(deterministic=True)
    return serialised


def _add_layer(graph: Graph, layer: "keras.Layer", value: str) -> str:
    """Add one Keras layer after the tensor named `value`, and return the name of its output."""
    kind = type(layer).__name__
    if kind in ("InputLayer", "Dropout"):  # Dropout only acts while training
        return value
    if kind == "LSTM":
        return _add_lstm(graph, layer, value)
    if kind == "Dense" and layer.activation.__name__ == "linear":
        return graph.add("Gemm", value, *(graph.constant(weights) for weights in layer.get_weights()))
    if kind == "Conv1D" and (layer.padding, layer.activation.__name__, layer.use_bias) == ("valid", "linear", False):
        channels = graph.add("Transpose", value, perm=[1, 2, 0])  # (60, n, features) -> (n, features, 60)
        (kernel,) = layer.get_weights()  # (days, features, new features)
        return graph.add("Transpose", graph.add("Conv", channels, graph.constant(kernel.transpose(2, 1, 0))), perm=[2, 0, 1])
    if kind == "PReLU" and layer.shared_axes == [1]:
        return graph.add("PRelu", value, graph.constant(layer.get_weights()[0]))
    if kind == "Rescaling":
        return graph.add("Add", graph.add("Mul", value, graph.constant(layer.scale)), graph.constant(layer.offset))
    raise CompileError(f"Layer {layer.name} ({kind}) is not known to models/compiled.py; add it there.")


def _add_lstm(graph: Graph, layer: "keras.Layer", value: str) -> str:
    """Add an LSTM layer after the tensor named `value`, and return the name of its output."""
    kernel, recurrent, bias = (_onnx_gates(weights) for weights in layer.get_weights())
    both_biases = np.concatenate([bias, np.zeros_like(bias)])
    inputs = [graph.constant(array[None]) for array in (kernel.T, recurrent.T, both_biases)]
    if layer.return_sequences:
        every_step = graph.add("LSTM", value, *inputs, hidden_size=layer.units)  # (60, 1, n, units)
        return graph.add("Squeeze", every_step, graph.constant([1], np.int64))
    last_step = graph.add("LSTM", value, *inputs, outputs=2, hidden_size=layer.units)  # (1, n, units)
    return graph.add("Squeeze", last_step, graph.constant([0], np.int64))


def _onnx_gates(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder gates along the last axis from Keras (input, forget, cell, output) to ONNX (input, output, forget, cell)."""
    i, f, c, o = np.split(weights, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)


def compile_files(keras_file: bytes, scaler_file: bytes) -> bytes:
    """Compile a network and its scaler, and compare the result with Keras.

    Both files can run code when they are loaded, so the caller must have created them or checked their checksums.

    Args:
        keras_file: the content of my_model.keras.
        scaler_file: the content of scaler.pkl.

    Returns:
        The content of my_model.onnx.

    Raises:
        CompileError: one cannot be loaded, or the compiled form does not say what Keras says.
    """
    import_keras()
    import joblib

    try:
        model = _load_keras(keras_file)
        scaler = joblib.load(io.BytesIO(scaler_file))
    except Exception as error:  # Keras, pickle and zipfile let through whatever they meet
        log.debug("not loaded", exc_info=True)
        said = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise CompileError(f"The network or its scaler cannot be loaded: {said[:300]}") from None
    made_from = {KERAS_FILE: sha256_of(keras_file), SCALER_FILE: sha256_of(scaler_file)}
    compiled = compile_model(model, scaler, made_from)
    difference = _difference(model, scaler, compiled)
    if not difference <= TOLERANCE:
        raise CompileError(f"The compiled form differs from Keras by {difference:.1e}, more than {TOLERANCE:.0e}.")
    return compiled


def _load_keras(content: bytes) -> "keras.Model":
    """Load a network. One with its own code (Lambda layers) is refused."""
    import keras

    with tempfile.TemporaryDirectory() as folder:  # Keras loads from a path alone
        path = Path(folder) / KERAS_FILE
        path.write_bytes(content)
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _difference(model: "keras.Model", scaler: "MinMaxScaler", compiled: bytes) -> float:
    """Return the largest relative difference between prices of the compiled form and of Keras on 64 windows."""
    moves = np.random.default_rng(0).normal(0, 0.02, (64, WINDOW)).cumsum(axis=1)
    windows = np.exp(moves - moves[:, -1:])  # the last close is 1
    scaled = scaler.transform(windows.reshape(-1, 1)).reshape(*windows.shape, 1)
    expected = scaler.inverse_transform(model.predict_on_batch(scaled.astype(np.float32)))
    return float(np.max(np.abs(Network(compiled).path(windows) / expected - 1)))


def main(arguments: list[str] | None = None) -> None:
    """Recreate the published version's compiled form if it is missing or damaged."""
    parser = argparse.ArgumentParser(description="Recreate the published model's my_model.onnx if it is missing or damaged.")
    cli.add_model_dir(parser, Settings.from_environment())
    model_dir = parser.parse_args(arguments).model_dir
    published = read_published(model_dir, only=(KERAS_FILE, SCALER_FILE))
    with suppress(ModelUnavailableError):
        load_forecaster(model_dir)
        print(f"Version {published.version}: {ONNX_FILE} is as it was published.")
        return
    compiled = compile_files(published.read(KERAS_FILE), published.read(SCALER_FILE))
    replace_file(model_dir, published.version, ONNX_FILE, compiled)
    print(f"Version {published.version}: {ONNX_FILE} made, equal to Keras within {TOLERANCE:.0e}.")


if __name__ == "__main__":
    cli.run(main)
