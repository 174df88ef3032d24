"""Every registered source of messages keeps its promises. A new one needs an example here."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.kafka import Broker

from sightflow.errors import SourceError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.protocols import ControlSource
from sightflow.sources.jsoncontrol import JsonControl, add_message
from sightflow.sources.kafkacontrol import KafkaControl
from sightflow.testing import check_control

MESSAGES = [b'{"set": "a.b", "value": 1}', b"no message", b'{"reset": "a.b"}']


def some_lines(folder: Path) -> JsonControl:
    for message in MESSAGES:
        add_message(folder / "control.jsonl", message)
    return JsonControl(str(folder / "control.jsonl"))


def in_kafka(broker: Broker) -> KafkaControl:
    topic = broker.create()
    broker.produce(topic, [{"value": message} for message in MESSAGES])
    return KafkaControl(broker.servers, topic)


FILE_EXAMPLES: dict[str, Callable[[Path], ControlSource]] = {"JsonControl": some_lines}
BROKER_EXAMPLES: dict[str, Callable[[Broker], ControlSource]] = {"KafkaControl": in_kafka}
EXAMPLES = {*FILE_EXAMPLES, *BROKER_EXAMPLES}


@pytest.fixture
def source(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> ControlSource:
    """Return the example of a kind."""
    if kind in BROKER_EXAMPLES:
        return BROKER_EXAMPLES[kind](request.getfixturevalue("broker"))
    return FILE_EXAMPLES[kind](tmp_path)


def test_the_controls_were_found_and_each_has_an_example() -> None:
    assert len(EXAMPLES) >= 2
    assert set(known_kinds("controls")) == EXAMPLES


@pytest.mark.parametrize("kind", sorted(EXAMPLES))
def test_all_messages_come_in_order_and_again_from_each_position(
    kind: str, source: ControlSource
) -> None:
    assert type(source) is resolve_kind("controls", kind)
    assert [message.strip() for message in check_control(source)] == MESSAGES


def test_a_topic_with_several_partitions_is_refused(broker: Broker) -> None:
    with pytest.raises(SourceError, match="must have one partition; it has 2"):
        KafkaControl(broker.servers, broker.create(2)).check()
