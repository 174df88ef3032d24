"""Lines of JSON, one row a line."""

from collections.abc import Iterator
from pathlib import Path

import orjson

from sightflow.records import Row

__all__ = ["read_rows"]


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the rows of a file.

    Raises:
        OSError: it cannot be read.
        ValueError: a line is no JSON.
    """
    with open(path, "rb") as lines:
        yield from map(orjson.loads, lines)
