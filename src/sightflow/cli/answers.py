"""Rows of SQL for people and for programs, written as they come."""

import base64
import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import IO, Any, TypeAlias

import orjson
from rich.console import Console
from rich.table import Column, Table

__all__ = ["FORMATS", "Rows", "write_rows"]

Rows: TypeAlias = Iterator[tuple[Any, ...]]

_FIRST_ROWS = 100
"""So many rows say how wide the columns of a table are."""
_WIDTH = 160
"""Of a table that is no terminal's."""


def write_rows(
    columns: Sequence[str], rows: Rows, stream: IO[str], format: str, *, at_once: bool
) -> int:
    """Write rows as `FORMATS` has it; return how many there were.

    Args:
        columns: their names.
        rows: plain values.
        stream: where to.
        format: one of `FORMATS`.
        at_once: whether each row is written before the next one is asked for.
    """
    n_rows = 0

    def counted() -> Rows:
        nonlocal n_rows
        for row in rows:
            yield row
            n_rows += 1
            if at_once:
                stream.flush()

    FORMATS[format](columns, counted(), stream, 1 if at_once else _FIRST_ROWS)
    stream.flush()
    return n_rows


def _as_table(columns: Sequence[str], rows: Rows, stream: IO[str], n_first: int) -> None:
    """Write a table; the first rows say how wide the columns of all are."""
    console = Console(file=stream, markup=False, width=None if stream.isatty() else _WIDTH)
    first = [tuple(map(_shown, row)) for row in islice(rows, n_first)]
    widths = [max(map(len, (name, *cells))) for name, *cells in zip(columns, *first, strict=True)]
    console.print(_table(columns, widths, first, head=True))
    while more := [tuple(map(_shown, row)) for row in islice(rows, n_first)]:
        console.print(_table(columns, widths, more, head=False))


def _table(
    columns: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[str]], *, head: bool
) -> Table:
    made = (
        Column(name, min_width=min(width, _WIDTH // len(widths)), overflow="fold")
        for name, width in zip(columns, widths, strict=True)
    )
    table = Table(*made, box=None, show_header=head, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*row)
    return table


def _as_lines(columns: Sequence[str], rows: Rows, stream: IO[str], n_first: int) -> None:
    """Write a line of JSON for each row."""
    for row in rows:
        stream.write(orjson.dumps(dict(zip(columns, row, strict=True)), _other, _JSON).decode())
        stream.write("\n")


def _as_csv(columns: Sequence[str], rows: Rows, stream: IO[str], n_first: int) -> None:
    """Write a head and a line for each row; what has parts is JSON."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if value is None else _flat(value) for value in row])


FORMATS: Mapping[str, Callable[[Sequence[str], Rows, IO[str], int], None]] = {
    "table": _as_table,
    "jsonl": _as_lines,
    "csv": _as_csv,
}
"""Forms of the rows: for people, and two for programs."""

_JSON = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def _other(value: Any) -> str:
    """Return what JSON has no form for: bytes as base64."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _flat(value: Any) -> str:
    if isinstance(value, dict | list):
        return orjson.dumps(value, _other, _JSON).decode()
    return _other(value) if isinstance(value, bytes) else str(value)


def _shown(value: Any) -> str:
    """Return a value for people.

    Examples:
        >>> _shown(0.123456789), _shown(b"JPEG"), _shown(None), _shown({"label": "cat"})
        ('0.123457', '4 bytes', '', 'label: cat')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    return str(value)
