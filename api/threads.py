"""Threads for work that would block the event loop of a gevent worker. Without gevent the same functions work in plain threads."""

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

from gevent import get_hub, monkey
from gevent.threadpool import ThreadPool

T = TypeVar("T")

log = logging.getLogger(__name__)


def in_gevent() -> bool:
    """Return whether gevent serves: one thread, one event loop, many connections."""
    return bool(monkey.is_module_patched("socket"))


def run_in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run blocking work in a thread and return its result. The event loop goes on meanwhile."""
    if not in_gevent():
        return work(*arguments)  # each request has its own thread already
    return _apply(get_hub().threadpool, work, arguments)


def in_threads(number: int) -> Callable[..., Any]:
    """Return a `run_in_thread` with its own threads, `number` of them; more work waits."""
    if not in_gevent():
        return run_in_thread
    pool = ThreadPool(number)
    return lambda work, *arguments: _apply(pool, work, arguments)


def _apply(pool: ThreadPool, work: Callable[..., T], arguments: tuple[Any, ...]) -> T:
    """Run work in a pool. Its error comes back as a value: gevent would also print the traceback of each, and the caller handles them."""

    def attempt() -> tuple[T | None, Exception | None]:
        try:
            return work(*arguments), None
        except Exception as error:  # noqa: BLE001 - raised again below
            return None, error

    result, error = pool.apply(attempt)
    try:
        if error is not None:
            raise error
    finally:
        del error  # a cycle with its traceback would keep the windows until the next garbage collection
    return cast("T", result)


def every(seconds: float, work: Callable[[], object]) -> None:
    """Call a bound method every `seconds`, in a thread, for as long as its object lives."""
    method = weakref.WeakMethod(work)
    pause = threading.Event()  # gevent's in a gevent worker

    def repeat() -> None:
        while not pause.wait(seconds):
            call = method()
            if call is None:
                return
            try:
                run_in_thread(call)
            except Exception:
                log.exception("%s failed; it is called again in %g s.", call.__qualname__, seconds)
            del call

    threading.Thread(target=repeat, name=f"every {seconds:g} s", daemon=True).start()
