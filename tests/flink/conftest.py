"""What tests of Flink share."""

import socket

import pytest


@pytest.fixture
def free_port() -> int:
    """Return a port of the loopback address that nothing has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
