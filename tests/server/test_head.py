"""Which request heads the direct path parses, and which go to gunicorn."""

import pytest

from server.head import SMALL_BODY_BYTES, Head, read_head

LINE = "POST /predict HTTP/1.1"
LEAST = {"Host": "127.0.0.1:8010", "Content-Type": "application/json", "Content-Length": "500"}
USUAL = Head(500, "", is_last=False)


def head(line=LINE, **changes):
    """A head with these headers changed; None removes one, and underscores stand for hyphens."""
    headers = LEAST | {name.replace("_", "-"): value for name, value in changes.items()}
    return "\r\n".join([line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]).encode("latin-1")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, USUAL),
        ({"User_Agent": "curl/8.5.0 (x; y)", "Accept": "*/*", "Accept_Encoding": "gzip, deflate"}, USUAL),
        ({"Connection": "Keep-Alive"}, USUAL),
        ({"Connection": "close"}, USUAL._replace(is_last=True)),
        ({"X_API_Key": "secret"}, USUAL._replace(key="secret")),
        ({"Content_Length": "0"}, USUAL._replace(length=0)),
        ({"Content_Length": str(SMALL_BODY_BYTES)}, USUAL._replace(length=SMALL_BODY_BYTES)),
        ({"Content_Length": str(SMALL_BODY_BYTES + 1)}, None),
        ({"Content_Length": None}, None),
        ({"Content_Length": "-5"}, None),
        ({"Content_Length": "+5"}, None),
        ({"Content_Length": "5, 5"}, None),
        ({"Content_Length": "²"}, None),
        ({"Content_Length": "9" * 5000}, None),
        ({"content_length": "500"}, None),  # a second one
        ({"Content_Length ": "500"}, None),
        ({"Content_Type": None}, None),
        ({"Content_Type": "text/plain"}, None),
        ({"Content_Type": "application/json; charset=utf-8"}, None),
        ({"Transfer_Encoding": "chunked"}, None),
        ({"Content_Encoding": "gzip"}, None),
        ({"Expect": "100-continue"}, None),
        ({"Connection": "upgrade"}, None),
        ({"Connection": "close, keep-alive"}, None),
        ({"Host": None}, None),
        ({"Accept": "a\nTransfer-Encoding: chunked"}, None),
        ({"Accept": "a\rb"}, None),
        ({"Accept": "a\x00b"}, None),
        ({"Accept": "é"}, None),
        ({"Accept": ""}, None),
        ({"X_Forwarded_For": "6.6.6.6, 1.2.3.4"}, USUAL._replace(forwarded_for="6.6.6.6, 1.2.3.4")),
        ({"X_Forwarded_Host": "a.example", "X_Forwarded_Proto": "https", "X_Real_IP": "1.2.3.4", "Via": "1.1 Caddy"}, USUAL),
        ({"X_Forwarded_For": "1.2.3.4", "x_forwarded_for": "5.6.7.8"}, None),
        ({"X_Request_ID": "1"}, None),
    ],
)
def test_only_plain_heads_are_parsed_directly(changes, expected):
    assert read_head(head(**changes)) == expected


@pytest.mark.parametrize(
    "line",
    [
        "GET /predict HTTP/1.1",
        "post /predict HTTP/1.1",
        "POST /predict/ HTTP/1.1",
        "POST /predict?x=1 HTTP/1.1",
        "POST http://x/predict HTTP/1.1",
        "POST  /predict HTTP/1.1",
        "POST /predict HTTP/1.0",
        "POST /predict HTTP/1.1 ",
        "",
    ],
)
def test_other_request_lines_go_to_gunicorn(line):
    assert read_head(head(line)) is None


@pytest.mark.parametrize("broken", [b"\r\n folded: 1", b"\r\nname", b"\r\n: x", b"\r\nContent_Length: 5", b"\r\n", b"\r"])
def test_head_with_a_broken_header_goes_to_gunicorn(broken):
    assert read_head(head() + broken) is None


def test_head_without_headers_goes_to_gunicorn():
    assert read_head(LINE.encode()) is None
