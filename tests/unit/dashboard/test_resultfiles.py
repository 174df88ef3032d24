"""Files of one run are found, and their rows read one by one in whatever form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from sightflow import Csv, JsonLines, Parquet
from sightflow.dashboard.resultfiles import RunFiles, find_run, summary_of
from sightflow.dashboard.rowfiles import feed
from sightflow.errors import SourceError
from sightflow.records import Detections, Row, result_row, to_table
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.dataset import Dataset
from sightflow.testing import a_record, an_origin

NEEDED = frozenset(("uri", "sequence"))
SUMMARY = Summary(Ledger(2, 2), 1.0, 0.5, 1.0, "inline", 1)


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def read(paths: Sequence[Path]) -> tuple[list[Row], int]:
    rows, n_bytes = list[Row](), list[int]()
    feed(paths, rows.append, needed=NEEDED, on_bytes=n_bytes.append)
    return rows, sum(n_bytes)


RESULT = {"uri": "a.jpg", "source_id": "s", "sequence": 0, "event_time_ms": 0}
EVENT = {"kind": "appeared", "step": "track", **RESULT}


def names(files: RunFiles) -> dict[str, list[str]]:
    kinds = ("results", "rejected", "events")
    return {kind: [path.name for path in getattr(files, kind)] for kind in kinds}


def test_what_lies_beside_results_belongs_to_them(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", RESULT)
    write(tmp_path / "r.rejected.jsonl")
    write(tmp_path / "events.jsonl", EVENT)
    (tmp_path / "r.summary.json").write_text('{"read": 3}')
    write(tmp_path / "other.rejected.jsonl")
    files = find_run(results)
    assert names(files) == {
        "results": ["r.jsonl"], "rejected": ["r.rejected.jsonl"], "events": ["events.jsonl"],
    }  # fmt: skip
    assert (files.name, summary_of(files)) == ("r.jsonl", {"read": 3})
    write(tmp_path / "r.events.jsonl", EVENT)
    assert names(find_run(results))["events"] == ["r.events.jsonl"]
    assert names(find_run(results, write(tmp_path / "mine")))["events"] == ["mine"]


def test_a_folder_with_one_file_of_results_is_that_run(tmp_path: Path) -> None:
    write(tmp_path / "r.jsonl", RESULT)
    write(tmp_path / "r.rejected.jsonl")
    write(tmp_path / "events.jsonl", EVENT)
    assert names(find_run(tmp_path))["results"] == ["r.jsonl"]
    assert names(find_run(tmp_path))["events"] == ["events.jsonl"]


def test_the_folder_of_a_training_has_events_alone(tmp_path: Path) -> None:
    events = write(tmp_path / "t" / "events.jsonl", {**EVENT, "kind": "trained"})
    write(tmp_path / "t" / "rejected.jsonl")
    expected = {"results": [], "rejected": ["rejected.jsonl"], "events": ["events.jsonl"]}
    assert names(find_run(tmp_path / "t")) == expected
    assert find_run(tmp_path / "t").name == "t"
    assert names(find_run(events)) == expected


def test_a_folder_with_several_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"must have a file of results .* it has none"):
        find_run(tmp_path)
    write(tmp_path / "a.jsonl", RESULT)
    write(tmp_path / "b.csv")
    with pytest.raises(
        SourceError, match=r"several files of results; name one of a\.jsonl, b\.csv"
    ):
        find_run(tmp_path)


def test_a_file_that_ends_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"results end in \.jsonl, \.parquet, \.csv; got '\.txt'"):
        find_run(write(tmp_path / "a.txt"))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.jsonl: no such file or folder"):
        find_run(tmp_path / "gone.jsonl")
    with pytest.raises(SourceError, match=r"gone\.jsonl: no such file or folder"):
        find_run(write(tmp_path / "r.jsonl"), tmp_path / "gone.jsonl")


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
    files = find_run(path)
    rows, n_bytes = read(files.results)
    assert [(row["uri"], row["sequence"]) for row in rows] == [("a.jpg", 0), ("b.jpg", 1)]
    (car,) = rows[1]["detections"]
    assert (car["label"], car["class_id"], car["score"]) == ("car", 2, 0.5)
    assert car["box_xyxy"] == [1, 2, 30, 40]
    assert car.get("track_id") is None
    assert n_bytes == path.stat().st_size
    assert summary_of(files)["recognised"] == 2


def test_what_is_not_there_in_parquet_is_absent_as_in_json(tmp_path: Path) -> None:
    box = {"box_xyxy": [1.0, 2.0, 3.0, 4.0], "class_id": 9, "score": 0.5}
    light = {"label": "traffic light", **box, "state": {"label": "red", "score": 0.75}}
    rows = [
        {**RESULT, "width": 4, "height": 3, "detections": [light, {"label": "car", **box}]},
        {**RESULT, "width": 4, "height": 3, "detections": []},
        {**RESULT, "width": 4, "height": 3, "label": "gate"},
        {**RESULT, "width": 4, "height": 3, "detections": [{"label": "car", **box}]},
    ]
    pq.write_table(to_table(rows), tmp_path / "r.parquet")
    assert read([tmp_path / "r.parquet"])[0] == rows


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_parts_of_a_dataset_are_read_in_their_order(form: Any, tmp_path: Path) -> None:
    sink = Dataset(str(tmp_path / "out"), format=form, max_rows=1)
    writer = sink.open_results(None)
    for row in records():
        writer.append([row], [])
    writer.position()
    writer.close()
    sink.commit(SUMMARY)
    files = find_run(tmp_path / "out")
    rows, _ = read(files.results)
    assert (files.name, len(files.results)) == ("out", 2)
    assert [row["uri"] for row in rows] == ["a.jpg", "b.jpg"]
    assert summary_of(files)["read"] == 2


def test_a_row_that_no_run_has_written_is_told_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", RESULT, {"uri": "b.jpg"})
    with pytest.raises(SourceError, match=r"r\.jsonl: must be .*; row 2: ValueError: it lacks seq"):
        read([path])
    path.write_text("nonsense")
    with pytest.raises(SourceError, match=r"r\.jsonl: must be what a run has written; row 1"):
        read([path])
    (tmp_path / "r.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match="a table of results is needed; it has the columns a, b"):
        read([tmp_path / "r.csv"])
    (tmp_path / "r.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"r\.parquet: must be what a run has written"):
        read([tmp_path / "r.parquet"])


def test_a_row_that_cannot_be_taken_is_told_with_its_number(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", RESULT)
    with pytest.raises(SourceError, match=r"row 1: KeyError: 'score'"):
        feed([path], lambda row: row["score"], needed=NEEDED, on_bytes=lambda n: None)


def test_a_summary_that_is_none_is_named(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", RESULT)
    (tmp_path / "r.summary.json").write_text("nonsense")
    with pytest.raises(SourceError, match=r"r\.summary\.json: is no summary of a run"):
        summary_of(find_run(results))
