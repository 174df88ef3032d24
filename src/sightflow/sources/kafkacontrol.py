"""Messages for a job from a topic of Kafka."""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from sightflow.errors import SourceError
from sightflow.protocols import Context
from sightflow.storage.kafka import KafkaRecord, Partition, RecordReader
from sightflow.storage.kafkaproperties import Properties, read_properties

__all__ = ["KafkaControl"]


@dataclass(frozen=True)
class KafkaControl:
    """The values of a topic with one partition, in order; each is a message.

    All that the topic has kept is taken by a new run, so that it knows what was set before.
    """

    servers: str
    """Addresses of brokers, `host:port`, separated by commas."""
    topic: str
    """Its name."""
    properties: Properties = field(default_factory=dict, repr=False)
    """Further properties of the client, as those of `KafkaImages`."""

    word_options: ClassVar[tuple[str, ...]] = ("servers", "topic")

    def __post_init__(self) -> None:
        """Refuse properties that are none."""
        if not isinstance(self.properties, str):
            read_properties(self.properties)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on; brokers and passwords may change."""
        return {"topic": self.topic}

    def check(self) -> None:
        """Raise `SourceError` unless a broker answers, and the topic has one partition."""
        reader = RecordReader(self.servers, self.properties, None)
        try:
            self._partition(reader)
        finally:
            reader.close()

    def open_messages(self, context: Context, position: str | None) -> "ControlRecords":
        """Return the messages, from the first that is kept or from an offset."""
        reader = RecordReader(self.servers, self.properties, None)
        context.resources.callback(reader.close)
        partition = self._partition(reader)
        first, end = reader.bounds(partition)
        return ControlRecords(reader, partition, max(first, int(position or 0)), end)

    def _partition(self, reader: RecordReader) -> Partition:
        found = reader.partitions(self.topic)
        if len(found) != 1:
            raise SourceError(
                f"{self.topic}: messages need an order, so the topic must have one partition; it "
                f"has {len(found)}"
            )
        return found[0]


class ControlRecords:
    """The records of a partition, as messages."""

    def __init__(self, reader: RecordReader, partition: Partition, start: int, end: int) -> None:
        """Begin at an offset; `end` is behind what is there now."""
        self._reader, self._topic = reader, partition[0]
        self._next, self._end = start, end
        reader.assign({partition: start})

    def poll(self, timeout_s: float) -> tuple[str, bytes] | None:
        """Return where the next message is, and the message; None: none came in this time."""
        record = self._reader.poll(timeout_s)
        if record is None:
            return None
        if not isinstance(record, KafkaRecord):
            self._next = max(self._next, record.offset)  # the last offsets may be of no record
            return None
        self._next = record.offset + 1
        return f"kafka://{self._topic}/{record.offset}", record.value or b""

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened."""
        return self._next >= self._end

    def position(self) -> str:
        """Return the offset behind the last message."""
        return str(self._next)
