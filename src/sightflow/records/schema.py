"""The Arrow schema of results: the single truth that JSON, Parquet, SQL and docs derive from."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
import pyarrow as pa

from sightflow.records.arrays import plain_floats
from sightflow.records.classification import Classification
from sightflow.records.event import Event
from sightflow.records.image import ImageRecord, Rejected

__all__ = [
    "EVENT_SCHEMA",
    "REJECTED_SCHEMA",
    "RESULT_SCHEMA",
    "Row",
    "event_row",
    "rejected_row",
    "result_row",
    "to_json",
]

Row = Mapping[str, Any]
"""One result as plain values; a field of a step that did not run is absent."""

_USE = [pa.field("step", pa.string()), pa.field("model", pa.string())]
_USE.append(pa.field("model_version", pa.string()))
_LABEL = pa.field("label", pa.string())
_CLASS_ID = pa.field("class_id", pa.int32())
_SCORE = pa.field("score", pa.float32())
_BOX = pa.field("box_xyxy", pa.list_(pa.float32()))
_TRACK_ID = pa.field("track_id", pa.int64())

RESULT_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.string(), nullable=False),
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("sequence", pa.int64(), nullable=False),
        pa.field("event_time_ms", pa.int64(), nullable=False),
        _LABEL,
        *_USE,
        pa.field("steps", pa.list_(pa.struct(_USE))),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("classification", pa.list_(pa.struct([_LABEL, _CLASS_ID, _SCORE]))),
        pa.field("shadow", pa.list_(pa.struct([_LABEL, _CLASS_ID, _SCORE]))),
        pa.field("scene", pa.list_(pa.struct([_LABEL, _SCORE]))),
        pa.field(
            "detections",
            pa.list_(pa.struct([_LABEL, _CLASS_ID, _SCORE, _BOX])),
        ),
        pa.field(
            "tracks",
            pa.list_(
                pa.struct(
                    [
                        _TRACK_ID,
                        _LABEL,
                        _CLASS_ID,
                        _SCORE,
                        _BOX,
                        pa.field("velocity_xy", pa.list_(pa.float32())),
                        pa.field("age_ms", pa.int64()),
                        pa.field("n_hits", pa.int32()),
                    ]
                )
            ),
        ),
    ]
)
"""One row per image. `label` is what it shows, where its source tells. `step`, `model` and
`model_version` are those of the last step that used a model; `steps` lists them all when there was
more than one."""

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
    ]
)
"""One row per event; its fields are those of `records.Event`."""


def _text(text: str) -> str:
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


def _classification(record: ImageRecord) -> dict[str, Any]:
    return {} if record.classification is None else {"classification": _rows(record.classification)}


def _shadow(record: ImageRecord) -> dict[str, Any]:
    return {} if record.shadow is None else {"shadow": _rows(record.shadow)}


def _rows(found: Classification) -> list[dict[str, Any]]:
    columns = zip(found.labels, found.class_ids.tolist(), plain_floats(found.scores), strict=True)
    return [{"label": a, "class_id": b, "score": c} for a, b, c in columns]


def _scene(record: ImageRecord) -> dict[str, Any]:
    found = record.scene
    if found is None:
        return {}
    columns = zip(found.labels, plain_floats(found.scores), strict=True)
    return {"scene": [{"label": label, "score": score} for label, score in columns]}


def _detections(record: ImageRecord) -> dict[str, Any]:
    found = record.detections
    if found is None:
        return {}
    boxes = map(plain_floats, found.boxes_xyxy)
    columns = zip(
        found.labels, found.class_ids.tolist(), plain_floats(found.scores), boxes, strict=True
    )
    return {
        "detections": [
            {"label": a, "class_id": b, "score": c, "box_xyxy": box} for a, b, c, box in columns
        ]
    }


def _tracks(record: ImageRecord) -> dict[str, Any]:
    found = record.tracks
    if found is None:
        return {}
    columns = zip(
        found.track_ids.tolist(),
        found.labels,
        found.class_ids.tolist(),
        plain_floats(found.scores),
        map(plain_floats, found.boxes_xyxy),
        map(plain_floats, found.velocities_xy),
        found.ages_ms.tolist(),
        found.n_hits.tolist(),
        strict=True,
    )
    return {"tracks": [dict(zip(_TRACK_FIELDS, column, strict=True)) for column in columns]}


_TRACK_FIELDS = [field.name for field in RESULT_SCHEMA.field("tracks").type.value_type]

_RESULTS: tuple[Callable[[ImageRecord], dict[str, Any]], ...] = (
    _classification,
    _shadow,
    _scene,
    _detections,
    _tracks,
)


def result_row(record: ImageRecord) -> dict[str, Any]:
    """Return the record as one row of `RESULT_SCHEMA`, without the fields that it lacks."""
    origin = record.origin
    row: dict[str, Any] = {
        "uri": _text(origin.uri),
        "source_id": _text(origin.source_id),
        "sequence": origin.sequence,
        "event_time_ms": origin.event_time_ms,
        **({} if origin.label is None else {"label": _text(origin.label)}),
        **_uses(record),
        "width": record.width,
        "height": record.height,
    }
    for result in _RESULTS:
        row.update(result(record))
    return row


def rejected_row(rejected: Rejected) -> dict[str, Any]:
    """Return the rejected image as one row of `REJECTED_SCHEMA`."""
    return {
        "uri": _text(rejected.origin.uri),
        "step": rejected.step,
        "reason": rejected.reason,
        "message": _text(rejected.message),
    }


def event_row(event: Event) -> dict[str, Any]:
    """Return the event as one row of `EVENT_SCHEMA`, without the fields that it lacks."""
    values = ((name, getattr(event, name)) for name in EVENT_SCHEMA.names)
    row = {name: value for name, value in values if value is not None}
    texts = ("source_id", "label", "predicted", "uri", "reason")
    return row | {name: _text(row[name]) for name in texts if name in row}


def to_json(row: Row) -> bytes:
    """Return a row as one line of JSON without its line end."""
    return orjson.dumps(row)
