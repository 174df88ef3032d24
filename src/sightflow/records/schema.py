"""The Arrow schema of results: the single truth that JSON, Parquet, SQL and docs derive from."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from sightflow.records.event import Event
from sightflow.records.findings import FINDINGS
from sightflow.records.image import ImageRecord, Rejected

__all__ = [
    "EVENT_SCHEMA",
    "REJECTED_SCHEMA",
    "RESULT_SCHEMA",
    "Row",
    "event_row",
    "plain_text",
    "rejected_row",
    "result_row",
    "to_json",
    "to_table",
]

Row = Mapping[str, Any]
"""One result as plain values; a field of a step that did not run is absent."""

_USE = [pa.field("step", pa.string()), pa.field("model", pa.string())]
_USE.append(pa.field("model_version", pa.string()))
_LABEL = pa.field("label", pa.string())
_CLASS_ID = pa.field("class_id", pa.int32())
_BOX = pa.field("box_xyxy", pa.list_(pa.float32()))
_TRACK_ID = pa.field("track_id", pa.int64())

RESULT_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("event_time_ms", pa.int64(), nullable=False),
        pa.field("metadata", pa.map_(pa.string(), pa.string())),
        _LABEL,
        *_USE,
        pa.field("steps", pa.list_(pa.struct(_USE))),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        *(pa.field(name, finding.type) for name, finding in FINDINGS.items()),
    ]
)
"""One row per image. `metadata` is what else came with it, `label` what it shows, where its source
tells. `step`, `model` and `model_version` are those of the last step that used a model; `steps`
lists them all when there was more than one."""

REJECTED_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("uri", "step", "reason", "message")]
)
"""One row per rejected image."""

EVENT_SCHEMA = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("step", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("event_time_ms", pa.int64(), nullable=False),
        _TRACK_ID,
        _CLASS_ID,
        _LABEL,
        _BOX,
        pa.field("zone", pa.string()),
        pa.field("direction", pa.string()),
        pa.field("duration_ms", pa.int64()),
        pa.field("n_in", pa.int64()),
        pa.field("n_out", pa.int64()),
        pa.field("n_inside", pa.int64()),
        pa.field("window_start_ms", pa.int64()),
        pa.field("uri", pa.string()),
        pa.field("predicted", pa.string()),
        pa.field("figures", pa.map_(pa.string(), pa.float64())),
        pa.field("reason", pa.string()),
        pa.field("person_id", pa.string()),
    ]
)
"""One row per event; its fields are those of `records.Event`."""


def plain_text(text: str) -> str:
    r"""Return text that can be written as UTF-8; other bytes of a file name become `\xNN`."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _uses(record: ImageRecord) -> dict[str, Any]:
    uses = [
        {"step": use.step, "model": use.model, "model_version": use.version}
        for use in record.models
    ]
    if not uses:
        return {}
    return {**uses[-1], "steps": uses} if len(uses) > 1 else uses[-1]


def result_row(record: ImageRecord) -> dict[str, Any]:
    """Return the record as one row of `RESULT_SCHEMA`, without the fields that it lacks."""
    origin = record.origin
    row: dict[str, Any] = {
        "uri": plain_text(origin.uri),
        "source_id": plain_text(origin.source_id),
        "sequence": origin.sequence,
        "event_time_ms": origin.event_time_ms,
        **({"metadata": dict(origin.metadata)} if origin.metadata else {}),
        **({} if origin.label is None else {"label": plain_text(origin.label)}),
        **_uses(record),
        "width": record.width,
        "height": record.height,
    }
    for name, finding in FINDINGS.items():
        if (found := getattr(record, name)) is not None:
            row[name] = finding.rows(found)
    return row


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """Return the rejected image as one row of `REJECTED_SCHEMA`."""
    return {
        "uri": plain_text(rejected.origin.uri),
        "step": rejected.step,
        "reason": rejected.reason,
        "message": plain_text(rejected.message),
    }


def event_row(event: Event) -> dict[str, Any]:
    """Return the event as one row of `EVENT_SCHEMA`, without the fields that it lacks."""
    values = ((name, getattr(event, name)) for name in EVENT_SCHEMA.names)
    row = {name: value for name, value in values if value is not None}
    texts = ("source_id", "label", "person_id", "predicted", "uri", "reason")
    return row | {name: plain_text(row[name]) for name in texts if name in row}


def to_table(rows: Iterable[Row]) -> pa.Table:
    """Return rows of results as a table of `RESULT_SCHEMA`."""
    # A mapping is pairs in Arrow, an object in JSON.
    pairs = ({**row, "metadata": [*row.get("metadata", {}).items()] or None} for row in rows)
    return pa.Table.from_pylist([*pairs], schema=RESULT_SCHEMA)


def to_json(row: Row) -> bytes:
    """Return a row as one line of JSON without its line end."""
    return orjson.dumps(row)
