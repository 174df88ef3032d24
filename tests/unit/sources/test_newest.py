"""Of images that come faster than they are taken the newest is given, and the others counted."""

import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import reader_of
from sightflow.records import Claim, EncodedImage, Rejected, Skipped
from sightflow.sources.directory import Directory
from sightflow.sources.joined import Joined
from sightflow.sources.jsonlabels import JsonLabels
from sightflow.sources.live import Live
from sightflow.sources.newest import Newest
from sightflow.sources.overtaken import Overtaken
from sightflow.testing import a_claim, a_context, an_origin


def image(source_id: str, sequence: int, **changes) -> EncodedImage:
    name = f"{source_id}-{sequence}"
    origin = an_origin(source_id=source_id, sequence=sequence, name=name, **changes)
    return EncodedImage(origin, b"")


def put(box: Overtaken, *items) -> None:
    for number, item in enumerate(items):
        box.put(item, str(number))


def shown(item) -> object:
    if isinstance(item, tuple):
        return tuple(map(shown, item))
    if isinstance(item, Skipped):
        return item.origin.source_id, item.origin.sequence, item.n_images
    return item.origin.name


def taken(box: Overtaken, is_old=lambda image: False) -> list[object]:
    """Return what can be taken now, each with the position behind it."""
    found = []
    while (one := box.take(0.0, is_old)) is not None:
        found.append((shown(one[0]), one[1]))
    return found


def test_an_image_takes_the_place_of_the_one_of_its_stream_that_waits() -> None:
    box = Overtaken()
    put(box, image("a", 0), image("a", 1), image("a", 2))
    assert taken(box) == [((("a", 0, 2),), "1"), ("a-2", "2")]


def test_streams_overtake_only_themselves_and_the_order_stays() -> None:
    box = Overtaken()
    put(box, image("a", 0), image("b", 0), image("a", 1), image("c", 0), image("b", 1))
    assert taken(box) == [
        ((("a", 0, 1), ("b", 0, 1)), "1"),
        ("a-1", "2"),
        ("c-0", "3"),
        ("b-1", "4"),
    ]


