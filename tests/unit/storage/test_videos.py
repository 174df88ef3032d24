"""A frame has one number: where a segment is read by seeking, and where all is read again."""

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from tests.pictures import draw_video, read_number

from sightflow.errors import DecodeError
from sightflow.records import ImageRecord
from sightflow.sinks.footage import Video as RedrawnVideo
from sightflow.sources.video import Video
from sightflow.storage.files import Reader
from sightflow.storage.videos import Playhead, list_frames, open_video
from sightflow.testing import a_context


def trimmed(path: Path) -> Path:
    """Write what a lossless trim leaves: packets from the key frame on, shown from a later one."""
    whole = draw_video(path.with_name("whole.mp4"), 40)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                shift = int(0.3 / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                target.mux(packet)
    return path


def first_read(path: Path, every: int) -> dict[int, int]:
    """Return the number that is drawn in each frame of a source, by the number of its record."""
    context = a_context("read")
    source = Video(str(path), every=every, segment_frames=7)
    with context.resources:
        read = source.open(context)
        records = [record for claim in source.claims() for record in read(claim)]
    return {r.origin.sequence: read_number(r.pixels) for r in records if isinstance(r, ImageRecord)}


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("suffix", ["mp4", "avi", "mkv", "ts"])
def test_what_is_read_again_has_the_numbers_of_what_was_read(
    tmp_path: Path, suffix: str, every: int
) -> None:
    path = draw_video(tmp_path / f"clip.{suffix}", 30)
    numbers = first_read(path, every)
    shots = RedrawnVideo(Reader(), str(path)).shots(numbers)
    assert len(numbers) == 30 // every
    assert {shot.number: read_number(shot.pixels) for shot in shots} == numbers


def test_frames_before_the_cut_of_a_trimmed_video_have_no_numbers(tmp_path: Path) -> None:
    path = trimmed(tmp_path / "clip.mp4")
    numbers = first_read(path, 1)
    again = RedrawnVideo(Reader(), str(path))
    assert again.n_frames == len(numbers) < 40
    assert {shot.number: read_number(shot.pixels) for shot in again.shots(numbers)} == numbers


def test_frames_are_listed_with_the_shape_of_their_time(tmp_path: Path) -> None:
    listing = list_frames(Reader(), str(draw_video(tmp_path / "clip.mp4", 30)))
    ticks = [pts for pts, _ in listing.frames]
    assert ticks == sorted(ticks)
    assert (len(ticks), listing.aspect, listing.complete) == (30, 1, True)
    assert ticks[1] - ticks[0] == 1 / (listing.rate * listing.time_base)


def frames_at(*places: int) -> Iterator[tuple[int, str]]:
    return ((place, f"{place}/{n}") for n, place in enumerate(places))


def test_a_playhead_gives_what_lies_at_a_place_and_steps_beyond_it() -> None:
    head = Playhead(frames_at(0, 2, 2, 5))
    assert head.place == 0
    assert [head.take(place) for place in (1, 2, 2, 2, 4, 5, 6)] == [
        None,
        "2/1",
        "2/2",
        None,
        None,
        "5/3",
        None,
    ]
    assert head.place == np.inf


def test_where_timestamps_lead_to_frames_they_are_the_places(tmp_path: Path) -> None:
    with open_video(Reader(), str(draw_video(tmp_path / "clip.mp4", 3))) as video:
        assert (video.is_counted, video.place_of(1, 512)) == (False, 512)
    with open_video(Reader(), str(draw_video(tmp_path / "clip.avi", 3))) as video:
        assert (video.is_counted, video.place_of(1, 512)) == (True, 1)


def test_an_empty_file_is_no_video(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(DecodeError, match="no bytes"):
        list_frames(Reader(), str(tmp_path / "clip.mp4"))
