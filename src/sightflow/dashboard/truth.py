"""Labels of images whose results are there already."""

import csv
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from sightflow.errors import SourceError
from sightflow.records import Row
from sightflow.sources.endings import Endings
from sightflow.sources.labelled import folder_label, labels_in
from sightflow.storage.jsonlines import row_of

__all__ = ["FOLDERS", "LabelOf", "label_reader"]

FOLDERS = "folders"
"""In place of a file: the label of a picture is the name of its folder."""
LabelOf = Callable[[Row], str | None]
"""Says what an image shows, by its row; None where nobody has told."""

_PATH_COLUMNS = ("path", "uri", "name")
"""What says which image it is: the first of these that is there."""


def label_reader(labels: str | None) -> LabelOf:
    """Return what says the labels of images.

    Args:
        labels: a CSV file with a heading, or JSON lines; `FOLDERS`; None: those in the results.

    Raises:
        SourceError: the file cannot be read, or has no labels.
    """
    if labels is None:
        return _own_label
    if labels == FOLDERS:
        return lambda row: folder_label(row["uri"])
    if labels.endswith(".jsonl"):
        return _lines(labels)
    if not labels.endswith(".csv"):
        raise SourceError(f"{labels}: labels are in a .csv or .jsonl file, or `{FOLDERS}`")
    told = labels_in(labels, path_column=_path_column(labels), label_column="label")
    return _by_path(told)


def _own_label(row: Row) -> str | None:
    label: str | None = row.get("label")
    return label


def _by_path(told: Mapping[str, str]) -> LabelOf:
    endings = Endings(told)
    return lambda row: endings.of(row["uri"])


def _path_column(table: str) -> str:
    """Return the name of the column that says which image it is."""
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            heading = next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(f"{table}: {_fault(error)}") from error
    return next((name for name in _PATH_COLUMNS if name in heading), _PATH_COLUMNS[0])


def _lines(path: str) -> LabelOf:
    """Return the labels of JSON lines: by path, or by stream and number as `JsonLabels` has them.

    Raises:
        SourceError: the file cannot be read, or a line is no label.
    """
    by_path, by_number = dict[str, str](), dict[tuple[str, int], str]()
    for told in _told_in(path):
        name = next((told[key] for key in _PATH_COLUMNS if key in told), None)
        if name is None:
            by_number[told["source_id"], told["sequence"]] = told["label"]
        else:
            by_path[name] = told["label"]
    of_path = _by_path(by_path)
    return lambda row: by_number.get((row["source_id"], row["sequence"])) or of_path(row)


def _fault(error: Exception) -> str:
    """Return in words why a file cannot be read."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, UnicodeDecodeError):
        return "is not UTF-8"
    return f"cannot be read: {getattr(error, 'strerror', None) or error}"


def _told_in(path: str) -> Iterator[Row]:
    """Yield the labels of JSON lines that say something."""
    needed = f"needs `label`, and one of {', '.join(_PATH_COLUMNS)}, or `source_id` and `sequence`"
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise SourceError(f"{path}: {_fault(error)}") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told = row_of(line, number)
        except ValueError as error:
            raise SourceError(f"{path}: {error}; a line {needed}") from error
        names = set(told)
        has_place = names & set(_PATH_COLUMNS) or {"source_id", "sequence"} <= names
        if "label" not in names or not has_place:
            raise SourceError(f"{path}, line {number}: {needed}; it has {', '.join(sorted(names))}")
        if told["label"]:
            yield told
