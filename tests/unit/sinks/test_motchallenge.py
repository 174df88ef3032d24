"""Tracks are written as MOT Challenge text, a file for each stream."""

from pathlib import Path
from typing import Any

import pytest

from sightflow.errors import OutputError, OutputExistsError
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.motchallenge import MotTracks
from sightflow.storage.motfile import read_mot

SUMMARY = Summary(Ledger(read=1, recognised=1), 1.0, 0.5, 0.9, runner="inline", workers=1)


def a_row(sequence: int = 0, source_id: str = "a.mp4", *track_ids: int) -> dict[str, Any]:
    box = [1.5, 2, 11.25, 22]
    tracks = [{"track_id": i, "score": 0.5, "box_xyxy": box, "label": "cat"} for i in track_ids]
    return {"uri": "a.mp4", "source_id": source_id, "sequence": sequence, "tracks": tracks}


def write(sink: MotTracks, *rows: dict[str, Any]) -> None:
    writer = sink.open_results(None)
    writer.append(rows, ())
    writer.close()
    sink.commit(SUMMARY)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_each_track_of_an_image_is_a_line(tmp_path: Path) -> None:
    sink = MotTracks(str(tmp_path / "tracks.txt"))
    write(sink, a_row(0, "a.mp4", 1, 2), a_row(1, "a.mp4"), a_row(2, "a.mp4", 2))
    assert (tmp_path / "tracks.txt").read_text() == (
        "1,1,1.500,2.000,9.750,20.000,0.500,-1,-1,-1\n"
        "1,2,1.500,2.000,9.750,20.000,0.500,-1,-1,-1\n"
        "3,2,1.500,2.000,9.750,20.000,0.500,-1,-1,-1\n"
    )
    assert files(tmp_path) == ["tracks.txt"]


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    write(MotTracks(str(tmp_path / "tracks.txt")), a_row(4, "a.mp4", 7))
    rows = read_mot(str(tmp_path / "tracks.txt"))
    assert (rows.frames.tolist(), rows.track_ids.tolist()) == ([5], [7])
    assert rows.boxes_xyxy.tolist() == [[1.5, 2, 11.25, 22]]


def test_a_file_for_no_images_is_empty(tmp_path: Path) -> None:
    write(MotTracks(str(tmp_path / "tracks.txt")))
    assert (tmp_path / "tracks.txt").read_text() == ""


def test_a_folder_gets_a_file_for_each_stream(tmp_path: Path) -> None:
    sink = MotTracks(str(tmp_path / "tracks"))
    write(sink, a_row(0, "clips/a.mp4", 1), a_row(0, "clips/b.mp4"), a_row(1, "clips/a.mp4", 1))
    assert files(tmp_path) == ["tracks/a.txt", "tracks/b.txt"]
    assert len(read_mot(str(tmp_path / "tracks" / "a.txt"))) == 2
    assert (tmp_path / "tracks" / "b.txt").read_text() == ""


@pytest.mark.parametrize(
    ("source_ids", "names"),
    [
        (["a/det.txt", "b/det.txt"], ["a-det", "b-det"]),
        (["a/x/det.txt", "b/x/det.txt", "b/y/det.txt"], ["a-x-det", "b-x-det", "b-y-det"]),
        (["a.mp4", "a.avi"], ["0001", "0002"]),
        (["rtsp://camera.local/../live", "0"], ["0", "live"]),
        (["...", "b"], ["0001", "0002"]),
    ],
)
def test_files_are_named_by_what_tells_the_streams_apart(
    source_ids: list[str], names: list[str], tmp_path: Path
) -> None:
    write(MotTracks(str(tmp_path / "out")), *(a_row(0, source_id, 1) for source_id in source_ids))
    assert files(tmp_path / "out") == sorted(f"{name}.txt" for name in names)


def test_a_second_stream_does_not_go_into_one_file(tmp_path: Path) -> None:
    writer = MotTracks(str(tmp_path / "tracks.txt")).open_results(None)
    writer.append([a_row(0, "a.mp4")], ())
    with pytest.raises(OutputError, match=r"is for one stream; .* 'a.mp4' and 'b.mp4'; name a fo"):
        writer.append([a_row(0, "b.mp4")], ())
    writer.close()


def test_a_second_stream_is_noticed_over_a_restart(tmp_path: Path) -> None:
    sink = MotTracks(str(tmp_path / "tracks.txt"))
    writer = sink.open_results(None)
    writer.append([a_row(0, "a.mp4")], ())
    position = writer.position()
    writer.close()
    writer = sink.open_results(position)
    writer.append([a_row(0, "b.mp4")], ())
    writer.close()
    with pytest.raises(OutputError, match="is for one stream"):
        sink.commit(SUMMARY)
    assert not (tmp_path / "tracks.txt").exists()


def test_without_a_step_that_tracks_it_is_an_error_at_the_first_image(tmp_path: Path) -> None:
    writer = MotTracks(str(tmp_path / "tracks.txt")).open_results(None)
    row = {name: value for name, value in a_row().items() if name != "tracks"}
    with pytest.raises(OutputError, match=r"needs tracks, and a.mp4 has none; add a step Track"):
        writer.append([row], ())
    writer.close()


def test_a_folder_that_is_not_empty_is_refused_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "other.txt").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        MotTracks(str(tmp_path)).check()
    sink = MotTracks(str(tmp_path), overwrite=True)
    sink.check()
    write(sink, a_row(0, "a.mp4", 1))
    assert files(tmp_path) == ["a.txt", "other.txt"]
