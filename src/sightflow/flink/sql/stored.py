"""What runs have written, found out and made readable for Flink."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.core import url_to_fs

from sightflow.errors import SourceError
from sightflow.flink.sql.ddl import KINDS, Kind
from sightflow.records import Row, to_json
from sightflow.storage.files import storage_errors

__all__ = ["Part", "kind_of", "parts_of", "readable"]

_WRITTEN: tuple[Kind, ...] = ("results", "events", "rejected")
_ENDINGS = (".jsonl", ".parquet")
_SHOWN = 12
"""So many names are in an error."""


@dataclass(frozen=True)
class Part:
    """A file, or a folder of files of one kind."""

    path: str
    kind: Kind
    files: tuple[str, ...]
    is_in_folder: bool = False
    """Whether it is one of several that a folder of `Dataset` has."""


def parts_of(path: str, kind: Kind | None, *, follow: bool = False) -> Iterator[Part]:
    """Yield what is at a path: itself, or what a folder of `Dataset` has.

    Args:
        path: file or folder, or a URL of fsspec.
        kind: what must be in it; None finds out. Of a folder of `Dataset` only that is given.
        follow: whether a folder may have nothing yet.

    Raises:
        SourceError: there is no such thing, or it holds something else.
    """
    fs, root = _opened(path)
    if not fs.isdir(root):
        yield Part(path, _checked(path, kind), (path,))
        return
    folders = [k for k in _WRITTEN if kind in (k, None) and fs.isdir(f"{root}/{k}")]
    if not folders and follow:
        folders = [kind or "results"]
        if "file" in fs.protocol:
            os.makedirs(f"{root}/{folders[0]}", exist_ok=True)
    if not folders:
        raise SourceError(
            f"{path}: must be a file, or a folder of the sink Dataset with {kind or 'results'}/ in "
            f"it; got {_names(fs, root)}"
        )
    for found in folders:
        below = f"{path.rstrip('/')}/{found}"
        names = sorted(os.path.basename(n) for n in fs.ls(f"{root}/{found}", detail=False))
        files = tuple(f"{below}/{name}" for name in names if name.endswith(_ENDINGS))
        yield Part(below, found, files, is_in_folder=True)


def readable(part: Part, folder: Path, *, follow: bool = False) -> Path:
    """Return a file or folder of JSON lines that Flink can read, by a name without surprises.

    A file of JSON lines of this machine is linked; what is Parquet, or elsewhere, is copied: Flink
    reads Parquet only with Hadoop, which is not in its Python package.

    Args:
        part: what is to be read.
        folder: where links and copies may be put.
        follow: whether the folder of the part is watched: it must have JSON lines, and be here.

    Raises:
        SourceError: it cannot be read, or not be followed.
    """
    local = "://" not in part.path
    if follow and part.is_in_folder:
        if not local or any(file.endswith(".parquet") for file in part.files):
            raise SourceError(
                f"{part.path}: to be followed, a folder must be of this machine and have JSON "
                "lines; write it with Dataset(format='jsonl')"
            )
        return _linked(part.path, folder / "parts")
    for number, file in enumerate(part.files):
        target = folder / f"part-{number:08d}.jsonl"
        if local and not file.endswith(".parquet"):
            _linked(file, target)
        else:
            _copy(file, target)
    return folder


def kind_of(row: Mapping[str, Any]) -> Kind | None:
    """Return what a row is of: the kind all of whose fields that must be there, are.

    Examples:
        >>> kind_of({"uri": "a.jpg", "step": "decode", "reason": "corrupt", "message": "cut"})
        'rejected'
    """
    for kind in _WRITTEN:
        if {field.name for field in KINDS[kind] if not field.nullable} <= set(row):
            return kind
    return None


def _checked(path: str, kind: Kind | None) -> Kind:
    """Return what a file holds, by its first row; an empty one holds what is asked for."""
    row = _first_row(path)
    found = None if row is None else kind_of(row)
    if row is not None and (found is None or kind not in (None, found)):
        raise SourceError(
            f"{path}: must hold {kind or 'results, events or rejected images'} of a run; got "
            f"{found or 'rows with ' + ', '.join(list(row)[:_SHOWN])}"
        )
    by_name: Kind = "rejected" if path.endswith(".rejected.jsonl") else "results"
    return found or kind or by_name


def _first_row(path: str) -> Mapping[str, Any] | None:
    fs, root = _opened(path)
    with _reading(path), closing(fs.open(root, "rb")) as file:
        if path.endswith(".parquet"):
            return dict.fromkeys(_parquet(path, file).schema_arrow.names)
        line = file.readline()
    try:
        row = orjson.loads(line) if line.strip() else None
    except orjson.JSONDecodeError as error:
        raise SourceError(f"{path}: must be JSON lines or Parquet; line 1: {error}") from error
    if row is not None and not isinstance(row, dict):
        raise SourceError(f"{path}: a line must be an object of JSON; line 1 is {line[:60]!r}")
    return row


def _copy(file: str, target: Path) -> None:
    fs, root = _opened(file)
    with _reading(file), closing(fs.open(root, "rb")) as source, open(target, "wb") as lines:
        if not file.endswith(".parquet"):
            shutil.copyfileobj(source, lines)
            return
        for batch in _parquet(file, source).iter_batches():
            lines.writelines(to_json(_as_row(row)) + b"\n" for row in batch.to_pylist())


def _as_row(row: Row) -> dict[str, Any]:
    """Return a row of Parquet without what is missing in it; pairs become an object of JSON."""
    maps = {f.name for schema in KINDS.values() for f in schema if pa.types.is_map(f.type)}
    present = {name: value for name, value in row.items() if value is not None}
    return {name: dict(v) if name in maps else v for name, v in present.items()}


def _parquet(path: str, file: IO[bytes]) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{path}: cannot be read as Parquet: {error}") from error


def _linked(path: str, link: Path) -> Path:
    link.symlink_to(os.path.abspath(os.path.expanduser(path)))
    return link


def _opened(path: str) -> tuple[Any, str]:
    """Return the storage of a path, and the path in it."""
    with _reading(path):
        fs, root = url_to_fs(os.path.expanduser(path) if "://" not in path else path)
        if not fs.exists(root):
            raise SourceError(f"{path}: no such file or folder")
    return fs, root.rstrip("/")


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Make what a storage raises into a `SourceError`."""
    try:
        with storage_errors():
            yield
    except SourceError:
        raise
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error}") from error


def _names(fs: Any, root: str) -> str:
    names = sorted(os.path.basename(n.rstrip("/")) for n in fs.ls(root, detail=False))
    return ", ".join(names[:_SHOWN]) or "an empty folder"
