"""gunicorn's configuration: `python app.py`, or `gunicorn -c gunicorn.conf.py "app:create_app()"`.

The workers are gevent workers, so a slow client does not block a worker. The master imports the application and the workers are forks that
share its memory; each loads the model for itself. The MLflow UI is a child of the master. docs/explanation/direct-path.md describes
SERVER_WORKER.
"""

import gc
import logging
import os
import resource
import signal
import sys
from functools import partial
from typing import Any

import app
from api.errors import MAX_BODY_BYTES
from api.startup import master
from api.threads import every
from forecast import runtime
from monitoring import stderr
from monitoring.counters import SharedCounters
from server import memory, slots, sockets
from server.worker import Worker
from settings import PROJECT_DIR, SettingError, Settings
from tracking import ui

MAX_CONNECTIONS = 1000  # of a worker; more wait in the kernel
OTHER_FILES = 200  # that a worker may have open besides its connections
SIGN_SECONDS = 1.0  # between two signs of life of a stock worker

sys.stderr = stderr.ErrorStream()
try:
    master.settings = Settings.from_environment()
except SettingError as error:
    if master.settings is None:
        raise
    logging.getLogger("gunicorn.error").error("%s. The settings are unchanged.", error)  # at a reload
settings = master.settings
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_wanted = MAX_CONNECTIONS + OTHER_FILES if _hard == resource.RLIM_INFINITY else min(MAX_CONNECTIONS + OTHER_FILES, _hard)
if _soft != resource.RLIM_INFINITY and _soft < _wanted:  # many systems allow 1,024
    resource.setrlimit(resource.RLIMIT_NOFILE, (_wanted, _hard))
memory.use_one_heap()
counters = master.counters = master.counters or SharedCounters()  # kept at a reload
Worker.max_body_bytes = 2 * MAX_BODY_BYTES  # with the overhead of chunks
sockets.Connection.seconds = settings.REQUEST_TIMEOUT
runtime.import_runtime()  # in the master, so that the workers share it

chdir = str(PROJECT_DIR)
wsgi_app = f"{app.__name__}:create_app()"
bind = f"[{settings.HOST}]:{settings.PORT}" if ":" in settings.HOST else f"{settings.HOST}:{settings.PORT}"
workers = settings.WEB_CONCURRENCY
worker_class = {"direct": "server.worker.Worker", "stock": "server.worker.StockWorker"}[settings.SERVER_WORKER]
timeout = 60  # seconds without a sign of life after which a worker is killed
graceful_timeout = 8  # seconds for requests in flight; docker stop kills after 10
keepalive = 30  # seconds for the next request's head to arrive
worker_connections = MAX_CONNECTIONS
forwarded_allow_ips = ""  # gunicorn takes the client's address from no header; api/proxies.py applies TRUSTED_PROXIES
control_socket_disable = True  # gunicorn would write to the home folder
worker_tmp_dir = None


def pre_fork(server: Any, worker: Any) -> None:
    """Give a new worker the lowest free slot."""
    worker.slot = slots.free_slot(other.slot for other in server.WORKERS.values())
    counters.use_slot(worker.slot)


def post_fork(server: Any, worker: Any) -> None:
    """Prepare a new worker.

    It has the master's signal handlers; a signal that arrives now would be lost, and the master would wait for the worker's end.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    counters.reserve()
    if worker.app.app_uri == wsgi_app:
        worker.app.load = partial(app.create_app, settings)  # files that settings come from may have changed since


def post_worker_init(worker: Any) -> None:
    """Freeze what a loaded worker has, so that the garbage collector does not walk through it during a request.

    The application handles SCRIPT_NAME. gunicorn would fail with an error for a path that does not begin with it.
    """
    os.environ.pop("SCRIPT_NAME", None)
    if settings.SERVER_WORKER == "stock":
        worker.sign = slots.SignOfLife(worker.slot)
        every(SIGN_SECONDS, worker.sign.show)
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # objects; a request leaves a few hundred


def worker_exit(server: Any, worker: Any) -> None:
    """Unfreeze, so that objects are destroyed before the modules that they need."""
    gc.unfreeze()


def child_exit(server: Any, worker: Any) -> None:
    """Free the slot of a worker that has ended."""
    slots.workers.forget(worker.slot)


def when_ready(server: Any) -> None:
    """Start the MLflow UI once the API listens."""
    gc.collect()
    gc.freeze()  # the collector would copy shared memory by walking through it
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    server.mlflow_ui = ui.start(settings)  # kept on the master: this file is read again at a reload
    server.log.info("Stock forecasts on %s, documentation at /apidocs.", server.LISTENERS[0])
    if (port := server.LISTENERS[0].getsockname()[1]) != settings.PORT:
        server.log.warning(
            "PORT=%s has no effect: systemd passed a socket on port %s. Change ListenStream= of flask_app.socket.", settings.PORT, port
        )


def on_exit(server: Any) -> None:
    """Stop the MLflow UI and remove the counters."""
    ui.stop(getattr(server, "mlflow_ui", None))
    counters.remove()
