"""Swagger UI of swagger.yaml at /apidocs, from local files. It is imported on the first request, so the start does not wait for it."""

from functools import lru_cache

from flask import Flask, Response, abort, request
from flask.typing import ResponseReturnValue

from api.threads import run_in_thread
from settings import PROJECT_DIR

ROUTES = ("/apidocs", "/apidocs/index.html", "/apispec_1.json", "/flasgger_static/<path:filename>")


def documentation(**_: str) -> ResponseReturnValue:
    """Swagger UI, its files, and the contract that it shows."""
    response = Response.from_app(run_in_thread(_swagger_app), request.environ)
    if response.status_code >= 400:  # flasgger would answer in HTML
        response.close()
        abort(response.status_code)
    return response


@lru_cache(maxsize=1)
def _swagger_app() -> Flask:
    """Return flasgger's routes as an application of their own."""
    from flasgger import LazyJSONEncoder, LazyString, Swagger

    app = Flask("app", root_path=str(PROJECT_DIR))
    app.url_map.strict_slashes = False
    app.config["SWAGGER"] = {"openapi": "3.0.3", "title": "Stock forecasts", "uiversion": 3, "doc_expansion": "list"}
    config = Swagger.DEFAULT_CONFIG | {"specs_route": ROUTES[0], "auth": {}}
    swagger = Swagger(app, config=config, template_file=str(PROJECT_DIR / "swagger.yaml"))
    swagger.template["servers"] = [{"url": LazyString(lambda: request.script_root or "/")}]  # of the request, for "Try it out"
    app.json = LazyJSONEncoder(app)
    return app
