"""What became of images is messages, worked out without a broker."""

from collections.abc import Mapping
from typing import Any

import pytest

from sightflow.errors import PipelineError
from sightflow.protocols import Message
from sightflow.records import Event, Rejected, event_row, rejected_row, result_row
from sightflow.sinks.kafka import KafkaEvents
from sightflow.testing import a_record, an_origin

ROWS = [result_row(a_record(origin=an_origin(source_id="Straße", sequence=n))) for n in (0, 1)]
REJECTED = [rejected_row(Rejected(an_origin(uri="x.jpg"), "decode", "empty", "no bytes"))]
EVENTS = [event_row(Event("left", "track", "gate", 7, 280, 3))]


def sent(sink: KafkaEvents) -> list[Message]:
    return list(sink.messages(ROWS, REJECTED, EVENTS))


def test_each_row_is_a_message_of_its_topic_with_its_stream_as_key() -> None:
    sink = KafkaEvents("b:9092", topic="results", events_topic="news", rejected_topic="dead")
    line = (
        '{{"uri":"photos/a.jpg","source_id":"Straße","sequence":{n},"event_time_ms":0,'
        '"width":32,"height":24}}'
    )
    assert sent(sink) == [
        Message("results", "Straße".encode(), line.format(n=0).encode()),
        Message("results", "Straße".encode(), line.format(n=1).encode()),
        Message(
            "dead",
            b"x.jpg",
            b'{"uri":"x.jpg","step":"decode","reason":"empty","message":"no bytes"}',
        ),
        Message(
            "news",
            b"gate",
            b'{"kind":"left","step":"track","source_id":"gate","sequence":7,'
            b'"event_time_ms":280,"track_id":3}',
        ),
    ]


def test_what_has_no_topic_is_not_sent() -> None:
    assert [m.destination for m in sent(KafkaEvents("b:9092", topic="r"))] == ["r", "r"]
    assert [m.destination for m in sent(KafkaEvents("b:9092", rejected_topic="d"))] == ["d"]


def test_the_outputs_are_the_topics_each_once() -> None:
    sink = KafkaEvents("b:9092", topic="all", events_topic="all", rejected_topic="dead")
    assert sink.outputs() == ["kafka://b:9092/all", "kafka://b:9092/dead"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of `topic`, `events_topic`, `rejected_topic` must be there"),
        ({"topic": "r", "servers": ""}, "`servers` must name a broker"),
        ({"topic": "r", "guarantee": "maybe"}, "`guarantee` is one of exactly-once, at-least-once"),
        ({"topic": "r", "properties": {"transactional.id": "x"}}, "`transactional_id_prefix`"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        KafkaEvents(**{"servers": "b:9092", **options})


def test_a_password_is_not_shown() -> None:
    sink = KafkaEvents("b:9092", topic="r", properties={"sasl.password": "secret"})
    assert "secret" not in repr(sink)
