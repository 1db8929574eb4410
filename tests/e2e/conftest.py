"""Fixtures of the end-to-end tests."""

import psutil
import pytest
from serving import Service


@pytest.fixture
def start(tmp_path):
    """Start services; whatever is left of them is ended afterwards."""
    services = []

    def start_service(**environment):
        services.append(Service(tmp_path, **environment))
        services[-1].wait()
        return services[-1]

    yield start_service
    for service in services:
        left = [*service.children(), psutil.Process(service.process.pid)] if service.process.poll() is None else []
        for process in left:
            process.kill()
        service.process.wait()
        service.stderr.close()
