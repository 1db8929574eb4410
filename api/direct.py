"""The direct path: one window posted to /predict, answered on the connection without gunicorn's parser and Flask.

The custom worker (server/worker.py) reads a request's head. If it has nothing but the usual headers, the worker calls `answer` with
the body; every other request goes to gunicorn and Flask unchanged. Both give the same answers, log lines and counts: both call
ForecastService, and api/errors.py describes the errors of both.
"""

import time

from pydantic_core import to_json

from api.answers import raw_answer
from api.errors import SENTENCES, describe
from api.proxies import client_address
from api.service import PREDICT_ROUTE, ForecastService, RequestContext
from monitoring.accesslog import RequestInfo
from server.head import Head


class DirectPath:
    """The direct path of one worker."""

    def __init__(self, service: ForecastService, trusted_proxies: int) -> None:
        self._service, self._trusted_proxies = service, trusted_proxies

    def answer(self, head: Head, body: bytes, client: str, is_last: bool, started: float) -> bytes:
        """Return the complete answer to a request.

        Args:
            head: of the request.
            body: of the request, complete.
            client: address of the connection, which may be a proxy's.
            is_last: whether the connection is closed after this answer.
            started: time.perf_counter() when the request began.
        """
        service = self._service
        client = client_address(client, head.forwarded_for, self._trusted_proxies)
        context = RequestContext(RequestInfo(service.access_log.id_for(), client, "POST", PREDICT_ROUTE), started)
        headers: list[tuple[str, str]] = []
        try:
            service.gate.check(client, head.key)
            result = service.predict(body, context)
            status, content, logged = 200, to_json(result.content), result.logged
        except Exception as error:  # noqa: BLE001 - describe() logs unexpected ones
            refused = describe(error, context.info.id)
            status, content, headers, logged = refused.status, to_json(refused.content), refused.headers, {}
        service.finish(PREDICT_ROUTE, context, status, logged)
        return raw_answer(status, content, context.info.id, headers, is_last=is_last)

    def refuse(self, status: int, client: str) -> bytes:
        """Return the complete answer to something that is not valid HTTP. It is counted and has a line in the access log."""
        context = RequestContext(RequestInfo(self._service.access_log.id_for(), client, "", ""), time.perf_counter())
        details = [f"request {context.info.id}"] if status == 500 else []
        content = to_json({"error": SENTENCES.get(status, SENTENCES[400]), "details": details})
        self._service.finish("unmatched", context, status)
        return raw_answer(status, content, context.info.id, [], is_last=True)
