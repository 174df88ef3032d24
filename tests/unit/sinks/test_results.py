"""Results appear complete or not at all, and go on at the position of a checkpoint."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sightflow.errors import JobError, OutputExistsError
from sightflow.protocols import ResultSink
from sightflow.records import RESULT_SCHEMA
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.results import JsonLines, Parquet

Rows = Sequence[dict[str, Any]]

KINDS = pytest.mark.parametrize("kind", [JsonLines, Parquet])


def a_row(sequence: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"uri": f"{sequence}.jpg", "source_id": "photos", "sequence": sequence}
    return {**row, "event_time_ms": 0, "width": 4, "height": 3, **changes}


def a_rejected_row(uri: str = "broken.jpg") -> dict[str, Any]:
    return {"uri": uri, "step": "decode", "reason": "corrupt", "message": "cut short"}


def a_summary(**changes: int) -> Summary:
    ledger = Ledger(**{"read": 2, "recognised": 2, **changes})
    return Summary(
        ledger, seconds=4.0, first_result_s=0.5, last_result_s=3.5, runner="inline", workers=1
    )


def write(sink: ResultSink, rows: Rows, rejected: Rows = ()) -> None:
    writer = sink.open_results(None)
    writer.append(rows, rejected)
    writer.close()


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def hidden(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def test_each_result_is_one_line_of_json_in_order(tmp_path: Path) -> None:
    sink = JsonLines(str(tmp_path / "out.jsonl"))
    write(sink, [a_row(0), a_row(1)], [a_rejected_row("x.jpg")])
    sink.commit(a_summary())
    assert lines(tmp_path / "out.jsonl") == [a_row(0), a_row(1)]
    assert lines(tmp_path / "out.rejected.jsonl") == [a_rejected_row("x.jpg")]


@KINDS
def test_nothing_has_its_final_name_before_the_commit(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    write(sink, [a_row()])
    assert visible(tmp_path) == []
    sink.commit(a_summary())
    assert visible(tmp_path) == ["out.data", "out.rejected.jsonl", "out.summary.json"]
    assert hidden(tmp_path) == []


@KINDS
def test_what_appears_is_what_was_announced(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "deep/er/out.v1.data"))
    write(sink, [])
    sink.commit(a_summary())
    assert sorted(sink.outputs()) == sorted(str(p) for p in (tmp_path / "deep/er").iterdir())


@KINDS
def test_the_summary_lies_beside_the_results(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    write(sink, [a_row()])
    sink.commit(a_summary(read=3, rejected=1))
    assert json.loads((tmp_path / "out.summary.json").read_text()) == {
        "read": 3,
        "recognised": 2,
        "rejected": 1,
        "skipped": 0,
        "seconds": 4.0,
        "images_per_s": 0.75,
        "first_result_s": 0.5,
        "last_result_s": 3.5,
        "runner": "inline",
        "workers": 1,
    }


@KINDS
def test_a_name_that_is_taken_is_refused(tmp_path: Path, kind: Any) -> None:
    (tmp_path / "out.data").write_text("of an earlier run")
    with pytest.raises(OutputExistsError, match=r"out\.data: exists already; .* `overwrite"):
        kind(str(tmp_path / "out.data")).check()


@KINDS
@pytest.mark.parametrize("neighbour", ["out.rejected.jsonl", "out.summary.json"])
def test_a_neighbour_of_an_earlier_run_is_refused_too(
    tmp_path: Path, kind: Any, neighbour: str
) -> None:
    (tmp_path / neighbour).write_text("of an earlier run in another format")
    with pytest.raises(OutputExistsError, match=f"{neighbour}: exists already"):
        kind(str(tmp_path / "out.data")).check()


@KINDS
def test_a_folder_is_refused_as_the_name_of_a_file(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(OutputExistsError, match=str(tmp_path)):
        kind(str(tmp_path)).check()


@KINDS
def test_an_earlier_run_is_replaced_only_when_told_so_and_only_at_the_commit(
    tmp_path: Path, kind: Any
) -> None:
    (tmp_path / "out.data").write_text("of an earlier run")
    sink = kind(str(tmp_path / "out.data"), overwrite=True)
    sink.check()
    write(sink, [a_row()])
    assert (tmp_path / "out.data").read_text() == "of an earlier run"
    sink.commit(a_summary())
    assert (tmp_path / "out.data").read_bytes() != b"of an earlier run"


@KINDS
def test_discarding_leaves_nothing(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    write(sink, [a_row()], [a_rejected_row()])
    assert hidden(tmp_path)
    sink.discard()
    assert list(tmp_path.iterdir()) == []
    sink.discard()  # and may be done again


@KINDS
def test_discarding_after_the_commit_keeps_the_output(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    write(sink, [a_row()])
    sink.commit(a_summary())
    sink.discard()
    assert visible(tmp_path) == ["out.data", "out.rejected.jsonl", "out.summary.json"]


def test_a_position_is_the_length_of_both_files(tmp_path: Path) -> None:
    writer = JsonLines(str(tmp_path / "out.jsonl")).open_results(None)
    assert writer.position() == (0, 0)
    writer.append([{"a": 1}], [{"b": 22}])  # {"a":1} and a line end
    assert writer.position() == (8, 9)
    writer.close()


def test_all_up_to_a_position_is_on_the_disk(tmp_path: Path) -> None:
    writer = JsonLines(str(tmp_path / "out.jsonl")).open_results(None)
    writer.append([a_row()], [])
    length = writer.position()[0]
    (staged,) = [p for p in tmp_path.iterdir() if "rejected" not in p.name]
    assert staged.stat().st_size == length
    writer.close()


@KINDS
def test_what_came_after_a_position_is_cut_off(tmp_path: Path, kind: Any) -> None:
    sink, undisturbed = kind(str(tmp_path / "out.data")), kind(str(tmp_path / "all/out.data"))
    writer = sink.open_results(None)
    writer.append([a_row(0)], [a_rejected_row("a")])
    position = writer.position()
    writer.append([a_row(1)], [a_rejected_row("b")])
    writer.close()
    writer = sink.open_results(position)
    writer.append([a_row(2)], [a_rejected_row("c")])
    writer.close()
    write(undisturbed, [a_row(0), a_row(2)], [a_rejected_row("a"), a_rejected_row("c")])
    for each in (sink, undisturbed):
        each.commit(a_summary())
    for name in ("out.data", "out.rejected.jsonl"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


@KINDS
def test_starting_anew_forgets_what_was_staged(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    write(sink, [a_row(7)], [a_rejected_row()])
    writer = sink.open_results(None)
    assert writer.position() == (0, 0)
    writer.close()


@KINDS
def test_a_staged_file_that_is_too_short_cannot_go_on(tmp_path: Path, kind: Any) -> None:
    sink = kind(str(tmp_path / "out.data"))
    writer = sink.open_results(None)
    writer.append([{"a": 1}], [])
    writer.close()
    message = r"out\.data\.partial: has 8 bytes; the checkpoint needs 9; start the run anew"
    with pytest.raises(JobError, match=message):
        sink.open_results((9, 0))


def test_parquet_has_the_one_schema(tmp_path: Path) -> None:
    sink = Parquet(str(tmp_path / "out.parquet"))
    write(sink, [a_row()])
    sink.commit(a_summary())
    assert pq.read_schema(tmp_path / "out.parquet").equals(RESULT_SCHEMA)


def test_parquet_of_no_rows_has_the_schema_too(tmp_path: Path) -> None:
    sink = Parquet(str(tmp_path / "out.parquet"))
    write(sink, [])
    sink.commit(a_summary())
    table = pq.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, table.schema.equals(RESULT_SCHEMA)) == (0, True)


def without_absent(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_absent(v) for key, v in value.items() if v is not None}
    return [without_absent(v) for v in value] if isinstance(value, list) else value


def test_rows_of_parquet_equal_lines_of_json(tmp_path: Path) -> None:
    use = {"step": "find", "model": "m", "model_version": "1"}
    box = {"label": "cat", "class_id": 3, "score": 0.75, "box_xyxy": [0.5, 1.0, 2.0, 2.5]}
    rows = [
        a_row(0, **use, steps=[use, use], detections=[box, box]),
        a_row(1, classification=[{"label": "cat", "class_id": 3, "score": 0.25}]),
        a_row(2, scene=[{"label": "beach", "score": 0.5}], detections=[]),
        a_row(3, uri="new\nline-图.jpg"),
    ]
    for sink in (JsonLines(str(tmp_path / "j.jsonl")), Parquet(str(tmp_path / "p.parquet"))):
        write(sink, rows)
        sink.commit(a_summary())
    table = pq.read_table(tmp_path / "p.parquet").to_pylist()
    assert without_absent(table) == lines(tmp_path / "j.jsonl") == rows


def test_parquet_keeps_the_order_across_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightflow.sinks.results._ROWS_IN_GROUP", 2)
    sink = Parquet(str(tmp_path / "out.parquet"))
    write(sink, [a_row(n) for n in range(5)])
    sink.commit(a_summary())
    file = pq.ParquetFile(tmp_path / "out.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(3)] == [2, 2, 1]
    assert file.read()["sequence"].to_pylist() == [0, 1, 2, 3, 4]
    file.close()


def test_parquet_that_cannot_be_made_leaves_no_file(tmp_path: Path) -> None:
    sink = Parquet(str(tmp_path / "out.parquet"))
    write(sink, [a_row(width="wide")])
    with pytest.raises(Exception, match="wide"):
        sink.commit(a_summary())
    assert not (tmp_path / "out.parquet").exists()
    sink.discard()
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("kind", [JsonLines, Parquet])
def test_two_runs_cannot_write_one_file(tmp_path, kind):
    path = str(tmp_path / "out.data")
    first = kind(path).open_results(None)
    first.append([{"n": 1}], [])

    with pytest.raises(OutputExistsError, match="another run is writing it"):
        kind(path).open_results(None)
    kind(path).discard()

    assert first.position()[0] == len(b'{"n":1}\n')
    assert (tmp_path / ".out.data.partial").read_bytes() == b'{"n":1}\n'
    first.close()
