"""Rows of files that a run has written: JSON lines, Parquet, CSV; one at a time."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sightflow.errors import SourceError
from sightflow.records import Row

__all__ = ["OnBytes", "feed"]

OnBytes = Callable[[int], None]
"""Told how many bytes more have been read."""

_ROWS_AT_ONCE = 2_000
_NOT_READ = frozenset(
    (
        "metadata",
        "shadow",
        "embedding",
        "landmarks_xy",
        "velocity_xy",
        "age_ms",
        "n_hits",
        "figures",
    )
)
"""Fields, also within others, that nobody looks at here: to read them takes time."""


def feed(
    paths: Sequence[Path],
    take: Callable[[Row], None],
    *,
    needed: frozenset[str],
    on_bytes: OnBytes,
) -> None:
    """Hand over the rows of files, one after the other; never all of them are in memory.

    Args:
        paths: JSON lines, Parquet, or CSV as the sink `Csv` writes it.
        take: takes a row.
        needed: fields that each row must have.
        on_bytes: told how much was read.

    Raises:
        SourceError: a file cannot be read, or has what is no such row.
    """
    for path in paths:
        n_taken = 0
        try:
            for row in _READERS[path.suffix](path, on_bytes):
                if not needed <= row.keys():
                    raise ValueError(f"it lacks {', '.join(sorted(needed - row.keys()))}")
                take(row)
                n_taken += 1
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError, LookupError, AttributeError, pa.ArrowException) as error:
            raise SourceError(
                f"{path}: must be what a run has written; row {n_taken + 1}: "
                f"{type(error).__name__}: {error}"
            ) from error


def _json_rows(path: Path, on_bytes: OnBytes) -> Iterator[Row]:
    n_bytes = 0
    with open(path, "rb") as lines:
        for line in lines:
            yield orjson.loads(line)
            n_bytes += len(line)
            if n_bytes > 1 << 20:
                on_bytes(n_bytes)
                n_bytes = 0
    on_bytes(n_bytes)


def _parquet_rows(path: Path, on_bytes: OnBytes) -> Iterator[Row]:
    with pq.ParquetFile(path) as file:
        n_bytes, n_rows = path.stat().st_size, max(1, file.metadata.num_rows)
        leaves = [file.schema.column(i).path for i in range(len(file.schema))]
        columns = [path for path in leaves if not _NOT_READ & set(path.split("."))]
        for batch in file.iter_batches(_ROWS_AT_ONCE, columns=columns):
            yield from _plain(batch.to_struct_array())
            on_bytes(n_bytes * len(batch) // n_rows)


def _plain(array: pa.Array) -> list[Any]:
    """Return values as JSON has them, where what is not there is absent from its object.

    It does what `to_pylist` does, whole columns at a time: several times as fast.
    """
    if pa.types.is_list(array.type):
        values = _plain_lists(array)
    elif pa.types.is_struct(array.type):
        values = _plain_structs(array)
    else:
        return list(array.to_pylist())
    if not array.null_count:
        return values
    known = zip(values, array.is_valid().to_pylist(), strict=True)
    return [value if is_there else None for value, is_there in known]


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


def _csv_rows(path: Path, on_bytes: OnBytes) -> Iterator[Row]:
    """Yield a row for each image that has a finding: its lines follow one another."""
    with open(path, encoding="utf-8", newline="") as file:
        lines = csv.DictReader(file)
        names = lines.fieldnames or ()
        if not set(_IMAGE) <= set(names):
            raise ValueError(
                f"a table of results is needed; it has the columns {', '.join(names) or 'none'}"
            )
        kind = _kind_of(names)
        for (uri, source_id, sequence, time), group in groupby(
            lines, lambda line: [line[n] for n in _IMAGE]
        ):
            found = [_item(line, kind) for line in group]
            image = {"uri": uri, "source_id": source_id, "sequence": int(sequence)}
            yield {**image, "event_time_ms": int(time), kind: found}
    on_bytes(path.stat().st_size)


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


_READERS: Mapping[str, Callable[[Path, OnBytes], Iterator[Row]]] = {
    ".jsonl": _json_rows,
    ".parquet": _parquet_rows,
    ".csv": _csv_rows,
}
