"""swagger.yaml, the README and docs/ agree with the code."""

import json
import re

import pytest
from api_description import SWAGGER
from openapi_schema_validator import OAS30ReadValidator
from openapi_spec_validator import validate

from app import create_app
from closes.snapshot import read_snapshot
from closes.symbols import SYMBOL
from settings import PROJECT_DIR, Settings

README = (PROJECT_DIR / "README.md").read_text()
RESULTS = (PROJECT_DIR / "docs" / "explanation" / "results.md").read_text()
SPEED = (PROJECT_DIR / "docs" / "explanation" / "speed.md").read_text()
ARCHITECTURE = (PROJECT_DIR / "docs" / "explanation" / "architecture.md").read_text()
METADATA = json.loads((PROJECT_DIR / "modelFiles" / "metadata.json").read_text())
UNDOCUMENTED = {
    "/static/<path:filename>",
    "/assets/<version>/<path:filename>",
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


def test_reference_lists_every_call():
    table = (PROJECT_DIR / "docs" / "reference" / "index.md").read_text()
    listed = {re.sub(r"<(\w+)>", r"{\1}", path) for path in re.findall(r"`(?:GET|POST) (/[^`?]*)", table)}
    assert listed - {"/apidocs"} == set(SWAGGER["paths"])


def test_server_shows_the_swagger_file(app):
    shown = app.test_client().get("/apispec_1.json").json
    assert shown["paths"].keys() == SWAGGER["paths"].keys()
    assert shown["components"] == SWAGGER["components"]


def test_swagger_example_is_the_snapshots_last_window(app):
    example = SWAGGER["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["examples"]["window"]["value"]
    assert example["predict"] == read_snapshot("MSFT").prices[-60:].tolist()
    assert app.test_client().post("/predict", json=example).status_code == 200


def resolve(schema):
    """Follow a reference."""
    found = SWAGGER
    for name in schema["$ref"].split("/")[1:] if "$ref" in schema else []:
        found = found[name]
    return found if "$ref" in schema else schema


def undescribed(schema, name):
    """The fields inside a schema that have no description, also of what they refer to."""
    for field, one in schema.get("properties", {}).items():
        if "description" not in one and "description" not in resolve(one):
            yield f"{name}.{field}"
        yield from undescribed(one, f"{name}.{field}")
    for one in ([schema["items"]] if "items" in schema else []) + schema.get("allOf", []):
        yield from undescribed(one, name)


def answers():
    """Each documented answer: its place, its schema, and its examples."""
    for path, calls in SWAGGER["paths"].items():
        for method, call in calls.items():
            for status, response in call["responses"].items():
                for kind, content in resolve(response).get("content", {}).items():
                    shown = [content["example"]] if "example" in content else [one["value"] for one in content.get("examples", {}).values()]
                    yield f"{method} {path} {status} {kind}", content["schema"], shown


def test_swagger_describes_every_call_and_field():
    missing = [
        f"{method} {path}" for path, calls in SWAGGER["paths"].items() for method, call in calls.items() if "description" not in call
    ]
    for name, schema in SWAGGER["components"]["schemas"].items():
        missing += [] if "description" in schema else [name]
        missing += undescribed(schema, name)
    assert missing == []


def test_swagger_has_valid_examples_of_all_answers():
    """Except of pages, the icon and the notebook."""
    schemas = {"components": SWAGGER["components"]}
    for place, schema, shown in answers():
        assert shown or place.endswith(("text/html", "icon", "ipynb+json")), place
        for example in shown:
            if place.endswith("application/json"):
                OAS30ReadValidator(schemas | schema).validate(json.loads(json.dumps(example, default=str)))


def test_swagger_example_answers_are_those_of_the_example_requests(app):
    call = SWAGGER["paths"]["/predict"]["post"]
    content = call["requestBody"]["content"]
    shown = call["responses"]["200"]["content"]["application/json"]["examples"]
    given = app.test_client().post("/predict", json=content["application/json"]["examples"]["window"]["value"]).json
    assert numbers(given) == pytest.approx(numbers(shown["window"]["value"]), abs=0.001)
    assert [step["price"] for step in given["path"]] == pytest.approx(
        [step["price"] for step in shown["window"]["value"]["path"]], abs=0.001
    )
    given = app.test_client().post("/predict?symbol=MSFT", data=content["text/csv"]["example"], content_type="text/csv").json
    assert given.keys() == shown["file"]["value"].keys()
    assert numbers(given) == pytest.approx(numbers(shown["file"]["value"]), abs=0.001)


def flowing(text):
    """Text without line breaks, for sentences that may wrap."""
    return " ".join(text.split())


@pytest.mark.parametrize("document", ["README.md", "README.pt-BR.md"])
def test_readme_lists_the_common_settings_as_the_reference_does(document):
    reference = (PROJECT_DIR / "docs" / "reference" / "settings.md").read_text()
    rows = re.findall(r"^\| `[A-Z_]+` \| .* \|$", (PROJECT_DIR / document).read_text(), flags=re.M)
    names = [row.split("`")[1] for row in rows]
    assert (
        {"HOST", "PORT", "API_KEY", "MODEL_DIR", "REQUEST_LOG", "MLFLOW_UI_PORT", "SERVER_WORKER"}
        <= set(names)
        <= set(Settings.model_fields)
    )
    if document == "README.md":
        assert not [row for row in rows if row not in reference]


def test_results_are_those_of_the_model_in_git():
    metrics = METADATA["metrics"]
    assert METADATA["source"] == "snapshot"
    assert METADATA["symbol"] == "MSFT"
    rows = re.findall(r"^\| ([A-Z0-9]+)(?: \(USD\))? \| ([\d.%]+) \| ([\d.%]+) \| ([\d.%]+) \|$", RESULTS, flags=re.M)
    assert [name.lower() for name, *_ in rows] == ["mse", "rmse", "mae", "mape", "r2"]
    for name, *quoted in rows:
        form = "{:.3%}" if name == "MAPE" else "{:.4f}"
        assert quoted == [form.format(metrics[f"{prefix}{name.lower()}"]) for prefix in ("", "naive_", "drift_")]
    text = flowing(RESULTS)
    for level in ("80", "95"):
        assert f"| {level}% interval held | {metrics[f'coverage_{level}']:.1%} | | |" in RESULTS
        own, constant = metrics[f"winkler_{level}"], metrics[f"naive_winkler_{level}"]
        assert f"At {level}% it is {own:.4f}, and {constant:.4f} for the constant bands." in text
    assert f"{metrics['naive_coverage_80']:.1%} and {metrics['naive_coverage_95']:.1%}" in text
    assert f"an RMSE {metrics['rmse_ratio']:.4f} times that of persistence" in text
    assert f"the {metrics['n_days']} days from {METADATA['tested_from']} on" in text
    assert f"fitted on the days up to {METADATA['fitted_until']}," in text


def test_readme_has_the_result_in_short():
    metrics, text = METADATA["metrics"], flowing(README)
    assert f"On {metrics['n_days']} test days of MSFT" in text
    assert f"an RMSE {metrics['rmse_ratio']:.4f} times that of persistence" in text
    assert f"held {metrics['coverage_80']:.1%} of the closes, the 95% intervals {metrics['coverage_95']:.1%}" in text
    (row,) = re.findall(r"^\| \*\*this service\*\* \|(.*)\|$", SPEED, flags=re.M)
    rate, *_, worker, _ = [cell.strip() for cell in row.split("|")]
    assert f"answer {rate} forecasts per second at 8 connections; a worker takes {worker} MB" in text


def test_results_quote_the_benchmarks_mean():
    table = (PROJECT_DIR / "benchmarks" / "forecast.md").read_text()
    for row in re.findall(r"^\| (?:stock|MSFT|\*\*mean\*\*) \|.*$", table, flags=re.M):
        assert row in RESULTS


def test_speed_quotes_the_serving_benchmark_and_its_missed_goals():
    report = (PROJECT_DIR / "benchmarks" / "serving.md").read_text()
    rows = re.findall(r"^\|  \| requests/s, 8 connections.*?(?=\n\n)", report, flags=re.S | re.M)[0]
    assert rows in SPEED
    for goal, measured in re.findall(r"^\| (.*?) \| (.*?) \| \*\*no\*\* \|$", report, flags=re.M):
        assert f"{goal} ({measured})" in flowing(SPEED)


@pytest.mark.parametrize("document", ["README.md", "README.pt-BR.md"])
def test_readme_shows_the_answer_of_its_first_call(app, document):
    text = (PROJECT_DIR / document).read_text()
    shell, answer = re.findall(r"-d '(\{.*?\})'\n```.*?```json\n(.*?)```", text, flags=re.S)[0]
    given = app.test_client().post("/predict", json=json.loads(shell)).json
    shown = json.loads(answer)
    assert given.keys() == shown.keys()
    for field in ("last_close", "warnings", "model_version"):
        assert given[field] == shown[field]
    assert numbers(given) == pytest.approx(numbers(shown), rel=1e-12)  # a processor's own rounding shows in the last digits


def numbers(answer):
    """The price and the bounds of an answer."""
    return [answer["predicted_price"], *answer["intervals"]["80"], *answer["intervals"]["95"]]


def test_example_price_file_has_the_snapshots_closes():
    closes = read_snapshot("MSFT")
    rows = (PROJECT_DIR / "data" / "MSFT.csv").read_text().splitlines()
    assert rows == ["Date,Close", *(f"{day},{price}" for day, price in zip(closes.dates, closes.prices, strict=True))]


def test_architecture_names_every_module_in_the_root():
    layout = ARCHITECTURE[ARCHITECTURE.index("## Files and folders") :]
    assert set(re.findall(r"`([\w.]+\.py)`", layout)) == {path.name for path in PROJECT_DIR.glob("*.py")}
