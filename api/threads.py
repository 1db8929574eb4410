"""Threads for work that would block the event loop of a gevent worker. Without gevent the same functions work in plain threads."""

import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

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
    result: T = get_hub().threadpool.apply(work, arguments)
    return result


def in_threads(number: int) -> Callable[..., Any]:
    """Return a `run_in_thread` with its own threads, `number` of them; more work waits."""
    if not in_gevent():
        return run_in_thread
    pool = ThreadPool(number)
    return lambda work, *arguments: pool.apply(work, arguments)


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
