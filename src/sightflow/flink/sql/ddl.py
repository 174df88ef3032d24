"""Statements that make tables of results, and views that unnest what was found in each image."""

from collections.abc import Iterator, Mapping
from typing import Literal, TypeAlias

import pyarrow as pa

from sightflow.flink.sql.columns import columns_of, quoted, text
from sightflow.records import EVENT_SCHEMA, REJECTED_SCHEMA, RESULT_SCHEMA

__all__ = ["KINDS", "PICTURE_SCHEMA", "VIEWS", "Kind", "create_table", "create_views"]

Kind: TypeAlias = Literal["results", "rejected", "events", "pictures"]

PICTURE_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string(), nullable=False) for name in ("uri", "source_id", "name")),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("event_time_ms", pa.int64(), nullable=False),
        pa.field("place", pa.string(), nullable=False),
    ]
)
"""One row per picture that is listed; `place` is what `READ_IMAGE` opens."""

KINDS: Mapping[Kind, pa.Schema] = {
    "results": RESULT_SCHEMA,
    "rejected": REJECTED_SCHEMA,
    "events": EVENT_SCHEMA,
    "pictures": PICTURE_SCHEMA,
}
"""What a table may hold, and its schema."""

VIEWS: Mapping[str, str] = {
    "classifications": "classification",
    "detections": "detections",
    "tracks": "tracks",
    "faces": "faces",
}
"""Views over results: the name of each, and the field of a result that it has the items of."""

_OF_THE_IMAGE = ("uri", "source_id", "sequence", "event_time_ms", "event_time")
_CORNERS = ("x1", "y1", "x2", "y2")
_BOX = "box_xyxy"


def create_table(
    name: str, kind: Kind, options: Mapping[str, str], *, max_late_s: float = 5.0
) -> str:
    """Return the statement that makes a table of results, rejected images, events or pictures.

    What has a time gets a column `event_time`, which Flink's windows and patterns go by.

    Args:
        name: of the table.
        kind: what it holds.
        options: of the connector, as `WITH` wants them.
        max_late_s: how much later than newer rows a row may come, in a stream; below 100.
    """
    schema = KINDS[kind]
    columns = list(columns_of(schema))
    if "event_time_ms" in schema.names:
        columns.append("`event_time` AS TO_TIMESTAMP_LTZ(`event_time_ms`, 3)")
        late = f"INTERVAL '{max_late_s:.3f}' SECOND"
        columns.append(f"WATERMARK FOR `event_time` AS `event_time` - {late}")
    listed = ",\n  ".join(columns)
    given = ", ".join(f"{text(key)} = {text(value)}" for key, value in options.items())
    return f"CREATE TEMPORARY TABLE {quoted(name)} (\n  {listed}\n) WITH ({given})"


def create_views(results: str, prefix: str = "") -> Iterator[str]:
    """Yield the statements that make the views over a table of results.

    A row is one class, object, track or face of one image. A box is four columns, `x1` to `y2`.

    Args:
        results: name of the table.
        prefix: in front of the names of the views.
    """
    for view, field in VIEWS.items():
        items = RESULT_SCHEMA.field(field).type.value_type
        names = ", ".join(quoted(item.name) for item in items)
        image = ", ".join(quoted(name) for name in _OF_THE_IMAGE)
        chosen = ", ".join(column for item in items for column in _chosen(item.name))
        yield (
            f"CREATE TEMPORARY VIEW {quoted(prefix + view)} AS\nSELECT {image}, {chosen}\n"
            f"FROM {quoted(results)} CROSS JOIN UNNEST({quoted(field)}) AS item ({names})"
        )


def _chosen(name: str) -> Iterator[str]:
    """Yield the columns of a view for a field of an item."""
    if name != _BOX:
        yield f"item.{quoted(name)}"
        return
    for number, corner in enumerate(_CORNERS, 1):
        yield f"item.{quoted(_BOX)}[{number}] AS {corner}"
