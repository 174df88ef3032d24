"""Kafka on Flink: its own connector reads the images and sends the messages.

Records of Kafka come from Java as one array of bytes, and messages go there as one; the two forms
are those of `ReceivedRecords` and `SentMessages` (Java).
"""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from pyflink.java_gateway import get_gateway

from sightflow.engine.chunks import Content
from sightflow.flink.jars import KAFKA, Jar
from sightflow.protocols import Context, Message
from sightflow.records import Skipped
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sources.kafka import KafkaImages
from sightflow.storage.kafka import KafkaRecord
from sightflow.storage.kafkaproperties import Properties, java_properties

__all__ = ["Kafka"]

_SHADED = "org.apache.flink.kafka.shaded.org.apache.kafka"
"""The package of Kafka's own classes in the jar of the connector."""
_TRANSACTION_TIMEOUT_MS = 900_000
"""What brokers allow at most unless they are told otherwise; a job may be down for so long."""
_MAX_MESSAGE_BYTES = 10 << 20
_RECEIVED = struct.Struct(">iqqi")
_SENT = struct.Struct(">ii")
_LENGTH = struct.Struct(">i")
_NONE = -1


class Kafka:
    """The connector of `KafkaImages` and `KafkaEvents`."""

    jars: tuple[Jar, ...] = (KAFKA,)

    def source(self, source: KafkaImages) -> Any:
        """Return Java's source of whole records."""
        jvm = get_gateway().jvm
        topics = jvm.java.util.ArrayList()
        for topic in source.topic_names:
            topics.add(topic)
        builder = jvm.org.apache.flink.connector.kafka.source.KafkaSource.builder()
        builder.setBootstrapServers(source.servers).setTopics(topics)
        builder.setDeserializer(jvm.ai.sightflow.flink.kafka.ReceivedRecords())
        builder.setStartingOffsets(_offsets(source.bounds.start))
        if source.bounds.stop is not None:
            builder.setBounded(_offsets(source.bounds.stop))
        ours = {} if source.group is None else {"group.id": source.group}
        _set(builder, source.properties, {"isolation.level": "read_committed", **ours})
        client = jvm.java.util.Properties()
        _set(client, source.properties, {"bootstrap.servers": source.servers, **ours})
        return jvm.ai.sightflow.flink.kafka.EndingKafkaSource(builder.build(), client)

    def reader(self, source: KafkaImages, context: Context) -> Callable[[bytes], Content]:
        """Return what makes a record into its image, or counts it as skipped."""
        open_record = source.open_records(context)

        def read(data: bytes) -> Content:
            record = _received(data)
            origin = source.origin_of(record)
            if source.is_too_old(origin.event_time_ms):
                return Skipped(origin, 1)
            return open_record(record)

        return read

    def sink(self, sink: KafkaEvents, *, number: int, prefix: str) -> Any:
        """Return Java's sink."""
        jvm = get_gateway().jvm
        guarantees = jvm.org.apache.flink.connector.base.DeliveryGuarantee
        builder = jvm.org.apache.flink.connector.kafka.sink.KafkaSink.builder()
        builder.setBootstrapServers(sink.servers)
        builder.setRecordSerializer(jvm.ai.sightflow.flink.kafka.SentMessages(number))
        defaults = {"max.request.size": str(_MAX_MESSAGE_BYTES), "linger.ms": "5"}
        if sink.guarantee == "exactly-once":
            builder.setDeliveryGuarantee(guarantees.EXACTLY_ONCE)
            builder.setTransactionalIdPrefix(sink.transactional_id_prefix or prefix)
            defaults["transaction.timeout.ms"] = str(_TRANSACTION_TIMEOUT_MS)
        else:
            builder.setDeliveryGuarantee(guarantees.AT_LEAST_ONCE)
        _set(builder, sink.properties, defaults)
        return builder.build()

    def sent(self, number: int, message: Message) -> bytes:
        """Return a message as `SentMessages` (Java) reads it."""
        parts = [message.destination.encode(), message.key]
        for name, value in message.headers:
            parts += [name.encode(), value]
        parts.append(message.value)
        lengths = ((_LENGTH.pack(len(part)), part) for part in parts)
        head = _SENT.pack(number, len(message.headers))
        return b"".join((head, *(piece for pair in lengths for piece in pair)))


def _offsets(place: str | int) -> Any:
    """Return where reading begins or ends, for Java."""
    jvm = get_gateway().jvm
    offsets = jvm.org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer
    if isinstance(place, int):
        return offsets.timestamp(place)
    if place == "committed":
        consumer = jvm.org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer
        return offsets.committedOffsets(consumer.OffsetResetStrategy.EARLIEST)
    return offsets.latest() if place == "latest" else offsets.earliest()


def _set(receiver: Any, properties: Properties, defaults: dict[str, str]) -> None:
    for name, value in {**defaults, **java_properties(properties, package=_SHADED)}.items():
        receiver.setProperty(name, value)


def _received(data: bytes) -> KafkaRecord:
    """Return the record that `ReceivedRecords` (Java) wrote."""
    partition, offset, timestamp_ms, n_headers = _RECEIVED.unpack_from(data)
    parts = _parts(data, _RECEIVED.size)
    topic, key = _text(next(parts)), next(parts)
    headers = tuple((_text(next(parts)), next(parts)) for _ in range(n_headers))
    return KafkaRecord(topic, partition, offset, timestamp_ms, key, headers, next(parts))


def _parts(data: bytes, start: int) -> Iterator[bytes | None]:
    while start < len(data):
        (length,) = _LENGTH.unpack_from(data, start)
        start += _LENGTH.size
        yield None if length == _NONE else data[start : start + length]
        start += max(0, length)


def _text(part: bytes | None) -> str:
    return (part or b"").decode("utf-8", "replace")