def test_counts_do_not_pile_up() -> None:
    box = Overtaken()
    put(box, *(image("ab"[i % 2], i // 2) for i in range(5000)))
    assert taken(box) == [
        ((("a", 0, 2499), ("b", 0, 2499)), "4997"),
        ("a-2499", "4998"),
        ("b-2499", "4999"),
    ]


def test_what_was_rejected_is_never_left_out() -> None:
    box = Overtaken()
    put(
        box,
        image("a", 0),
        Rejected(an_origin(name="bad"), "read", "corrupt", ""),
        Skipped(an_origin(source_id="a", sequence=1), 5),
        image("a", 6),
    )
    assert taken(box) == [((("a", 0, 1),), "0"), ("bad", "1"), ((("a", 1, 5),), "2"), ("a-6", "3")]


def test_a_claim_counts_for_all_its_images() -> None:
    box = Overtaken()
    video = Claim(an_origin(source_id="a"), frames=((0, 0, 0), (1, 1, 40)))
    put(box, video, image("a", 2))
    assert taken(box) == [((("a", 0, 2),), "0"), ("a-2", "1")]


def test_an_image_that_is_too_old_when_its_turn_comes_is_left_out() -> None:
    box = Overtaken()
    put(box, image("a", 0), image("b", 0), image("a", 1))
    old = {"b-0"}
    assert taken(box, lambda one: one.origin.name in old) == [
        ((("a", 0, 1),), "0"),
        ((("b", 0, 1),), "1"),
        ("a-1", "2"),
    ]


@dataclass(frozen=True)
class Burst:
    """Gives all its items at once, and then ends, or fails."""

    items: Sequence[object]
    fails: bool = False

    def open_stream(self, context, position):
        return _Burst(self, context, int(position or 0))


class _Burst:
    def __init__(self, source: Burst, context, start: int) -> None:
        self._source, self._context, self._next = source, context, start

    def poll(self, timeout_s):
        if self._next == len(self._source.items):
            if self._source.fails:
                raise SourceError("the cable is cut")
            return None
        self._context.metrics.count("polled")
        self._next += 1
        return self._source.items[self._next - 1]

    def ended(self):
        return not self._source.fails and self._next == len(self._source.items)

    def position(self):
        return str(self._next)


def read(source: Newest, position=None, wait_s: float = 0.1):
    """Return what comes, to the end, and the position behind each."""
    context = a_context("read")
    found, positions = [], []
    with context.resources:
        stream = source.open_stream(context, position)
        time.sleep(wait_s)
        while not stream.ended():
            if (item := stream.poll(0.05)) is not None:
                found.append(item)
                positions.append(stream.position())
    return found, positions


def test_behind_each_position_each_image_is_given_or_skipped_once() -> None:
    source = Newest(Burst([image("abc"[i % 3], i // 3) for i in range(30)]))
    found, positions = read(source)
    assert [shown(item) for item in found] == [
        ("a", 0, 9), ("b", 0, 9), ("c", 0, 9), "a-9", "b-9", "c-9",
    ]  # fmt: skip
    for number, position in enumerate(positions):
        rest, _ = read(source, position)
        assert [shown(item) for item in rest] == [shown(item) for item in found[number + 1 :]]


def test_who_keeps_up_gets_every_image() -> None:
    class Slow(_Burst):
        def poll(self, timeout_s):
            time.sleep(0.05)
            return super().poll(timeout_s)

    @dataclass(frozen=True)
    class SlowBurst(Burst):
        def open_stream(self, context, position):
            return Slow(self, context, int(position or 0))

    found, _ = read(Newest(SlowBurst([image("a", i) for i in range(5)])), wait_s=0.0)
    assert [shown(item) for item in found] == [f"a-{i}" for i in range(5)]


def test_old_images_are_skipped() -> None:
    now_ms = int(time.time() * 1000)
    items = [image("a", 0, event_time_ms=now_ms - 60_000), image("b", 0, event_time_ms=now_ms)]
    found, _ = read(Newest(Burst(items), max_age_ms=30_000))
    assert [shown(item) for item in found] == [("a", 0, 1), "b-0"]


def test_an_error_of_the_stream_comes_behind_what_waits() -> None:
    context = a_context("read")
    with context.resources:
        stream = Newest(Burst([image("a", 0)], fails=True)).open_stream(context, None)
        assert shown(stream.poll(1.0)) == "a-0"
        with pytest.raises(SourceError, match="the cable is cut"):
            stream.poll(1.0)
        assert not stream.ended()


def test_metrics_are_reported_by_the_thread_that_polls() -> None:
    counts, threads = Counter(), set()

    class Metrics:
        def count(self, name, n=1, /):
            counts[name] += n
            threads.add(threading.current_thread())

    context = replace(a_context("read"), metrics=Metrics())
    with context.resources:
        stream = Newest(Burst([image("a", 0), image("b", 0)])).open_stream(context, None)
        while not stream.ended():
            stream.poll(0.05)
    assert counts == {"polled": 2}
    assert threads == {threading.current_thread()}


def test_claims_are_redeemed_by_the_source_itself() -> None:
    @dataclass(frozen=True)
    class Claims(Burst):
        def open(self, context):
            return lambda claim: iter([image("a", 7)])

    read_claim = reader_of(Newest(Claims(())), a_context("read"))
    assert [shown(one) for one in read_claim(a_claim())] == ["a-7"]


def test_a_stream_whose_claims_nobody_redeems_is_an_error() -> None:
    with pytest.raises(
        PipelineError, match="Burst: a stream that gives claims has a method `open`"
    ):
        reader_of(Newest(Burst(())), a_context("read"))(a_claim())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Directory("photos"), "`source` is a stream, with a method `open_stream`; got Directory"),
        (
            Joined(Live("x"), JsonLabels("y")),
            r"tells labels .*; put Newest into it: Joined\(Newest",
        ),
    ],
)
def test_what_cannot_be_left_out_is_refused(source, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Newest(source)
