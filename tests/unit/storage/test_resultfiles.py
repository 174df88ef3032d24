"""Results of an earlier run are read again as they were written, whatever the form."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import pytest

from sightflow.errors import SourceError
from sightflow.records.ledger import Ledger, Summary
from sightflow.sinks.dataset import Dataset
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.storage.resultfiles import read_rejected, read_results, read_summary

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
    assert read_summary(path)["images_per_s"] == 1.5


@EACH_FORM
def test_what_lies_beside_results_need_not_be_there(form: str, tmp_path: Path) -> None:
    path = FORMS[form](tmp_path)
    for file in [*tmp_path.rglob("*rejected*"), *tmp_path.rglob("*summary.json")]:
        if file.is_dir():
            file.rename(file.with_name("elsewhere"))
        else:
            file.unlink()
    assert list(read_rejected(path)) == []
    assert read_summary(path) == {}


def test_results_in_an_object_store_are_read() -> None:
    store = fsspec.filesystem("memory")
    store.pipe_file("/night/r.jsonl", b'{"uri": "a.jpg", "sequence": 0}\n')
    store.pipe_file("/night/r.rejected.jsonl", b'{"uri": "b.jpg"}\n')
    assert [row["uri"] for row in read_results("memory://night/r.jsonl")] == ["a.jpg"]
    assert [row["uri"] for row in read_rejected("memory://night/r.jsonl")] == ["b.jpg"]
    store.rm("/night", recursive=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}\n", "row 1 must be a result, with `uri` and `sequence`; it has"),
        ('{"uri": "a.jpg", "sequence": 0}\n{"uri', "line 2 is no JSON"),
        ("[]\n", "line 1 must be an object"),
    ],
)
def test_what_is_no_result_is_an_error_that_says_where(
    text: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(SourceError, match=message):
        list(read_results(str(path)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.jsonl", "nowhere.jsonl: no such file"),
        ("nowhere", "nowhere: no such file, or no results"),
        ("r.parquet", "cannot be read"),
    ],
)
def test_a_place_without_results_is_an_error(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "r.parquet").write_text("no table")
    with pytest.raises(SourceError, match=message):
        list(read_results(str(tmp_path / name)))


def test_a_summary_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.summary.json").write_text("{")
    with pytest.raises(SourceError, match="cannot be read as JSON"):
        read_summary(str(tmp_path / "r.jsonl"))
