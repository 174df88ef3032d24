"""Detections of MOT Challenge become a record for each frame."""

import zipfile
from pathlib import Path
from typing import Any

import pytest

from sightflow.errors import PipelineError, SourceError
from sightflow.records import Detections, ImageRecord, Rejected
from sightflow.sources.motchallenge import MotDetections
from sightflow.testing import a_context

INFO = "[Sequence]\nname=x\nframeRate=7\nseqLength=5\nimWidth=640\nimHeight=480\nimExt=.jpg\n"
TWO = "3,-1,10,20,30,40,0.25\n1,-1,1,2,3,4,0.5\n3,-1,5,6,7,8,0.75\n"


def write(folder: Path, text: str = TWO, info: str | None = None) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "det.txt").write_text(text)
    if info:
        (folder / "seqinfo.ini").write_text(info)
    return str(folder / "det.txt")


def read(path: str, **options: Any) -> list[ImageRecord]:
    source = MotDetections(path, **options)
    redeem = source.open(a_context("read"))
    records = [record for claim in source.claims() for record in redeem(claim)]
    assert all(isinstance(record, ImageRecord) for record in records)
    return records  # type: ignore[return-value]


def found(record: ImageRecord) -> Detections:
    assert record.detections is not None
    return record.detections


def test_there_is_a_record_for_each_frame_up_to_the_last_one(tmp_path: Path) -> None:
    path = write(tmp_path)
    records = read(path, fps=4)
    assert [len(found(record)) for record in records] == [1, 0, 2]
    assert [r.origin.sequence for r in records] == [0, 1, 2]
    assert [r.origin.event_time_ms for r in records] == [0, 250, 500]
    assert {(r.origin.uri, r.origin.source_id) for r in records} == {(path, path)}
    assert records[2].origin.name == "det.txt/00000002"
    assert all(record.pixels.shape == (0, 0, 3) for record in records)


def test_detections_come_best_first_with_their_corners(tmp_path: Path) -> None:
    detections = found(read(write(tmp_path), fps=4)[2])
    assert detections.scores.tolist() == [0.75, 0.25]
    assert detections.boxes_xyxy.tolist() == [[5, 6, 12, 14], [10, 20, 40, 60]]
    assert detections.class_ids.tolist() == [0, 0]
    assert detections.labels == ("object", "object")


def test_the_seqinfo_beside_the_file_says_what_it_does_not(tmp_path: Path) -> None:
    records = read(write(tmp_path, info=INFO))
    assert len(records) == 5
    assert [r.origin.event_time_ms for r in records] == [0, 143, 286, 429, 571]
    assert {(r.width, r.height) for r in records} == {(640, 480)}


@pytest.mark.parametrize("name", ["det", "gt"])
def test_the_seqinfo_may_lie_above_the_folder_of_the_file(name: str, tmp_path: Path) -> None:
    path = write(tmp_path / name)
    (tmp_path / "seqinfo.ini").write_text(INFO)
    assert len(read(path)) == 5


def test_an_option_goes_before_the_seqinfo(tmp_path: Path) -> None:
    records = read(write(tmp_path, info=INFO), fps=10, start_time_ms=1_000)
    assert [r.origin.event_time_ms for r in records[:3]] == [1_000, 1_100, 1_200]


def test_without_a_seqinfo_the_image_reaches_as_far_as_the_boxes(tmp_path: Path) -> None:
    record = read(write(tmp_path, "1,-1,-5,2,10.5,4,1\n1,-1,0,0,1,300,1\n"), fps=1)[0]
    assert (record.width, record.height) == (6, 300)


def test_a_sequence_without_detections_has_its_frames(tmp_path: Path) -> None:
    records = read(write(tmp_path, "", INFO))
    assert [len(found(record)) for record in records] == [0] * 5


def test_a_class_has_the_name_that_mot16_gives_it(tmp_path: Path) -> None:
    text = "1,1,0,0,5,5,1,1,1\n1,2,0,0,5,5,1,3,1\n1,3,0,0,5,5,1,77,1\n"
    detections = found(read(write(tmp_path, text), fps=1)[0])
    assert detections.labels == ("pedestrian", "car", "class 77")
    assert detections.class_ids.tolist() == [1, 3, 77]


def test_frames_are_claimed_in_segments(tmp_path: Path) -> None:
    source = MotDetections(write(tmp_path, info=INFO), segment_frames=2)
    claims = list(source.claims())
    assert [claim.n_images for claim in claims] == [2, 2, 1]
    last = [record.origin.sequence for record in source.open(a_context("read"))(claims[2])]
    assert last == [4]


