"""The service under a path prefix behind a real nginx and a real Caddy, with the configurations of deploy/proxy."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
from browsing import CHROMIUM, DRAWN_AT, MARKS, Watch, forecast_symbol, open_backtest, open_monitoring, redrawn
from playwright.sync_api import expect, sync_playwright
from serving import free_port, has_certificate, listens, starting, wait_until

from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

MISSING = [name for name in ("nginx", "caddy") if shutil.which(name) is None]
pytestmark = [*MARKS, pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: make proxies (as root)")]

HOST = "stocks.example"  # of the configurations
CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
SETTINGS = {"strip": {"TRUSTED_PROXIES": "1"}, "keep": {"TRUSTED_PROXIES": "1", "SCRIPT_NAME": "/stocks"}}
NGINX = """
daemon off; pid nginx.pid; error_log stderr; {user}
events {{}}
http {{
    include /etc/nginx/mime.types; access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    include site.conf;
}}
"""
CADDY = """
{
    admin off
    local_certs
    skip_install_trust
    auto_https disable_redirects
}
"""


@dataclass
class Proxy:
    """A running proxy."""

    port: int
    certificate: Path | None = None  # of its authority, if it speaks TLS

    @property
    def origin(self):
        return f"{'https' if self.certificate else 'http'}://{HOST}:{self.port}"

    @property
    def url(self):
        """Of the service."""
        return f"{self.origin}/stocks"

    def ask(self, method, path, headers=None, **options):
        """The answer to a request for the host, which is this machine."""
        headers = {"Host": f"{HOST}:{self.port}"} | (headers or {})
        with self._connections() as connections:
            return connections.urlopen(method, path, headers=headers, retries=False, redirect=False, **options)

    def _connections(self):
        if self.certificate is None:
            return urllib3.HTTPConnectionPool("127.0.0.1", self.port, timeout=30)
        authority = str(self.certificate)
        return urllib3.HTTPSConnectionPool(
            "127.0.0.1", self.port, timeout=30, server_hostname=HOST, assert_hostname=HOST, ca_certs=authority
        )


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """A service for each way to pass the prefix on."""
    folder = tmp_path_factory.mktemp("services")
    generators, running = [], {}
    for mode, settings in SETTINGS.items():
        generators.append(starting(folder))
        own = {"YAHOO_URL": "http://127.0.0.1:1", "DATA_CACHE_DIR": str(folder / "cache"), "WEB_CONCURRENCY": "1"}
        running[mode] = next(generators[-1])(**own | settings)
    yield running
    for generator in generators:
        next(generator, None)


def configuration(name, port, service):
    """A file of deploy/proxy with other ports."""
    text = (PROJECT_DIR / "deploy" / "proxy" / name).read_text()
    changed = text.replace("127.0.0.1:8010", f"127.0.0.1:{service.port}")
    return changed.replace("listen 80", f"listen 127.0.0.1:{port}").replace(f"\n{HOST} {{", f"\n{HOST}:{port} {{")


def nginx(folder, mode, service):
    """nginx's command, and how it is reached."""
    port = free_port()
    (folder / "site.conf").write_text(configuration(f"nginx-{mode}.conf", port, service))
    (folder / "nginx.conf").write_text(NGINX.format(user="user root;" if os.getuid() == 0 else ""))
    return ["nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf"], Proxy(port)


def caddy(folder, mode, service):
    """Caddy's command, and how it is reached. Its certificate comes from its own authority."""
    port = free_port()
    (folder / "Caddyfile").write_text(CADDY + configuration(f"{mode}.Caddyfile", port, service))
    certificate = folder / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    return ["caddy", "run", "--config", "Caddyfile"], Proxy(port, certificate)


@pytest.fixture(scope="module", params=["nginx-strip", "nginx-keep", "caddy-strip", "caddy-keep"])
def proxy(request, services, tmp_path_factory):
    name, mode = request.param.split("-")
    make = {"nginx": nginx, "caddy": caddy}[name]
    folder = tmp_path_factory.mktemp("proxy")
    command, proxy = make(folder, mode, services[mode])
    own = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    with (folder / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=subprocess.DEVNULL, stderr=stderr)
    if proxy.certificate is None:
        wait_until(lambda: listens(proxy.port), 30, "the proxy")
    else:
        wait_until(lambda: has_certificate(proxy.port, proxy.certificate, HOST), 30, "the proxy's certificate")
    yield proxy
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-background-networking", f"--host-resolver-rules=MAP {HOST} 127.0.0.1"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def context(chromium):
    """It keeps the files of each service for the next test."""
    context = chromium.new_context(ignore_https_errors=True)
    yield context
    context.close()


