"""Threads for work that would block the event loop."""

from collections.abc import Callable
from typing import Any, TypeVar

from gevent import get_hub, monkey
from gevent.threadpool import ThreadPool

T = TypeVar("T")


def in_gevent() -> bool:
    """Whether this process is a gevent worker: one thread, one loop, many connections."""
    return bool(monkey.is_module_patched("socket"))


def run_in_thread(work: Callable[..., T], *arguments: Any) -> T:
    """Run long work in a thread, so that a gevent worker can answer other requests in the meantime."""
    if not in_gevent():
        return work(*arguments)  # Flask's own server runs each request in a thread
    done: T = get_hub().threadpool.apply(work, arguments)
    return done


def in_threads(number: int) -> Callable[..., Any]:
    """Return a run_in_thread with its own pool of `number` threads. More work waits."""
    if not in_gevent():
        return run_in_thread
    pool = ThreadPool(number)
    return lambda work, *arguments: pool.apply(work, arguments)
