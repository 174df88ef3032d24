"""Results of an earlier run, read again: JSON lines, Parquet, the folder of a Dataset."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.storage.files import Reader, list_files, storage_errors

__all__ = ["read_rejected", "read_results", "read_summary"]

_ROWS_AT_ONCE = 1_000


def read_results(path: str) -> Iterator[Row]:
    """Yield the rows of results, in their order.

    Args:
        path: `NAME.jsonl`, `NAME.parquet` or the folder of a `Dataset`; a URL of fsspec too.

    Raises:
        SourceError: nothing is there, or it does not hold rows of results.
    """
    for file in _parts(path, "results") or [path]:
        for number, row in enumerate(_rows(file), 1):
            if not isinstance(row.get("uri"), str) or "sequence" not in row:
                raise SourceError(
                    f"{file}: row {number} must be a result, with `uri` and `sequence`; "
                    f"it has {sorted(row)[:5]}"
                )
            yield row


def read_rejected(path: str) -> Iterator[Row]:
    """Yield the rows of the images that were rejected by the run of these results.

    Where nothing lies beside the results there are none.

    Raises:
        SourceError: what is there cannot be read.
    """
    beside = _beside(path, "rejected.jsonl")
    for file in _parts(path, "rejected") or ([beside] if _is_there(beside) else []):
        yield from _rows(file)


def read_summary(path: str) -> Mapping[str, Any]:
    """Return what `summary.json` says of the run of these results; nothing where there is none.

    Raises:
        SourceError: it is no JSON.
    """
    in_folder = f"{path.rstrip('/')}/summary.json"
    file = in_folder if _is_there(in_folder) else _beside(path, "summary.json")
    if not _is_there(file):
        return {}
    try:
        summary: dict[str, Any] = json.loads(Reader().read_all(file))
    except (OSError, ValueError) as error:
        raise SourceError(f"{file}: cannot be read as JSON: {error}") from error
    return summary


def _beside(path: str, ending: str) -> str:
    root, _ = os.path.splitext(path)
    return f"{root}.{ending}"


def _parts(path: str, kind: str) -> list[str]:
    """Return the parts of a `Dataset`, in order; of a file there are none."""
    if PurePosixPath(path).suffix in _READERS:
        return []
    try:
        found = [file.uri for file in list_files(f"{path.rstrip('/')}/{kind}", pattern="part-*")]
    except SourceError as error:
        if kind != "results":
            return []
        raise SourceError(
            f"{path}: no such file, or no results: they are a .jsonl or .parquet file, or the "
            "folder of a Dataset"
        ) from error
    return found


def _is_there(path: str) -> bool:
    try:
        Reader().open(path).close()
    except OSError:
        return False
    return True


def _rows(path: str) -> Iterator[Row]:
    read = _READERS.get(PurePosixPath(path).suffix)
    if read is None:
        raise SourceError(f"{path}: results end in {', '.join(_READERS)}; give such a file")
    try:
        with storage_errors(), Reader().open(path) as file:
            yield from read(path, file)
    except SourceError:
        raise
    except FileNotFoundError as error:
        raise SourceError(f"{path}: no such file") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _lines(path: str, file: Any) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise SourceError(f"{path}: line {number} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise SourceError(f"{path}: line {number} must be an object; got {line[:40]!r}")
        yield row


def _groups(path: str, file: Any) -> Iterator[Row]:
    for batch in pq.ParquetFile(file).iter_batches(_ROWS_AT_ONCE):
        for row in batch.to_pylist():
            if row.get("metadata"):
                row["metadata"] = dict(row["metadata"])
            yield _filled(row)


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row without the fields that it lacks, as lines of JSON have it."""
    return {name: _plain(value) for name, value in row.items() if value is not None}


def _plain(value: Any) -> Any:
    """Return a value as lines of JSON have it: float32 with the fewest digits that give it back."""
    if isinstance(value, float):
        return float(str(np.float32(value)))
    if isinstance(value, dict):
        return _filled(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


_READERS: Mapping[str, Callable[[str, Any], Iterator[Row]]] = {
    ".jsonl": _lines,
    ".parquet": _groups,
}
