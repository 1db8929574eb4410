"""Fixtures of the end-to-end tests."""

from collections.abc import Iterator
from typing import Any

import pytest
from browsing import (
    KEPT,
    KEY,
    VIEWPORT,
    KeptBrowser,
    Tab,
    Watch,
    forget_answer,
    forget_figures,
    open_monitoring,
    open_once,
    serve,
)  # fmt: skip
from monitor_answers import answer_with, state
from playwright.sync_api import Browser, Page
from serving import starting

ABOUT_PROCESSES = {"test_crowd.py", "test_forecast.py", "test_kill.py", "test_service.py", "test_systemd.py", "test_worker.py"}


@pytest.fixture(scope="module")
def preloaded(request: pytest.FixtureRequest) -> bool:
    """Whether the services of a module are forks of a process that has imported their libraries."""
    return request.path.name not in ABOUT_PROCESSES


@pytest.fixture
def start(tmp_path, preloaded):
    yield from starting(tmp_path, preloaded)


@pytest.fixture(scope="module")
def start_module(tmp_path_factory, preloaded):
    """Services that the tests of a module share."""
    yield from starting(tmp_path_factory.mktemp("services"), preloaded)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[str]:
    """A service that the modules share."""
    yield from serve(tmp_path_factory.mktemp("server") / "log.csv")


@pytest.fixture(scope="session")
def guarded(tmp_path_factory) -> Iterator[str]:
    """A service with an API key, browsing.KEY, that the modules share."""
    yield from serve(tmp_path_factory.mktemp("guarded") / "log.csv", API_KEY=KEY)


@pytest.fixture
def guarded_page(tab, guarded) -> Iterator[Page]:
    """The tab before it opens the page of that service."""
    with tab.lent(guarded) as page:
        yield page


@pytest.fixture(scope="session")
def _kept_browser() -> Iterator[KeptBrowser]:
    yield KEPT
    KEPT.close()


@pytest.fixture(scope="module")
def browser(_kept_browser: KeptBrowser, request: pytest.FixtureRequest) -> Browser:
    """A Chromium; the modules before may have used it."""
    return _kept_browser.open(request.module)


@pytest.fixture(scope="module")
def tab_options() -> dict[str, Any]:
    """What is special about the tab of a module: see Tab."""
    return {}


@pytest.fixture(scope="module")
def tab(browser: Browser, _kept_browser: KeptBrowser, tab_options: dict[str, Any]) -> Tab:
    """The tab that the tests share."""
    return _kept_browser.tab(tab_options)


@pytest.fixture
def lent_page(tab, server) -> Iterator[Page]:
    """The tab before it opens the page."""
    with tab.lent(server) as page:
        yield page


@pytest.fixture
def watch(lent_page) -> Iterator[Watch]:
    """What the page asks for and complains of, from its opening on."""
    watch = Watch(lent_page, has_opened=False)
    yield watch
    watch.close()


@pytest.fixture
def page(lent_page: Page, server, request) -> Page:
    """The page as it opens, at 1280 px."""
    if "watch" in request.fixturenames:
        request.getfixturevalue("watch")  # sees the opening
    lent_page.goto(server)
    return lent_page


@pytest.fixture(scope="module")
def opened(browser, tab_options, server) -> Iterator[Page]:
    """The page in a tab of its own, opened once for a module."""
    yield from open_once(browser, server, tab_options)


@pytest.fixture
def open_page(opened: Page) -> Page:
    """The page as the test before has left it, for a test that asks a question of its own: opening it takes longer than the question."""
    forget_answer(opened)
    return opened


@pytest.fixture(scope="module")
def example(browser, tab_options, server) -> Iterator[Page]:
    """The page with the example that it opens with, in a tab of its own, opened once for a module: for tests that ask for no forecast."""
    yield from open_once(browser, server, tab_options)


@pytest.fixture
def figured(opened: Page) -> Iterator[Page]:
    """The page before a test opens its tab Monitoring, with no figure of another test: for a test that looks at figures only.

    A module that uses it opens its tabs with NO_REFRESH.
    """
    forget_figures(opened)
    yield opened
    opened.unroute_all(behavior="ignoreErrors")


@pytest.fixture
def monitored(figured: Page) -> Page:
    """The same after an answer without requests: neither a chart nor a table of another test is left."""
    answer_with(figured, state([]))
    open_monitoring(figured)
    figured.unroute_all()
    forget_figures(figured)
    return figured


@pytest.fixture
def clocked_page(browser, server) -> Iterator[Page]:
    """The page as it opens, in a tab of its own whose clock only a test moves."""
    context = browser.new_context(viewport=VIEWPORT)
    page = context.new_page()
    page.clock.install()
    page.goto(server)
    yield page
    context.close()


@pytest.fixture
def new_page(browser, server) -> Iterator[Page]:
    """The page in a tab of its own, for what cannot be undone."""
    context = browser.new_context(viewport=VIEWPORT, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(server)
    yield page
    context.close()
