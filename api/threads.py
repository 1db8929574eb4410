"""Threads for work that would block the event loop."""

from collections.abc import Callable
from typing import Any, TypeVar

from gevent import get_hub, monkey
from gevent.threadpool import ThreadPool

T = TypeVar("T")


def in_gevent() -> bool:
    """Whether gevent serves: one thread, one loop, many connections."""
    return bool(monkey.is_module_patched("socket"))


def beside(work: Callable[..., T], *arguments: Any) -> T:
    """Do long work in a thread of its own, so that a gevent worker goes on answering others meanwhile."""
    if not in_gevent():
        return work(*arguments)  # Flask's own server: this is a thread
    done: T = get_hub().threadpool.apply(work, arguments)
    return done


def in_threads(number: int) -> Callable[..., Any]:
    """The same in so many threads of its own: work beyond that waits."""
    if not in_gevent():
        return beside
    pool = ThreadPool(number)
    return lambda work, *arguments: pool.apply(work, arguments)
