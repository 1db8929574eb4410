"""The HTTP API: request bodies, answers, access control, the forecast service, the direct path."""
