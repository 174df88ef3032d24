"""Images with what they show, as somebody told it: by the name of their folder, or in a table."""

import csv
import io
import os
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Context, Read, Source, given_by
from sightflow.records import Claim
from sightflow.sources.endings import Endings, path_of
from sightflow.storage.files import Reader

__all__ = ["Labelled", "folder_label", "labels_in"]


@dataclass(frozen=True)
class Labelled:
    """The images of a source, each with its label where there is one."""

    source: Source
    table: str | None = None
    """A CSV file with a heading; None: the label of an image is the name of its folder. Rows
    without a path or a label say nothing."""
    path_column: str = "path"
    """Column with the path of an image, or its end: `a/1.jpg` is also the end of `s3://b/a/1.jpg`."""
    label_column: str = "label"
    """Column with the label of an image."""
    held_out: bool = False
    """Whether networks are tested with these images and never learn from them."""

    def __post_init__(self) -> None:
        """Refuse a stream."""
        if not callable(getattr(self.source, "claims", None)):
            raise PipelineError(
                f"Labelled: `source` lists its images; got {self.source!r}; a stream has its "
                "labels from Joined"
            )

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What its source gives."""
        return given_by(self.source)

    def claims(self) -> Iterator[Claim]:
        """List the images.

        Raises:
            SourceError: the table cannot be read, or lacks a column.
        """
        label_of = folder_label if self.table is None else Endings(self._rows(self.table)).of
        for claim in self.source.claims():
            if claim.origin.awaits_label or claim.labels:
                raise SourceError(
                    f"{claim.origin.uri}: its label comes later; put Late around Labelled"
                )
            label = label_of(claim.origin.uri)
            origin = replace(claim.origin, label=label, held_out=self.held_out)
            yield replace(claim, origin=origin)

    def open(self, context: Context) -> Read:
        """Return the function of the source itself."""
        return self.source.open(context)

    def _rows(self, table: str) -> dict[str, str]:
        """Return the labels of the table by path."""
        return labels_in(table, path_column=self.path_column, label_column=self.label_column)


def labels_in(table: str, *, path_column: str, label_column: str) -> dict[str, str]:
    """Return the labels of a CSV file with a heading, by path.

    Raises:
        SourceError: it cannot be read, or lacks a column.
    """
    try:
        text = Reader().read_all(os.fspath(table)).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""))
        missing = {path_column, label_column} - set(rows.fieldnames or ())
        if missing:
            raise SourceError(
                f"{table}: needs the columns {path_column!r} and {label_column!r}; "
                f"it has {rows.fieldnames}"
            )
        return {
            row[path_column]: row[label_column]
            for row in rows
            if row[path_column] and row[label_column]
        }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        if isinstance(error, SourceError):
            raise
        is_text = not isinstance(error, UnicodeDecodeError)
        why = f"cannot be read as CSV: {error}" if is_text else "is not UTF-8"
        raise SourceError(f"{table}: {why}") from error


def folder_label(uri: str) -> str | None:
    """Return the name of the folder that an image lies in; a hidden one is no label."""
    name = posixpath.basename(posixpath.dirname(path_of(uri)))
    return None if name.startswith(".") else name or None
