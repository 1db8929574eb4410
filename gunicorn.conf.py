"""How production runs the service: `python app.py`, or `gunicorn -c gunicorn.conf.py "app:create_app()"`.

gevent workers: a client that sends slowly holds no worker up. The master imports the application, so a worker is a fork that has it already
and shares its memory; only the model is loaded by each. The MLflow UI is a child of the master.
"""

import gc
import logging
import resource
import signal
import sys
from typing import Any

import app
from forecast import runtime
from monitoring import metrics, stderr
from server import slots, sockets, worker
from settings import PROJECT_DIR, SettingError, Settings
from tracking import ui

MAX_CONNECTIONS = 1000  # of a worker; more wait in the kernel
OTHER_FILES = 200  # further files that a worker may have open

sys.stderr = stderr.ErrorStream()
try:
    app.settings_of_all = Settings.from_environment()
except SettingError as error:
    if app.settings_of_all is None:
        raise
    logging.getLogger("gunicorn.error").error("%s; the settings stay as they were.", error)  # at a reload
settings = app.settings_of_all
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_wanted = MAX_CONNECTIONS + OTHER_FILES if _hard == resource.RLIM_INFINITY else min(MAX_CONNECTIONS + OTHER_FILES, _hard)
if _soft != resource.RLIM_INFINITY and _soft < _wanted:  # many systems give 1,024
    resource.setrlimit(resource.RLIMIT_NOFILE, (_wanted, _hard))
worker.keep_memory_together()
metrics.share()
sockets.Connection.seconds = settings.REQUEST_TIMEOUT
runtime.import_runtime()  # here, so that the workers share it too

chdir = str(PROJECT_DIR)
wsgi_app = f"{app.__name__}:create_app()"
bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
workers = settings.WEB_CONCURRENCY
worker_class = "server.worker.Worker"
timeout = 60
graceful_timeout = 8  # for the requests under way; docker stop kills after 10 s
keepalive = 30  # seconds for the next request's head to arrive
worker_connections = MAX_CONNECTIONS
forwarded_allow_ips = ""  # gunicorn trusts no proxy headers; app.py handles TRUSTED_PROXIES
control_socket_disable = True  # else gunicorn writes to the home folder
worker_tmp_dir = None


def pre_fork(server: Any, worker: Any) -> None:
    """A worker is about to start: it takes the lowest free slot."""
    worker.slot = metrics.free_slot(other.slot for other in server.WORKERS.values())
    metrics.use_slot(worker.slot)


def post_fork(server: Any, worker: Any) -> None:
    """Reset the signal handlers that a new worker inherits from the master. Otherwise an early SIGTERM would be lost."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def child_exit(server: Any, worker: Any) -> None:
    """A worker is gone, and its connections with it."""
    sockets.taken[worker.slot] = sockets.held[worker.slot] = sockets.ABSENT
    slots.forget(worker.slot)


def post_worker_init(worker: Any) -> None:
    """A worker has loaded all: its garbage collector need not walk through that again and again, in the middle of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # objects, of which a request leaves a few hundred: a look at each 700 finds nothing


def worker_exit(server: Any, worker: Any) -> None:
    """A worker ends: what was frozen is cleared away in its turn, before the modules that it needs for that."""
    gc.unfreeze()


def when_ready(server: Any) -> None:
    """The API listens, its workers come next: now the MLflow UI may start."""
    gc.collect()
    gc.freeze()  # a collector that walks through shared memory would copy it
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    server.mlflow_ui = ui.start(settings)  # kept by the master: this file is read again at a reload
    server.log.info("Stock forecasts on http://%s, interactive documentation at /apidocs.", bind)


def on_exit(server: Any) -> None:
    """The API ends: so does the MLflow UI."""
    ui.stop(getattr(server, "mlflow_ui", None))
    metrics.remove_shared()
