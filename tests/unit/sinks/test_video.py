"""A video is drawn when the run is complete: the frames of the source, with their rows drawn in."""

import zipfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest

from sightflow.errors import OutputError, OutputExistsError, PipelineError, SetupError
from sightflow.ops.decode import decode
from sightflow.ops.draw import colour_of, colour_of_object, colour_of_person
from sightflow.ops.overlay import Outline
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks import encoder
from sightflow.sinks.annotations import Annotator, Tally
from sightflow.sinks.hiding import Hiding
from sightflow.sinks.video import AnnotatedVideo
from sightflow.testing import encode_image

SUMMARY = Summary(Ledger(read=1, recognised=1), 1.0, 0.5, 0.9, runner="inline", workers=1)
GREY = 100
GATE = Outline("gate", ((0, 120), (320, 120)), closed=False)
YARD = Outline("yard", ((20, 60), (160, 60), (160, 200), (20, 200)), closed=True)
BOX = (200, 100, 280, 180)

Pixels = npt.NDArray[np.uint8]


def a_video(
    path: Path,
    *,
    ticks: Sequence[int] = range(0, 20 * 512, 512),
    size: tuple[int, int] = (320, 240),
    codec: str = "libx264",
) -> Path:
    """Write a grey video with the timestamps given, in 1/12800 s: 25 frames a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 12_800)
        stream.codec_context.gop_size = 6
        for number, tick in enumerate(ticks):
            pixels = np.full((size[1], size[0], 3), GREY + number % 2, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 12_800)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def a_row(uri: Path | str, sequence: int, **changes: Any) -> dict[str, Any]:
    row = {"uri": str(uri), "source_id": str(uri), "sequence": sequence}
    return {**row, "event_time_ms": 40 * sequence, "width": 320, "height": 240, **changes}


def a_track(track_id: int = 1, box: Sequence[float] = BOX, score: float = 0.9) -> dict[str, Any]:
    track = {"track_id": track_id, "label": "car", "class_id": 2, "score": score}
    return {**track, "box_xyxy": list(box)}


def an_event(uri: Path, sequence: int, kind: str, zone: str, **changes: Any) -> dict[str, Any]:
    event = {"kind": kind, "step": zone, "zone": zone, "source_id": str(uri)}
    return {**event, "sequence": sequence, "event_time_ms": 0, **changes}


def a_rejected_row(uri: Path) -> dict[str, Any]:
    return {"uri": str(uri), "step": "look", "reason": "dark", "message": "too dark"}


def write(
    sink: AnnotatedVideo,
    rows: Sequence[dict[str, Any]],
    rejected: Sequence[dict[str, Any]] = (),
    events: Sequence[dict[str, Any]] = (),
) -> None:
    sink.check()
    writer = sink.open_results(None)
    writer.append(rows, rejected, events)
    writer.close()
    sink.commit(SUMMARY)


def frames(path: Path) -> list[Pixels]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def seconds(path: Path) -> list[float]:
    """Return the time of each frame since the first."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        times = [frame.pts * stream.time_base for frame in container.decode(stream)]
    return [float(time - times[0]) for time in times]


def show_the_same(one: Path, other: Path) -> bool:
    """Return whether two videos have the same frames at the same times.

    Their bytes may differ: x264 seldom writes the same frame with a few bytes more or less.
    """
    pairs = zip(frames(one), frames(other), strict=True)
    return seconds(one) == seconds(other) and all((a == b).all() for a, b in pairs)


def is_marked(pixels: Pixels, box: Sequence[int] = BOX, track_id: int = 1) -> bool:
    """Return whether the left edge of a box has the colour of a track, within what H.264 loses."""
    x, y = box[0], (box[1] + box[3]) // 2
    edge = pixels[y - 10 : y + 10, x : x + 2].reshape(-1, 3).mean(axis=0)
    return bool(np.abs(edge - colour_of(track_id)).max() < 60)


def is_plain(pixels: Pixels) -> bool:
    return bool(np.abs(pixels.astype(int) - GREY).max() < 12)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return a_video(tmp_path / "clip.mp4")


