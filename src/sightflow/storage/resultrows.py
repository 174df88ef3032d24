"""Rows of a file that a run has written: JSON lines, Parquet, CSV; one at a time."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.files import Reader, storage_errors
from sightflow.storage.jsonlines import row_of

__all__ = ["ENDINGS", "OnBytes", "rows_in"]

OnBytes: TypeAlias = Callable[[int], None]
"""Told how many bytes more have been read."""
_Read: TypeAlias = Callable[[str, Any, frozenset[str], OnBytes], Iterator[Row]]
"""Yields the rows of a path from its open file, with fields to leave out."""

_ROWS_AT_ONCE = 2_000


def _untold(n_bytes: int) -> None:
    """Tell nobody."""


def rows_in(
    path: str,
    *,
    needed: frozenset[str],
    unread: frozenset[str] = frozenset(),
    on_bytes: OnBytes = _untold,
) -> Iterator[Row]:
    """Yield the rows of a file, as lines of JSON have them; never all of them are in memory.

    Args:
        path: JSON lines, Parquet, or CSV as the sink `Csv` writes it; a URL of fsspec too.
        needed: fields that each row must have.
        unread: fields that nobody looks at, also within others: they are left out where that saves
            time.
        on_bytes: told how much was read.

    Raises:
        SourceError: the file cannot be read, or has what is no such row.
    """
    read = _READERS.get(PurePosixPath(path).suffix)
    if read is None:
        raise SourceError(f"{path}: results end in {', '.join(_READERS)}; give such a file")
    try:
        with storage_errors(), Reader().open(path) as file:
            yield from _checked(path, read(path, file, unread, on_bytes), needed)
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error


def _checked(path: str, rows: Iterator[Row], needed: frozenset[str]) -> Iterator[Row]:
    """Yield rows that have the fields they need.

    Raises:
        SourceError: one has not.
    """
    needs = itemgetter(*needed)
    for number, row in enumerate(rows, 1):
        try:
            needs(row)
        except KeyError:
            raise SourceError(
                f"{path}: row {number} must be what a run has written, with "
                f"{', '.join(sorted(needed))}; it lacks {', '.join(sorted(needed - row.keys()))}, "
                f"and has {', '.join(sorted(row)[:5]) or 'nothing'}"
            ) from None
        if not isinstance(row.get("uri", ""), str):
            raise SourceError(f"{path}: row {number}: `uri` must be text; got {row['uri']!r}")
        yield row


def _json_rows(path: str, file: Any, unread: frozenset[str], on_bytes: OnBytes) -> Iterator[Row]:
    n_told = 0
    for number, line in enumerate(file, 1):
        if not line.isspace():
            try:
                row = row_of(line, number)
            except ValueError as error:
                raise SourceError(f"{path}: {error}") from error
            yield row
        if not number % _ROWS_AT_ONCE:
            on_bytes(file.tell() - n_told)
            n_told = file.tell()
    on_bytes(file.tell() - n_told)


def _parquet_rows(path: str, file: Any, unread: frozenset[str], on_bytes: OnBytes) -> Iterator[Row]:
    n_bytes = _size(file)
    table = pq.ParquetFile(file)
    n_rows = max(1, table.metadata.num_rows)
    leaves = [table.schema.column(i).path for i in range(len(table.schema))]
    columns = [leaf for leaf in leaves if not unread & set(leaf.split("."))]
    for batch in table.iter_batches(_ROWS_AT_ONCE, columns=columns):
        yield from _plain(batch.to_struct_array())
        on_bytes(n_bytes * len(batch) // n_rows)


def _size(file: Any) -> int:
    size: int = file.seek(0, io.SEEK_END)
    file.seek(0)
    return size


def _plain(array: pa.Array) -> list[Any]:
    """Return values as JSON has them, where what is not there is absent from its object.

    It goes over whole columns, which is several times as fast as `to_pylist`.
    """
    if pa.types.is_float32(array.type):
        values = _plain_floats(array)
    elif pa.types.is_map(array.type):
        return [pairs and dict(pairs) for pairs in array.to_pylist()]
    elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        values = _plain_lists(array)
    elif pa.types.is_struct(array.type):
        values = _plain_structs(array)
    else:
        return list(array.to_pylist())
    if not array.null_count:
        return values
    known = zip(values, array.is_valid().to_pylist(), strict=True)
    return [value if is_there else None for value, is_there in known]


def _plain_floats(array: pa.Array) -> list[Any]:
    """Return numbers with the fewest digits that give them back as float32."""
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    if np.isfinite(values).all():
        numbers: list[Any] = orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
        return numbers
    return [float(str(value)) for value in values]


def _plain_lists(array: pa.Array) -> list[Any]:
    ends = array.offsets.to_pylist()
    items = _plain(array.values.slice(ends[0], ends[-1] - ends[0]))
    return [items[start - ends[0] : end - ends[0]] for start, end in pairwise(ends)]


def _plain_structs(array: pa.Array) -> list[Any]:
    fields = zip(array.type, array.flatten(), strict=True)
    columns = {field.name: column for field, column in fields if column.null_count < len(column)}
    if not columns:
        return [{} for _ in range(len(array))]
    rows = zip(*map(_plain, columns.values()), strict=True)
    if not any(column.null_count for column in columns.values()):
        return [dict(zip(columns, row, strict=True)) for row in rows]
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        for row in rows
    ]


_IMAGE = ("uri", "source_id", "sequence", "event_time_ms")
_BOX = ("x1", "y1", "x2", "y2")


def _csv_rows(path: str, file: Any, unread: frozenset[str], on_bytes: OnBytes) -> Iterator[Row]:
    """Yield a row for each image that has a finding: its lines follow one another."""
    with io.TextIOWrapper(file, encoding="utf-8", newline="") as text:
        lines = csv.DictReader(text)
        try:
            yield from _found_in(path, lines)
        except (ValueError, TypeError, LookupError, csv.Error) as error:
            raise SourceError(
                f"{path}: line {lines.line_num} must be of a table of results: "
                f"{'it is not UTF-8' if isinstance(error, UnicodeDecodeError) else error}"
            ) from error
        on_bytes(file.tell())


def _found_in(path: str, lines: "csv.DictReader[str]") -> Iterator[Row]:
    names = lines.fieldnames or ()
    if not set(_IMAGE) <= set(names):
        raise SourceError(
            f"{path}: must be a table of results, with the columns {', '.join(_IMAGE)}; it has "
            f"{', '.join(names) or 'none'}"
        )
    kind = _kind_of(names)
    for (uri, source_id, sequence, time), group in groupby(
        lines, lambda line: [line[name] for name in _IMAGE]
    ):
        image = {"uri": uri, "source_id": source_id, "sequence": int(sequence)}
        found = [_item(line, kind) for line in group]
        yield {**image, "event_time_ms": int(time), kind: found}


def _kind_of(columns: Sequence[str]) -> str:
    """Return which finding a table with these columns has."""
    signs = {"velocity_x": "tracks", "person_id": "faces", "state_label": "detections"}
    signs |= {"class_id": "classification", "value": "measures"}
    return next((kind for column, kind in signs.items() if column in columns), "scene")


def _item(line: Mapping[str, str], kind: str) -> Row:
    """Return a line as the finding that it was."""
    item: dict[str, Any] = {
        name: line[name] for name in ("label", "name", "person_id") if line.get(name)
    }
    item |= {name: float(line[name]) for name in ("score", "similarity", "value") if line.get(name)}
    item |= {name: int(line[name]) for name in ("class_id", "track_id") if line.get(name)}
    if line.get("x1"):
        item["box_xyxy"] = [float(line[edge]) for edge in _BOX]
    for name in ("state", "sign"):
        if line.get(f"{name}_label"):
            item[name] = {"label": line[f"{name}_label"], "score": float(line[f"{name}_score"])}
    return item


_READERS: Mapping[str, _Read] = {
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
    ".csv": _csv_rows,
}
ENDINGS = tuple(_READERS)
"""Of the files that can be read."""
