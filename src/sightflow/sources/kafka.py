"""Pictures from topics of Kafka: the records' values, or the paths and URLs that they name."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, ClassVar, Literal, TypeAlias

from sightflow.errors import PipelineError
from sightflow.options import check_choices, check_count
from sightflow.protocols import Context
from sightflow.records import EncodedImage, Origin, Rejected
from sightflow.records.state import as_text
from sightflow.sources.kafkastream import Bounds, KafkaStream, RecordReading
from sightflow.storage.files import Reader
from sightflow.storage.kafka import KafkaRecord, RecordReader
from sightflow.storage.kafkaproperties import Properties, read_properties

__all__ = ["EVENT_TIME_HEADER", "KafkaImages"]

EVENT_TIME_HEADER = "event_time_ms"
"""Tells when an image was taken, in milliseconds since 1970 as digits."""
_MAX_HEADER_BYTES = 1024
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_MAX_TIME_DIGITS = 15

_Pair: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class KafkaImages:
    """Pictures of Kafka topics: each record is one image, read once and in the order of its key.

    A record's value is the picture as a file has it, or names where it is. On Flink, partitions are
    read in parallel by Flink's own connector.
    """

    topics: str | tuple[str, ...]
    """Names of topics."""
    servers: str
    """Addresses of brokers, `host:port`, separated by commas."""
    group: str | None = None
    """The consumer group that is told how far all is done, at each checkpoint; None: none."""
    start: str | int = "earliest"
    """Where a new run begins: `earliest`, `latest`, `committed` (where the group stands, else the
    earliest), a time in ISO 8601, or milliseconds since 1970."""
    stop: str | int | None = None
    """Where it ends: `latest` (what is there when it begins), or a time as in `start`; None: it
    goes on until it is stopped."""
    content: Literal["image", "uri"] = "image"
    """What a value is: a picture, or the path or URL of one."""
    source_id_from: str = "key"
    """What names the stream that an image belongs to: the `key`, the `partition`, or the header of
    this name; where a record has none, its topic and partition."""
    label_header: str | None = None
    """The header that tells what an image shows; None: none does."""
    headers: tuple[str, ...] | None = None
    """Headers that are kept as metadata; None: all that are texts of up to 1 KiB."""
    max_age_ms: int | None = None
    """Images that are older when their turn comes count as skipped; None: all wait."""
    properties: Properties = field(default_factory=dict, repr=False)
    """Further properties of the client, such as `{"security.protocol": "SSL"}`; or the path of a
    file of lines `NAME=VALUE`, which keeps passwords out of pipelines."""

    gives: ClassVar[tuple[str, ...]] = ()
    word_options: ClassVar[tuple[str, ...]] = (
        "topics",
        "servers",
        "group",
        "start",
        "stop",
        "source_id_from",
        "label_header",
        "headers",
    )
    connector: ClassVar[str] = "sightflow.flink.kafka:Kafka"

    def __post_init__(self) -> None:
        """Refuse what no broker could make sense of."""
        check_choices(self)
        check_count(self, "max_age_ms", at_least=1)
        if not self.topic_names or not all(map(_TOPIC.fullmatch, self.topic_names)):
            raise PipelineError(
                "KafkaImages: `topics` are names of letters, digits, `.`, `_` and `-`; "
                f"got {self.topics!r}"
            )
        if len(set(self.topic_names)) < len(self.topic_names):
            raise PipelineError(f"KafkaImages: `topics` names one twice; got {self.topics!r}")
        if not self.servers.strip():
            raise PipelineError("KafkaImages: `servers` must name a broker, `host:port`; got none")
        if self.start == "committed" and self.group is None:
            raise PipelineError("KafkaImages: `start: committed` needs a `group`; got none")
        if not isinstance(self.properties, str):
            read_properties(self.properties)
        _ = self.bounds

    def identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on; brokers and passwords may change."""
        names = ("topics", "stop", "content", "source_id_from", "label_header")
        return {name: getattr(self, name) for name in names}

    def check(self) -> None:
        """Raise an error unless a broker answers and has the topics.

        Raises:
            SourceError: the message says what is missing.
        """
        reader = RecordReader(self.servers, self.properties, self.group)
        try:
            for topic in self.topic_names:
                reader.partitions(topic)
        finally:
            reader.close()

    @property
    def topic_names(self) -> tuple[str, ...]:
        """The names of the topics."""
        return (self.topics,) if isinstance(self.topics, str) else tuple(self.topics)

    @property
    def bounds(self) -> Bounds:
        """Where to begin and to end: words, or milliseconds since 1970."""
        start = _word_or_ms("start", self.start, ("earliest", "latest", "committed"))
        stop = None if self.stop is None else _word_or_ms("stop", self.stop, ("latest",))
        return Bounds(start, stop)

    def open_stream(self, context: Context, position: str | None) -> KafkaStream:
        """Return the stream; it goes on at the position, in the partitions that there were.

        Raises:
            SourceError: no broker answers, or it has no such topic.
        """
        reader = RecordReader(self.servers, self.properties, self.group)
        context.resources.callback(reader.close)
        reading = RecordReading(self.open_records(context), self.origin_of, self.is_too_old)
        stream = KafkaStream(reader, reading)
        stream.begin(self.topic_names, self.bounds, position)
        return stream

    def open_records(self, context: Context) -> Callable[[KafkaRecord], EncodedImage | Rejected]:
        """Return the function that makes records into images, in this worker."""
        files = Reader()

        def open_record(record: KafkaRecord) -> EncodedImage | Rejected:
            origin = self.origin_of(record)
            if not record.value:
                return Rejected(origin, context.step, "empty", "the record has no value")
            if self.content == "image":
                return EncodedImage(origin, record.value)
            uri = _text(record.value)
            if uri is None or not uri.strip():
                message = "the record's value is no path or URL"
                return Rejected(origin, context.step, "unreadable", message)
            try:
                return EncodedImage(origin, files.read(uri.strip()))
            except OSError as error:
                return Rejected(origin, context.step, "unreadable", str(error))

        return open_record

    def origin_of(self, record: KafkaRecord) -> Origin:
        """Return where the image of a record comes from."""
        place = f"{record.topic}/{record.partition}"
        texts = {name: text for name, value in record.headers if (text := _text(value)) is not None}
        uri = (_text(record.value) or "").strip() if self.content == "uri" else ""
        return Origin(
            uri or f"kafka://{place}/{record.offset}",
            self._source_id(record, texts) or place,
            record.offset,
            _event_time_ms(record, texts),
            f"{record.topic}/{record.partition:04d}-{record.offset:012d}",
            None if self.label_header is None else texts.get(self.label_header),
            metadata=self._metadata(record, texts),
        )

    def is_too_old(self, event_time_ms: int) -> bool:
        """Return whether an image of this time is left out now."""
        return self.max_age_ms is not None and time.time() * 1000 - event_time_ms > self.max_age_ms

    def _source_id(self, record: KafkaRecord, texts: Mapping[str, str]) -> str:
        """Return the name of the stream; empty where the record does not tell.

        Offsets of two topics have nothing to do with each other, so neither have their streams.
        """
        if self.source_id_from == "partition":
            return ""
        told = texts.get(self.source_id_from, "")
        if self.source_id_from == "key":
            told = as_text(record.key or b"")
        return f"{record.topic}/{told}" if told and len(self.topic_names) > 1 else told

    def _metadata(self, record: KafkaRecord, texts: Mapping[str, str]) -> tuple[_Pair, ...]:
        """Return the key and the headers that have no field of their own."""
        key = None if self.source_id_from == "key" else _text(record.key)
        kept = {} if key is None else {"key": key}
        told = {EVENT_TIME_HEADER, self.label_header, self.source_id_from}
        for name, text in texts.items():
            is_short = len(text.encode()) <= _MAX_HEADER_BYTES
            if name not in told and (is_short if self.headers is None else name in self.headers):
                kept[name] = text
        return tuple(kept.items())


def _word_or_ms(option: str, value: str | int, words: tuple[str, ...]) -> str | int:
    """Return a word as it is, and a time in milliseconds since 1970.

    Raises:
        PipelineError: it is neither.
    """
    if value in words or (isinstance(value, int) and value >= 0):
        return value
    try:
        moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise PipelineError(
            f"KafkaImages: `{option}` is {', '.join(words)}, a time such as "
            f"`2026-05-01T12:00:00Z`, or milliseconds since 1970; got {value!r}"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return int(moment.timestamp() * 1000)


def _event_time_ms(record: KafkaRecord, texts: Mapping[str, str]) -> int:
    """Return when an image was taken: what its header says, else the record's time, else 0."""
    told = texts.get(EVENT_TIME_HEADER, "")
    if told.isascii() and told.isdecimal() and len(told) <= _MAX_TIME_DIGITS:
        return int(told)
    return max(0, record.timestamp_ms)


def _text(value: bytes | None) -> str | None:
    """Return bytes that are a text, else None."""
    try:
        text = (value or b"").decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if value is None or "\0" in text else text
