"""Findings are lines of a table."""

import csv
from pathlib import Path

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.records import Classification, Detections, ImageRecord, Measures, result_row
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


def test_a_box_has_four_columns(tmp_path: Path) -> None:
    box = np.array([[1, 2, 3.5, 4]], np.float32)
    found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), ("cat",))
    heading, line = written(
        Csv(str(tmp_path / "t.csv"), of="detections"), a_record(detections=found)
    )
    assert heading[4:] == ["label", "class_id", "score", "x1", "y1", "x2", "y2"]
    assert line[4:] == ["cat", "0", "1.0", "1.0", "2.0", "3.5", "4.0"]


def test_a_field_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"Csv: `of` is one of tracks, .*; got 'faces'"):
        Csv(str(tmp_path / "t.csv"), of="faces").check()  # type: ignore[arg-type]


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
