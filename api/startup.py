"""The start of `python app.py`: checks that name the setting that is wrong, then gunicorn."""

import os
import socket
import sys

from gunicorn.systemd import listen_fds

from api.access import Gatekeeper
from api.service import open_request_log
from monitoring.counters import SharedCounters
from settings import PROJECT_DIR, SettingError, Settings


class Master:
    """What gunicorn's master keeps over a reload, which runs gunicorn.conf.py again.

    Attributes:
        settings: the last valid settings.
        counters: the counters that all workers share.
    """

    def __init__(self) -> None:
        self.settings: Settings | None = None
        self.counters: SharedCounters | None = None


master = Master()


def check_start(settings: Settings) -> None:
    """Exit with one line that names the setting if the service could not start."""
    if not has_socket():
        try:
            with listen(settings.HOST, settings.PORT):
                pass
        except OSError as error:
            sys.exit(f"error: HOST={settings.HOST} PORT={settings.PORT}: {error.strerror}. Choose another address or stop what uses it.")
    request_log = open_request_log(settings)
    request_log.close()
    if request_log.problem:
        sys.exit(f"error: REQUEST_LOG={settings.REQUEST_LOG}: {request_log.problem}. Choose a file that can be written.")
    try:
        Gatekeeper(settings)
    except SettingError as error:
        sys.exit(f"error: {error}")


def has_socket() -> bool:
    """Return whether systemd passed a socket to this process, which gunicorn then uses instead of HOST and PORT."""
    return bool(listen_fds(unset_environment=False))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address, IPv4 or IPv6.

    Raises:
        OSError: the address is in use, or is not one of this machine.
    """
    is_six = ":" in host
    family, both = (socket.AF_INET6, socket.has_dualstack_ipv6()) if is_six else (socket.AF_INET, False)
    return socket.create_server((host, port), family=family, dualstack_ipv6=both)


def run_gunicorn() -> None:
    """Become gunicorn's master process. The workers share what this process has imported, so they start fast."""
    if not os.environ.get("WEB_CONCURRENCY"):
        os.environ.pop("WEB_CONCURRENCY", None)  # gunicorn reads it when it is imported, and fails if it is empty
    import gunicorn.__main__
    from gunicorn.app.wsgiapp import WSGIApplication

    sys.argv = [gunicorn.__main__.__file__, "-c", str(PROJECT_DIR / "gunicorn.conf.py")]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="gunicorn").run()
