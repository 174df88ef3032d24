"""Rows are read one by one, the same from each form, and what is none is told with its place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightflow import Csv, JsonLines, Parquet
from sightflow.errors import SourceError
from sightflow.records import Detections, Row, result_row, to_json, to_table
from sightflow.records.ledger import Ledger, Summary
from sightflow.storage.resultrows import rows_in
from sightflow.testing import a_record, an_origin

NEEDED = frozenset(("uri", "sequence"))
SUMMARY = Summary(Ledger(2, 2), 1.0, 0.5, 1.0, "inline", 1)
RESULT = {"uri": "a.jpg", "source_id": "s", "sequence": 0, "event_time_ms": 0}


def read(path: Path, *unread: str) -> list[Row]:
    return list(rows_in(str(path), needed=NEEDED, unread=frozenset(unread)))


def records() -> list[Row]:
    box = np.array([[1, 2, 30, 40]], np.float32)
    found = Detections(box, np.array([0.5], np.float32), np.array([2], np.int32), ("car",))
    return [
        result_row(a_record(origin=an_origin(uri=f"{name}.jpg", sequence=i), detections=found))
        for i, name in enumerate("ab")
    ]


@pytest.mark.parametrize("sink", [JsonLines, Parquet, Csv])
def test_results_of_every_form_have_the_same_rows(sink: Any, tmp_path: Path) -> None:
    path = tmp_path / f"r.{sink.ending}"
    writer = sink(str(path)).open_results(None)
    writer.append(records(), [])
    writer.position()
    writer.close()
    sink(str(path)).commit(SUMMARY)
    n_bytes = list[int]()
    rows = list(rows_in(str(path), needed=NEEDED, on_bytes=n_bytes.append))
    assert [(row["uri"], row["sequence"]) for row in rows] == [("a.jpg", 0), ("b.jpg", 1)]
    (car,) = rows[1]["detections"]
    assert (car["label"], car["class_id"], car["score"]) == ("car", 2, 0.5)
    assert car["box_xyxy"] == [1, 2, 30, 40]
    assert car.get("track_id") is None
    assert sum(n_bytes) == path.stat().st_size


def test_what_is_not_there_in_parquet_is_absent_as_in_json(tmp_path: Path) -> None:
    box = {"box_xyxy": [1.0, 2.0, 3.0, 4.0], "class_id": 9, "score": 0.5}
    light = {"label": "traffic light", **box, "state": {"label": "red", "score": 0.75}}
    rows = [
        {**RESULT, "width": 4, "height": 3, "detections": [light, {"label": "car", **box}]},
        {**RESULT, "width": 4, "height": 3, "detections": []},
        {**RESULT, "width": 4, "height": 3, "label": "gate", "metadata": {"camera": "north"}},
        {**RESULT, "width": 4, "height": 3, "detections": [{"label": "car", **box}]},
    ]
    pq.write_table(to_table(rows), tmp_path / "r.parquet")
    assert read(tmp_path / "r.parquet") == rows


def test_numbers_of_parquet_have_the_digits_that_json_has(tmp_path: Path) -> None:
    drawn = np.random.default_rng(0).integers(0, 1 << 32, 20_000, np.uint32).view(np.float32)
    scores = np.concatenate([drawn[np.isfinite(drawn)], np.float32([0.7, 0.1, 1, 1e-45, 1e10])])
    size = {"width": 4, "height": 3}
    numbers = [float(str(score)) for score in scores]
    rows = [{**RESULT, **size, "classification": [{"score": number}]} for number in numbers]
    pq.write_table(to_table(rows), tmp_path / "r.parquet")
    (tmp_path / "r.jsonl").write_bytes(b"\n".join(map(to_json, rows)))
    assert read(tmp_path / "r.parquet") == read(tmp_path / "r.jsonl")


def test_numbers_that_are_none_stay_as_they_are(tmp_path: Path) -> None:
    scores = pa.array([0.7, None, float("inf")], pa.float32())
    table = pa.table({"uri": ["a", "b", "c"], "sequence": [0, 1, 2], "score": scores})
    pq.write_table(table, tmp_path / "r.parquet")
    found = [row.get("score") for row in read(tmp_path / "r.parquet")]
    assert found == [0.7, None, float("inf")]


def test_fields_that_nobody_looks_at_are_left_out(tmp_path: Path) -> None:
    found = {"label": "car", "class_id": 2, "score": 0.5, "box_xyxy": [0.0, 0.0, 1.0, 1.0]}
    row = {**RESULT, "width": 4, "height": 3, "detections": [found]}
    pq.write_table(to_table([{**row, "metadata": {"camera": "gate"}}]), tmp_path / "r.parquet")
    del found["box_xyxy"]
    assert read(tmp_path / "r.parquet", "metadata", "box_xyxy") == [row]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", r"row 1 must be .*, with sequence, uri; it lacks sequence, uri, and has nothing"),
        ('{"uri": "a.jpg", "sequence": 0}\n{"uri": "b.jpg"}', "row 2 .* lacks sequence, and has u"),
        ('{"uri": "a.jpg", "sequence": 0}\n{"uri', "line 2 is no JSON"),
        ('{"uri": 7, "sequence": 0}', "row 1: `uri` must be text; got 7"),
        ("[]", r"line 1 must be an object; got \[\]$"),
    ],
)
def test_a_row_that_no_run_has_written_is_told_with_its_number(
    text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "r.jsonl").write_text(text)
    with pytest.raises(SourceError, match=rf"r\.jsonl: {message}"):
        read(tmp_path / "r.jsonl")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "must be a table of results, with the columns uri, .*; it has a, b"),
        ("", "must be a table of results, .*; it has none"),
        ("uri,source_id,sequence,event_time_ms\na.jpg,s,one,0\n", "line 2 must be of a table"),
    ],
)
def test_a_table_that_is_none_of_results_is_told(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(SourceError, match=rf"r\.csv: {message}"):
        read(tmp_path / "r.csv")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"r\.parquet: cannot be read: "):
        read(tmp_path / "r.parquet")
    with pytest.raises(SourceError, match=r"gone\.jsonl: no such file"):
        read(tmp_path / "gone.jsonl")
    with pytest.raises(SourceError, match=r"r\.txt: results end in .jsonl, .parquet, .csv"):
        read(tmp_path / "r.txt")


def test_rows_come_before_a_later_line_is_read(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(RESULT)}\nnonsense")
    assert next(rows_in(str(tmp_path / "r.jsonl"), needed=NEEDED)) == RESULT


def test_an_empty_line_is_passed_over(tmp_path: Path) -> None:
    row = {"uri": "a.jpg", "source_id": "s", "sequence": 0, "event_time_ms": 0}
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(row)}\n\n")
    assert list(rows_in(str(tmp_path / "r.jsonl"), needed=frozenset(row))) == [row]
