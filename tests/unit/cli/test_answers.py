"""Rows of SQL as a table, as lines of JSON, as CSV: for people and for programs."""

import datetime as dt
import io
import json

import pytest

from sightflow.cli.answers import write_rows

COLUMNS = ("uri", "score", "data", "object", "at")
ROW = (
    "ä, b.jpg",
    0.123456789,
    b"\xff\xd8",
    {"label": "cat"},
    dt.datetime.fromisoformat("2026-01-02T03:04:05"),
)


def written(format, rows=(ROW,), columns=COLUMNS, *, at_once=False):
    stream = io.StringIO()
    n_rows = write_rows(columns, iter(rows), stream, format, at_once=at_once)
    assert n_rows == len(rows)
    return stream.getvalue()


def test_a_line_of_json_has_all_of_a_row():
    assert json.loads(written("jsonl")) == {
        "uri": "ä, b.jpg",
        "score": 0.123456789,
        "data": "/9g=",
        "object": {"label": "cat"},
        "at": "2026-01-02T03:04:05",
    }


def test_csv_quotes_what_it_must_and_leaves_null_empty():
    text = written("csv", [ROW, (None,) * 5])

    assert text.splitlines() == [
        "uri,score,data,object,at",
        '"ä, b.jpg",0.123456789,/9g=,"{""label"":""cat""}",2026-01-02 03:04:05',
        ",,,,",
    ]


def test_a_table_is_for_people():
    head, row = written("table").splitlines()

    assert head.split() == ["uri", "score", "data", "object", "at"]
    assert row.rstrip() == "ä, b.jpg  0.123457  2 bytes  label: cat  2026-01-02 03:04:05"


def test_a_long_table_goes_on_below_its_first_rows_with_the_same_columns():
    lines = written("table", [(i, "x") for i in range(100, 350)], ("n", "word")).splitlines()

    assert len(lines) == 251
    assert {line.index("x") for line in lines[1:]} == {5}


@pytest.mark.parametrize(("format", "head"), [("table", ["n"]), ("csv", ["n"]), ("jsonl", [])])
def test_no_rows_leave_the_names_of_the_columns_where_there_is_a_place(format, head):
    assert [line.strip() for line in written(format, [], ("n",)).splitlines()] == head


@pytest.mark.parametrize("format", ["table", "jsonl", "csv"])
def test_rows_of_a_stream_are_written_before_the_next_one_is_asked_for(format):
    stream, seen = io.StringIO(), []

    def rows():
        for number in range(3):
            yield (number,)
            seen.append(stream.getvalue())

    write_rows(("n",), rows(), stream, format, at_once=True)

    assert [str(number) in text for number, text in enumerate(seen)] == [True] * 3
