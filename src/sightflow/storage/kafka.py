"""Kafka by its Python client: records of partitions, and messages to topics.

This is the one file that knows the client. It is loaded when something is opened. What it raises
becomes our errors here.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sightflow.errors import OutputError, PipelineError, SetupError, SourceError
from sightflow.storage.kafkaproperties import Properties, read_properties

__all__ = ["KafkaRecord", "Partition", "PartitionEnd", "RecordReader", "RecordWriter"]

_ANSWER_S = 10.0
"""How long a broker may take to answer a question."""
_MAX_MESSAGE_BYTES = 10 << 20
_FETCHED_AHEAD_KIB = 32 << 10
_FETCH_PAUSE_MS = 10
"""Once so much is there, the client looks so often whether it may go on; by itself, each second."""
_HOPELESS = ("_AUTHENTICATION", "_FATAL", "SASL_AUTHENTICATION_FAILED")
"""Names of errors of a connection that waiting does not mend."""

_LOGGER = logging.getLogger("sightflow.kafka")

Partition: TypeAlias = tuple[str, int]
"""A topic and the number of one of its partitions."""


@dataclass(frozen=True, slots=True)
class KafkaRecord:
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    """Milliseconds since 1970, UTC; negative where the record has none."""
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    value: bytes | None
    """None: the record says that its key is gone."""


@dataclass(frozen=True, slots=True)
class PartitionEnd:
    """Says that nothing is behind an offset now."""

    partition: Partition
    offset: int


class _Connection:
    """What reading and writing share: a client, and what becomes of its errors."""

    def __init__(self, servers: str, error: type[SourceError] | type[OutputError]) -> None:
        """Take where to connect to, and what to raise."""
        self._kafka = _package()
        self._servers, self._error = servers, error
        self._is_waiting = False
        self._last = "nothing came back"
        self._is_hopeless = False

    def _properties(self, given: Properties, **ours: Any) -> dict[str, Any]:
        """Return what the client is made with; properties that are given win."""
        connection = {"bootstrap.servers": self._servers, "error_cb": self._hear, "log_level": 0}
        named = {name.replace("_", "."): value for name, value in ours.items()}
        return {**named, **read_properties(given), **connection}

    def _made(self, kind: Any, properties: dict[str, Any]) -> Any:
        """Return a client.

        Raises:
            PipelineError: it does not know a property, or not its value.
        """
        try:
            return kind(properties)
        except (self._kafka.KafkaException, TypeError) as error:
            found = error.args[0]
            text = found.str() if isinstance(found, self._kafka.KafkaError) else str(found)
            raise PipelineError(f"Kafka at {self._servers}: `properties`: {text}") from error

    def _hear(self, error: Any) -> None:
        """Take what the client reports of the connection; it connects again by itself."""
        self._last = error.str()
        self._is_hopeless = self._is_hopeless or error.fatal() or error.name() in _HOPELESS
        if error.name() == "_ALL_BROKERS_DOWN" and not self._is_waiting:
            _LOGGER.warning("Kafka at %s does not answer; waiting for it", self._servers)
            self._is_waiting = True

    def _check(self) -> None:
        """Raise an error if waiting will not help."""
        if self._is_hopeless:
            raise self._error(f"Kafka at {self._servers}: {self._last}; check `properties`")

    def _note_answer(self) -> None:
        if self._is_waiting:
            _LOGGER.warning("Kafka at %s answers again", self._servers)
            self._is_waiting = False

    def _failed(self, error: Any) -> Exception:
        """Return our error for one of the client's."""
        return self._error(f"Kafka at {self._servers}: {error.args[0].str()}; {self._last}")

    def _partitions_of(self, client: Any, topic: str) -> list[Partition]:
        """Return the partitions of a topic.

        Raises:
            SourceError, OutputError: no broker answers, or it has no such topic.
        """
        try:
            found = client.list_topics(topic, _ANSWER_S).topics[topic]
        except self._kafka.KafkaException as error:
            client.poll(0)  # lets it report what is wrong with the connection
            raise self._error(
                f"Kafka at {self._servers}: no broker answers in {_ANSWER_S:.0f} s: {self._last}; "
                "check `servers` and `properties`"
            ) from error
        if found.error is not None and found.error.name() != "LEADER_NOT_AVAILABLE":
            raise self._error(f"{topic}: no such topic at {self._servers}: {found.error.str()}")
        return [(topic, number) for number in sorted(found.partitions)]


def _package() -> Any:
    """Return the client's package.

    Raises:
        SetupError: it is not installed.
    """
    try:
        import confluent_kafka
    except ImportError as error:
        raise SetupError(
            "package `confluent-kafka` reads and writes Kafka and is missing; "
            "`pip install 'sightflow[kafka]'` brings it"
        ) from error
    return confluent_kafka


