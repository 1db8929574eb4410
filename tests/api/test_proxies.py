"""Path prefixes and the headers of proxies; real proxies are in tests/e2e/test_proxies.py."""

import re
from functools import cache

import pytest

from app import create_app
from settings import PROJECT_DIR, Settings

PREFIX = {"X-Forwarded-Prefix": "/stocks"}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """Calls to a service by its settings; the tests share the services."""
    folder = tmp_path_factory.mktemp("proxies")
    nowhere = {
        "MLFLOW_UI_PORT": 1,
        "YAHOO_URL": "http://127.0.0.1:1",
        "DATA_CACHE_DIR": folder / "cache",
        "REQUEST_LOG": folder / "log.csv",
    }

    @cache
    def made(**changes):
        return create_app(Settings(**nowhere | changes)).test_client()

    return made


def addresses(page):
    """The addresses of a page's links, assets and forms, and of what its scripts call."""
    found = re.findall(r'(?: href| src| action|data-monitor-url|data-ready-url|data-backtest|data-contract)="(/[^"]*)"', page)
    assert found
    return found


def prefix_of(page):
    """The prefix of the links on the page."""
    return re.findall(r'href="([^"]*)/apidocs"', page)[0]


@pytest.mark.parametrize("path", ["/", "/predict", "/apidocs", "/stocks/", "/stocks", "/stocks/predict", "/stocks/apidocs"])
@pytest.mark.parametrize(
    ("changes", "headers"),
    [
        ({"SCRIPT_NAME": "/stocks"}, {}),
        ({"TRUSTED_PROXIES": 1}, PREFIX),
        ({"TRUSTED_PROXIES": 1}, {"X-Forwarded-Prefix": "/stocks/"}),
        ({"TRUSTED_PROXIES": 1, "SCRIPT_NAME": "/other"}, PREFIX),
        ({"TRUSTED_PROXIES": 1, "SCRIPT_NAME": "/stocks"}, {"X-Forwarded-Prefix": "//evil.example/<x>"}),
    ],
)
def test_all_addresses_of_a_page_begin_with_the_prefix(client, path, changes, headers):
    answer = client(**changes).get(path, headers=headers)
    assert answer.status_code == 200
    assert [address for address in addresses(answer.text) if not address.startswith("/stocks/")] == []


@pytest.mark.parametrize(
    ("proxies", "given", "used"),
    [
        (0, "/stocks", ""),
        (1, "/", ""),
        (1, "/a/b.c", "/a/b.c"),
        (1, "/outer, /stocks", "/stocks"),
        (2, "/stocks, /inner", "/stocks"),
        (1, "//stocks", "/stocks"),
        (1, "/..", ""),
        (1, '/"><script>', ""),
        (1, "/a b", ""),
        (1, "https://evil.example", ""),
    ],
)
def test_forwarded_prefix_is_used_only_if_trusted_and_valid(client, proxies, given, used):
    answer = client(TRUSTED_PROXIES=proxies).get("/", headers={"X-Forwarded-Prefix": given})
    assert prefix_of(answer.text) == used


def test_prefix_named_like_an_address_of_the_service(client):
    """Addresses are found with the prefix, and without it where that is not ambiguous."""
    asked = client(SCRIPT_NAME="/forecast")
    for path in ("/forecast/", "/forecast", "/"):
        assert prefix_of(asked.get(path).text) == "/forecast"
    for path in ("/forecast/forecast/MSFT", "/forecast/MSFT"):
        assert asked.get(path).json["symbol"] == "MSFT"
    assert asked.delete("/forecast/predict").status_code == 405


@pytest.mark.parametrize("path", ["/stockshealth", "/stocks/stocks/health", "/else", "/stocks/nothing"])
def test_other_addresses_are_not_found(client, path):
    answer = client(SCRIPT_NAME="/stocks").get(path)
    assert (answer.status_code, answer.json["error"]) == (404, "There is nothing at this address. The calls are listed at /stocks/apidocs.")


@pytest.mark.parametrize(("headers", "server"), [({}, "/"), (PREFIX, "/stocks")])
def test_swagger_calls_begin_with_the_prefix_of_the_request(client, headers, server):
    asked = client(TRUSTED_PROXIES=1)
    for sent, expected in ((headers, server), ({}, "/"), (headers, server)):
        assert asked.get("/apispec_1.json", headers=sent).json["servers"] == [{"url": expected}]
    assert asked.get("/flasgger_static/nothing", headers=headers).json["error"].endswith(f"listed at {server.rstrip('/')}/apidocs.")


@pytest.mark.parametrize("name", ["X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Prefix"])
@pytest.mark.parametrize("value", ["", ",", "a b", "[", "]:x", "é", "x" * 5000, "a:b:c"])
def test_strange_headers_of_a_proxy_are_no_failure(client, name, value):
    asked = client(TRUSTED_PROXIES=1)
    for path in ("/", "/mlflow", "/apidocs", "/nothing"):
        assert asked.get(path, headers={name: value}).status_code in {200, 400, 404, 503}


def test_scripts_take_addresses_from_the_page():
    for file in (PROJECT_DIR / "static").glob("**/*.js"):
        if "vendor" not in file.parts:
            assert not re.search(r"""["'`]/[a-z]""", file.read_text()), file
