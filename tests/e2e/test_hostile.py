"""Hostile and malformed requests to a real gunicorn: each gets a valid JSON answer that reveals no internals."""

import json
import socket
import time
from contextlib import suppress

import psutil
import pytest
import requests
from serving import wait_until

from api.answers import SECURITY_HEADERS
from closes.snapshot import read_snapshot
from settings import PROJECT_DIR

pytestmark = pytest.mark.slow

CLOSES = read_snapshot("MSFT").prices[-60:].tolist()
BODY = json.dumps({"predict": CLOSES}).encode()
HOST = b"Host: x\r\n"
JSON = HOST + b"Content-Type: application/json\r\n"
INSIDE = ("Traceback", ".py", "site-packages", "gunicorn/2", "Werkzeug", str(PROJECT_DIR))


@pytest.fixture(scope="module")
def service(start_module):
    return start_module(REQUEST_TIMEOUT="1")


def ask(service, *parts):
    """Status, headers and content of the answer to raw bytes; interim answers are passed over."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        try:
            for part in parts:
                connection.sendall(part)
        except ConnectionError:
            pass  # refused before all was sent
        received = b""
        while more := receive(connection):
            received += more
            if received.startswith(b"HTTP/1.1 100"):
                received = received.partition(b"\r\n\r\n")[2]
            head, _, content = received.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:])
            if len(content) >= int(headers.get("Content-Length", 10**9)):
                return int(head.split()[1]), headers, content
    pytest.fail(f"no whole answer: {received[:300]!r}")


def receive(connection):
    try:
        return connection.recv(65536)
    except ConnectionError:
        return b""


def post(body, more=b"", length=None):
    return b"POST /predict HTTP/1.1\r\n" + JSON + more + b"Content-Length: %d\r\n\r\n" % (len(body) if length is None else length) + body


def chunked(*chunks, end=b"0\r\n\r\n"):
    return b"POST /predict HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + end


CASES = {
    "truncated JSON": (post(BODY[:-30]), 400),
    "a body in UTF-16": (post(BODY.decode().encode("utf-16")), 400),
    "bytes that are no UTF-8": (post(b'{"predict": "\xff\xfe"}'), 400),
    "100,000 brackets": (post(b'{"predict":' + b"[" * 100_000), 400),
    "100,000 objects": (post(b'{"a":' * 100_000), 400),
    "a number of 4,000 digits": (post(b'{"predict":[' + b"9" * 4000 + b"]}"), 422),
    "1e400": (post(BODY.replace(b"[", b"[1e400,")), 422),
    "NaN": (post(BODY.replace(b"[", b"[NaN,")), 422),
    "a subnormal": (post(json.dumps({"predict": [5e-324, *CLOSES[1:]]}).encode()), 422),
    "1e308": (post(json.dumps({"predict": [1e308, *CLOSES[1:]]}).encode()), 422),
    "a key twice": (post(BODY[:-1] + b', "predict": [1]}'), 422),
    "a gzip body": (post(b"\x1f\x8b\x08\x00", b"Content-Encoding: gzip\r\n"), 415),
    "a body of 3 MB": (post(b"[" * 3_000_000), 413),
    "a form of 3 MB": (
        b"POST /predict HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3000000\r\n\r\n"
        + b"a" * 3_000_000,
        415,
    ),
    "less body than promised": (post(BODY, length=len(BODY) + 100), 408),
    "a head alone": (post(b"", length=500), 408),
    "chunks": (chunked(b"%x\r\n%b\r\n" % (len(BODY), BODY)), 200),
    "chunks without end": (chunked(b"10000\r\n" + b" " * 0x10000 + b"\r\n", end=b""), 408),
    "chunks over 2 MiB": (chunked(*[b"10000\r\n" + b" " * 0x10000 + b"\r\n"] * 40), 413),
    "a chunk that is none": (chunked(b"zz\r\n"), 400),
    "no JSON type": (b"POST /predict HTTP/1.1\r\n" + HOST + b"Content-Length: 2\r\n\r\n{}", 415),
    "another length twice": (b"POST /predict HTTP/1.1\r\n" + JSON + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", 400),
    "length and chunks": (b"POST /predict HTTP/1.1\r\n" + JSON + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "a negative length": (b"POST /predict HTTP/1.1\r\n" + JSON + b"Content-Length: -1\r\n\r\n", 400),
    "an endless length": (b"POST /predict HTTP/1.1\r\n" + JSON + b"Content-Length: 99999999999999999999\r\n\r\n", 413),
    "a transfer coding that is none": (b"POST /predict HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: x\r\n\r\n", 501),
    "an expectation": (post(BODY, b"Expect: 100-continue\r\n"), 200),
    "an expectation that nobody knows": (post(BODY, b"Expect: x\r\n"), 417),
    "HTTP/1.0": (post(BODY).replace(b"HTTP/1.1", b"HTTP/1.0"), 200),
    "HTTP/9.9": (b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n", 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "an upgrade": (
        b"GET /health HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        200,
    ),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "no request": (b"\r\n\r\n\r\n", 400),
    "a method that is none": (b'F"<> /health HTTP/1.1\r\n' + HOST + b"\r\n", 400),
    "TRACE": (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 405),
    "CONNECT": (b"CONNECT example:443 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "300 headers": (b"GET /health HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: x\r\n" % number for number in range(300)) + b"\r\n", 431),
    "a header of 20 kB": (b"GET /health HTTP/1.1\r\n" + HOST + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431),
    "an address of 10 kB": (b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "a header with a zero byte": (b"GET /health HTTP/1.1\r\nHost: a\x00b\r\n\r\n", 400),
    "a way out of static": (b"GET /static/../settings.py HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a written way out of static": (b"GET /static/%2e%2e%2fsettings.py HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a way out of Swagger": (b"GET /flasgger_static/..%2f..%2f__init__.py HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a way to the root": (b"GET //etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a zero byte in an address": (b"GET /static/%00 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a symbol that leads elsewhere": (b"GET /forecast/..%2f..%2fetc HTTP/1.1\r\n" + HOST + b"\r\n", 404),
    "a symbol that is none": (b"GET /forecast/%2e%2e HTTP/1.1\r\n" + HOST + b"\r\n", 422),
    "a symbol of 5,000 letters": (b"GET /forecast/" + b"A" * 3000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 422),
    "a symbol in Cyrillic": (b"GET /forecast/%D0%A1%D0%91 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
    "an absurd limit": (b"GET /monitor?limit=1e9 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
    "a limit in Arabic": (b"GET /monitor?limit=%D9%A1 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
    "a negative limit": (b"GET /monitor?limit=-1 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
}


@pytest.mark.parametrize(("request_", "status"), CASES.values(), ids=CASES)
def test_hostile_request_gets_a_valid_json_answer(service, request_, status):
    given, headers, content = ask(service, request_)
    assert given == status
    assert headers["Content-Type"] == "application/json"
    assert headers.items() >= SECURITY_HEADERS.items()
    assert headers["X-Request-ID"]
    answer = json.loads(content)
    if status != 200:
        assert answer.keys() == {"error", "details"}
        assert answer["error"].endswith(".")
        assert len(content) < 2000
    told = str(headers) + content.decode()
    assert not [word for word in INSIDE if word in told]


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"])
@pytest.mark.parametrize("megabytes", [3, 12])  # gunicorn reads on after a refusal, up to 4 MiB
def test_too_large_body_that_is_sent_in_full_is_answered(service, megabytes, more):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(post(b"[" * megabytes * 1024**2, more))
        assert connection.recv(65536).startswith(b"HTTP/1.1 413")


def test_client_that_keeps_sending_after_invalid_http_is_answered(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        for _ in range(20):
            connection.sendall(b"no request\r\n" * 2_000)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


CHUNKED = b"POST /predict HTTP/1.1\r\n" + JSON + b"Transfer-Encoding: chunked\r\n\r\n"
UNREAD = CHUNKED.replace(b"application/json", b"text/plain")
BROKEN = {
    "a chunk without an end": (CHUNKED, b"2\r\n{}XX", 400),
    "a size that is none": (CHUNKED, b"zz\r\n", 400),
    "an end that is none": (CHUNKED, b"2\r\n{}\r\n0\r\nbad trailer\r\n\r\n", 400),
    "a trailer that must not be one": (CHUNKED, b"2\r\n{}\r\n0\r\nHost: x\r\n\r\n", 400),
    "a chunk without an end, unread": (UNREAD, b"2\r\n{}XX", 415),
    "a trailer that is none, unread": (UNREAD, b"0\r\nbad trailer\r\n\r\n", 415),
}


@pytest.mark.parametrize(("head", "body", "status"), BROKEN.values(), ids=BROKEN)
def test_bytes_after_an_invalid_body_are_not_a_request(service, head, body, status):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(head + body)
        time.sleep(0.1)
        with suppress(ConnectionError):
            connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
        received = b""
        while more := receive(connection):
            received += more
    assert received.count(b"HTTP/1.1 ") == 1
    assert received.startswith(b"HTTP/1.1 %d" % status)
    if status == 400:
        assert b"Connection: close" in received


@pytest.mark.parametrize("length", [30, 1000])
def test_size_limit_includes_the_chunk_headers(start, length):
    """Less than 2 MiB of content in more than 4 MiB. The time limit is far away."""
    chunk = b"1;" + b"x" * length + b"\r\n \r\n"
    status, _, _ = ask(start(REQUEST_TIMEOUT="200"), chunked(chunk * (5 * 1024**2 // len(chunk))))
    assert status == 413


def send_slowly(connection, seconds=100):
    for _ in range(seconds * 20):
        connection.sendall(b";" + b"x" * 100)
        time.sleep(0.05)


def test_time_limit_includes_the_chunk_headers(service):
    """`service` waits for a body for a second; this one starts with a chunk header without end."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(CHUNKED + b"1")
        with pytest.raises(ConnectionError):
            send_slowly(connection)


