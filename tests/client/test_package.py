"""The client as a package: version, contract, reference, and an installation from its wheel."""

import dataclasses
import importlib.metadata
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
import types
import typing
from pathlib import Path

import pytest
from api_description import SWAGGER
from packaging.requirements import Requirement

import makeReference
import stock_forecast_client as client
from settings import PROJECT_DIR

SCHEMAS = SWAGGER["components"]["schemas"]
CLIENT = PROJECT_DIR / "client"
METHODS = [name for name in vars(client.Client) if not name.startswith("_") and name != "close"]


def test_version_is_that_of_the_service():
    assert client.__version__ == tomllib.loads((PROJECT_DIR / "pyproject.toml").read_text())["project"]["version"]


def test_license_is_that_of_the_service():
    assert (CLIENT / "LICENSE").read_text() == (PROJECT_DIR / "LICENSE").read_text()


def test_reference_is_generated_from_the_docstrings():
    assert makeReference.REFERENCE.read_text() == makeReference.reference(), "run: python client/makeReference.py"


def test_all_names_every_public_class():
    public = {
        name for name, value in vars(client).items() if inspect.isclass(value) and value.__module__ == client.__name__ and name[0] != "_"
    }
    assert set(client.__all__) == public - {"Column"}


@pytest.mark.parametrize("method", METHODS)
def test_async_twin_has_the_same_arguments(method):
    sync, twin = getattr(client.Client, method), getattr(client.AsyncClient, method)
    assert inspect.iscoroutinefunction(twin)
    assert inspect.signature(sync) == inspect.signature(twin)


def test_both_clients_have_the_same_methods_and_options():
    assert {*vars(client.AsyncClient)} - {"aclose", "__aenter__", "__aexit__"} == {*vars(client.Client)} - {
        "close",
        "__enter__",
        "__exit__",
    }
    assert inspect.signature(client.Client) == inspect.signature(client.AsyncClient)


def merged(schema):
    """A schema with those of its allOf."""
    parts = [merged(SCHEMAS[part["$ref"].rpartition("/")[2]]) if "$ref" in part else part for part in schema.get("allOf", [schema])]
    properties = {name: value for part in parts for name, value in part.get("properties", {}).items()}
    return {"properties": properties, "required": [name for part in parts for name in part.get("required", [])]}


RESULTS = {
    client.Forecast: SCHEMAS["ForecastAnswer"],
    client.FileForecast: SCHEMAS["FileAnswer"],
    client.SymbolForecast: SCHEMAS["SymbolAnswer"],
    client._Part: SCHEMAS["BatchAnswer"],
    client.Prediction: SCHEMAS["BatchAnswer"]["properties"]["predictions"]["items"],
    client.ForecastWarning: SCHEMAS["Warning"],
    client.Step: SCHEMAS["DatedPath"]["items"],
    client.LeftOut: SCHEMAS["FileAnswer"]["properties"]["left_out"]["items"],
    client.Calibration: SCHEMAS["Calibration"],
    client.TrackRecord: SCHEMAS["TrackRecord"],
    client.Models: SCHEMAS["Models"],
    client.Model: SCHEMAS["Models"]["properties"]["models"]["items"],
    client.Monitor: SCHEMAS["Monitor"],
    client.Summary: SCHEMAS["Monitor"]["properties"]["SUMMARY"],
    client.Latency: SCHEMAS["Monitor"]["properties"]["SUMMARY"]["properties"]["latency_seconds"],
    client.Timeline: SCHEMAS["Timeline"],
    client.Period: SCHEMAS["Timeline"]["properties"]["periods"]["items"],
    client.LiveFigures: SCHEMAS["LiveFigures"],
    client.LiveAccuracy: SCHEMAS["LiveAccuracy"],
    client.LiveDay: SCHEMAS["LiveAccuracy"]["allOf"][1]["properties"]["by_day"]["items"],
    client.Drift: SCHEMAS["Drift"],
    client.Histogram: SCHEMAS["Drift"]["properties"]["histogram"],
    client.ModelChange: SCHEMAS["Timeline"]["properties"]["changes"]["items"],
    client.Version: SCHEMAS["Models"]["properties"]["versions"]["items"],
    client.LoggedRequest: SCHEMAS["LoggedRequest"],
}
NOT_IN_RESULTS = {client.LoggedRequest: {"closes_2_60", "closes_1_59"}}  # keys for joins within the service
OPTIONAL = {client.Step: {"date"}}  # only a symbol's path has dates


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.__name__)
def test_result_has_the_fields_of_the_contract(result):
    schema, hints = merged(RESULTS[result]), typing.get_type_hints(result)
    fields = {field.metadata.get("name", field.name): field for field in dataclasses.fields(result)}
    assert fields.keys() == schema["properties"].keys() - NOT_IN_RESULTS.get(result, set())
    required = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    assert required == set(schema["required"]) - OPTIONAL.get(result, set())
    for name, field in fields.items():
        value = schema["properties"][name]
        value = SCHEMAS[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
        nullable = value.get("nullable", False) or field.default is None
        assert (types.NoneType in typing.get_args(hints[field.name])) == nullable, name


def parameters(path, method):
    return {parameter["name"] for parameter in SWAGGER["paths"][path][method].get("parameters", [])}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("predict", set(SCHEMAS["PredictOne"]["properties"]) - {"predict"} | {"closes"}),
        ("predict_batch", set(SCHEMAS["PredictMany"]["properties"]) - {"predict"} | {"windows"}),
        ("predict_file", parameters("/predict", "post") | {"file"}),
        ("forecast", parameters("/forecast/{symbol}", "get")),
        ("backtest", parameters("/backtest/{symbol}", "get")),
        ("monitor", parameters("/monitor", "get")),
        ("models", parameters("/models", "get")),
    ],
)
def test_method_has_the_options_of_the_contract(method, expected):
    assert {*inspect.signature(getattr(client.Client, method)).parameters} - {"self"} == expected


