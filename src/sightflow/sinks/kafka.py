"""Results, events and rejected images as messages of Kafka."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from sightflow.errors import PipelineError
from sightflow.options import check_choices
from sightflow.protocols import Context, Message
from sightflow.records import Row, to_json
from sightflow.storage.kafka import RecordWriter
from sightflow.storage.kafkaproperties import Properties, read_properties

__all__ = ["KafkaEvents"]


@dataclass(frozen=True)
class KafkaEvents:
    """One message of JSON for each result, event and rejected image, while the run goes on.

    The key of a result or an event is its `source_id`, so that those of a stream stay in order;
    that of a rejected image is its `uri`.
    """

    servers: str
    """Addresses of brokers, `host:port`, separated by commas."""
    topic: str | None = None
    """Of the results, one message for each image; None: they are not sent."""
    events_topic: str | None = None
    """Of the events; None: they are not sent."""
    rejected_topic: str | None = None
    """Of rejected images; None: they are not sent."""
    guarantee: Literal["exactly-once", "at-least-once"] = "exactly-once"
    """What holds on Flink where something fails: `exactly-once` sends in transactions, which
    readers see at each checkpoint; with `at-least-once` they see all at once, and some twice."""
    transactional_id_prefix: str | None = None
    """Begins the names of the transactions, which no other job may have; None: the names of job and
    sink."""
    properties: Properties = field(default_factory=dict, repr=False)
    """Further properties of the client, as those of `KafkaImages`."""

    connector: ClassVar[str] = "sightflow.flink.kafka:Kafka"

    def __post_init__(self) -> None:
        """Refuse a sink that sends nothing."""
        check_choices(self)
        if not self.servers.strip():
            raise PipelineError("KafkaEvents: `servers` must name a broker, `host:port`; got none")
        if not self._topics:
            raise PipelineError(
                "KafkaEvents: one of `topic`, `events_topic`, `rejected_topic` must be there; "
                "got none"
            )
        if not isinstance(self.properties, str):
            read_properties(self.properties)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on; brokers and passwords may change."""
        topics = ("topic", "events_topic", "rejected_topic")
        names = (*topics, "guarantee", "transactional_id_prefix")
        return {name: getattr(self, name) for name in names}

    def check(self) -> None:
        """Raise an error unless a broker answers and has the topics, or makes them.

        Raises:
            OutputError: the message says what is missing.
        """
        writer = RecordWriter(self.servers, self.properties)
        try:
            for topic in self._topics:
                writer.check_topic(topic)
        finally:
            writer.close()

    def outputs(self) -> Sequence[str]:
        """Return the addresses of the topics."""
        return [f"kafka://{self.servers}/{topic}" for topic in self._topics]

    def messages(
        self, rows: Sequence[Row], rejected: Sequence[Row], events: Sequence[Row]
    ) -> Iterator[Message]:
        """Yield a message for each row."""
        for topic, key, those in (
            (self.topic, "source_id", rows),
            (self.rejected_topic, "uri", rejected),
            (self.events_topic, "source_id", events),
        ):
            for row in those if topic else ():
                yield Message(str(topic), row[key].encode(), to_json(row))

    def open_messages(self, context: Context) -> "KafkaMessages":
        """Return what sends messages by the Python client, without transactions."""
        writer = RecordWriter(self.servers, self.properties)
        context.resources.callback(writer.close)
        return KafkaMessages(writer)

    @property
    def _topics(self) -> list[str]:
        """The topics, each once."""
        named = (self.topic, self.events_topic, self.rejected_topic)
        return list(dict.fromkeys(topic for topic in named if topic))


class KafkaMessages:
    """Sends messages to topics."""

    def __init__(self, writer: RecordWriter) -> None:
        """Take what writes records."""
        self._writer = writer

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages; they are on their way when this returns."""
        for message in messages:
            self._writer.write(message.destination, message.key, message.value, message.headers)

    def flush(self) -> None:
        """Return once all are written."""
        self._writer.flush()
