"""A folder of results that grows by parts."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import fsspec
import pyarrow.dataset as ds
import pytest

from sightflow.errors import JobError, OutputExistsError, PipelineError
from sightflow.records import Row
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.dataset import Dataset

SUMMARY = Summary(Ledger(read=2, recognised=2), 1.0, 0.5, 0.9, runner="inline", workers=1)


@pytest.fixture
def opened() -> Iterator[Any]:
    """Return what opens a sink; its writer is closed with the test, if not before."""
    with ExitStack() as stack:

        def opened(sink: Dataset, position: tuple[int, ...] | None = None) -> Any:
            return stack.enter_context(closing(sink.open_results(position)))

        yield opened


def a_row(number: int) -> Row:
    return {
        "uri": f"{number}.jpg",
        "source_id": "gate",
        "sequence": number,
        "event_time_ms": 40 * number,
        "width": 64,
        "height": 48,
    }


def an_event(number: int) -> Row:
    place = {"source_id": "gate", "sequence": number, "event_time_ms": 40 * number}
    return {"kind": "entered", "step": "zone", **place}


def files_in(folder: Path) -> list[str]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".parts.lock")
    return sorted(str(p.relative_to(folder)) for p in files)


def test_parts_of_parquet_are_one_dataset(tmp_path, opened):
    writer = opened(Dataset(str(tmp_path)))
    for number in range(3):
        writer.append([a_row(number)], [])
        writer.publish(writer.position())
    found = ds.dataset(tmp_path / "results").to_table()
    assert found["uri"].to_pylist() == ["0.jpg", "1.jpg", "2.jpg"]
    assert found["classification"].null_count == 3


def test_a_folder_with_a_part_that_waits_is_a_dataset_without_it(tmp_path, opened):
    writer = opened(Dataset(str(tmp_path)))
    writer.append([a_row(0)], [])
    writer.publish(writer.position())
    writer.append([a_row(1)], [])
    writer.position()
    assert files_in(tmp_path) == [
        ".parts/results/part-00000001.parquet",
        "results/part-00000000.parquet",
    ]
    assert ds.dataset(tmp_path, format="parquet").to_table()["uri"].to_pylist() == ["0.jpg"]


def test_results_rejected_images_and_events_have_parts_of_the_same_number(tmp_path, opened):
    writer = opened(Dataset(str(tmp_path), format="jsonl"))
    gone = {"uri": "gone.jpg", "step": "decode", "reason": "empty", "message": "no bytes"}
    writer.append([a_row(0)], [gone])
    writer.position()
    writer.append([], [], [an_event(1)])
    writer.publish(writer.position())
    assert files_in(tmp_path) == [
        "events/part-00000001.jsonl",
        "rejected/part-00000000.jsonl",
        "results/part-00000000.jsonl",
    ]
    assert json.loads((tmp_path / "rejected" / "part-00000000.jsonl").read_text()) == gone


def test_a_long_part_is_closed_between_checkpoints(tmp_path, opened):
    sink = Dataset(str(tmp_path), format="jsonl", max_rows=2)
    writer = opened(sink)
    for number in range(5):
        writer.append([a_row(number)], [])
    assert writer.position() == (3,)
    writer.close()
    sink.commit(SUMMARY)
    lines = [(tmp_path / name).read_text().count("\n") for name in files_in(tmp_path)[:3]]
    assert lines == [2, 2, 1]


def test_nothing_new_makes_no_part(tmp_path, opened):
    writer = opened(Dataset(str(tmp_path)))
    assert writer.position() == writer.position() == (0,)
    assert files_in(tmp_path) == []


def test_the_summary_lies_beside_the_parts_at_the_end(tmp_path, opened):
    sink = Dataset(str(tmp_path))
    writer = opened(sink)
    writer.append([a_row(0)], [])
    writer.position()
    sink.commit(SUMMARY)
    assert files_in(tmp_path) == ["results/part-00000000.parquet", "summary.json"]
    assert json.loads((tmp_path / "summary.json").read_text())["read"] == 2


def test_a_folder_that_holds_something_is_refused_and_parts_are_replaced_when_asked(
    tmp_path, opened
):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "part-00000007.parquet").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(OutputExistsError, match="exists already"):
        Dataset(str(tmp_path)).check()
    sink = Dataset(str(tmp_path), overwrite=True)
    sink.check()
    opened(sink).close()
    assert files_in(tmp_path) == ["notes.txt"]


def test_parts_of_a_later_state_are_not_written_again(tmp_path, opened):
    sink = Dataset(str(tmp_path))
    writer = opened(sink)
    for number in range(2):
        writer.append([a_row(number)], [])
        writer.publish(writer.position())
    writer.close()
    with pytest.raises(JobError, match="part 1 is there, and the checkpoint goes on with part 1"):
        opened(sink, (1,))


def test_an_object_store_has_parts_as_well(opened):
    sink = Dataset("memory://bucket/results", format="jsonl")
    store = fsspec.filesystem("memory")
    sink.check()
    writer = opened(sink)
    writer.append([a_row(0)], [])
    position = writer.position()
    assert not store.exists("/bucket/results/results")
    writer.append([a_row(1)], [])
    writer.position()
    writer.close()

    writer = opened(sink, position)
    assert store.ls("/bucket/results/results", detail=False) == [
        "/bucket/results/results/part-00000000.jsonl"
    ]
    sink.discard()
    assert store.find("/bucket") == ["/bucket/results/results/part-00000000.jsonl"]
    with pytest.raises(OutputExistsError, match="exists already"):
        sink.check()


def test_a_format_that_is_none_is_refused():
    with pytest.raises(PipelineError, match="parquet"):
        Dataset("x", format="csv")  # type: ignore[arg-type]


def test_what_a_killed_writer_left_of_a_part_does_not_stop_the_next(tmp_path, opened):
    writer = opened(Dataset(str(tmp_path), format="jsonl"))
    writer.append([a_row(0)], [])
    position = writer.position()
    (tmp_path / ".parts" / "results" / ".part-00000001.jsonl.1f2e3d4c.partial").write_text("{")
    writer.close()
    Dataset(str(tmp_path), format="jsonl").open_results(position).close()
    assert files_in(tmp_path) == ["results/part-00000000.jsonl"]


def test_what_a_killed_writer_left_is_no_hindrance_and_goes(tmp_path, opened):
    sink = Dataset(str(tmp_path))
    killed = opened(sink)
    killed.append([a_row(0)], [])
    killed.position()
    killed.close()
    (tmp_path / ".parts" / "results" / ".part-00000001.parquet.1234.partial").touch()
    sink.check()
    opened(sink).close()
    assert files_in(tmp_path) == []


def test_parts_of_another_run_stay_where_a_run_begins_anew(tmp_path, opened):
    sink = Dataset(str(tmp_path))
    with_results = opened(sink)
    with_results.append([a_row(0)], [])
    with_results.publish(with_results.position())
    with_results.close()
    with pytest.raises(OutputExistsError, match="parts of another run are there"):
        opened(sink)
    assert files_in(tmp_path) == ["results/part-00000000.parquet"]


def test_two_writers_do_not_share_a_folder(tmp_path, opened):
    sink = Dataset(str(tmp_path))
    writer = opened(sink)
    writer.append([a_row(0)], [])
    position = writer.position()
    with pytest.raises(OutputExistsError, match="another run is writing into it"):
        opened(sink)
    sink.discard()
    writer.publish(position)
    assert files_in(tmp_path) == ["results/part-00000000.parquet"], "what waited is not discarded"
