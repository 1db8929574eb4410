"""Who may ask: the API keys, and how often one client may ask within a while.

Each worker counts a client's requests on its own, and connections are spread over the workers: a client that opens new ones may get through
up to WEB_CONCURRENCY times RATE_LIMIT.
"""

import hmac
import math
import time

from settings import Settings


class Gatekeeper:
    """The gate of one worker."""

    def __init__(self, settings: Settings) -> None:
        self._keys = [key.encode() for key in settings.api_keys]
        self._limit = self._limiter = None
        if settings.RATE_LIMIT:
            from limits import parse
            from limits.storage import MemoryStorage
            from limits.strategies import FixedWindowRateLimiter

            self._limit, self._limiter = parse(settings.RATE_LIMIT), FixedWindowRateLimiter(MemoryStorage())

    @property
    def has_limit(self) -> bool:
        """Whether clients' requests are counted."""
        return self._limiter is not None

    def admits(self, key: str) -> bool:
        """Whether someone with this API key, empty for none, may call. Compares in constant time."""
        if not self._keys:
            return True
        given = key.encode()
        return sum(hmac.compare_digest(given, own) for own in self._keys) > 0  # all are compared

    def seconds_to_wait(self, client: str) -> int:
        """Count a client's request; after how many seconds it may ask again, 0 if it may now."""
        if self._limiter is None or self._limit is None or self._limiter.hit(self._limit, client):
            return 0
        return max(1, math.ceil(self._limiter.get_window_stats(self._limit, client).reset_time - time.time()))
