"""Labels are told by a table or by lines, by path or by stream and number."""

import json
from pathlib import Path
from typing import Any

import pytest

from sightflow.dashboard.truth import label_reader
from sightflow.errors import SourceError


def a_row(uri: str, number: int = 0) -> dict[str, Any]:
    return {"uri": uri, "source_id": "photos", "sequence": number}


@pytest.mark.parametrize("column", ["path", "uri", "name"])
def test_a_table_tells_labels_by_the_ends_of_paths(column: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"{column},label\na/1.jpg,cat\nb/1.jpg,dog\n")
    label_of = label_reader(str(tmp_path / "l.csv"))
    rows = [a_row(uri) for uri in ("/data/a/1.jpg", "s3://x/b/1.jpg", "/data/c/1.jpg")]
    assert [label_of(row) for row in rows] == ["cat", "dog", None]


def test_lines_tell_labels_by_path_or_by_stream_and_number(tmp_path: Path) -> None:
    lines = [
        {"uri": "a/1.jpg", "label": "cat"},
        {"source_id": "photos", "sequence": 7, "label": "dog"},
        {"path": "a/3.jpg", "label": None},
    ]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, lines)))
    label_of = label_reader(str(tmp_path / "l.jsonl"))
    rows = [a_row("a/1.jpg"), a_row("a/2.jpg", 7), a_row("a/3.jpg")]
    assert [label_of(row) for row in rows] == ["cat", "dog", None]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.csv", "a,b\n", r"l\.csv: needs the columns 'path' and 'label'; it has \['a', 'b'\]"),
        ("l.jsonl", '{"label": "cat"}', r"l\.jsonl, line 1: needs `label`, and one of path, uri"),
        ("l.jsonl", "\nnonsense", r"l\.jsonl: line 2 is no JSON: .*; a line needs `label`"),
        ("l.txt", "", r"l\.txt: labels are in a \.csv or \.jsonl file, or `folders`"),
    ],
)
def test_a_file_without_labels_is_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        label_reader(str(tmp_path / name))


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl"])
def test_a_file_that_is_gone_is_named(name: str) -> None:
    with pytest.raises(SourceError, match=f"{name}: no such file$"):
        label_reader(name)


@pytest.mark.parametrize(
    ("line", "words"),
    [(b"[1]", "line 1 must be an object"), (b"\xff", "line 1 is not UTF-8;")],
)
def test_a_line_that_is_no_label_is_told_in_plain_words(
    line: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "l.jsonl").write_bytes(line)
    with pytest.raises(SourceError, match=words):
        label_reader(str(tmp_path / "l.jsonl"))


def test_a_table_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_bytes(b"path,label\nb\xff.jpg,cat\n")
    with pytest.raises(SourceError, match=r"l\.csv: is not UTF-8$"):
        label_reader(str(tmp_path / "l.csv"))
