"""MOT Challenge text is read row by row, and a bad line is named."""

from pathlib import Path

import numpy as np
import pytest

from sightflow.errors import ShapeError, SourceError
from sightflow.storage.motfile import MotRows, mot_line, parse_mot, read_mot


def test_a_box_is_given_by_its_corners(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("2,7,10.5,20,30,40,1,-1,-1,-1\n\n1,8,0,0,5,5,0,-1,-1,-1\n")
    rows = read_mot(str(tmp_path / "gt.txt"))
    assert rows.frames.tolist() == [2, 1]
    assert rows.track_ids.tolist() == [7, 8]
    assert rows.boxes_xyxy.tolist() == [[10.5, 20, 40.5, 60], [0, 0, 5, 5]]
    assert rows.scores.tolist() == [1, 0]
    assert rows.class_ids is None


def test_without_a_score_it_is_1() -> None:
    assert parse_mot(b"1,7,0,0,5,5", "x").scores.tolist() == [1]


def test_of_nine_columns_the_eighth_is_the_class() -> None:
    rows = parse_mot(b"1,7,0,0,5,5,1,3,0.25\r\n1,8,0,0,5,5,1,1,1\r\n", "x")
    assert rows.class_ids is not None
    assert rows.class_ids.tolist() == [3, 1]


def test_numbers_of_whole_value_may_have_a_point() -> None:
    rows = parse_mot(b"1.0,7.00,0,0,5,5,1", "x")
    assert (rows.frames.tolist(), rows.track_ids.tolist()) == ([1], [7])


@pytest.mark.parametrize("text", [b"", b"\n\n"])
def test_an_empty_text_has_no_rows(text: bytes) -> None:
    assert len(parse_mot(text, "x")) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"1,7,0,0,5", r"must be 6 to 10 numbers with commas between them.*got '1,7,0,0,5'"),
        (b"1,7,a,0,5,5,1", "must be 6 to 10 numbers"),
        (b"1 7 0 0 5 5 1", "must be 6 to 10 numbers"),
        (b"1,7,0,0,5,5", "must have 7 columns, as the first line; got 6"),
        (b"1,7,0,nan,5,5,1", "numbers must be finite"),
        (b"0,7,0,0,5,5,1", "the frame must be a whole number from 1; got '0,7,0,0,5,5,1'"),
        (b"1.5,7,0,0,5,5,1", "the frame must be a whole number from 1"),
        (b"1,7.5,0,0,5,5,1", "the id must be a whole number"),
        (b"1,7,0,0,5,-5,1", "width and height must not be negative"),
    ],
)
def test_a_bad_line_is_named_with_its_file(line: bytes, message: str) -> None:
    with pytest.raises(SourceError, match=f"^det.txt:3: {message}"):
        parse_mot(b"1,7,0,0,5,5,1\n\n" + line, "det.txt")


def test_a_class_that_is_no_whole_number_is_refused() -> None:
    with pytest.raises(SourceError, match="x:1: the class must be a whole number"):
        parse_mot(b"1,7,0,0,5,5,1,0.5,1", "x")


def test_a_file_that_is_not_there_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"gone\.txt: cannot be read: No such file"):
        read_mot(str(tmp_path / "gone.txt"))


def test_what_is_written_is_read_again() -> None:
    rows = parse_mot(mot_line(3, 12, (1.25, 2, 11.375, 22), 0.875).encode(), "x")
    assert rows.frames.tolist() == [3]
    assert rows.track_ids.tolist() == [12]
    assert rows.boxes_xyxy.tolist() == [[1.25, 2, 11.375, 22]]
    assert rows.scores.tolist() == [0.875]


def test_columns_must_be_parallel() -> None:
    rows = parse_mot(b"1,7,0,0,5,5", "x")
    with pytest.raises(ShapeError, match=r"`track_ids` must be int64 \[1\]; got int64 \[0\]"):
        MotRows(rows.frames, np.zeros(0, np.int64), rows.boxes_xyxy, rows.scores)
