"""Generated requests to a real gunicorn: every answer is a documented one, none is an internal error.

Schemathesis generates them from swagger.yaml, and Hypothesis from BODIES and KINDS. They are the same each time, and to generate them takes
longer than to answer them. So they are recorded in a file. After a change of what they are made from, or of one of these libraries, RECORD
generates and records them again.
"""

import hashlib
import json
import lzma
import os
from importlib.metadata import version
from pathlib import Path

import pytest
import requests
from api_description import SWAGGER
from browsing import serve
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from settings import PROJECT_DIR

PATHS = SWAGGER["paths"]
NEEDS_MORE = {"/mlflow", "/forecast/{symbol}", "/backtest/{symbol}"}  # no MLflow UI runs here, and no Yahoo Finance: they say so with 503
EXAMPLES = 350  # of each operation that takes anything, right and wrong ones: 2,100 and those of the others
REFUSED = {400, 413, 415, 422}
RECORDED = Path(__file__).with_name("generated.json.xz")
RECORD = "RECORD_REQUESTS=1 python -m pytest -n 0 tests/e2e/test_generated.py"
Recorded = tuple[str, str, dict[str, str], str | None]  # method, path, headers, and the body in latin-1

pytestmark = pytest.mark.slow

numbers = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([0, -0.0, 5e-324, 1e-310, 1e308, 1.7976931348623157e308, 2**63, 2**64, 10**300, float("nan"), float("inf")]),
)
anything = st.recursive(st.none() | st.booleans() | numbers | st.text(), lambda part: st.lists(part) | st.dictionaries(st.text(), part))
closes = st.floats(min_value=1e-300, max_value=1e300)
windows = st.lists(closes, min_size=59, max_size=61)
nearly = st.fixed_dictionaries(
    {"predict": st.one_of(windows, st.lists(windows, max_size=3), st.lists(numbers | st.none() | st.text(), min_size=58, max_size=62))},
    optional={"horizon": st.one_of(st.integers(-2, 22), anything), "other": anything},
)
BODIES = {  # of POST /predict, and how many of them
    "bytes": (st.binary(max_size=3000), 300),
    "any JSON": (anything.map(json.dumps), 300),
    "nearly right": (nearly.map(json.dumps), 600),
    "cut off": (st.tuples(nearly.map(json.dumps), st.integers(0, 4000)).map(lambda cut: cut[0][: cut[1]]), 300),
}
KINDS = (st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40), 200)  # values of the header Content-Type


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    yield from serve(tmp_path_factory.mktemp("generated") / "log.csv", ACCESS_LOG="off")


def generated(examples):
    """Hypothesis' settings: the same examples each time, whatever they take."""
    return hypothesis_settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def without_texts(part):
    """A part of swagger.yaml without what does not change the requests."""
    if isinstance(part, list):
        return [without_texts(item) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        name: without_texts(value) for name, value in part.items() if name not in ("description", "summary") or not isinstance(value, str)
    }


