"""What tests of several rooms share."""

import socket
from collections.abc import Iterator

import pytest
from tests.kafka import Broker, a_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Give the one Kafka broker of all tests; each takes topics of its own."""
    with a_broker() as running:
        yield running


@pytest.fixture
def free_port() -> int:
    """Return a port of the loopback address that nothing has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
