"""swagger.yaml and the README agree with the code."""

import json
import re
import subprocess
import sys

import pytest
import yaml
from openapi_spec_validator import validate

from app import create_app
from closes.snapshot import read_snapshot
from closes.symbols import SYMBOL
from settings import PROJECT_DIR, Settings

SWAGGER = yaml.safe_load((PROJECT_DIR / "swagger.yaml").read_text())
README = (PROJECT_DIR / "README.md").read_text()
FLOWING = " ".join(README.split())  # without line breaks, for sentences that may wrap
METADATA = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())
UNDOCUMENTED = {
    "/static/<path:filename>",
    "/apidocs",
    "/apidocs/index.html",
    "/apispec_1.json",
    "/flasgger_static/<path:filename>",
}


def make_app(folder):
    return create_app(
        Settings(REQUEST_LOG=folder / "log.csv", MLFLOW_UI_PORT=1, YAHOO_URL="http://127.0.0.1:1", DATA_CACHE_DIR=folder / "cache")
    )


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app(tmp_path_factory.mktemp("contract"))


def test_swagger_is_valid_openapi():
    validate(SWAGGER)


def test_swagger_names_every_route(app):
    served = {str(rule) for rule in app.url_map.iter_rules()} - UNDOCUMENTED
    assert {re.sub(r"<(\w+)>", r"{\1}", rule) for rule in served} == set(SWAGGER["paths"])


def patterns(content):
    """The patterns of all schemas that are about symbols: no other schema has one."""
    if isinstance(content, dict):
        own = [content["pattern"]] if isinstance(content.get("pattern"), str) else []
        return own + [pattern for value in content.values() for pattern in patterns(value)]
    return [pattern for value in content for pattern in patterns(value)] if isinstance(content, list) else []


def test_swagger_has_the_pattern_of_a_symbol_everywhere():
    assert set(patterns(SWAGGER)) == {f"^{SYMBOL.pattern}$"}


def test_server_shows_the_swagger_file(app):
    shown = app.test_client().get("/apispec_1.json").json
    assert shown["paths"].keys() == SWAGGER["paths"].keys()
    assert shown["components"] == SWAGGER["components"]


def test_swagger_example_is_the_snapshots_last_window(app):
    example = SWAGGER["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["window"]["value"]
    assert example["predict"] == read_snapshot("MSFT").prices[-60:].tolist()
    assert app.test_client().post("/predict", json=example).status_code == 200


def test_readme_lists_every_setting_with_its_default_and_meaning():
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*) \|$", README, flags=re.M))
    assert rows.keys() == Settings.model_fields.keys()
    for name, field in Settings.model_fields.items():
        default, meaning = rows[name].split(" | ", 1)
        assert meaning == field.description
        if field.default_factory is None and name != "MLFLOW_TRACKING_URI":  # these two depend on the machine
            assert default == (f"`{field.default}`" if str(field.default) else "empty")


def test_readme_quotes_the_results_of_the_model_in_git():
    metrics = METADATA["metrics"]
    assert METADATA["source"] == "snapshot"
    assert METADATA["symbol"] == "MSFT"
    rows = re.findall(r"^\| ([A-Z0-9]+)(?: \(USD\))? \| ([\d.%]+) \| ([\d.%]+) \| ([\d.%]+) \|$", README, flags=re.M)
    assert [name.lower() for name, *_ in rows] == ["mse", "rmse", "mae", "mape", "r2"]
    for name, *quoted in rows:
        form = "{:.3%}" if name == "MAPE" else "{:.4f}"
        assert quoted == [form.format(metrics[f"{prefix}{name.lower()}"]) for prefix in ("", "naive_", "drift_")]
    for level in ("80", "95"):
        assert f"| {level}% interval held | {metrics[f'coverage_{level}']:.1%} | | |" in README
    assert f"{metrics['naive_coverage_80']:.1%} and {metrics['naive_coverage_95']:.1%}" in FLOWING
    for level in ("80", "95"):
        assert f"{metrics[f'winkler_{level}']:.4f} against {metrics[f'naive_winkler_{level}']:.4f} at {level}%" in FLOWING
    assert f"an RMSE {metrics['rmse_ratio']:.4f} times that of persistence" in FLOWING
    assert f"the {metrics['n_days']} days from {METADATA['tested_from']} on" in FLOWING
    assert f"fitted on the days up to {METADATA['fitted_until']}," in FLOWING


def test_readme_quotes_the_benchmarks_mean():
    table = (PROJECT_DIR / "benchmarks" / "forecast.md").read_text()
    for row in re.findall(r"^\| (?:stock|MSFT|\*\*mean\*\*) \|.*$", table, flags=re.M):
        assert row in README


def test_readme_quotes_the_serving_benchmark_and_its_missed_goals():
    report = (PROJECT_DIR / "benchmarks" / "serving.md").read_text()
    rows = re.findall(r"^\|  \| requests/s, 8 connections.*?(?=\n\n)", report, flags=re.S | re.M)[0]
    assert rows in README
    for goal, measured in re.findall(r"^\| (.*?) \| (.*?) \| \*\*no\*\* \|$", report, flags=re.M):
        assert f"{goal} ({measured})" in FLOWING


def test_readme_shows_the_answer_of_its_first_call(app):
    shell, answer = re.findall(r"-d '(\{.*?\})'\n```.*?```json\n(.*?)```", README, flags=re.S)[0]
    given = app.test_client().post("/predict", json=json.loads(shell)).json
    shown = json.loads(answer)
    assert given.keys() == shown.keys()
    for field in ("last_close", "warnings", "model_version"):
        assert given[field] == shown[field]
    for given_step, shown_step in zip([given, *given["path"]], [shown, *shown["path"]], strict=True):
        assert numbers(given_step) == pytest.approx(numbers(shown_step), rel=1e-12)  # a processor's own rounding shows in the last digits


def numbers(step):
    """The price and the bounds of the README's answer, or of a step of its path."""
    price = step["price"] if "price" in step else step["predicted_price"]
    return [price, *step["intervals"]["80"], *step["intervals"]["95"]]


def test_commands_in_the_readme_exist():
    makefile = (PROJECT_DIR / "Makefile").read_text()
    for target in set(re.findall(r"`make ([a-z]+)`", README)) | {"run", "test"}:
        assert f"\n{target}:" in makefile
    for script in set(re.findall(r"python (\w+\.py)", README)):
        assert (PROJECT_DIR / script).is_file()


@pytest.mark.parametrize("script", ["modelTrain.py", "-m tracking.runs", "modelEvaluate.py", "modelPredict.py", "-m models.compiled"])
def test_options_in_the_readme_are_those_of_the_commands(script):
    given = subprocess.run([sys.executable, *script.split(), "--help"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout
    for line in re.findall(rf"python {script}(.*)", README):
        for option in re.findall(r"--[a-z-]+", line):
            assert option in given


def test_readme_layout_names_every_module():
    layout = README[README.index("## Layout") :]
    assert set(re.findall(r"`([\w.]+\.py)`", layout)) == {path.name for path in PROJECT_DIR.glob("*.py")}


def test_links_in_the_readme_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (PROJECT_DIR / target).exists(), target