def source_of_requests():
    """What decides on the generated requests."""
    api = json.dumps(without_texts(SWAGGER), sort_keys=True)
    return {
        "api": hashlib.sha256(api.encode()).hexdigest(), "examples": EXAMPLES,
        "posts": hashlib.sha256(repr((BODIES, KINDS)).encode()).hexdigest(),
        "schemathesis": version("schemathesis"), "hypothesis": version("hypothesis"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def record():
    """The recorded requests: of each operation and mode, of each kind of BODIES, and of KINDS."""
    if not os.environ.get("RECORD_REQUESTS"):
        content = json.loads(lzma.decompress(RECORDED.read_bytes()))
        assert content["source"] == source_of_requests(), f"{RECORDED.name} is of another API or library. Record it: {RECORD}"
        yield {name: distinct(recorded) for name, recorded in content["requests"].items()}
    else:
        made: dict[str, list[Recorded]] = {}
        yield made
        content = {"source": source_of_requests(), "requests": made}
        RECORDED.write_bytes(lzma.compress(json.dumps(content).encode(), preset=9 | lzma.PRESET_EXTREME))


@pytest.fixture(scope="module")
def session():
    """Connections to the server; requests does not look for a proxy in the environment."""
    with requests.Session() as session:
        session.trust_env = False
        yield session


@pytest.fixture(scope="module")
def schema():
    """The API as Schemathesis reads it."""
    import schemathesis  # takes seconds

    return schemathesis.openapi.from_path(PROJECT_DIR / "swagger.yaml")


def recorded_form(request, server):
    """A request in the form of the record."""
    headers = {name: value for name, value in request.headers.items() if name != "X-Schemathesis-TestCaseId"}
    body = request.body.encode() if isinstance(request.body, str) else request.body
    return request.method, request.url.removeprefix(server), headers, None if body is None else body.decode("latin-1")


def sent_by_schemathesis(operation, mode, server, session):
    """Generate requests, send them, and return them."""
    from schemathesis import GenerationMode

    sent = []

    @generated(EXAMPLES)
    @given(case=operation.as_strategy(generation_mode=GenerationMode(mode)))
    def send(case):
        answer = case.call(base_url=server, session=session, headers={"Accept-Encoding": "identity"}, allow_redirects=False, timeout=30)
        sent.append(recorded_form(answer.request, server))

    send()
    return sent


def sent_by_hypothesis(bodies, kinds, examples, server, session):
    """Generate bodies and content types, send them, and return the requests."""
    sent = []

    @generated(examples)
    @given(body=bodies, kind=kinds)
    def send(body, kind):
        content = body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass")
        answer = session.post(f"{server}/predict", data=content, headers={"Content-Type": kind}, timeout=30)
        sent.append(recorded_form(answer.request, server))

    send()
    return sent


def distinct(recorded):
    """Return each request once, in their order: Hypothesis generates some of them many times."""
    return list({json.dumps(request): request for request in recorded}.values())


def send_recorded(recorded, server, session):
    """Send a request to the letter."""
    method, path, headers, body = recorded
    request = requests.PreparedRequest()
    request.method, request.url, request.body = method, server + path, None if body is None else body.encode("latin-1")
    request.headers = requests.structures.CaseInsensitiveDict(headers)
    request.prepare_cookies({})
    return session.send(request, allow_redirects=False, timeout=30)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("path", "method"), [(path, method) for path, item in PATHS.items() for method in item])
def test_generated_requests_get_documented_answers(server, session, record, schema, path, method, mode):
    from schemathesis.checks import not_a_server_error
    from schemathesis.core.transport import Response
    from schemathesis.specs.openapi import checks

    operation = schema[path][method]
    if not (operation.body or operation.query or operation.path_parameters):
        mode = "positive"  # nothing can be wrong with it
    conformance = [
        checks.status_code_conformance, checks.content_type_conformance, checks.response_schema_conformance,
        checks.response_headers_conformance,
    ]  # fmt: skip
    name = f"{method} {path} {mode}"
    if os.environ.get("RECORD_REQUESTS") and name not in record:
        record[name] = sent_by_schemathesis(operation, mode, server, session)
    case = operation.Case(path_parameters={parameter.name: "any" for parameter in operation.path_parameters})  # of the API's forms alone
    for recorded in record[name]:
        answer = Response.from_requests(send_recorded(recorded, server, session), verify=True)
        try:
            case.validate_response(answer, checks=conformance if path in NEEDS_MORE else [not_a_server_error, *conformance])
        except BaseExceptionGroup as failure:
            raise AssertionError(f"{failure}\n\nThe request is {recorded}.") from None  # the call that Schemathesis names lacks its values


def assert_answered(answer, sent=""):
    """A forecast, or an error in the documented form that reveals no internals. Errors may quote what was sent."""
    assert answer.headers["Content-Type"] == "application/json"
    content = answer.json()
    if answer.status_code == 200:
        assert "model_version" in content
    else:
        assert answer.status_code in REFUSED
        assert content.keys() == {"error", "details"}
        assert content["error"]
        assert len(answer.content) < 2000
    for word in ("Traceback", ".py", "site-packages", str(PROJECT_DIR)):
        assert word not in answer.text or word in sent


@pytest.mark.parametrize("name", BODIES)
def test_any_body_gets_a_forecast_or_a_valid_error(server, session, record, name):
    if os.environ.get("RECORD_REQUESTS"):
        bodies, examples = BODIES[name]
        record[name] = sent_by_hypothesis(bodies, st.just("application/json"), examples, server, session)
    for recorded in record[name]:
        assert_answered(send_recorded(recorded, server, session))


def test_any_content_type_gets_a_valid_answer(server, session, record):
    if os.environ.get("RECORD_REQUESTS"):
        kinds, examples = KINDS
        record["content types"] = sent_by_hypothesis(st.just(b'{"predict": []}'), kinds, examples, server, session)
    for recorded in record["content types"]:
        answer = send_recorded(recorded, server, session)
        assert answer.status_code in {415, 422}
        assert_answered(answer, sent=recorded[2]["Content-Type"])