def test_expect_100_continue_is_answered_immediately(service):
    """The system sends a packet that is held back after 0.2 s. A busy machine may be that slow too, but not every time."""
    head = post(b"", b"Expect: 100-continue\r\n", length=len(BODY))

    def seconds_to_continue(connection):
        started = time.monotonic()
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")
        seconds = time.monotonic() - started
        connection.sendall(BODY)
        received = b""
        while b'"model_version"' not in received:
            received += connection.recv(65536)
        assert received.startswith(b"HTTP/1.1 200")
        return seconds

    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        assert any(seconds_to_continue(connection) < 0.15 for _ in range(50))


SECRETS = {
    "a key without a colon": b"GET /health HTTP/1.1\r\n" + HOST + b"X-API-Key=topsecret\r\n\r\n",
    "a key with a space": b"GET /health HTTP/1.1\r\n" + HOST + b"X-API-Key : topsecret\r\n\r\n",
    "closes behind a short length": post(b"topsecret, 123.456]}", length=2),
    "a query": b"GET /health?topsecret HTTP/9.9\r\n" + HOST + b"\r\n",
    "closes as a chunk's size": CHUNKED + b"topsecret\r\n",
}


@pytest.mark.parametrize("request_", SECRETS.values(), ids=SECRETS)
def test_content_of_an_invalid_request_is_not_logged(service, request_):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(request_)
        assert connection.recv(65536).startswith(b"HTTP/1.1 4")
        time.sleep(0.1)
    assert "topsecret" not in service.said() + service.log.read_text()


