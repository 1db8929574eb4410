"""Access control: API keys, and a rate limit for each client."""

import hmac
import math
import time

from api.errors import RequestError
from settings import SettingError, Settings

STORAGE_SECONDS = 10  # until a client should try again if the storage of the rate limit fails
MEMCACHED_SECONDS = 1.0  # for memcached to answer one command


class Gatekeeper:
    """The access control of one worker.

    The default storage of the rate limit is the worker's memory: each worker counts on its own, so a client with many connections can make
    up to WEB_CONCURRENCY times RATE_LIMIT requests. With RATE_LIMIT_STORAGE, all workers and machines count together.
    """

    def __init__(self, settings: Settings) -> None:
        """Read the keys and the limit.

        Raises:
            SettingError: the storage of the rate limit is unknown, or its library is missing.
        """
        self._keys = [key.encode() for key in settings.api_keys]
        self._limit = self._limiter = None
        if settings.RATE_LIMIT:
            from limits import parse
            from limits.errors import ConfigurationError
            from limits.storage import storage_from_string
            from limits.strategies import FixedWindowRateLimiter

            try:
                uri = settings.RATE_LIMIT_STORAGE
                waits = {"timeout": MEMCACHED_SECONDS, "connect_timeout": MEMCACHED_SECONDS} if uri.startswith("memcached:") else {}
                storage = storage_from_string(uri, wrap_exceptions=True, **waits)
            except (ConfigurationError, ImportError, ValueError) as error:
                raise SettingError(f"Wrong setting. RATE_LIMIT_STORAGE={settings.RATE_LIMIT_STORAGE!r}: {error}") from None
            self._limit, self._limiter = parse(settings.RATE_LIMIT), FixedWindowRateLimiter(storage)

    def check(self, client: str, key: str) -> None:
        """Check a request's client against the rate limit and its API key. The limit comes first, so that keys cannot be guessed quickly.

        Args:
            client: its address.
            key: the API key, empty for none.

        Raises:
            RequestError: 429, too many requests; 401, a wrong key; 503, the storage of the rate limit fails.
        """
        if seconds := self.seconds_to_wait(client):
            raise RequestError(429, f"Too many requests. Try again in {seconds} s.", retry_after=seconds)
        if not self.admits(key):
            raise RequestError(401, "The API key is missing or wrong. Send it in the header X-API-Key.")

    def admits(self, key: str) -> bool:
        """Return whether an API key is valid. All keys are compared, so the time says nothing about them."""
        if not self._keys:
            return True
        given = key.encode()
        return sum(hmac.compare_digest(given, own) for own in self._keys) > 0

    def seconds_to_wait(self, client: str) -> int:
        """Count a request and return after how many seconds the client may ask again; 0 if it may now.

        Raises:
            RequestError: 503, the storage fails.
        """
        if self._limiter is None or self._limit is None:
            return 0
        from limits.errors import StorageError

        try:
            if self._limiter.hit(self._limit, client):
                return 0
            return max(1, math.ceil(self._limiter.get_window_stats(self._limit, client).reset_time - time.time()))
        except (StorageError, OSError):  # limits does not wrap the errors of pymemcache's sockets
            raise RequestError(503, "The storage of the rate limit does not answer.", retry_after=STORAGE_SECONDS) from None
