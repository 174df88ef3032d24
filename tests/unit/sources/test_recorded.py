"""The images of earlier results are read again: the same ones, once, in their order."""

import json
import logging
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.pictures import draw_video
from tests.unit.sources.test_video import write_video

from sightflow import Directory, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Source
from sightflow.records import Claim, EncodedImage, ImageRecord, Rejected
from sightflow.sources.labelled import Labelled
from sightflow.sources.recorded import Recorded
from sightflow.sources.video import Video
from sightflow.storage.files import Reader
from sightflow.storage.videos import list_frames
from sightflow.testing import a_context, draw_scene, encode_image

Row = dict[str, Any]


def a_row(uri: str, sequence: int = 0, **more: Any) -> Row:
    place = {"uri": uri, "source_id": "photos", "sequence": sequence, "event_time_ms": 7}
    return {**place, "width": 32, "height": 24, **more}


def results_of(folder: Path, rows: Iterable[Row], rejected: Iterable[str] = ()) -> str:
    """Write rows, and beside them rejected images."""
    path = folder / "r.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = ({"uri": uri, "step": "read", "reason": "empty", "message": ""} for uri in rejected)
    (folder / "r.rejected.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def results_from(source: Source, folder: Path) -> str:
    """Write the results of a run without steps."""
    pipeline = Pipeline(source).write("results", JsonLines(str(folder / "r.jsonl")))
    run(pipeline, RunSettings(runner="inline"))
    return str(folder / "r.jsonl")


def read(source: Source) -> list[EncodedImage | ImageRecord | Rejected]:
    context = a_context("read")
    with context.resources:
        redeem = source.open(context)
        return [image for claim in source.claims() for image in redeem(claim)]


def places(claims: Iterable[Claim]) -> list[tuple[str, str, int, int]]:
    origins = (claim.origin for claim in claims)
    return [(o.uri, o.source_id, o.sequence, o.event_time_ms) for o in origins]


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode_image(draw_scene(32, 24)))
    return folder


