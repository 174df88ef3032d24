"""An open stream of Kafka records: where it begins and ends, where it stands, what is too old."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sightflow.records import EncodedImage, Origin, Rejected, Skipped
from sightflow.records.state import StateCodec
from sightflow.storage.kafka import KafkaRecord, Partition, PartitionEnd, RecordReader

__all__ = ["Bounds", "KafkaPosition", "KafkaStream", "RecordReading"]

_MOST_SKIPPED = 1000
"""So many are left out at most before others have a turn."""


@dataclass(frozen=True)
class Bounds:
    """Where a stream begins and ends, in each partition."""

    start: str | int
    """`earliest`, `latest`, `committed`, or milliseconds since 1970."""
    stop: str | int | None
    """`latest`: what is there when it begins; or milliseconds since 1970; None: it never ends."""


@dataclass(frozen=True)
class KafkaPosition:
    """Where a stream stands; partitions are written `topic/number`."""

    offsets: dict[str, int] = field(default_factory=dict)
    """Of the next record of each partition."""
    ends: dict[str, int] | None = None
    """What is not read any more begins there; None: nothing does."""

    def encode(self) -> str:
        """Return the position as the text that `decode` reads."""
        return _POSITIONS.encode(self).decode()

    @staticmethod
    def decode(text: str) -> "KafkaPosition":
        """Return the position that a text describes."""
        return _POSITIONS.decode(text.encode())


_POSITIONS = StateCodec(KafkaPosition, "place in Kafka", version=1)


@dataclass(frozen=True)
class RecordReading:
    """What becomes of a record."""

    open_record: Callable[[KafkaRecord], EncodedImage | Rejected]
    """Makes it into its image."""
    origin_of: Callable[[KafkaRecord], Origin]
    is_too_old: Callable[[int], bool]
    """Tells whether an image of this time is left out now."""


class KafkaStream:
    """Records one by one, as images; of what is too old, only how many."""

    def __init__(self, reader: RecordReader, reading: RecordReading) -> None:
        """Take what reads records, and what is done with them; `begin` comes next."""
        self._reader, self._reading = reader, reading
        self._offsets: dict[Partition, int] = {}
        self._ends: dict[Partition, int] | None = None
        self._open: set[Partition] = set()
        self._held: list[KafkaRecord] = []

    def begin(self, topics: Iterable[str], bounds: Bounds, position: str | None) -> None:
        """Read on at a position that the stream gave before, or where a new one begins.

        Raises:
            SourceError: no broker answers, or it has no such topic.
        """
        if position is None:
            partitions = [one for topic in topics for one in self._reader.partitions(topic)]
            self._offsets = self._starts(partitions, bounds.start)
            self._ends = self._stops(partitions, bounds.stop)
        else:
            place = KafkaPosition.decode(position)
            self._offsets = _by_partition(place.offsets)
            self._ends = None if place.ends is None else _by_partition(place.ends)
        self._open = {p for p, offset in self._offsets.items() if not self._is_behind(p, offset)}
        self._reader.assign({p: self._offsets[p] for p in sorted(self._open)})

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | Skipped | None:
        """Return the next image, how many were left out, or None when none came in this time.

        Raises:
            SourceError: waiting for a broker will not help.
        """
        record = self._next(timeout_s)
        if record is None:
            return None
        self._advance(record)
        origin = self._reading.origin_of(record)
        if not self._reading.is_too_old(origin.event_time_ms):
            return self._reading.open_record(record)
        n_images = 1
        while n_images < _MOST_SKIPPED and self._takes_as_skipped(origin.source_id):
            n_images += 1
        return Skipped(origin, n_images)

    def ended(self) -> bool:
        """Return whether all partitions are read to their ends."""
        return not self._held and not self._open and self._ends is not None

    def position(self) -> str:
        """Return the offsets of the next records, and those of the ends."""
        ends = None if self._ends is None else _by_name(self._ends)
        return KafkaPosition(_by_name(self._offsets), ends).encode()

    def commit(self) -> None:
        """Let the group stand where this stream does, if there is one."""
        self._reader.commit(self._offsets)

    def _takes_as_skipped(self, source_id: str) -> bool:
        """Take the next record if it is there, of this stream of images, and too old as well."""
        record = self._next(0.0)
        if record is None:
            return False
        origin = self._reading.origin_of(record)
        if origin.source_id == source_id and self._reading.is_too_old(origin.event_time_ms):
            self._advance(record)
            return True
        self._held.append(record)
        return False

    def _next(self, timeout_s: float) -> KafkaRecord | None:
        """Return the next record that is before its partition's end."""
        if self._held:
            return self._held.pop()
        if not self._open:
            return None
        found = self._reader.poll(timeout_s)
        if found is None:
            return None
        if isinstance(found, PartitionEnd):
            self._end_if_behind(found.partition, found.offset)
            return None
        partition = found.topic, found.partition
        if self._is_behind(partition, found.offset):
            self._end_if_behind(partition, found.offset)
            return None
        return found

    def _advance(self, record: KafkaRecord) -> None:
        partition = record.topic, record.partition
        self._offsets[partition] = record.offset + 1
        self._end_if_behind(partition, record.offset + 1)

    def _is_behind(self, partition: Partition, offset: int) -> bool:
        return self._ends is not None and offset >= self._ends[partition]

    def _end_if_behind(self, partition: Partition, offset: int) -> None:
        if partition in self._open and self._is_behind(partition, offset):
            self._open.remove(partition)
            self._reader.drop(partition)

    def _starts(self, partitions: list[Partition], start: str | int) -> dict[Partition, int]:
        """Return the first offset to read of each partition."""
        if isinstance(start, int):
            return self._reader.at_time(partitions, start)
        if start == "latest":
            return {one: self._reader.bounds(one)[1] for one in partitions}
        known = self._reader.committed(partitions) if start == "committed" else {}
        return {one: known.get(one, self._reader.bounds(one)[0]) for one in partitions}

    def _stops(
        self, partitions: list[Partition], stop: str | int | None
    ) -> dict[Partition, int] | None:
        """Return the first offset of each partition that is not read any more."""
        if stop is None:
            return None
        if isinstance(stop, int):
            return self._reader.at_time(partitions, stop)
        return {one: self._reader.bounds(one)[1] for one in partitions}


def _by_name(offsets: dict[Partition, int]) -> dict[str, int]:
    return {f"{topic}/{number}": offset for (topic, number), offset in offsets.items()}


def _by_partition(offsets: dict[str, int]) -> dict[Partition, int]:
    pairs = ((name.rpartition("/"), offset) for name, offset in offsets.items())
    return {(topic, int(number)): offset for (topic, _, number), offset in pairs}
