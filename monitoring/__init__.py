"""Logs and metrics: request log, access log, Prometheus metrics, live accuracy, drift."""
