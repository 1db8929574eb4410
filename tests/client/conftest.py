"""The client, sync and async, against a real server with a stub of Yahoo Finance."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest
from serving import starting
from yahoo_stub import YahooStub

from stock_forecast_client import AsyncClient, Client


class SyncCalls:
    """Calls methods of a Client, which is made once per address and arguments."""

    def __init__(self):
        self.clients = {}

    def __call__(self, method, *arguments, url, client=None, **options):
        client = client or {}
        key = (url or os.environ.get("STOCK_FORECAST_URL"), *client.items())
        if key not in self.clients:
            self.clients[key] = Client(url, **client)
        return getattr(self.clients[key], method)(*arguments, **options)

    def close(self):
        for client in self.clients.values():
            client.close()


class AsyncCalls:
    """The same with an AsyncClient, in an event loop of its own."""

    def __init__(self):
        self.clients = {}
        self.runner = asyncio.Runner()

    def __call__(self, method, *arguments, url, client=None, **options):
        client = client or {}
        key = (url or os.environ.get("STOCK_FORECAST_URL"), *client.items())

        async def asking():
            if key not in self.clients:
                self.clients[key] = AsyncClient(url, **client)
            return await getattr(self.clients[key], method)(*arguments, **options)

        return self.runner.run(asking())

    def close(self):
        for client in self.clients.values():
            self.runner.run(client.aclose())
        self.runner.close()


@pytest.fixture(scope="module", params=[SyncCalls, AsyncCalls], ids=["sync", "async"])
def ask(request):
    """Each test runs with both clients: `ask("predict", closes, url=...)`; `client` has arguments of the client itself."""
    calls = request.param()
    yield calls
    calls.close()


@pytest.fixture(scope="module")
def yahoo():
    with YahooStub() as stub:
        stub.end_on(datetime.now(UTC).date() - timedelta(days=1))
        yield stub


@pytest.fixture(scope="module")
def start(tmp_path_factory, yahoo):
    """Start services that a module shares."""
    folder = tmp_path_factory.mktemp("client")
    own = {
        "YAHOO_URL": yahoo.url,
        "DATA_CACHE_DIR": str(folder / "cache"),
        "XDG_CACHE_HOME": str(folder / "yfinance"),
        "WEB_CONCURRENCY": "1",
    }
    services = starting(folder)
    start_service = next(services)
    yield lambda **environment: start_service(**own | environment)
    next(services, None)


@pytest.fixture(scope="module")
def service(start):
    return start()