class RecordReader(_Connection):
    """Reads partitions that it is told, from offsets that it is told; one thread uses it.

    It takes part in no distribution of partitions among the members of a group, and reads nothing
    of transactions that are not committed.
    """

    def __init__(self, servers: str, properties: Properties, group: str | None) -> None:
        """Connect, as soon as something is asked.

        Args:
            servers: addresses of brokers.
            properties: of the client.
            group: whose offsets are asked for and committed; None: none.
        """
        super().__init__(servers, SourceError)
        self._group = group
        self._client = self._made(
            self._kafka.Consumer,
            self._properties(
                properties,
                group_id=group or "sightflow",
                enable_auto_commit=False,
                enable_partition_eof=True,
                isolation_level="read_committed",
                auto_offset_reset="earliest",
                queued_max_messages_kbytes=_FETCHED_AHEAD_KIB,
                fetch_queue_backoff_ms=_FETCH_PAUSE_MS,
            ),
        )

    def partitions(self, topic: str) -> list[Partition]:
        """Return the partitions of a topic.

        Raises:
            SourceError: no broker answers, or it has no such topic.
        """
        return self._partitions_of(self._client, topic)

    def bounds(self, partition: Partition) -> tuple[int, int]:
        """Return the first offset that is there, and the one that the next record will have."""
        try:
            low, high = self._client.get_watermark_offsets(self._place(partition), _ANSWER_S)
        except self._kafka.KafkaException as error:
            raise self._failed(error) from error
        return low, high

    def at_time(self, partitions: Iterable[Partition], time_ms: int) -> dict[Partition, int]:
        """Return the offset of the first record of a time or later; behind the last if none is."""
        places = [self._place(partition, time_ms) for partition in partitions]
        try:
            found = self._client.offsets_for_times(places, _ANSWER_S)
        except self._kafka.KafkaException as error:
            raise self._failed(error) from error
        offsets = {(place.topic, place.partition): place.offset for place in found}
        return {
            partition: self.bounds(partition)[1] if offset < 0 else offset
            for partition, offset in offsets.items()
        }

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """Return where the group stands; without the partitions in which it has read nothing."""
        places = [self._place(partition) for partition in partitions]
        try:
            found = self._client.committed(places, _ANSWER_S)
        except self._kafka.KafkaException as error:
            raise self._failed(error) from error
        return {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}

    def assign(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from now on."""
        self._client.assign([self._place(*item) for item in offsets.items()])

    def drop(self, partition: Partition) -> None:
        """Read a partition no more."""
        self._client.incremental_unassign([self._place(partition)])

    def poll(self, timeout_s: float) -> KafkaRecord | PartitionEnd | None:
        """Return the next record of any partition, the end of one, or None: nothing came.

        A broker that is away is waited for.

        Raises:
            SourceError: waiting will not help.
        """
        message = self._client.poll(timeout_s)
        self._check()
        if message is None:
            return None
        error = message.error()
        if error is None:
            self._note_answer()
            return _record_of(message)
        if error.name() == "_PARTITION_EOF":
            self._note_answer()
            return PartitionEnd((message.topic(), message.partition()), message.offset())
        if error.name() in ("UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_PARTITION"):
            self.partitions(message.topic())  # a broker that has just started may not know yet
            return None
        if error.retriable() or error.name() == "_TRANSPORT":
            return None
        raise SourceError(f"Kafka at {self._servers}: {error.str()}")

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Let the group stand there, if there is one."""
        if self._group is None:
            return
        try:
            places = [self._place(*item) for item in offsets.items()]
            self._client.commit(offsets=places, asynchronous=False)
        except self._kafka.KafkaException as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    def _place(self, partition: Partition, offset: int = -1001) -> Any:
        return self._kafka.TopicPartition(*partition, offset)


def _record_of(message: Any) -> KafkaRecord:
    kind, timestamp_ms = message.timestamp()
    return KafkaRecord(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp_ms if kind else -1,
        message.key(),
        tuple(message.headers() or ()),
        message.value(),
    )


class RecordWriter(_Connection):
    """Writes records, each once and in order, as long as this process lives."""

    def __init__(self, servers: str, properties: Properties) -> None:
        """Connect, as soon as something is written."""
        super().__init__(servers, OutputError)
        self._failure = ""
        self._client = self._made(
            self._kafka.Producer,
            self._properties(
                properties,
                enable_idempotence=True,
                message_max_bytes=_MAX_MESSAGE_BYTES,
                linger_ms=5,
            ),
        )

    def check_topic(self, topic: str) -> None:
        """Raise `OutputError` if no broker answers, or it has no such topic and makes none."""
        self._partitions_of(self._client, topic)

    def write(
        self,
        topic: str,
        key: bytes | None,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...] = (),
    ) -> None:
        """Write a record; it is on its way when this returns.

        Raises:
            OutputError: it, or one before it, cannot be written.
        """
        while True:
            self._check_written()
            try:
                self._client.produce(
                    topic, value, key, headers=list(headers), on_delivery=self._hear_delivery
                )
            except BufferError:  # so much is on its way
                self._client.poll(0.1)
                continue
            except self._kafka.KafkaException as error:
                raise OutputError(f"{topic}: {error.args[0].str()}") from error
            self._client.poll(0)
            return

    def flush(self) -> None:
        """Return once all is written.

        Raises:
            OutputError: something cannot be.
        """
        while self._client.flush(0.5):
            self._check_written()
        self._check_written()

    def close(self) -> None:
        """Give up what is still on its way."""
        self._client.purge()
        self._client.flush(1.0)

    def _check_written(self) -> None:
        self._check()
        if self._failure:
            raise OutputError(self._failure)

    def _hear_delivery(self, error: Any, message: Any) -> None:
        if error is None:
            self._note_answer()
        elif not self._failure:
            self._failure = f"{message.topic()}: a record cannot be written: {error.str()}"
