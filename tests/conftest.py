"""What tests of several rooms share."""

from collections.abc import Iterator

import pytest
from tests.kafka import Broker, a_broker


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """Give the one Kafka broker of all tests; each takes topics of its own."""
    with a_broker() as running:
        yield running
