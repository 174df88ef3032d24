"""A stream becomes frames: each with its numbers, and an end for each stream of images in it."""

from dataclasses import dataclass, field

import pytest

from sightflow.engine.chunks import Frame, StreamEnd
from sightflow.engine.listening import StreamState, listen
from sightflow.errors import JobError
from sightflow.records import Claim, EncodedImage, Rejected, Skipped, SourceEnd
from sightflow.testing import a_claim, an_origin

FOREVER_S = 60.0


@dataclass
class Cameras:
    """Two cameras by turns; camera b leaves three images out before its second one."""

    given: int = 0
    contents: list = field(
        default_factory=lambda: [
            EncodedImage(an_origin(source_id="a"), b"1"),
            Rejected(an_origin(source_id="b"), "read", "corrupt", ""),
            Skipped(an_origin(source_id="b"), 3),
            EncodedImage(an_origin(source_id="b"), b"2"),
            EncodedImage(an_origin(source_id="a"), b"3"),
        ]
    )

    def poll(self, timeout_s: float):
        self.given += 1
        return self.contents[self.given - 1]

    def ended(self) -> bool:
        return self.given == len(self.contents)

    def position(self) -> str:
        return str(self.given)


def read(stream, state=None, **options) -> list[tuple[StreamState, Frame]]:
    return list(listen(stream, state or StreamState(), FOREVER_S, **options))


def test_frames_are_numbered_in_all_and_within_their_stream() -> None:
    frames = [frame for _, frame in read(Cameras())]
    assert [frame.number for frame in frames] == [0, 1, 2, 3, 4, 5, 6, 7]
    assert [frame.index for frame in frames] == [0, 0, 1, 2, 1, 2, 3, 0]


def test_behind_the_last_image_every_stream_ends_and_then_all() -> None:
    frames = [frame.content for _, frame in read(Cameras())]
    assert frames[5:] == [SourceEnd("a"), SourceEnd("b"), StreamEnd(7)]


def test_a_claim_counts_for_all_its_images() -> None:
    contents = [a_claim(), Claim(an_origin(), frames=((0, 0, 0), (1, 40, 40)))]
    frames = [frame.content for _, frame in read(Cameras(contents=contents))]
    assert frames[:2] == contents
    assert frames[-1] == StreamEnd(3)


def test_an_end_comes_once() -> None:
    state = read(Cameras())[-1][0]
    assert state.has_ended
    assert read(Cameras(given=5), state) == []


def test_a_state_and_a_position_say_where_to_go_on() -> None:
    whole = [frame for _, frame in read(Cameras())]
    state = StreamState.decode(read(Cameras())[2][0].encode())
    rest = [frame for _, frame in read(Cameras(given=3), state)]
    assert [(f.number, f.index) for f in rest] == [(f.number, f.index) for f in whole[3:]]
    assert rest[-1].content == StreamEnd(7)


def test_the_stream_is_not_asked_for_its_position_for_each_image() -> None:
    class Slow(Cameras):
        def position(self) -> str:
            raise AssertionError("takes long where there are many files")

    frames = read(Slow(), StreamState(position="before"))
    assert [state.position for state, _ in frames] == ["before"] * 8


def test_behind_each_frame_the_stream_stands_behind_its_image() -> None:
    stream = Cameras()
    stood = [stream.position() for _ in listen(stream, StreamState(), FOREVER_S)]
    assert stood == ["1", "2", "3", "4", "5", "5", "5", "5"]


def test_told_to_stop_it_ends_without_reading_on() -> None:
    state = read(Cameras())[1][0]
    stream = Cameras(given=2)
    frames = [frame.content for _, frame in read(stream, state, stop=True)]
    assert frames == [SourceEnd("a"), SourceEnd("b"), StreamEnd(2)]
    assert stream.given == 2


def test_a_state_of_another_version_is_refused() -> None:
    data = StreamState().encode().replace(b'"version":4', b'"version":1')
    with pytest.raises(JobError, match="the checkpoint's stream must be of version 4; got 1"):
        StreamState.decode(data)


def test_for_the_first_steps_with_a_state_the_indices_begin_anew_and_only_once() -> None:
    state = StreamState(7, {"a": 4, "b": 3}, 7, "7", counts_for_steps=False)
    assert state.for_steps(has_state=False) == state
    first = StreamState.decode(state.for_steps(has_state=True).encode())
    assert (first.number, first.indices) == (7, {"a": 0, "b": 0})
    later = StreamState(9, {"a": 1, "b": 1}, 9, "9")
    assert later.for_steps(has_state=True) == later


class OneLeaves:
    """Camera b ends while camera a goes on, and may begin again."""

    def __init__(self, *more) -> None:
        self._items = [image("a", 0), image("b", 0), SourceEnd("b"), image("a", 1), *more]

    def poll(self, timeout_s: float):
        return self._items.pop(0) if self._items else None

    def ended(self) -> bool:
        return not self._items

    def position(self) -> str:
        return str(len(self._items))


def image(source_id: str, sequence: int) -> EncodedImage:
    return EncodedImage(an_origin(source_id=source_id, sequence=sequence), b"")


def test_a_stream_that_ends_while_others_go_on_ends_once_and_is_no_image() -> None:
    frames = [frame for _, frame in read(OneLeaves())]
    assert frames[2].content == SourceEnd("b")
    assert [frame.content for frame in frames[4:]] == [SourceEnd("a"), StreamEnd(3)]
    assert [frame.index for frame in frames] == [0, 0, 1, 1, 2, 0]


def test_a_stream_that_begins_again_goes_on_with_its_numbers_and_ends_again() -> None:
    frames = [frame for _, frame in read(OneLeaves(image("b", 1)))]
    assert frames[4].index == 2
    assert [frame.content for frame in frames[5:]] == [
        SourceEnd("a"),
        SourceEnd("b"),
        StreamEnd(4),
    ]
