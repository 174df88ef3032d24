"""Files of one run are found, and read again as they were written, whatever the form."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sightflow.errors import SourceError
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.storage.resultfiles import (
    RunFiles,
    find_run,
    read_rejected,
    read_results,
    summary_of,
)

Row = dict[str, Any]
Write = Callable[[Path], str]

SUMMARY = Summary(Ledger(3, 2, 1), 2.0, 0.5, 1.5, "inline", 1)


def a_row(number: int, **found: Any) -> Row:
    place = {"uri": f"{number}.jpg", "source_id": "photos", "sequence": number}
    return {**place, "event_time_ms": 0, "width": 4, "height": 3, **found}


ROWS = [
    a_row(0, metadata={"camera": "gate"}, detections=[]),
    a_row(
        1,
        label="car",
        detections=[
            {"label": "car", "class_id": 2, "score": 0.7, "box_xyxy": [1.1, 2.0, 3.0, 4.0]}
        ],
    ),
]
REJECTED = [{"uri": "bad.jpg", "step": "read", "reason": "empty", "message": "no bytes"}]
EVENT = {"kind": "appeared", "step": "track", **a_row(0)}


def as_lines(*rows: Row) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def write(path: Path, *rows: Row) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_lines(*rows))
    return str(path)


def names(files: RunFiles) -> dict[str, list[str]]:
    kinds = ("results", "rejected", "events")
    return {kind: [Path(path).name for path in getattr(files, kind)] for kind in kinds}


def test_what_lies_beside_results_belongs_to_them(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", a_row(0))
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
    write(tmp_path / "r.jsonl", a_row(0))
    write(tmp_path / "r.rejected.jsonl")
    write(tmp_path / "events.jsonl", EVENT)
    assert names(find_run(str(tmp_path)))["results"] == ["r.jsonl"]
    assert names(find_run(str(tmp_path)))["events"] == ["events.jsonl"]


def test_the_folder_of_a_training_has_events_alone(tmp_path: Path) -> None:
    events = write(tmp_path / "t" / "events.jsonl", {**EVENT, "kind": "trained"})
    write(tmp_path / "t" / "rejected.jsonl")
    folder = str(tmp_path / "t")
    expected = {"results": [], "rejected": ["rejected.jsonl"], "events": ["events.jsonl"]}
    assert names(find_run(folder)) == expected
    assert find_run(f"{folder}/").name == "t"
    assert names(find_run(events)) == expected
    with pytest.raises(SourceError, match=r"t: no results: they are a \.jsonl or \.parquet file"):
        list(read_results(folder))


def test_a_folder_with_several_or_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"must have a file of results .* it has none"):
        find_run(str(tmp_path))
    write(tmp_path / "a.jsonl", a_row(0))
    write(tmp_path / "b.csv")
    with pytest.raises(
        SourceError, match=r"several files of results; name one of a\.jsonl, b\.csv"
    ):
        find_run(str(tmp_path))


def test_a_file_that_ends_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"results end in \.jsonl, \.parquet, \.csv; got '\.txt'"):
        find_run(write(tmp_path / "a.txt"))


@pytest.mark.parametrize("name", ["gone.jsonl", "gone"])
def test_what_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    gone = str(tmp_path / name)
    with pytest.raises(SourceError, match=rf"{name}: no such file or folder"):
        find_run(gone)
    with pytest.raises(SourceError, match=rf"{name}: no such file or folder"):
        find_run(write(tmp_path / "r.jsonl"), gone)
    with pytest.raises(SourceError, match=rf"{name}: no such file or folder"):
        list(read_results(gone))


def written(sink: Any, path: Path) -> str:
    writer = sink.open_results(None)
    writer.append(ROWS[:1], [])
    writer.position()  # of a Dataset a part ends here
    writer.append(ROWS[1:], REJECTED)
    writer.position()
    writer.close()
    sink.commit(SUMMARY)
    return str(path)


FORMS: dict[str, Write] = {
    "jsonl": lambda folder: written(JsonLines(str(folder / "r.jsonl")), folder / "r.jsonl"),
    "parquet": lambda folder: written(Parquet(str(folder / "r.parquet")), folder / "r.parquet"),
    "parts": lambda folder: written(Dataset(str(folder / "out")), folder / "out"),
    "lines": lambda folder: written(Dataset(str(folder / "o"), format="jsonl"), folder / "o"),
}

EACH_FORM = pytest.mark.parametrize("form", FORMS)


@EACH_FORM
def test_rows_rejected_images_and_the_summary_come_back(form: str, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path)
    assert list(read_results(path)) == ROWS
    assert list(read_rejected(path)) == REJECTED
    assert summary_of(find_run(path))["images_per_s"] == 1.5


@EACH_FORM
def test_what_lies_beside_results_need_not_be_there(form: str, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path)
    for file in [*tmp_path.rglob("*rejected*"), *tmp_path.rglob("*summary.json")]:
        if file.is_dir():
            file.rename(file.with_name("elsewhere"))
        else:
            file.unlink()
    assert list(read_rejected(path)) == []
    assert summary_of(find_run(path)) == {}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_parts_of_a_dataset_are_read_in_their_order(form: Any, tmp_path: Path) -> None:
    written(Dataset(str(tmp_path / "out"), format=form, max_rows=1), tmp_path / "out")
    files = find_run(str(tmp_path / "out"))
    assert (files.name, names(files)["results"]) == (
        "out", [f"part-00000000.{form}", f"part-00000001.{form}"],
    )  # fmt: skip
    assert [row["uri"] for row in read_results(str(tmp_path / "out"))] == ["0.jpg", "1.jpg"]
    everything = [*(tmp_path / "out").glob("*/part-*")]
    assert files.n_bytes() == sum(path.stat().st_size for path in everything)


@pytest.fixture
def store() -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    store.pipe_file("/night/r.jsonl", as_lines(a_row(0)).encode())
    store.pipe_file("/night/r.rejected.jsonl", as_lines(*REJECTED).encode())
    store.pipe_file("/night/r.summary.json", b'{"read": 2}')
    yield store
    store.rm("/night", recursive=True)


@pytest.mark.parametrize("path", ["memory://night/r.jsonl", "memory://night/"])
def test_a_run_in_an_object_store_is_found_and_read(path: str, store: Any) -> None:
    files = find_run(path)
    expected = {"results": ["r.jsonl"], "rejected": ["r.rejected.jsonl"], "events": []}
    assert names(files) == expected
    assert summary_of(files) == {"read": 2}
    assert files.n_bytes() == store.size("/night/r.jsonl") + store.size("/night/r.rejected.jsonl")
    assert list(read_results(path)) == [a_row(0)]
    assert list(read_rejected(path)) == REJECTED


def test_a_dataset_in_an_object_store_is_read() -> None:
    path = written(Dataset("memory://day"), Path("day"))
    assert list(read_results(f"memory://{path}")) == ROWS
    assert list(read_rejected(f"memory://{path}")) == REJECTED
    fsspec.filesystem("memory").rm("/day", recursive=True)


def test_a_store_that_is_not_known_is_named() -> None:
    with pytest.raises(SourceError, match=r"nosuch://r\.jsonl: cannot be read: .*nosuch"):
        find_run("nosuch://r.jsonl")


def test_a_table_of_findings_lacks_images_and_is_no_full_result(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"r\.csv: must have a row for each image"):
        list(read_results(write(tmp_path / "r.csv")))


def test_a_summary_that_is_none_is_named(tmp_path: Path) -> None:
    results = write(tmp_path / "r.jsonl", a_row(0))
    (tmp_path / "r.summary.json").write_text("nonsense")
    with pytest.raises(
        SourceError, match=r"r\.summary\.json: must be the summary .* cannot be read as JSON"
    ):
        summary_of(find_run(results))


def test_of_a_folder_with_many_files_the_number_of_the_others_is_told(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path / f"{number}.jsonl", a_row(0))
    with pytest.raises(SourceError, match=r"name one of 0\.jsonl, .*, 7\.jsonl and 2 more$"):
        find_run(str(tmp_path))