def test_pictures_come_again_in_their_order_with_place_time_and_label(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", "cat/a.jpg", "cat/c.jpg", "dog/b ä.jpg")
    source = Labelled(Directory(str(folder)))
    replayed = list(Recorded(results_from(source, tmp_path)).claims())
    assert places(replayed) == places(source.claims())
    assert [claim.origin.label for claim in replayed] == ["cat", "cat", "dog"]


def test_members_of_an_archive_come_again(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", encode_image(draw_scene(32, 24)))
        archive.writestr("b.jpg", encode_image(draw_scene(32, 24)))
    source = Directory(str(tmp_path / "photos.zip"))
    again = Recorded(results_from(source, tmp_path))
    assert places(again.claims()) == places(source.claims())
    assert [type(image) for image in read(again)] == [EncodedImage] * 2


def test_of_a_video_exactly_the_frames_of_the_results_come_again(tmp_path: Path) -> None:
    source = Video(write_video(tmp_path / "clip.mp4"), every=7)
    again = Recorded(results_from(source, tmp_path))
    before, after = read(source), read(again)
    assert [image.origin.sequence for image in after] == [0, 7, 14, 21, 28, 35, 42, 49]
    for one, other in zip(before, after, strict=True):
        assert isinstance(one, ImageRecord)
        assert isinstance(other, ImageRecord)
        assert other.origin.event_time_ms == one.origin.event_time_ms
        assert np.array_equal(one.pixels, other.pixels)


def test_single_frames_are_found_wherever_key_frames_are(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4")
    rows = [a_row(video, number, source_id=video) for number in (3, 11, 12, 13, 40)]
    source = Recorded(results_of(tmp_path, rows), segment_frames=2)
    assert [[n for n, _, _ in claim.frames] for claim in source.claims()] == [
        [3, 11],
        [12, 13],
        [40],
    ]
    frames = {image.origin.sequence: image for image in read(Video(video))}
    for image in read(source):
        assert isinstance(image, ImageRecord)
        expected = frames[image.origin.sequence]
        assert isinstance(expected, ImageRecord)
        assert np.array_equal(image.pixels, expected.pixels)


def test_videos_one_after_the_other_are_kept_apart(tmp_path: Path) -> None:
    videos = [write_video(tmp_path / name, n_frames=5) for name in ("a.mp4", "b.mp4")]
    again = read(Recorded(results_from(Video(tuple(videos)), tmp_path)))
    assert [image.origin.source_id for image in again] == [videos[0]] * 5 + [videos[1]] * 5


def test_a_video_is_known_by_its_content_where_its_name_does_not_tell(tmp_path: Path) -> None:
    video = str(Path(write_video(tmp_path / "clip.mp4", n_frames=3)).rename(tmp_path / "clip.bin"))
    again = read(Recorded(results_from(Video(video), tmp_path)))
    assert [type(image) for image in again] == [ImageRecord] * 3


def test_a_picture_that_came_twice_under_its_name_is_no_video(tmp_path: Path) -> None:
    uri = str(pictures(tmp_path, "a.jpg") / "a.jpg")
    again = read(Recorded(results_of(tmp_path, [a_row(uri, 0), a_row(uri, 1)])))
    assert [type(image) for image in again] == [EncodedImage] * 2
    assert len({image.origin.name for image in again}) == 2


def test_rejected_pictures_come_last_each_as_a_stream_of_its_own(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", "a.jpg", "c.jpg")
    (folder / "b.jpg").touch()
    again = read(Recorded(results_from(Directory(str(folder)), tmp_path)))
    uri = str(folder / "b.jpg")
    assert [image.origin.sequence for image in again] == [0, 2, 0]
    assert (again[2].origin.uri, again[2].origin.source_id) == (uri, uri)
    left_out = Recorded(str(tmp_path / "r.jsonl"), rejected=False)
    assert [image.origin.sequence for image in read(left_out)] == [0, 2]


def test_a_file_that_is_gone_is_a_rejected_record_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "photos", "a.jpg", "b.jpg")
    video = write_video(tmp_path / "clip.mp4", n_frames=3)
    path = results_from(Directory(str(folder)), tmp_path)
    with open(path, "a") as lines:
        for number in range(2):
            lines.write(json.dumps(a_row(video, number, source_id=video)) + "\n")
    (folder / "a.jpg").unlink()
    os.unlink(video)
    gone, there, *frames = read(Recorded(path))
    assert isinstance(gone, Rejected)
    assert gone.reason == "unreadable"
    assert isinstance(there, EncodedImage)
    assert [
        (frame.reason, frame.origin.sequence) for frame in frames if isinstance(frame, Rejected)
    ] == [
        ("unreadable", 0),
        ("unreadable", 1),
    ]


def test_a_frame_that_the_video_no_longer_has_is_rejected(tmp_path: Path) -> None:
    video = str(draw_video(tmp_path / "clip.mp4", 4))
    rows = [a_row(video, number, source_id=video) for number in (3, 4, 90)]
    found = read(Recorded(results_of(tmp_path, rows)))
    assert [type(image) for image in found] == [ImageRecord, Rejected, Rejected]
    assert [image.origin.sequence for image in found] == [3, 4, 90]


def test_images_that_nobody_can_open_again_are_left_out_and_counted_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    uri = str(pictures(tmp_path, "a.jpg") / "a.jpg")
    rows = [
        a_row("rtsp://gate/live", 0),
        a_row(uri, 1),
        a_row("kafka://photos/0", 2),
        a_row("rtsp://gate/live", 3),
        a_row("0", 4),
    ]
    with caplog.at_level(logging.WARNING, "sightflow"):
        claims = list(Recorded(results_of(tmp_path, rows, ["rtsp://gate/live"])).claims())
    assert [claim.origin.uri for claim in claims] == [uri]
    (said,) = (record.getMessage() for record in caplog.records)
    assert "3 of rtsp, which cannot be opened again" in said
    assert "1 of kafka" in said
    assert "1 of camera" in said


def test_results_none_of_whose_images_can_be_opened_are_an_error(tmp_path: Path) -> None:
    path = results_of(tmp_path, [a_row("rtsp://gate/live", 0)])
    with pytest.raises(SourceError, match="no image can be read again: 1 of rtsp"):
        list(Recorded(path).claims())


def test_an_image_comes_once_however_often_it_is_in_the_results(tmp_path: Path) -> None:
    uri = str(pictures(tmp_path, "a.jpg") / "a.jpg")
    source = Recorded(results_of(tmp_path, [a_row(uri, 0), a_row(uri, 0)], [uri]))
    inputs = source.inputs()
    assert [row["sequence"] for row in inputs.rows()] == [0]
    assert inputs.left.n_repeated == 1
    assert inputs.left.reasons() == ["1 of images that were there before"]


def test_rejected_frames_have_no_number_and_are_counted(tmp_path: Path) -> None:
    video = write_video(tmp_path / "clip.mp4", n_frames=3)
    rows = [a_row(video, 0, source_id=video)]
    inputs = Recorded(results_of(tmp_path, rows, [video, "nowhere.mp4"])).inputs()
    assert len(list(inputs.rows())) == 1
    assert list(inputs.rejected()) == ["nowhere.mp4"]
    assert (inputs.left.n, inputs.left.n_frames) == (1, 1)
    assert inputs.left.reasons() == ["1 rejected frames of videos, whose numbers are not kept"]


def test_a_video_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone.mp4")
    (found,) = read(Recorded(results_of(tmp_path, [], [gone])))
    assert isinstance(found, Rejected)
    assert found.reason == "unreadable"


def test_a_name_that_is_no_utf_8_is_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    name = os.fsdecode(bytes(folder) + b"/caf\xe9.jpg")
    Path(name).write_bytes(encode_image(draw_scene(32, 24)))
    (image,) = read(Recorded(results_from(Directory(str(folder)), tmp_path)))
    assert isinstance(image, EncodedImage)
    assert image.origin.uri == name


def test_metadata_comes_again(tmp_path: Path) -> None:
    uri = str(pictures(tmp_path, "a.jpg") / "a.jpg")
    rows = [a_row(uri, metadata={"gate": "north"})]
    (claim,) = Recorded(results_of(tmp_path, rows)).claims()
    assert claim.origin.metadata == (("gate", "north"),)


def test_a_segment_has_at_least_one_frame() -> None:
    with pytest.raises(PipelineError, match="segment_frames"):
        Recorded("r.jsonl", segment_frames=0)


def test_images_of_a_run_that_kept_no_order_all_come_again(tmp_path: Path) -> None:
    names = [f"{i}.jpg" for i in range(4)]
    folder = pictures(tmp_path, *names)
    rows = [a_row(str(folder / names[i]), i) for i in (2, 0, 3, 1, 0, 3)]
    inputs = Recorded(results_of(tmp_path, rows)).inputs()
    assert [row["sequence"] for row in inputs.rows()] == [2, 0, 3, 1]
    assert inputs.left.n_repeated == 2


def test_frames_of_a_run_that_kept_no_order_are_the_right_ones(tmp_path: Path) -> None:
    video = str(draw_video(tmp_path / "clip.mp4", 8))
    rows = [a_row(video, number, source_id=video) for number in (4, 5, 0, 1, 6)]
    frames = {image.origin.sequence: image for image in read(Video(video))}
    again = read(Recorded(results_of(tmp_path, rows)))
    assert [image.origin.sequence for image in again] == [4, 5, 0, 1, 6]
    for image in again:
        expected = frames[image.origin.sequence]
        assert isinstance(image, ImageRecord)
        assert isinstance(expected, ImageRecord)
        assert np.array_equal(image.pixels, expected.pixels)


def test_the_frames_of_videos_whose_rows_take_turns_are_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []

    def listing(reader: Reader, uri: str) -> Any:
        listed.append(uri)
        return list_frames(reader, uri)

    monkeypatch.setattr("sightflow.sources.recorded.list_frames", listing)
    videos = [write_video(tmp_path / name, n_frames=5) for name in ("a.mp4", "b.mp4")]
    rows = [a_row(video, i, source_id=video) for i in range(5) for video in videos]
    assert len(list(Recorded(results_of(tmp_path, rows)).claims())) == 10
    assert listed == videos