def test_each_frame_has_the_boxes_of_its_own_row(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[a_track()] if n in (5, 6) else []) for n in range(20)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    marked = [n for n, pixels in enumerate(frames(tmp_path / "out.mp4")) if is_marked(pixels)]
    assert marked == [5, 6]


def test_it_is_h264_in_yuv420p_with_the_index_in_front_and_the_rate_of_the_source(tmp_path, clip):
    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(clip, n) for n in range(20)])

    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.frames, stream.average_rate) == (20, 25)
        assert not container.streams.audio


def test_frames_without_anything_recognised_are_as_they_were(tmp_path, clip):
    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(clip, n) for n in range(20)])

    found = frames(tmp_path / "out.mp4")
    assert len(found) == 20
    assert all(is_plain(pixels) for pixels in found)


def test_a_variable_rate_is_kept(tmp_path):
    ticks = [0, 512, 600, 3000, 3001, 12_800, 25_600]
    clip = a_video(tmp_path / "clip.mp4", ticks=ticks)

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(clip, n) for n in range(7)])

    assert seconds(tmp_path / "out.mp4") == seconds(clip) == [tick / 12_800 for tick in ticks]


def test_frames_with_one_timestamp_are_all_there(tmp_path):
    """Matroska keeps milliseconds: ticks of 1/12800 s fall together."""
    clip = a_video(tmp_path / "clip.mkv", ticks=[0, 512, 514, 1024])
    assert seconds(clip) == [0, 0.04, 0.04, 0.08]
    rows = [a_row(clip, n, tracks=[a_track()] if n == 2 else []) for n in range(4)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    assert [is_marked(pixels) for pixels in frames(tmp_path / "out.mp4")] == [0, 0, 1, 0]


def turn(path: Path, width: int) -> None:
    """Write into the header of a video that it is shown turned clockwise by a quarter."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    values = [0, 1 << 16, 0, -1 << 16, 0, 0, width << 16, 0, 1 << 30]
    data[matrix : matrix + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(data)


def test_a_turned_video_is_turned_upright_before_it_is_drawn_into(tmp_path, clip):
    turn(clip, 240)
    box = (100, 200, 180, 280)
    rows = [a_row(clip, n, width=240, height=320, tracks=[a_track(box=box)]) for n in range(3)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    found = frames(tmp_path / "out.mp4")
    assert found[0].shape == (320, 240, 3)
    assert is_marked(found[0], box)


@pytest.mark.parametrize(("name", "codec"), [("c.mkv", "libx264"), ("c.avi", "mpeg4")])
def test_frames_of_other_containers_have_their_times_and_rows(tmp_path, name, codec):
    clip = a_video(tmp_path / name, codec=codec)
    rows = [a_row(clip, n, tracks=[a_track()] if n == 7 else []) for n in range(20)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    found = frames(tmp_path / "out.mp4")
    assert [n for n, pixels in enumerate(found) if is_marked(pixels)] == [7]
    assert seconds(tmp_path / "out.mp4") == pytest.approx([n / 25 for n in range(20)], abs=0.001)


def test_every_second_frame_gives_half_the_frames_at_their_times(tmp_path, clip):
    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(clip, n) for n in range(0, 20, 2)])

    assert seconds(tmp_path / "out.mp4") == [n / 25 for n in range(0, 20, 2)]
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].average_rate == Fraction(25, 2)


@pytest.mark.parametrize(
    ("taken", "rejected"),
    [
        (range(20), [3, 4]),
        (range(20), [0, 19]),
        (range(0, 20, 2), [4]),
        (range(20), range(1, 20)),
        (range(20), range(1, 20, 2)),
    ],
    ids=["middle", "ends", "every second", "all but the first", "each other"],
)
def test_rejected_frames_are_shown_without_annotations(tmp_path, clip, taken, rejected):
    rows = [a_row(clip, n, tracks=[a_track()]) for n in taken if n not in rejected]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows, [a_rejected_row(clip)] * len(rejected))

    assert seconds(tmp_path / "out.mp4") == [n / 25 for n in taken]
    found = zip(taken, frames(tmp_path / "out.mp4"), strict=True)
    assert all(is_plain(pixels) == (n in rejected) for n, pixels in found)


def test_frames_that_the_run_left_out_are_not_taken_for_rejected_ones(tmp_path, clip):
    """At 10 frames of 25 a second: 0, 3, 5, 8 and so on, of which the third was rejected."""
    rows = [a_row(clip, n) for n in (0, 3, 8, 10, 13, 15, 18)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows, [a_rejected_row(clip)])

    assert seconds(tmp_path / "out.mp4") == [n / 25 for n in (0, 3, 8, 10, 13, 15, 18)]


def test_rows_that_come_in_another_order_give_the_same_video(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[a_track(n)]) for n in range(20)]

    write(AnnotatedVideo(str(tmp_path / "one.mp4")), rows)
    write(AnnotatedVideo(str(tmp_path / "two.mp4")), rows[10:] + rows[:10])

    assert show_the_same(tmp_path / "one.mp4", tmp_path / "two.mp4")


def test_what_came_after_a_position_is_forgotten(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[a_track()]) for n in range(20)]
    crossing = [an_event(clip, 3, "crossed", "gate", direction="in")]
    sink, undisturbed = (
        AnnotatedVideo(str(tmp_path / name), outlines=(GATE,)) for name in ("a.mp4", "b.mp4")
    )
    writer = sink.open_results(None)
    writer.append(rows[:5], [], crossing)
    position = writer.position()
    writer.append([a_row(clip, n, tracks=[a_track(8)]) for n in range(5, 20)], [], crossing)
    writer.close()

    writer = sink.open_results(position)
    writer.append(rows[5:], [])
    writer.close()
    sink.commit(SUMMARY)

    write(undisturbed, rows, events=crossing)
    assert show_the_same(tmp_path / "a.mp4", tmp_path / "b.mp4")


def differs(pixels: Pixels, other: Pixels, part: tuple[slice, slice]) -> bool:
    return bool(np.abs(pixels[part].astype(int) - other[part]).max() > 100)


def test_crossings_are_counted_from_the_frame_that_shows_them(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[]) for n in range(20)]
    events = [
        an_event(clip, 12, "crossed", "gate", direction="out"),
        an_event(clip, 6, "crossed", "gate", direction="in"),
        an_event(clip, 2, "appeared", "gate"),
        an_event(clip, 3, "crossed", "another gate", direction="in"),
    ]

    write(AnnotatedVideo(str(tmp_path / "out.mp4"), outlines=(GATE,)), rows, events=events)

    found = frames(tmp_path / "out.mp4")
    below, above = (slice(125, 200), slice(0, 320)), (slice(0, 115), slice(40, 320))
    assert [n for n in range(1, 20) if differs(found[n], found[n - 1], below)] == [6]
    assert [n for n in range(1, 20) if differs(found[n], found[n - 1], above)] == [12]


def test_how_many_are_in_a_zone_goes_up_and_down(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[]) for n in range(20)]
    events = [an_event(clip, 4, "entered", "yard"), an_event(clip, 9, "exited", "yard")]

    write(AnnotatedVideo(str(tmp_path / "out.mp4"), outlines=(YARD,)), rows, events=events)

    found = frames(tmp_path / "out.mp4")
    label = (slice(30, 60), slice(20, 160))
    assert [n for n in range(1, 20) if differs(found[n], found[n - 1], label)] == [4, 9]
    assert not differs(found[0], found[15], label)


def test_a_trail_shows_where_an_object_was_and_no_longer(tmp_path, clip):
    """It goes right by 8 pixels in each 40 ms; 160 ms are the last 4 frames."""
    moves = [(20 + 8 * n, 40, 60 + 8 * n, 100) for n in range(20)]
    rows = [a_row(clip, n, tracks=[a_track(0, box)]) for n, box in enumerate(moves)]

    write(AnnotatedVideo(str(tmp_path / "trail.mp4"), trail_ms=160), rows)
    write(AnnotatedVideo(str(tmp_path / "none.mp4"), trail_ms=0), rows)

    with_trail, without = (frames(tmp_path / name)[15] for name in ("trail.mp4", "none.mp4"))
    difference = np.abs(with_trail[101:104].astype(int) - without[101:104]).max(axis=(0, 2))
    x, now = np.nonzero(difference > 50)[0], 40 + 8 * 15
    assert now - 4 * 8 <= x.min() <= now - 2 * 8
    assert x.max() <= now + 3


def test_what_scores_less_is_not_drawn(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[a_track(score=0.5 if n == 3 else 0.4)]) for n in range(5)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4"), min_score=0.5), rows)

    marked = [n for n, pixels in enumerate(frames(tmp_path / "out.mp4")) if is_marked(pixels)]
    assert marked == [3]


def test_detections_and_classes_are_drawn_where_nothing_is_followed(tmp_path, clip):
    found = [{"label": "car", "class_id": 1, "score": 0.9, "box_xyxy": list(BOX)}]
    classes = [{"label": "road", "class_id": 3, "score": 0.8}]
    rows = [a_row(clip, 0, detections=found), a_row(clip, 1, classification=classes)]
    rows.append(a_row(clip, 2, detections=found, tracks=[]))

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    first, second, third = frames(tmp_path / "out.mp4")
    assert is_marked(first)
    assert is_plain(second[:200])
    assert not is_plain(second[200:, :100])
    assert is_plain(third)


def a_face(
    person_id: str | None = None, box: Sequence[float] = BOX, **changes: Any
) -> dict[str, Any]:
    face = {"score": 0.9, "box_xyxy": list(box), "landmarks_xy": []}
    return {**face, "person_id": person_id, "similarity": 0.5, **changes}


def colour_at(pixels: Pixels, box: Sequence[int] = BOX) -> Any:
    """Return the colour of the left edge of a box."""
    x, y = box[0], (box[1] + box[3]) // 2
    return pixels[y - 10 : y + 10, x : x + 2].reshape(-1, 3).mean(axis=0)


def test_a_face_has_the_colour_of_its_person(tmp_path, clip):
    faces = [[a_face("Ada")], [a_face()], [{"score": 0.9, "box_xyxy": list(BOX)}]]
    rows = [a_row(clip, n, faces=found) for n, found in enumerate(faces)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    ada, unknown, found = frames(tmp_path / "out.mp4")
    assert np.abs(colour_at(ada) - colour_of_person("Ada")).max() < 60
    for pixels in (unknown, found):
        assert np.abs(colour_at(pixels) - colour_of_person(None)).max() < 20


def test_a_face_that_is_followed_is_drawn_once_and_with_its_trail(tmp_path, clip):
    """Its track lies beside it here, to be told apart; what is not followed has no trail."""
    boxes = [(20 + 8 * n, 40, 60 + 8 * n, 100) for n in range(8)]
    rows = [
        a_row(
            clip,
            n,
            faces=[a_face("Ada", box, track_id=3), a_face(None, BOX, track_id=None)],
            tracks=[a_track(3, (120, 180, 160, 230))],
        )
        for n, box in enumerate(boxes)
    ]

    write(AnnotatedVideo(str(tmp_path / "trail.mp4"), trail_ms=400), rows)
    write(AnnotatedVideo(str(tmp_path / "none.mp4"), trail_ms=0), rows)

    with_trail, without = (frames(tmp_path / name)[-1] for name in ("trail.mp4", "none.mp4"))
    assert np.abs(colour_at(without, boxes[-1]) - colour_of_person("Ada")).max() < 60
    assert is_plain(without[155:235, 110:170])
    assert differs(with_trail, without, (slice(98, 104), slice(40, 90)))
    assert not differs(with_trail, without, (slice(170, 240), slice(0, 320)))


def test_detections_stay_where_faces_are_followed_also_in_frames_without_a_face(tmp_path, clip):
    car = [{"label": "car", "class_id": 1, "score": 0.9, "box_xyxy": list(BOX)}]
    face = a_face("Ada", (20, 40, 60, 100), track_id=3)
    rows = [
        a_row(clip, 0, detections=car, faces=[face], tracks=[a_track(3, (20, 40, 60, 100))]),
        a_row(clip, 1, detections=car, faces=[], tracks=[]),
    ]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    assert [is_marked(pixels) for pixels in frames(tmp_path / "out.mp4")] == [True, True]


def test_faces_are_drawn_beside_the_objects_that_are_followed(tmp_path, clip):
    car = [{"label": "car", "class_id": 1, "score": 0.9, "box_xyxy": [20, 150, 60, 200]}]
    face = (20, 40, 60, 100)
    rows = [a_row(clip, 0, detections=car, faces=[a_face("Ada", face)], tracks=[a_track(5)])]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    (pixels,) = frames(tmp_path / "out.mp4")
    assert is_marked(pixels, track_id=5)
    assert np.abs(colour_at(pixels, face) - colour_of_person("Ada")).max() < 60
    assert is_plain(pixels[150:200, 10:70])


@pytest.mark.parametrize("tracks", [None, [a_track(5)]])
def test_a_light_is_drawn_in_the_colour_that_it_shows_also_where_it_is_followed(
    tmp_path, clip, tracks
):
    light = {"label": "traffic light", "class_id": 9, "score": 0.9, "box_xyxy": list(BOX)}
    light |= {"state": {"label": "green", "score": 0.98}}
    if tracks is not None:
        light |= {"track_id": 5}
    rows = [a_row(clip, 0, detections=[light], **({"tracks": tracks} if tracks else {}))]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    (pixels,) = frames(tmp_path / "out.mp4")
    assert np.abs(colour_at(pixels) - colour_of_object(9, ("green", 0.98))).max() < 60


def test_faces_of_the_unknown_are_blurred_in_the_frames_in_which_they_were_found(tmp_path):
    """A chessboard of 8 x 8 pixels; the left face is known, the right one is not."""
    left, right = (30, 60, 110, 140), (200, 60, 280, 140)
    rows, columns = np.mgrid[:240, :320] // 8
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    found: list[list[dict[str, Any]]] = [
        [a_face("Ada", left), a_face(None, right)],
        [a_face("Ada", left)],
        [a_face(None, left, score=0.2), {"score": 0.9, "box_xyxy": list(right)}],
        [],
    ]
    images = []
    for n, faces in enumerate(found):
        (tmp_path / f"{n}.png").write_bytes(encode_image(board, "PNG"))
        images.append(a_row(tmp_path / f"{n}.png", n, source_id="photos", faces=faces))

    sink = AnnotatedVideo(str(tmp_path / "out.mp4"), blur_unknown=True, min_score=0.5, quality=10)
    write(sink, images)

    shown = frames(tmp_path / "out.mp4")
    blurred = [
        tuple(np.ptp(pixels[85:130, x + 20 : x + 60].astype(int)) < 100 for x in (30, 200))
        for pixels in shown
    ]
    assert blurred == [(False, True), (False, False), (True, True), (False, False)]


def test_a_stranger_who_was_missed_in_a_frame_is_blurred_on_the_way(tmp_path):
    rows, columns = np.mgrid[:240, :320] // 8
    board = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[:, :, None].repeat(3, axis=2)
    images = []
    for n, x in enumerate((40, None, 120)):
        (tmp_path / f"{n}.png").write_bytes(encode_image(board, "PNG"))
        faces = [] if x is None else [a_face(None, (x, 60, x + 80, 140), track_id=1)]
        images.append(a_row(tmp_path / f"{n}.png", n, source_id="photos", faces=faces))

    write(AnnotatedVideo(str(tmp_path / "out.mp4"), blur_unknown=True, quality=10), images)

    shown = [pixels[85:130, 100:140].astype(int) for pixels in frames(tmp_path / "out.mp4")]
    assert np.ptp(shown[1]) < 100


@pytest.mark.parametrize("blur_unknown", [True, False])
def test_a_frame_that_was_rejected_shows_nobody_where_strangers_are_blurred(blur_unknown):
    """Nobody knows who is in it."""
    annotator = Annotator(
        (), Tally({}), min_score=0.0, trail_ms=0, hiding=Hiding(()) if blur_unknown else None
    )
    rows, columns = np.mgrid[:240, :320] // 8
    pixels = np.where((rows + columns) % 2, 255, 0).astype(np.uint8)[:, :, None].repeat(3, axis=2)

    annotator.leave(pixels)

    assert (np.ptp(pixels.astype(int)) < 100) == blur_unknown


def test_where_nobody_has_looked_for_faces_blurring_is_refused_as_soon_as_it_comes(tmp_path, clip):
    """It would show everyone."""
    writer = AnnotatedVideo(str(tmp_path / "out.mp4"), blur_unknown=True).open_results(None)
    writer.append([a_row(clip, 0, faces=[])], [])

    message = (
        r"out\.mp4: `blur_unknown` blurs faces .*clip\.mp4 has none; add a step such as Detect"
    )
    with pytest.raises(OutputError, match=message):
        writer.append([a_row(clip, 1)], [])
    writer.close()


def test_a_size_that_is_odd_becomes_even(tmp_path):
    clip = a_video(tmp_path / "clip.mkv", size=(63, 47), codec="ffv1")

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(clip, 0, width=63, height=47)])

    assert frames(tmp_path / "out.mp4")[0].shape == (48, 64, 3)


def test_pictures_of_a_folder_are_frames_at_their_times(tmp_path):
    rows = []
    for n, size in enumerate([(240, 320), (240, 320), (480, 320)]):
        path = tmp_path / f"{n}.jpg"
        path.write_bytes(encode_image(np.full((*size, 3), GREY, np.uint8)))
        row = a_row(path, n, source_id="photos", event_time_ms=5_000 + 500 * n, height=size[0])
        rows.append({**row, "tracks": [a_track()] if n == 1 else []})

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    found = frames(tmp_path / "out.mp4")
    assert seconds(tmp_path / "out.mp4") == [0, 0.5, 1.0]
    assert [is_marked(pixels) for pixels in found] == [False, True, False]
    assert is_plain(found[2][:, 90:230])  # twice as high: it lies between black bars
    assert found[2][:, :60].max() < 20


def test_pictures_whose_time_does_not_tell_their_order_follow_each_other(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for n in range(3):
            picture = encode_image(np.full((240, 320, 3), GREY, np.uint8), "PNG")
            archive.writestr(f"{n}.png", picture)
    uris = [f"zip://{n}.png::{tmp_path}/photos.zip" for n in range(3)]
    rows = [a_row(uri, n, source_id="zip", event_time_ms=0) for n, uri in enumerate(uris)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    assert seconds(tmp_path / "out.mp4") == [0, 0.04, 0.08]


def test_an_archive_that_is_no_archive_any_more_leaves_no_output(tmp_path):
    (tmp_path / "photos.zip").write_text("no archive")
    rows = [a_row(f"zip://{n}.png::{tmp_path}/photos.zip", n, source_id="zip") for n in range(2)]

    with pytest.raises(OutputError, match=r"0\.png.*cannot be read again .* not a zip file"):
        write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    assert not (tmp_path / "out.mp4").exists()


def test_a_picture_that_the_run_allowed_is_drawn_whatever_the_usual_limit_is(tmp_path, monkeypatch):
    monkeypatch.setitem(decode.__kwdefaults__, "max_pixels", 100)
    for n in range(2):
        picture = encode_image(np.full((240, 320, 3), GREY, np.uint8))
        (tmp_path / f"{n}.jpg").write_bytes(picture)
    rows = [a_row(tmp_path / f"{n}.jpg", n, source_id="photos") for n in range(2)]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows)

    assert len(frames(tmp_path / "out.mp4")) == 2


def test_a_single_picture_is_a_video_of_one_frame(tmp_path):
    (tmp_path / "a.jpg").write_bytes(encode_image(np.full((240, 320, 3), GREY, np.uint8)))

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), [a_row(tmp_path / "a.jpg", 0)])

    assert len(frames(tmp_path / "out.mp4")) == 1


def test_a_folder_gets_a_file_for_each_stream(tmp_path):
    clips = [tmp_path / "in/a/Gate 1.mp4", tmp_path / "in/b/gate 1.mov", tmp_path / "in/b/c.mkv"]
    for path in clips:
        path.parent.mkdir(parents=True, exist_ok=True)
        a_video(path)
    rows = [a_row(path, n, tracks=[a_track(i)]) for n in range(3) for i, path in enumerate(clips)]

    write(AnnotatedVideo(str(tmp_path / "out")), rows)

    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["a-Gate_1.mp4", "b-c.mp4", "b-gate_1.mp4"]
    for i, name in enumerate(["a-Gate_1.mp4", "b-gate_1.mp4", "b-c.mp4"]):
        shown = frames(tmp_path / "out" / name)
        assert len(shown) == 3
        assert all(is_marked(pixels, track_id=i) for pixels in shown)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_second_stream_is_refused_as_soon_as_it_comes_also_after_a_restart(tmp_path, clip):
    sink = AnnotatedVideo(str(tmp_path / "out.mp4"))
    message = r"out\.mp4: holds one stream; got .*clip\.mp4 and other; give a folder .*/out'"
    writer = sink.open_results(None)
    writer.append([a_row(clip, 0)], [])
    with pytest.raises(OutputError, match=message):
        writer.append([a_row(clip, 1, source_id="other")], [])
    position = writer.position()
    writer.close()

    writer = sink.open_results(position)
    with pytest.raises(OutputError, match=message):
        writer.append([a_row(clip, 1, source_id="other")], [])
    writer.close()


def test_what_arrives_live_is_refused_as_soon_as_it_comes(tmp_path):
    writer = AnnotatedVideo(str(tmp_path / "out.mp4")).open_results(None)
    with pytest.raises(OutputError, match=r"rtsp://gate/1 cannot be read again .* use JsonLines"):
        writer.append([a_row("rtsp://gate/1", 0)], [])
    writer.close()


@pytest.mark.parametrize("path", ["clip.mp4", "."])
def test_the_video_that_is_read_is_never_overwritten(tmp_path, clip, path):
    writer = AnnotatedVideo(str(tmp_path / path), overwrite=True).open_results(None)
    with pytest.raises(OutputExistsError, match="has the video that is read; choose another"):
        writer.append([a_row(clip, 0)], [])
    writer.close()


def break_deleted(clip: Path) -> None:
    clip.unlink()


def break_cut(clip: Path) -> None:
    a_video(clip, ticks=range(0, 4 * 512, 512))


def break_small(clip: Path) -> None:
    a_video(clip, size=(160, 120))


def break_text(clip: Path) -> None:
    clip.write_text("no video")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_deleted, r"clip\.mp4: cannot be read again .* No such file .*; keep what is read"),
        (break_text, r"clip\.mp4: cannot be read again to draw into it: .*Invalid data"),
        (break_cut, r"clip\.mp4: has no frame 4 any more; .* keep what is read until"),
        (break_small, r"has 160 x 120 pixels now and had 320 x 240; keep what is read"),
    ],
)
def test_a_source_that_is_gone_or_another_leaves_no_output(tmp_path, clip, damage, message):
    sink = AnnotatedVideo(str(tmp_path / "out.mp4"))
    writer = sink.open_results(None)
    writer.append([a_row(clip, n) for n in range(6)], [])
    writer.close()
    damage(clip)

    with pytest.raises(OutputError, match=message):
        sink.commit(SUMMARY)
    sink.discard()

    assert [path for path in tmp_path.iterdir() if path != clip] == []


def test_one_of_several_videos_that_is_gone_leaves_none(tmp_path, clip):
    sink = AnnotatedVideo(str(tmp_path / "out"))
    writer = sink.open_results(None)
    writer.append([a_row(clip, 0), a_row(tmp_path / "gone.mp4", 0)], [])
    writer.close()

    with pytest.raises(OutputError, match=r"^\S*gone\.mp4: cannot be read again"):
        sink.commit(SUMMARY)

    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_that_recognised_nothing_leaves_no_video_not_even_an_old_one(tmp_path, clip):
    (tmp_path / "out.mp4").write_text("of an earlier run")

    write(AnnotatedVideo(str(tmp_path / "out.mp4"), overwrite=True), [], [a_rejected_row(clip)])

    assert list(tmp_path.iterdir()) == [clip]


@pytest.mark.parametrize("name", ["out.avi", "out.jsonl", "out.v1"])
def test_another_ending_than_mp4_is_refused(tmp_path, name):
    with pytest.raises(PipelineError, match=r"`path` ends in \.mp4 .*; a folder with a dot"):
        AnnotatedVideo(str(tmp_path / name)).check()
    AnnotatedVideo(f"{tmp_path}/out.v1/").check()


@pytest.mark.parametrize("path", [".", "", "/"])
def test_a_path_without_a_name_is_refused(path):
    with pytest.raises(PipelineError, match="`path` needs a name; got"):
        AnnotatedVideo(path).check()


def test_a_file_that_exists_and_a_folder_that_is_not_empty_are_refused(tmp_path, clip):
    with pytest.raises(OutputExistsError, match=r"clip\.mp4: exists already"):
        AnnotatedVideo(str(clip)).check()
    with pytest.raises(OutputExistsError, match="exists already"):
        AnnotatedVideo(str(tmp_path)).check()
    AnnotatedVideo(str(tmp_path), overwrite=True).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": 0}, "`quality` is a whole number from 1 to 51; got 0"),
        ({"trail_ms": -1}, "`trail_ms` is a whole number from 0; got -1"),
        ({"min_score": 1.5}, r"`min_score` is in \[0, 1\]; got 1.5"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options, message):
    with pytest.raises(PipelineError, match=message):
        AnnotatedVideo("out.mp4", **options)


def test_without_an_encoder_the_run_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr(encoder, "_ENCODERS", {"h264_of_nobody": dict})

    with pytest.raises(SetupError, match=r"none of the H\.264 encoders h264_of_nobody; `pip"):
        AnnotatedVideo(str(tmp_path / "out.mp4")).check()


def test_options_of_each_encoder_hold_the_quality():
    assert encoder._ENCODERS["libx264"](30)["crf"] == "30"
    fixed = encoder._ENCODERS["libopenh264"](30)
    assert (fixed["qmin"], fixed["qmax"]) == ("30", "30")


def test_a_damaged_part_of_a_video_leaves_out_its_frames_and_is_no_reason_to_stop(tmp_path, clip):
    """The second of the key frames, 6, is lost; the decoder may lose its neighbours 4 and 5."""
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        key = [bytes(p) for p in container.demux(video=0) if p.size and p.is_keyframe][1]
    start = data.index(key)
    data[start : start + len(key)] = bytes(len(key))
    clip.write_bytes(data)
    rows = [a_row(clip, n, tracks=[a_track()]) for n in (*range(6), *range(12, 20))]

    write(AnnotatedVideo(str(tmp_path / "out.mp4")), rows, [a_rejected_row(clip)] * 6)

    assert set(seconds(tmp_path / "out.mp4")) >= {n / 25 for n in (*range(4), *range(12, 20))}
    assert all(is_marked(pixels) for pixels in frames(tmp_path / "out.mp4")[-8:])


def test_better_quality_takes_a_larger_file(tmp_path, clip):
    rows = [a_row(clip, n, tracks=[a_track()]) for n in range(20)]
    for quality in (15, 40):
        write(AnnotatedVideo(str(tmp_path / f"{quality}.mp4"), quality=quality), rows)

    sizes = [(tmp_path / f"{quality}.mp4").stat().st_size for quality in (15, 40)]
    assert sizes[0] > 1.5 * sizes[1]
