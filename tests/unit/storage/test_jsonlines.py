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


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1, 2]", r"line 2 must be an object; got \[1, 2\]$"),
        (b'{"a": "\xff"}', "line 2 is not UTF-8$"),
        (b'{"a"}', "line 2 is no JSON: unexpected character.*, column 5$"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_in_plain_words(
    line: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"{}\n" + line)
    with pytest.raises(ValueError, match=message):
        list(read_rows(path))


def test_empty_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n \n')
    assert list(read_rows(path)) == [{"a": 1}, {"a": 2}]
