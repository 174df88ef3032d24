"""A record becomes an image whose origin says where it was; bounds, positions and what is too old.

The broker is in `tests/flink`; here records are made by hand.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sightflow.errors import JobError, PipelineError, SourceError
from sightflow.records import EncodedImage, Origin, Rejected, Skipped
from sightflow.sources.kafka import KafkaImages
from sightflow.sources.kafkastream import Bounds, KafkaPosition, KafkaStream, RecordReading
from sightflow.storage.kafka import KafkaRecord, Partition, PartitionEnd
from sightflow.testing import a_context

SERVERS = "broker:9092"


def a_source(**options: Any) -> KafkaImages:
    return KafkaImages(**{"topics": "cams", "servers": SERVERS, **options})


def a_record(**changes: Any) -> KafkaRecord:
    fields = {
        "topic": "cams",
        "partition": 2,
        "offset": 17,
        "timestamp_ms": 1_700_000_000_123,
        "key": b"gate",
        "headers": (),
        "value": b"\xff\xd8jpeg",
    }
    return KafkaRecord(**{**fields, **changes})


def opened(source: KafkaImages, record: KafkaRecord) -> EncodedImage | Rejected:
    return source.open_records(a_context("read"))(record)


def test_a_record_is_an_image_with_its_place_key_and_time() -> None:
    image = opened(a_source(), a_record())
    assert isinstance(image, EncodedImage)
    assert image.data == b"\xff\xd8jpeg"
    assert image.origin == Origin(
        uri="kafka://cams/2/17",
        source_id="gate",
        sequence=17,
        event_time_ms=1_700_000_000_123,
        name="cams/0002-000000000017",
    )


@pytest.mark.parametrize("value", [None, b""])
def test_a_record_without_a_value_is_rejected(value: bytes | None) -> None:
    rejected = opened(a_source(), a_record(value=value))
    assert isinstance(rejected, Rejected)
    assert (rejected.step, rejected.reason) == ("read", "empty")
    assert rejected.origin.uri == "kafka://cams/2/17"


@pytest.mark.parametrize(
    ("source_id_from", "record", "source_id"),
    [
        ("key", {}, "gate"),
        ("key", {"key": None}, "cams/2"),
        ("key", {"key": b""}, "cams/2"),
        ("key", {"key": b"\xff\x01"}, "\udcff\x01"),
        ("partition", {}, "cams/2"),
        ("camera", {"headers": (("camera", b"north"),)}, "north"),
        ("camera", {"headers": (("camera", b"a"), ("camera", b"b"))}, "b"),
        ("camera", {}, "cams/2"),
        ("camera", {"headers": (("camera", None),)}, "cams/2"),
    ],
)
def test_the_stream_is_named_by_what_the_option_says(
    source_id_from: str, record: Mapping[str, Any], source_id: str
) -> None:
    source = a_source(source_id_from=source_id_from)
    assert source.origin_of(a_record(**record)).source_id == source_id


def test_a_key_in_two_topics_names_two_streams() -> None:
    source = a_source(topics=("cams", "more"))
    assert source.origin_of(a_record()).source_id == "cams/gate"
    assert source.origin_of(a_record(topic="more", key=None)).source_id == "more/2"


@pytest.mark.parametrize(
    ("header", "timestamp_ms", "time_ms"),
    [
        (b"1600000000000", 5, 1_600_000_000_000),
        (b"yesterday", 5, 5),
        (b"-3", 5, 5),
        ("٣".encode(), 5, 5),
        (b"9" * 16, 5, 5),
        (None, 5, 5),
        (None, -1, 0),
    ],
)
def test_the_header_of_the_time_comes_first(
    header: bytes | None, timestamp_ms: int, time_ms: int
) -> None:
    record = a_record(headers=(("event_time_ms", header),), timestamp_ms=timestamp_ms)
    assert a_source().origin_of(record).event_time_ms == time_ms


def test_texts_in_headers_are_metadata_and_other_bytes_are_not() -> None:
    headers = (
        ("site", "Straße".encode()),
        ("traceparent", b"00-0af7-01"),
        ("count", (3).to_bytes(8, "big")),
        ("thumbnail", b"\xff\xd8\xff"),
        ("long", b"x" * 1025),
        ("gone", None),
        ("event_time_ms", b"5"),
        ("site", b"north"),
    )
    origin = a_source().origin_of(a_record(headers=headers))
    assert origin.metadata == (("site", "north"), ("traceparent", "00-0af7-01"))


def test_headers_that_are_named_are_kept_however_long_and_no_others() -> None:
    headers = (("long", b"x" * 1025), ("site", b"north"))
    source = a_source(headers=("long",))
    assert source.origin_of(a_record(headers=headers)).metadata == (("long", "x" * 1025),)


def test_a_key_that_names_no_stream_is_metadata() -> None:
    origin = a_source(source_id_from="partition").origin_of(a_record(headers=(("site", b"n"),)))
    assert origin.metadata == (("key", "gate"), ("site", "n"))


def test_the_label_is_that_of_its_header() -> None:
    source = a_source(label_header="class")
    labelled = source.origin_of(a_record(headers=(("class", b"cat"),)))
    assert (labelled.label, labelled.metadata) == ("cat", ())
    assert source.origin_of(a_record()).label is None


def test_a_claim_check_is_read_where_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"a picture")
    image = opened(a_source(content="uri"), a_record(value=f" {tmp_path}/a.jpg\n".encode()))
    assert isinstance(image, EncodedImage)
    assert image.data == b"a picture"
    assert (image.origin.uri, image.origin.sequence) == (f"{tmp_path}/a.jpg", 17)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"/nowhere/a.jpg", "No such file"),
        (b"nosuch://bucket/a.jpg", "nosuch"),
        (b"generic://x", "TypeError"),
        (b"dir://x", "AttributeError"),
        (b"\xff\xd8", "no path or URL"),
        (b" \n", "no path or URL"),
    ],
)
def test_a_claim_check_that_leads_nowhere_is_rejected(value: bytes, message: str) -> None:
    rejected = opened(a_source(content="uri"), a_record(value=value))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "unreadable"
    assert message in rejected.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topics": ()}, "`topics` are names"),
        ({"topics": "a/b"}, "`topics` are names of letters.*got 'a/b'"),
        ({"topics": ("a", "b", "a")}, "`topics` names one twice"),
        ({"servers": " "}, "`servers` must name a broker"),
        ({"start": "committed"}, "`start: committed` needs a `group`"),
        ({"start": "soon"}, "`start` is earliest, latest, committed, a time.*got 'soon'"),
        ({"stop": "earliest"}, "`stop` is latest, a time.*got 'earliest'"),
        ({"stop": -1}, "`stop` is latest"),
        ({"content": "video"}, "`content` is one of image, uri"),
        ({"max_age_ms": 0}, "`max_age_ms` is a whole number from 1"),
        ({"properties": {"group.id": "x"}}, "'group.id' must not be there.*`group`"),
    ],
)
def test_options_that_cannot_be_are_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        a_source(**options)


def test_times_are_iso_or_milliseconds() -> None:
    source = a_source(start="2026-05-01T12:00:00+02:00", stop="2026-05-01T12:00:00Z")
    assert source.bounds == Bounds(1_777_629_600_000, 1_777_636_800_000)
    assert a_source(start="2026-05-01T12:00:00", stop=7).bounds == Bounds(1_777_636_800_000, 7)


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(a_source(properties={"sasl.password": "secret"}))


def test_a_run_goes_on_with_other_brokers_and_passwords() -> None:
    one = a_source(properties={"sasl.password": "old"})
    other = a_source(servers="elsewhere:9092", properties={"sasl.password": "new"})
    assert one.identity() == other.identity()
    assert one.identity() != a_source(topics="others").identity()


class Log:
    """What `RecordReader` does, on partitions of a list of records each."""

    def __init__(self, *partitions: list[KafkaRecord], first: int = 0) -> None:
        self.partition_records = dict(enumerate(partitions))
        self.first = first
        self.group: dict[Partition, int] = {}
        self.ready: list[KafkaRecord | PartitionEnd] = []
        self.assigned: dict[Partition, int] = {}

    def partitions(self, topic: str) -> list[Partition]:
        if topic != "cams":
            raise SourceError(f"{topic}: no such topic")
        return [(topic, number) for number in self.partition_records]

    def bounds(self, partition: Partition) -> tuple[int, int]:
        return self.first, self.first + len(self.partition_records[partition[1]])

    def at_time(self, partitions: list[Partition], time_ms: int) -> dict[Partition, int]:
        return {
            one: next(
                (r.offset for r in self.partition_records[one[1]] if r.timestamp_ms >= time_ms),
                self.bounds(one)[1],
            )
            for one in partitions
        }

    def committed(self, partitions: list[Partition]) -> dict[Partition, int]:
        return self.group

    def commit(self, offsets: dict[Partition, int]) -> None:
        self.group = dict(offsets)

    def assign(self, offsets: dict[Partition, int]) -> None:
        self.assigned = dict(offsets)
        for partition, offset in offsets.items():
            records = self.partition_records[partition[1]]
            self.ready += [record for record in records if record.offset >= offset]
            self.ready.append(PartitionEnd(partition, self.bounds(partition)[1]))

    def drop(self, partition: Partition) -> None:
        self.assigned.pop(partition)

    def poll(self, timeout_s: float) -> KafkaRecord | PartitionEnd | None:
        while self.ready:
            found = self.ready.pop(0)
            place = (
                found.partition
                if isinstance(found, PartitionEnd)
                else (found.topic, found.partition)
            )
            if place in self.assigned:
                return found
        return None


def records(partition: int, n_records: int, *, first: int = 0, **changes: Any) -> list[KafkaRecord]:
    return [
        a_record(partition=partition, offset=first + i, timestamp_ms=1000 + i, **changes)
        for i in range(n_records)
    ]


def begun(log: Log, source: KafkaImages, position: str | None = None) -> KafkaStream:
    reading = RecordReading(
        source.open_records(a_context("read")), source.origin_of, source.is_too_old
    )
    stream = KafkaStream(log, reading)  # type: ignore[arg-type]
    stream.begin(source.topic_names, source.bounds, position)
    return stream


def places(stream: KafkaStream) -> list[tuple[int, int]]:
    """Read to the end; return partition and offset of each image."""
    found = []
    for _ in range(100):
        item = stream.poll(0.0)
        if isinstance(item, EncodedImage):
            _, _, place = item.origin.uri.partition("kafka://cams/")
            partition, offset = place.split("/")
            found.append((int(partition), int(offset)))
        if stream.ended():
            break
    return found


@pytest.mark.parametrize(
    ("start", "read"),
    [
        ("earliest", [(0, 5), (0, 6), (0, 7), (1, 5), (1, 6)]),
        ("latest", []),
        ("committed", [(0, 7), (1, 5), (1, 6)]),
        (1001, [(0, 6), (0, 7), (1, 6)]),
        (1002, [(0, 7)]),
        (9999, []),
    ],
)
def test_a_stream_begins_where_it_is_told(start: str | int, read: list[tuple[int, int]]) -> None:
    log = Log(records(0, 3, first=5), records(1, 2, first=5), first=5)
    log.group = {("cams", 0): 7}
    assert places(begun(log, a_source(start=start, stop="latest", group="g"))) == read


def test_a_stream_ends_at_a_time_and_no_partition_is_read_beyond() -> None:
    log = Log(records(0, 4), records(1, 2))
    stream = begun(log, a_source(stop=1002))
    assert places(stream) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert stream.ended()
    assert log.assigned == {}


def test_a_stream_without_an_end_waits_for_more() -> None:
    stream = begun(Log(records(0, 1)), a_source())
    assert places(stream) == [(0, 0)]
    assert not stream.ended()


def test_the_end_is_passed_though_its_last_records_are_none_of_ours() -> None:
    """The last offset of a transaction is a mark, which no client gives."""
    log = Log(records(0, 2))
    log.bounds = lambda partition: (0, 3)  # type: ignore[method-assign]
    stream = begun(log, a_source(stop="latest"))
    assert places(stream) == [(0, 0), (0, 1)]
    assert stream.ended()


def test_from_each_position_the_rest_follows_and_the_end_stays() -> None:
    log = Log(records(0, 2), records(1, 2))
    stream = begun(log, a_source(stop="latest"))
    positions = []
    while not stream.ended():
        if stream.poll(0.0) is not None:
            positions.append(stream.position())
    whole = [(0, 0), (0, 1), (1, 0), (1, 1)]
    for n_read, position in enumerate(positions, 1):
        grown = Log(records(0, 9), records(1, 9))
        assert places(begun(grown, a_source(stop="latest"), position)) == whole[n_read:]


def test_a_position_of_another_form_is_refused() -> None:
    with pytest.raises(JobError, match="place in Kafka must be of version 1; got 9"):
        KafkaPosition.decode('{"version": 9, "state": {}}')


def test_what_is_too_old_is_counted_by_stream_of_images() -> None:
    now_ms = 4_000_000_000_000
    old = [
        a_record(partition=0, offset=i, key=key, timestamp_ms=5)
        for i, key in enumerate((b"a", b"a", b"b"))
    ]
    new = a_record(partition=0, offset=3, key=b"a", timestamp_ms=now_ms)
    stream = begun(Log([*old, new]), a_source(max_age_ms=60_000, stop="latest"))
    told = []
    while not stream.ended():
        item = stream.poll(0.0)
        n_images = item.n_images if isinstance(item, Skipped) else 0
        assert item is not None
        told.append((item.origin.source_id, item.origin.sequence, n_images))
        told.append(KafkaPosition.decode(stream.position()).offsets["cams/0"])
    assert told == [("a", 0, 2), 2, ("b", 2, 1), 3, ("a", 3, 0), 4]


def test_an_age_is_held_against_the_time_of_the_image() -> None:
    source = a_source(max_age_ms=60_000)
    assert source.is_too_old(0)
    assert not source.is_too_old(4_000_000_000_000)
    assert not a_source().is_too_old(0)


def test_a_group_stands_where_the_stream_does_once_that_is_told() -> None:
    log = Log(records(0, 2))
    stream = begun(log, a_source(group="g"))
    stream.poll(0.0)
    assert log.group == {}
    stream.commit()
    assert log.group == {("cams", 0): 1}
