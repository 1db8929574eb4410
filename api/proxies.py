"""Requests that arrive through proxies: the headers of trusted ones, and the path prefix of the service.

A proxy may publish the service under a path prefix, for example https://host/stocks/. X-Forwarded-Prefix of a trusted proxy names the
prefix, otherwise SCRIPT_NAME. All links and redirects begin with it. Requests may arrive with the prefix or without it: some proxies strip
it, and health checks do not go through the proxy.
"""

from typing import TYPE_CHECKING

from flask import Flask, request
from werkzeug.http import parse_list_header
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Map

from settings import PATH_PREFIX, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

FORWARDING_HEADERS = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")  # set by proxies, not by browsers


def add_proxies(app: Flask, settings: Settings) -> None:
    """Let an application use the headers of its trusted proxies, and a path prefix."""
    n = settings.TRUSTED_PROXIES
    if n or settings.SCRIPT_NAME:
        prefixed = PathPrefix(app.wsgi_app, app.url_map, settings.SCRIPT_NAME)
        app.wsgi_app = ProxyFix(prefixed, x_for=n, x_proto=n, x_host=n, x_prefix=n)  # type: ignore[method-assign] # as in Flask's documentation


def is_through_unknown_proxy(settings: Settings) -> bool:
    """Return whether a proxy forwarded the current request although TRUSTED_PROXIES is 0: client and host may be the proxy's."""
    return not settings.TRUSTED_PROXIES and any(name in request.headers for name in FORWARDING_HEADERS)


def client_address(peer: str, forwarded_for: str, n_trusted: int) -> str:
    """Return the client's address as ProxyFix finds it, for requests that do not go through Flask.

    Args:
        peer: the address of the connection.
        forwarded_for: X-Forwarded-For, empty for none.
        n_trusted: TRUSTED_PROXIES.
    """
    if not n_trusted or not forwarded_for:
        return peer
    addresses = parse_list_header(forwarded_for)
    return addresses[-n_trusted] if len(addresses) >= n_trusted else peer


class PathPrefix:
    """WSGI middleware that moves the path prefix from PATH_INFO to SCRIPT_NAME."""

    def __init__(self, app: "WSGIApplication", urls: Map, prefix: str) -> None:
        """Wrap an application.

        Args:
            app: the application.
            urls: its addresses.
            prefix: used where SCRIPT_NAME of a request names none; empty for none.
        """
        self._app, self._urls, self._prefix = app, urls.bind(""), prefix

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        """Answer a request."""
        forwarded = "/" + environ.get("SCRIPT_NAME", "").strip("/")
        prefix = forwarded if PATH_PREFIX.fullmatch(forwarded) else self._prefix
        environ["SCRIPT_NAME"] = prefix
        environ["PATH_INFO"] = self._without(prefix, environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"])
        return self._app(environ, start_response)

    def _without(self, prefix: str, path: str, method: str) -> str:
        """Return a path without its prefix. One that is an address only with it stays: /forecast/MSFT where the prefix is /forecast."""
        if not f"{path}/".startswith(f"{prefix}/"):
            return path
        rest = path[len(prefix) :] or "/"
        is_whole = self._urls.test(path, method) and not self._urls.test(rest, method)
        return path if is_whole else rest
