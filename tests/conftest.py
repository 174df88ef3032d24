"""What tests of several rooms share."""

import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from tests.chromium import a_browser
from tests.kafka import Broker, a_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Give the one Kafka broker of all tests; each takes topics of its own."""
    with a_broker() as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give the one browser of a file of tests; each opens pages of its own."""
    with a_browser() as running:
        yield running


@pytest.fixture
def free_port() -> int:
    """Return a port of the loopback address that nothing has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
