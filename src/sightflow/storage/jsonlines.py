"""Lines of JSON, one row a line."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from sightflow.records import Row

__all__ = ["read_rows", "row_of"]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file; empty lines are passed over.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is no object of JSON.
    """
    with open(path, "rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.isspace():
                yield row_of(line, number)


def row_of(line: bytes, number: int) -> Row:
    """Return the row that a line holds.

    Args:
        line: of UTF-8.
        number: of the line, from 1, to be told.

    Raises:
        ValueError: it is no object of JSON.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"line {number} {_fault(line, error)}") from error
    if not isinstance(row, dict):
        got = line[:40].decode(errors="replace").strip()
        raise ValueError(f"line {number} must be an object; got {got}")
    return row


def _fault(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError:
        return "is not UTF-8"
    return f"is no JSON: {error.msg}, column {error.colno}"