def test_symbols_are_checked_as_in_the_contract():
    pattern = SCHEMAS["Symbol"]["pattern"].strip("^$")
    assert f're.fullmatch(r"{pattern}", symbol)' in inspect.getsource(client)


def test_limits_are_those_of_the_contract():
    assert SCHEMAS["PredictMany"]["properties"]["predict"]["maxItems"] == client.MAX_WINDOWS
    assert SCHEMAS["Window"]["maxItems"] == client.WINDOW


def test_guide_lists_every_error():
    listed = re.findall(r"^\| `(\w+Error)` \|", (CLIENT / "README.md").read_text(), flags=re.M)
    assert {*listed, "StockForecastError"} == {name for name in client.__all__ if name.endswith("Error")}


def copy_dependencies(name: str, folder: Path) -> None:
    """Copy the packages that an installed one needs into a site-packages folder: the test needs no network."""
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            copy_package(requirement.name, folder)


def copy_package(name: str, folder: Path) -> None:
    """Copy an installed package and those that it needs."""
    for file in importlib.metadata.files(name) or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), folder / file)
    copy_dependencies(name, folder)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, built from a copy of the folder."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(CLIENT, folder / "client", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    code = "from setuptools.build_meta import build_wheel; build_wheel('..')"
    subprocess.run([sys.executable, "-c", code], cwd=folder / "client", capture_output=True, check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of an empty environment in which the wheel and its dependencies are installed."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    uv = [sys.executable, "-m", "uv", "pip"]
    subprocess.run([*uv, "install", "--python", python, "--no-index", "--no-deps", wheel], capture_output=True, check=True)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    needed = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]["dependencies"]
    for text in needed:
        copy_package(Requirement(text).name, site_packages)
    subprocess.run([*uv, "check", "--python", python], capture_output=True, check=True)
    return python


@pytest.mark.slow
def test_wheel_works_in_an_empty_environment(python, service, tmp_path):
    code = f"""
import importlib.metadata, importlib.util, stock_forecast_client as client
assert not any(importlib.util.find_spec(name) for name in ("pandas", "numpy", "flask"))
with client.Client({service.url!r}) as service:
    print(client.__version__, importlib.metadata.version("stock-forecast-client"), service.predict(range(1, 61)).last_close)
"""
    done = subprocess.run([python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{client.__version__} {client.__version__} 60.0\n", "")


@pytest.mark.slow
def test_installed_client_has_types(python, tmp_path):
    (tmp_path / "own.py").write_text(
        "from stock_forecast_client import Client\n\n"
        'with Client() as service:\n    price: float = service.forecast("MSFT").intervals[80].low\n'
        '    text: str = service.forecast("MSFT").predicted_price\n'
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "own.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("own.py:5: error: Incompatible types in assignment")
    assert done.stdout.endswith("Found 1 error in 1 file (checked 1 source file)\n")
