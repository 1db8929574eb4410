"""How production runs the service: `python app.py`, or `gunicorn -c gunicorn.conf.py "app:create_app()"`.

gevent workers: a client that sends slowly holds no worker up. The MLflow UI is a child of the master.
"""

import logging
from typing import TYPE_CHECKING, Any

import mlflowUI
from settings import PROJECT_DIR, Settings

if TYPE_CHECKING:
    import subprocess

settings = Settings.from_environment()
children: "list[subprocess.Popen[bytes] | None]" = []

chdir = str(PROJECT_DIR)
bind = f"{settings.HOST}:{settings.PORT}"
workers = settings.WEB_CONCURRENCY
worker_class = "gevent"
timeout = 60
graceful_timeout = 8  # an idle kept-alive client makes the end wait for all of it; docker stop kills after 10 s
keepalive = 30
control_socket_disable = True  # else gunicorn writes to the home folder
worker_tmp_dir = None


def when_ready(server: Any) -> None:
    """The API listens: now the MLflow UI may start."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    children.append(mlflowUI.start(settings))
    server.log.info("Stock forecasts on http://%s, interactive documentation at /apidocs.", bind)


def on_exit(server: Any) -> None:
    """The API ends: so does the MLflow UI."""
    for child in children:
        mlflowUI.stop(child)
