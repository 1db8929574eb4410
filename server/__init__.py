"""The custom gunicorn worker. Optional: gunicorn's own gevent worker serves the same answers."""
