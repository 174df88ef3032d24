"""Segments of a video give every frame once, in order, and each is the frame that it says it is.

The videos are made here: each frame carries its number, see `tests.pictures.draw_number`.
"""

import gc
import struct
import tracemalloc
import wave
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import fsspec
import numpy as np
import pytest
from tests.pictures import draw_number, draw_video, read_number

from sightflow.errors import PipelineError, SourceError
from sightflow.records import Claim, ImageRecord, Rejected
from sightflow.sources import frames
from sightflow.sources.video import Video
from sightflow.testing import a_context, check_source

N_FRAMES, GOP, FPS = 50, 12, 25


def write_video(
    path: Path,
    *,
    codec: str = "libx264",
    n_frames: int = N_FRAMES,
    gop: int = GOP,
    b_frames: int = 2,
    size: tuple[int, int] = (96, 64),
    container: dict[str, str] | None = None,
) -> str:
    """Write a video of 25 frames a second with a key frame every `gop` frames."""
    with av.open(str(path), "w", options=container or {}) as file:
        stream = file.add_stream(codec, rate=FPS)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        x264 = {"sc_threshold": "0", "preset": "veryfast"} if codec == "libx264" else {}
        stream.options = {"bf": str(b_frames), **x264}
        for number in range(n_frames):
            frame = av.VideoFrame.from_ndarray(draw_number(number, *size), format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of 50 frames of H.264 with B-frames."""
    return write_video(tmp_path_factory.mktemp("video") / "clip.mp4")


def redeem(source: Video, claims: list[Claim] | None = None) -> list[ImageRecord | Rejected]:
    """Return all frames; each claim must give as many as it promises."""
    context = a_context("read")
    outcomes: list[Any] = []
    with context.resources:
        read = source.open(context)
        for claim in list(source.claims()) if claims is None else claims:
            found = list(read(claim))
            assert len(found) == claim.n_images
            outcomes += found
    return outcomes


def numbers(outcomes: list[ImageRecord | Rejected]) -> list[tuple[int, int | str]]:
    """Return (number that a frame says it has, number that is drawn in it, or why it is lost)."""
    return [
        (o.origin.sequence, read_number(o.pixels) if isinstance(o, ImageRecord) else o.reason)
        for o in outcomes
    ]


def all_of(*frames: int) -> list[tuple[int, int]]:
    return [(number, number) for number in frames]


def test_the_test_video_has_frames_out_of_order_and_five_key_frames(video: str) -> None:
    with av.open(video) as file:
        packets = [p for p in file.demux(file.streams.video[0]) if p.size]
    assert sum(p.is_keyframe for p in packets) == 5  # 0, 12, 24, 36, 48
    assert [p.pts for p in packets] != sorted(p.pts for p in packets)


@pytest.mark.parametrize("segment_frames", [1, 3, 7, 12, 13, 64])
def test_every_frame_comes_once_in_order(video: str, segment_frames: int) -> None:
    source = Video(video, segment_frames=segment_frames)
    assert numbers(redeem(source)) == all_of(*range(N_FRAMES))


@pytest.mark.parametrize(
    ("segment_frames", "sizes"),
    [(64, [12, 12, 12, 12, 2]), (5, [5, 5, 2, 5, 5, 2, 5, 5, 2, 5, 5, 2, 2])],
)
def test_segments_begin_at_key_frames_and_have_a_limit(
    video: str, segment_frames: int, sizes: list[int]
) -> None:
    claims = Video(video, segment_frames=segment_frames).claims()
    assert [claim.n_images for claim in claims] == sizes


def test_a_frame_found_by_seeking_equals_the_one_decoded_in_sequence(video: str) -> None:
    with av.open(video) as file:
        expected = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    alone = redeem(Video(video, segment_frames=1))
    assert len(expected) == len(alone) == N_FRAMES
    for want, got in zip(expected, alone, strict=True):
        assert isinstance(got, ImageRecord)
        assert np.array_equal(got.pixels, want)


@pytest.mark.parametrize("segment_frames", [1, 5, 64])
@pytest.mark.parametrize(
    ("suffix", "codec", "b_frames"),
    [
        ("mp4", "mpeg4", 2),
        ("mov", "libx264", 0),
        ("mkv", "libx264", 2),
        ("webm", "libvpx-vp9", 0),
        ("avi", "mpeg4", 0),
        ("avi", "mjpeg", 0),
        ("avi", "mpeg4", 2),
        ("avi", "libx264", 2),
        ("ts", "libx264", 0),
        ("ts", "libx264", 2),
        ("ts", "mpeg2video", 2),
        ("mpg", "mpeg1video", 0),
        ("mpg", "mpeg2video", 2),
    ],
)
def test_containers_of_all_suffixes_give_every_frame(
    tmp_path: Path, suffix: str, codec: str, b_frames: int, segment_frames: int
) -> None:
    path = write_video(tmp_path / f"clip.{suffix}", codec=codec, b_frames=b_frames)
    source = Video(path, segment_frames=segment_frames)
    assert numbers(redeem(source)) == all_of(*range(N_FRAMES))


@pytest.mark.parametrize("segment_frames", [2, 64])
def test_every_third_frame_is_taken(video: str, segment_frames: int) -> None:
    source = Video(video, every=3, segment_frames=segment_frames)
    assert numbers(redeem(source)) == all_of(*range(0, N_FRAMES, 3))


@pytest.mark.parametrize(
    ("fps", "frames"),
    [(5, range(0, 50, 5)), (25, range(50)), (100, range(50)), (0.5, [0]), (1, [0, 25])],
)
def test_at_most_so_many_frames_a_second_are_taken(
    video: str, fps: float, frames: list[int]
) -> None:
    assert numbers(redeem(Video(video, fps=fps))) == all_of(*frames)


def test_the_time_of_a_frame_is_the_start_and_its_presentation_time(video: str) -> None:
    origins = [o.origin for o in redeem(Video(video, start_time_ms=1_000_000, every=10))]
    assert [o.event_time_ms for o in origins] == [
        1_000_000,  # frame 0; a frame lasts 40 ms
        1_000_400,
        1_000_800,
        1_001_200,
        1_001_600,
    ]


def test_a_frame_is_named_by_its_video_and_number(video: str) -> None:
    first, second = [o.origin for o in redeem(Video(video, every=25))]
    assert (first.name, second.name) == ("clip.mp4/00000000", "clip.mp4/00000025")
    assert (second.uri, second.source_id, second.sequence) == (video, video, 25)


def test_a_frame_is_as_large_as_the_video(video: str) -> None:
    frame = redeem(Video(video))[0]
    assert isinstance(frame, ImageRecord)
    assert (frame.width, frame.height, frame.pixels.shape) == (96, 64, (64, 96, 3))


def test_a_video_of_a_phone_is_turned_upright(tmp_path: Path) -> None:
    path = Path(write_video(tmp_path / "clip.mp4", n_frames=2))  # frame 1 is white at the left
    quarter_turn_clockwise = [0, 1 << 16, 0, -1 << 16, 0, 0, 64 << 16, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 36] = b"".join(
        value.to_bytes(4, "big", signed=True) for value in quarter_turn_clockwise
    )
    path.write_bytes(data)
    frame = redeem(Video(str(path)))[1]
    assert isinstance(frame, ImageRecord)
    assert (frame.width, frame.height) == (64, 96)
    assert frame.pixels[:12].min() > 200  # left has become top
    assert frame.pixels[20:].max() < 50


def test_videos_are_read_from_storage_of_fsspec(video: str) -> None:
    fsspec.filesystem("memory").pipe("/test-video/clip.mp4", Path(video).read_bytes())
    source = Video("memory://test-video/clip.mp4", every=7)
    assert numbers(redeem(source)) == all_of(*range(0, N_FRAMES, 7))


def test_videos_of_a_folder_come_one_after_the_other(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.mp4"):
        write_video(tmp_path / name, n_frames=2)
    origins = [o.origin for o in redeem(Video(str(tmp_path)))]
    assert [o.name for o in origins] == [
        "a.mp4/00000000",
        "a.mp4/00000001",
        "b.mp4/00000000",
        "b.mp4/00000001",
    ]


def test_frames_of_videos_in_several_folders_have_names_of_their_own(tmp_path: Path) -> None:
    for name in ("x/a.mp4", "x/b.mp4", "y/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_video(tmp_path / name, n_frames=1)
    source = Video((str(tmp_path / "x"), str(tmp_path / "y")))
    assert len({outcome.origin.name for outcome in redeem(source)}) == 3


def test_claims_are_the_same_each_time_and_survive_pickling(video: str) -> None:
    assert len(check_source(Video(video))) == 5


def test_frames_cut_off_before_listing_are_not_promised(tmp_path: Path) -> None:
    path = Path(write_video(tmp_path / "clip.mkv"))
    path.write_bytes(path.read_bytes()[:-300])
    drawn = [pair[1] for pair in numbers(redeem(Video(str(path))))]
    assert drawn[:36] == list(range(36))
    left = [number for number in drawn if isinstance(number, int)]
    assert left == sorted(set(left))
    assert len(left) < N_FRAMES


@pytest.mark.parametrize("segment_frames", [5, 64])
def test_frames_lost_after_listing_are_rejected_and_the_count_holds(
    tmp_path: Path, segment_frames: int
) -> None:
    path = Path(write_video(tmp_path / "clip.mkv"))
    source = Video(str(path), segment_frames=segment_frames)
    claims = list(source.claims())
    path.write_bytes(path.read_bytes()[:-1500])
    found = numbers(redeem(source, claims))
    assert [number for number, _ in found] == list(range(N_FRAMES))
    lost = [number for number, drawn in found if isinstance(drawn, str)]
    assert lost[0] >= 10
    assert lost[-12:] == list(range(38, N_FRAMES))
    assert [pair for pair in found if pair[0] not in lost] == all_of(
        *(number for number in range(N_FRAMES) if number not in lost)
    )
    assert {drawn for number, drawn in found if number in lost} == {"corrupt"}


def test_a_rejected_frame_says_which_one_it_was(video: str, tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(Path(video).read_bytes())
    source = Video(str(path), every=20, start_time_ms=7_000)
    claims = list(source.claims())
    path.unlink()
    last = redeem(source, claims)[-1]
    assert isinstance(last, Rejected)
    assert (last.step, last.reason) == ("read", "unreadable")
    assert (last.origin.sequence, last.origin.name) == (40, "clip.mp4/00000040")
    assert last.origin.event_time_ms == 7_000 + 40 * 40


def write_sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(16_000))


@pytest.mark.parametrize("content", [b"no video at all", b"\x00\x00\x00\x18ftypmp42" + bytes(9)])
def test_a_file_that_is_no_video_is_one_rejected_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "notes.mp4").write_bytes(content)
    (outcome,) = redeem(Video(str(tmp_path / "notes.mp4")))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.origin.name) == ("corrupt", "notes.mp4")
    assert outcome.message


def test_an_empty_file_is_rejected_as_empty(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").touch()
    (outcome,) = redeem(Video(str(tmp_path / "clip.mp4")))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "empty"


def test_a_file_with_sound_only_is_one_rejected_image(tmp_path: Path) -> None:
    write_sound(tmp_path / "song.mp4")
    (outcome,) = redeem(Video(str(tmp_path / "song.mp4")))
    assert isinstance(outcome, Rejected)
    assert (outcome.reason, outcome.message) == ("unsupported", "no stream of pictures")


def test_a_video_without_timestamps_is_one_rejected_image(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.h264", b_frames=0)
    (outcome,) = redeem(Video(path))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == "unsupported"
    assert "frames without timestamps; `ffmpeg -i IN -c copy OUT.mp4`" in outcome.message


def test_a_broken_video_does_not_stop_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"broken")
    write_video(tmp_path / "b.mp4", n_frames=3)
    assert numbers(redeem(Video(str(tmp_path)))) == [(0, "corrupt"), *all_of(0, 1, 2)]


def test_frames_are_decoded_one_at_a_time(tmp_path: Path) -> None:
    size = (640, 480)
    path = write_video(tmp_path / "clip.mp4", gop=60, b_frames=0, size=size)
    source = Video(path)
    (claim,) = source.claims()
    assert claim.n_images == N_FRAMES
    read = source.open(a_context("read"))
    tracemalloc.start()
    try:
        shown = sum(isinstance(frame, ImageRecord) for frame in read(claim))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown == N_FRAMES
    assert peak < 8 * size[0] * size[1] * 3  # of 50 frames


def test_the_first_frame_comes_before_the_rest_is_decoded(tmp_path: Path) -> None:
    path = Path(write_video(tmp_path / "clip.mkv", gop=60, b_frames=0))
    source = Video(str(path))
    (claim,) = source.claims()
    frames: Iterator[Any] = source.open(a_context("read"))(claim)
    assert read_number(next(frames).pixels) == 0
    assert read_number(next(frames).pixels) == 1
    frames.close()  # type: ignore[attr-defined]  # a generator: stopping early leaves nothing open


def test_a_place_without_files_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.mp4: no such file, folder or pattern"):
        list(Video(str(tmp_path / "none.mp4")).claims())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "`every` is a whole number from 1; got 0"),
        ({"segment_frames": 0}, "`segment_frames` is a whole number from 1; got 0"),
        ({"fps": 0.0}, r"`fps` is in \(0, 1000\]; got 0\.0"),
        ({"fps": 5.0, "every": 2}, r"goes without `every`; got 5\.0 and 2"),
    ],
)
def test_rates_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Video("clip.mp4", **options)


def test_what_a_cut_download_lacks_is_rejected_and_not_forgotten(tmp_path: Path) -> None:
    whole = draw_video(tmp_path / "whole.mkv", 100)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    outcomes = redeem(Video(str(cut)))

    assert len(outcomes) < 100
    assert isinstance(outcomes[0], ImageRecord)
    assert isinstance(outcomes[-1], Rejected)
    assert outcomes[-1].reason == "corrupt"
    assert not [o for o in redeem(Video(str(whole))) if isinstance(o, Rejected)]


@pytest.mark.parametrize("suffix", ["mkv", "avi"])
def test_metadata_that_is_no_utf_8_does_not_matter(tmp_path: Path, suffix: str) -> None:
    path = draw_video(tmp_path / f"clip.{suffix}", 10, title="Caf\u00e9")
    Path(path).write_bytes(Path(path).read_bytes().replace("Caf\u00e9".encode(), b"Caf\xe9!"))

    assert all(isinstance(outcome, ImageRecord) for outcome in redeem(Video(str(path))))


def test_frames_that_an_edit_list_cuts_off_are_no_frames(tmp_path: Path) -> None:
    """What a lossless trim leaves: packets from the key frame on, shown from a later one."""
    whole, trimmed = draw_video(tmp_path / "whole.mp4", 40), tmp_path / "trimmed.mp4"
    with av.open(str(whole)) as source, av.open(str(trimmed), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                shift = int(0.3 / packet.time_base)  # the first frames come before time 0
                packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                target.mux(packet)
    with av.open(str(trimmed)) as container:
        shown = sum(1 for _ in container.decode(video=0))

    outcomes = redeem(Video(str(trimmed), segment_frames=8))

    assert [type(outcome) for outcome in outcomes] == [ImageRecord] * shown


def test_a_video_that_was_filmed_upright_is_turned_upright(tmp_path: Path) -> None:
    """Phones store the picture lying and write a quarter turn clockwise into the track's header."""
    path = draw_video(tmp_path / "clip.mp4", 2)
    (lying, _) = redeem(Video(str(path)))
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 240 << 16, 0, 1 << 30)
    data = path.read_bytes()
    header = data.index(b"tkhd")
    at = data.index(identity, header)
    path.write_bytes(data[:at] + quarter + data[at + len(quarter) :])

    (upright, _) = redeem(Video(str(path)))

    assert isinstance(lying, ImageRecord)
    assert isinstance(upright, ImageRecord)
    assert (upright.width, upright.height) == (240, 320)
    assert np.array_equal(upright.pixels, np.rot90(lying.pixels, -1))


def test_a_segment_that_was_read_is_let_go_without_the_garbage_collector(tmp_path, monkeypatch):
    """Videos that wait for it pile up: 40 KiB for each segment, over hours."""
    cursors = []
    original = frames._Cursor.__init__

    def noted(self, *arguments):
        cursors.append(weakref.ref(self))
        original(self, *arguments)

    monkeypatch.setattr(frames._Cursor, "__init__", noted)
    source = Video(str(draw_video(tmp_path / "clip.mp4", 30)), segment_frames=10)
    read = source.open(a_context("read"))
    gc.disable()
    try:
        for claim in source.claims():
            assert len(list(read(claim))) == claim.n_images
    finally:
        gc.enable()
    assert len(cursors) >= 3
    assert [cursor() for cursor in cursors] == [None] * len(cursors)