def send_forever(connection):
    while True:
        connection.sendall(b"[" * 65536)


def test_client_that_never_stops_sending_is_disconnected(service):
    with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
        connection.sendall(post(b"", length=10**12))
        with pytest.raises(ConnectionError):
            send_forever(connection)


def test_smuggled_request_is_not_answered(service):
    inner = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(post(inner) + post(BODY))
        received = b""
        while b'"model_version"' not in received and (more := connection.recv(65536)):
            received += more
    assert received.count(b"HTTP/1.1 ") == 2
    assert b'"status":"ok"' not in received


def test_hostile_requests_end_no_worker(service):
    workers = {child.pid for child in service.children()}
    for request_, _ in CASES.values():
        if b"3000000" not in request_[:200] and b"Content-Length: 6" not in request_:
            ask(service, request_)
    assert {child.pid for child in service.children()} == workers
    assert requests.post(f"{service.url}/predict", json={"predict": CLOSES}, timeout=30).ok
    assert "Traceback" not in service.said()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/static/css/page.css",
        "/static/js/main.js",
        "/assets/x/js/main.js",
        "/apidocs",
        "/apispec_1.json",
        "/backtest",
        "/metrics",
        "/notebook",
        "/nothing",
    ],
)
def test_every_answer_has_the_security_headers(service, path):
    answer = requests.get(service.url + path, timeout=30)
    assert answer.headers.items() >= SECURITY_HEADERS.items()
    assert answer.headers["Server"] == "gunicorn"  # no version


def test_host_cannot_inject_a_header_into_the_redirect(service):
    for host in (b"evil.example\r\nX-Injected: 1", b"evil.example/@", b"evil.example?", b'"><script>', b"a b"):
        status, headers, _ = ask(service, b"GET /mlflow HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
        assert status in {400, 503}
        assert "X-Injected" not in headers


def held(service, port):
    """Whether the service still has the connection that comes from this port."""
    ends = [(end.laddr.port if end.laddr else 0, end.raddr.port if end.raddr else 0, end.status) for end in psutil.net_connections("tcp")]
    return (service.port, port, psutil.CONN_ESTABLISHED) in ends


def test_client_that_reads_no_answer_is_disconnected(service):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        local = connection.getsockname()[1]
        connection.sendall((b"GET /flasgger_static/swagger-ui-bundle.js HTTP/1.1\r\n" + HOST + b"\r\n") * 40)  # more than the kernel keeps
        wait_until(lambda: held(service, local), 10, "the connection")
        wait_until(lambda: not held(service, local), 30, "its end")
    assert "Traceback" not in service.said()