def test_scores_of_another_range_are_brought_into_ours(tmp_path: Path) -> None:
    text = "1,-1,0,0,5,5,-1\n1,-1,0,0,5,5,0\n1,-1,0,0,5,5,3\n"
    detections = found(read(write(tmp_path, text), fps=1, score_range=(-1, 3))[0])
    assert detections.scores.tolist() == [1, 0.25, 0]


def test_scores_outside_of_the_range_are_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "1,-1,0,0,5,5,0.5\n1,-1,0,0,5,5,32.5\n")
    with pytest.raises(SourceError, match=r"scores must be in \[0.0, 1.0\]; .* \[0.5, 32.5\]; set"):
        read(path, fps=1)


def test_poor_detections_can_be_left_out(tmp_path: Path) -> None:
    records = read(write(tmp_path), fps=4, min_score=0.5)
    assert [found(record).scores.tolist() for record in records] == [[0.5], [], [0.75]]


def test_each_file_of_a_folder_is_a_stream(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, info=INFO)
        (tmp_path / name / "gt.txt").write_text("no detections")
    records = read(str(tmp_path))
    streams = [r.origin.source_id for r in records]
    assert streams == [str(tmp_path / name / "det.txt") for name in "ab" for _ in range(5)]
    assert records[0].origin.name == "a/det.txt/00000000"


def test_a_file_in_an_archive_has_its_seqinfo_there(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mot.zip", "w") as archive:
        archive.writestr("a/det/det.txt", TWO)
        archive.writestr("a/seqinfo.ini", INFO)
        archive.writestr("b/det.txt", TWO)
    assert len(read(str(tmp_path / "mot.zip"), fps=2)) == 5 + 3


def test_a_file_of_a_cached_storage_has_its_seqinfo_there(tmp_path: Path) -> None:
    assert len(read(f"simplecache::file://{write(tmp_path, info=INFO)}")) == 5


def test_without_a_frame_rate_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"det.txt: the frame rate is unknown; set `fps`, or put"):
        read(write(tmp_path))


def test_a_frame_behind_the_end_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"det.txt: has a frame 6; `seqLength` in .* is 5"):
        read(write(tmp_path, "6,-1,0,0,5,5,1\n", INFO))


def test_a_bad_line_is_an_error_of_the_listing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"det.txt:2: must be 6 to 10 numbers"):
        list(MotDetections(write(tmp_path, "1,-1,0,0,5,5,1\nx\n"), fps=1).claims())


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ("frameRate=7", r"must have a section \[Sequence\]"),
        ("[Sequence]\nframeRate=seven", "could not convert string to float: 'seven'"),
        ("[Sequence]\nframeRate=0", "`frameRate` must be above 0; got 0"),
    ],
)
def test_a_bad_seqinfo_is_an_error(info: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"seqinfo.ini: .*{message}"):
        read(write(tmp_path, info=info))


def test_a_seqinfo_that_is_there_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "seqinfo.ini").mkdir()
    with pytest.raises(SourceError, match=r"seqinfo.ini: cannot be read: .*not a file"):
        read(path, fps=1)


def test_a_damaged_seqinfo_of_an_archive_is_an_error(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "mot.zip", "w") as archive:
        archive.writestr("det.txt", TWO)
        archive.writestr("seqinfo.ini", INFO)
    data = (tmp_path / "mot.zip").read_bytes()
    (tmp_path / "mot.zip").write_bytes(data.replace(b"frameRate=7", b"frameRate=8"))  # not its CRC
    with pytest.raises(SourceError, match=r"seqinfo.ini.*: cannot be read: archive: Bad CRC"):
        read(str(tmp_path / "mot.zip"))


def test_a_file_that_is_gone_when_it_is_read_is_rejected_frame_by_frame(tmp_path: Path) -> None:
    source = MotDetections(write(tmp_path), fps=1)
    claims = list(source.claims())
    (tmp_path / "det.txt").unlink()
    outcomes = list(source.open(a_context("read"))(claims[0]))
    assert [o.reason for o in outcomes if isinstance(o, Rejected)] == ["unreadable"] * 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"segment_frames": 0}, "`segment_frames` is a whole number from 1; got 0"),
        ({"fps": 0.0}, r"`fps` is in \(0, 1000\]; got 0.0"),
        ({"score_range": (1.0, 1.0)}, r"`score_range` is the worst score and a higher one; got"),
    ],
)
def test_numbers_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=f"MotDetections: {message}"):
        MotDetections("x", **options)