@pytest.fixture
def page(context):
    """A page, not yet open."""
    page = context.new_page()
    yield page
    page.close()


@pytest.fixture
def failed(page):
    """Requests of the page that failed."""
    found = []
    page.on("response", lambda response: found.append((response.url, response.status)) if response.status >= 400 else None)
    page.on("requestfailed", lambda request: found.append((request.url, request.failure)))
    return found


def test_page_and_its_calls_work(proxy, page, failed):
    watch, call = Watch(page), page.locator("#call")
    page.goto(f"{proxy.url}/")
    page.wait_for_function(f"({DRAWN_AT}) >= 0")
    expect(call).to_contain_text(f"curl -sS '{proxy.url}/predict'")
    with redrawn(page):
        forecast_symbol(page, "JNJ")
    expect(call).to_contain_text(f"curl -sS '{proxy.url}/forecast/JNJ?")
    page.locator("#question").fill(", ".join(map(str, CLOSES)))
    with redrawn(page):
        page.locator("#submit").click()
    expect(call).to_contain_text(f"curl -sS '{proxy.url}/predict")
    open_backtest(page)
    open_monitoring(page)
    assert watch.complaints == []
    assert failed == []
    assert [url for url in watch.requests if not url.startswith((f"{proxy.url}/", "data:", "blob:"))] == []


def test_links_lead_to_answers(proxy, page):
    page.goto(f"{proxy.url}/")
    links = page.eval_on_selector_all("[href]", "links => links.map(link => link.href.split('#')[0])")
    assert f"{proxy.url}/apidocs" in links
    for link in set(links):
        answer = proxy.ask("GET", link.removeprefix(proxy.origin))
        assert answer.status < 400 or (link.endswith("/mlflow") and answer.status == 503), link


def test_explanation_of_mlflow_links_back(proxy, page):
    page.goto(f"{proxy.url}/mlflow")
    page.get_by_role("link", name="Forecasts").click()
    expect(page).to_have_url(f"{proxy.url}/")
    expect(page.locator("#chart canvas")).to_be_visible()


def test_swagger_calls_the_service(proxy, page, failed):
    watch = Watch(page)
    page.goto(f"{proxy.url}/apidocs")
    call = page.locator("#operations-operation-health")
    call.locator(".opblock-summary").first.click()
    call.get_by_role("button", name="Try it out").click()
    call.get_by_role("button", name="Execute").click()
    expect(call.locator(".live-responses-table tr.response .response-col_status").first).to_have_text("200")
    assert f"{proxy.url}/health" in watch.requests
    assert watch.complaints == []
    assert failed == []


def test_programs_get_forecasts_and_errors(proxy):
    body = json.dumps({"predict": CLOSES}).encode()
    answer = proxy.ask("POST", "/stocks/predict", body=body, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.json()["last_close"]) == (200, CLOSES[-1])
    missing = proxy.ask("GET", "/stocks/nothing")
    assert (missing.status, missing.json()["error"]) == (404, "There is nothing at this address. The calls are listed at /stocks/apidocs.")
    large = proxy.ask("POST", "/stocks/predict", body=b"[" + b" " * 2**21, headers={"Content-Type": "application/json"})
    assert (large.status, large.json()["error"]) == (413, "The body is larger than 2 MiB.")


def test_redirect_to_the_prefix_stays_on_the_host(proxy):
    answer = proxy.ask("GET", "/stocks")
    assert (answer.status // 100, answer.headers["Location"]) == (3, "/stocks/")  # right behind a further proxy with TLS, too


def test_client_cannot_choose_the_prefix(proxy):
    page = proxy.ask("GET", "/stocks/", headers={"X-Forwarded-Prefix": "/evil"}).data.decode()
    assert 'href="/stocks/apidocs"' in page
    assert "evil" not in page
