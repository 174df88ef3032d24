"""Rows are read from lines of JSON."""

from pathlib import Path

import pytest

from sightflow.storage.jsonlines import read_rows


def test_each_line_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"uri": "a\\u2028b"}\n{"uri": "c"}\n', "utf-8")

    assert list(read_rows(path)) == [{"uri": "a\u2028b"}, {"uri": "c"}]


def test_what_is_no_json_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{")
    with pytest.raises(ValueError, match="unexpected"):
        list(read_rows(path))
