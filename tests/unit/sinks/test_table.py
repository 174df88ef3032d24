"""Findings are lines of a table."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.records import (
    Classification,
    Detections,
    Faces,
    ImageRecord,
    Measures,
    ObjectClasses,
    Tracks,
    result_row,
)
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.table import Csv
from sightflow.testing import a_record, an_origin

SUMMARY = Summary(Ledger(read=2, recognised=2), 1.0, 0.5, 0.9, runner="inline", workers=1)


def written(sink: Csv, *records: ImageRecord) -> list[list[str]]:
    writer = sink.open_results(None)
    writer.append([result_row(record) for record in records], [])
    writer.close()
    sink.commit(SUMMARY)
    with open(sink.path, newline="") as file:
        return list(csv.reader(file))


def test_each_class_of_an_image_has_a_line(tmp_path: Path) -> None:
    scores = np.array([0.75, 0.1], np.float32)
    found = Classification(("cat", "a, dog"), np.array([3, 7], np.int32), scores)
    first = a_record(origin=an_origin(sequence=4, event_time_ms=40), classification=found)
    assert written(Csv(str(tmp_path / "t.csv")), first, a_record()) == [
        ["uri", "source_id", "sequence", "event_time_ms", "label", "class_id", "score"],
        ["photos/a.jpg", "photos", "4", "40", "cat", "3", "0.75"],
        ["photos/a.jpg", "photos", "4", "40", "a, dog", "7", "0.1"],
    ]


def test_what_came_with_the_images_has_a_column_for_each_name(tmp_path: Path) -> None:
    one = Classification(("cat",), np.array([3], np.int32), np.ones(1, np.float32))
    origins = [an_origin(metadata=pairs) for pairs in ((("site", "north"),), (("gate", "3"),), ())]
    records = [a_record(origin=origin, classification=one) for origin in origins]
    heading, *lines = written(Csv(str(tmp_path / "t.csv")), *records)
    assert heading[3:7] == ["event_time_ms", "metadata.gate", "metadata.site", "label"]
    assert [line[4:7] for line in lines] == [
        ["", "north", "cat"],
        ["3", "", "cat"],
        ["", "", "cat"],
    ]


def test_a_box_has_four_columns(tmp_path: Path) -> None:
    box = np.array([[1, 2, 3.5, 4]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), ("cat",))
    heading, line = written(
        Csv(str(tmp_path / "t.csv"), of="detections"), a_record(detections=found)
    )
    assert heading[4:11] == ["label", "class_id", "score", "x1", "y1", "x2", "y2"]
    assert line[4:11] == ["cat", "0", "1.0", "1.0", "2.0", "3.5", "4.0"]


def test_the_classes_of_an_object_have_a_column_for_each_part(tmp_path: Path) -> None:
    box, one = np.array([[1, 2, 3.5, 4]] * 2, np.float32), np.ones(2, np.float32)
    states = ObjectClasses(("red", None), (0, None), np.array([0.5, 0], np.float32))
    found = Detections(box, one, np.zeros(2, np.int32), ("light", "sign"), (3, None), states)
    heading, light, sign = written(
        Csv(str(tmp_path / "t.csv"), of="detections"), a_record(detections=found)
    )
    assert heading[11:] == [
        *("track_id", "state_label", "state_score"),
        *("sign_label", "sign_class_id", "sign_score"),
    ]
    assert light[11:] == ["3", "red", "0.5", "", "", ""]
    assert sign[11:] == [""] * 6


FACE = ["score", "x1", "y1", "x2", "y2", "person_id", "similarity", "track_id"]


def two_faces(**columns: Any) -> Faces:
    boxes = np.array([[1, 2, 3.5, 4], [5, 6, 7, 8]], np.float32)
    scores = np.array([0.9, 0.75], np.float32)
    return Faces(boxes, scores, np.zeros((2, 5, 2), np.float32), **columns)


def test_a_face_has_a_line_without_landmarks_and_embedding(tmp_path: Path) -> None:
    found = two_faces(
        embeddings=np.eye(2, 3, dtype=np.float32),
        person_ids=("Ada", "Bob, the other"),
        similarities=np.array([0.75, 0.5], np.float32),
        track_ids=(3, 4),
    )
    heading, *lines = written(Csv(str(tmp_path / "t.csv")), a_record(faces=found))
    assert heading[4:] == FACE
    assert [line[4:] for line in lines] == [
        ["0.9", "1.0", "2.0", "3.5", "4.0", "Ada", "0.75", "3"],
        ["0.75", "5.0", "6.0", "7.0", "8.0", "Bob, the other", "0.5", "4"],
    ]


def test_what_no_step_has_filled_and_who_is_unknown_is_an_empty_cell(tmp_path: Path) -> None:
    """Of the first image nobody has looked up who it is; the second shows one who is unknown."""
    similarities = np.array([0.25, 0.5], np.float32)
    known = two_faces(person_ids=(None, "Ada"), similarities=similarities, track_ids=(None, 7))
    images = a_record(faces=two_faces()), a_record(faces=known)
    heading, *lines = written(Csv(str(tmp_path / "t.csv"), of="faces"), *images)
    assert heading[4:] == FACE
    assert [line[9:] for line in lines] == [
        ["", "", ""],
        ["", "", ""],
        ["", "0.25", ""],
        ["Ada", "0.5", "7"],
    ]


def test_faces_come_before_the_tracks_that_they_have(tmp_path: Path) -> None:
    found = two_faces(track_ids=(3, None))
    tracks = Tracks(
        np.array([3], np.int64),
        found.boxes_xyxy[:1],
        found.scores[:1],
        np.zeros(1, np.int32),
        ("face",),
        np.array([[1.5, -2]], np.float32),
        np.array([40], np.int64),
        np.array([2], np.int32),
    )
    record = a_record(faces=found, tracks=tracks)
    heading, *lines = written(Csv(str(tmp_path / "faces.csv")), record)
    assert (heading[4:], len(lines)) == (FACE, 2)
    heading, line = written(Csv(str(tmp_path / "tracks.csv"), of="tracks"), record)
    assert dict(zip(heading[4:], line[4:], strict=True)) == {
        "track_id": "3",
        "label": "face",
        "class_id": "0",
        "score": "0.9",
        "x1": "1.0",
        "y1": "2.0",
        "x2": "3.5",
        "y2": "4.0",
        "velocity_x": "1.5",
        "velocity_y": "-2.0",
        "age_ms": "40",
        "n_hits": "2",
    }


def test_images_without_faces_have_no_line(tmp_path: Path) -> None:
    nobody = a_record(faces=two_faces().take([]))
    (heading,) = written(Csv(str(tmp_path / "t.csv")), nobody, a_record())
    assert heading[4:] == FACE


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"Csv: `of` is one of faces, tracks, .*; got 'poses'"):
        Csv(str(tmp_path / "t.csv"), of="poses").check()  # type: ignore[arg-type]


def test_without_results_there_is_a_heading(tmp_path: Path) -> None:
    (heading,) = written(Csv(str(tmp_path / "t.csv"), of="measures"))
    assert heading[4:] == ["name", "value"]


def test_the_field_is_looked_for_in_all_results(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("sightflow.sinks.results._ROWS_IN_GROUP", 2)
    measured = a_record(measures=Measures(("height_m",), np.array([1.5], np.float32)))
    heading, line = written(Csv(str(tmp_path / "t.csv")), a_record(), a_record(), measured)
    assert (heading[4:], line[4:]) == (["name", "value"], ["height_m", "1.5"])


def test_a_table_is_utf_8(tmp_path: Path) -> None:
    found = Classification(("\u732b",), np.zeros(1, np.int32), np.ones(1, np.float32))
    written(Csv(str(tmp_path / "t.csv")), a_record(classification=found))
    assert "\u732b" in (tmp_path / "t.csv").read_bytes().decode("utf-8")
