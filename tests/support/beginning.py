"""What a process does that a test starts in order to kill it. The process imports this module, so it imports nothing of the tests."""

from collections.abc import Callable
from multiprocessing.connection import Connection


def begin(begun: Connection, work: Callable[[], object]) -> None:
    """Say that the work begins, and do it."""
    begun.send_bytes(b".")
    work()
