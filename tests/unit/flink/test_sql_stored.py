"""What a path holds is found out by what is in it, and made readable for Flink."""

import json

import orjson
import pyarrow.parquet as pq
import pytest

from sightflow.errors import SourceError
from sightflow.flink.sql.stored import Part, parts_of, readable
from sightflow.records.schema import to_table

RESULT = {
    "uri": "a.jpg",
    "source_id": "cam",
    "sequence": 0,
    "event_time_ms": 1,
    "width": 4,
    "height": 3,
}
EVENT = {"kind": "left", "step": "t", "source_id": "cam", "sequence": 0, "event_time_ms": 1}
REJECTED = {"uri": "b.jpg", "step": "decode", "reason": "corrupt", "message": "cut"}


def save(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("row", "kind"), [(RESULT, "results"), (EVENT, "events"), (REJECTED, "rejected")]
)
def test_the_first_row_says_what_a_file_holds(row, kind, tmp_path):
    path = save(tmp_path / "x.jsonl", row)

    assert list(parts_of(path, None)) == [Part(path, kind, (path,))]


def test_a_file_of_another_kind_than_asked_for_is_refused(tmp_path):
    path = save(tmp_path / "x.jsonl", RESULT)

    with pytest.raises(SourceError, match=r"x\.jsonl: must hold events of a run; got results"):
        list(parts_of(path, "events"))


def test_an_empty_file_holds_nothing_of_what_is_asked_for(tmp_path):
    path = save(tmp_path / "x.jsonl")

    assert [part.kind for part in parts_of(path, "events")] == ["events"]
    assert [part.kind for part in parts_of(path, None)] == ["results"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json\n", "must be JSON lines or Parquet; line 1"),
        ("[1]\n", "a line must be an object of JSON; line 1 is"),
        ('{"a": 1}\n', "must hold results, events or rejected images of a run; got rows with a"),
    ],
)
def test_what_no_run_has_written_is_refused(content, message, tmp_path):
    (tmp_path / "x.jsonl").write_text(content)

    with pytest.raises(SourceError, match=message):
        list(parts_of(str(tmp_path / "x.jsonl"), None))


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.jsonl: no such file or folder"):
        list(parts_of(str(tmp_path / "gone.jsonl"), None))


def test_a_folder_of_a_dataset_has_its_kinds(tmp_path):
    for kind, row in (("results", RESULT), ("events", EVENT)):
        save(tmp_path / kind / "part-00000000.jsonl", row)
    (tmp_path / "summary.json").write_text("{}")

    parts = list(parts_of(str(tmp_path), None))

    assert [(part.kind, len(part.files)) for part in parts] == [("results", 1), ("events", 1)]


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"")

    with pytest.raises(SourceError, match=r"must be a file, or a folder of the sink Dataset"):
        list(parts_of(str(tmp_path), None))


def test_parquet_becomes_lines_of_json_whose_maps_are_objects(tmp_path):
    path = tmp_path / "r.parquet"
    row = {**RESULT, "metadata": {"gate": "2"}, "detections": [{"label": "cat", "score": 0.5}]}
    pq.write_table(to_table([row]), path)
    (tmp_path / "there").mkdir()
    (part,) = parts_of(str(path), None)

    (lines,) = readable(part, tmp_path / "there").iterdir()

    (got,) = [json.loads(line) for line in lines.read_text().splitlines()]
    assert got["metadata"] == {"gate": "2"}
    assert got["detections"][0]["label"] == "cat"
    assert "faces" not in got


@pytest.mark.parametrize("name", ["März 'a' #1%20.jsonl", ".hidden.jsonl", "_r.jsonl"])
def test_a_file_of_any_name_is_read_by_a_plain_one(name, tmp_path):
    path = save(tmp_path / name, RESULT)
    (tmp_path / "there").mkdir()
    (part,) = parts_of(path, None)

    (link,) = readable(part, tmp_path / "there").iterdir()

    assert link.name == "part-00000000.jsonl"
    assert json.loads(link.read_text())["uri"] == "a.jpg"


def test_a_folder_of_parquet_cannot_be_followed(tmp_path):
    (tmp_path / "results").mkdir()
    pq.write_table(to_table([RESULT]), tmp_path / "results" / "part-00000000.parquet")
    (part,) = parts_of(str(tmp_path), "results", follow=True)

    with pytest.raises(SourceError, match=r"write it with Dataset\(format='jsonl'\)"):
        readable(part, tmp_path, follow=True)
