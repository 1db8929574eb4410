"""Clients in threads, which ask without end until they are stopped."""

import threading


class Clients:
    """Threads that run within a `with` block.

    Attributes:
        answered: number of right answers.
        failed: the wrong ones.
        stop: set at the end of the block.
    """

    def __init__(self) -> None:
        self.answered, self.stop = 0, threading.Event()
        self.failed: list[object] = []
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> "Clients":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
