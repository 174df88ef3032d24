"""What steps can find in an image: for each field of a record its type, and its form in results.

A field of a record that holds findings stands here and in `ImageRecord`, and nowhere else in the
code: the schema of results, their rows, and what travels to other workers follow from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sightflow.records.arrays import plain_floats
from sightflow.records.classification import Classification, Scene
from sightflow.records.detections import Detections
from sightflow.records.faces import Faces
from sightflow.records.measures import Measures
from sightflow.records.objectclasses import ObjectClasses
from sightflow.records.tracks import Tracks

__all__ = ["FINDINGS", "Finding"]


@dataclass(frozen=True)
class Finding:
    """The form of one field: parallel columns become a list of structs in results."""

    kind: type
    """A frozen dataclass of parallel columns: arrays and tuples of plain values."""
    columns: Mapping[str, "tuple[str, pa.DataType | Finding]"]
    """For each field of a struct, the column that it comes from, and its type; of `ObjectClasses`
    their own form."""

    @property
    def type(self) -> pa.DataType:
        """The type of the field in results."""
        return pa.list_(self.struct)

    @property
    def struct(self) -> pa.DataType:
        """The type of one row."""
        return pa.struct(
            [
                pa.field(name, type_.struct if isinstance(type_, Finding) else type_)
                for name, (_, type_) in self.columns.items()
            ]
        )

    def rows(self, found: Any) -> list[dict[str, Any]]:
        """Return findings as plain values, without the columns that no step has filled.

        Of an object that a classifier did not look at the field is absent.
        """
        filled: dict[str, Any] = {}
        for name, (column, type_) in self.columns.items():
            values = getattr(found, column)
            if isinstance(values, ObjectClasses) and isinstance(type_, Finding):
                filled[name] = [row if row["label"] else None for row in type_.rows(values)]
            elif values is not None:
                filled[name] = _plain(values)
        rows = [dict(zip(filled, row, strict=True)) for row in zip(*filled.values(), strict=True)]
        nested = [name for name in filled if isinstance(self.columns[name][1], Finding)]
        for name in nested:
            for row in rows:
                if row[name] is None:
                    del row[name]
        return rows


def _plain(column: Any) -> Any:
    """Return a column as plain values; float32 with the fewest digits that give it back."""
    if not isinstance(column, np.ndarray):
        return column
    if column.dtype != np.float32:
        return column.tolist()
    return plain_floats(column) if column.ndim == 1 else list(map(_plain, column))


_LABEL = {"label": ("labels", pa.string())}
_SCORE = {"score": ("scores", pa.float32())}
_CLASS = {**_LABEL, "class_id": ("class_ids", pa.int32()), **_SCORE}
_BOX = {"box_xyxy": ("boxes_xyxy", pa.list_(pa.float32()))}
_OBJECT = {**_CLASS, **_BOX}

FINDINGS: Mapping[str, Finding] = {
    "classification": Finding(Classification, _CLASS),
    "shadow": Finding(Classification, _CLASS),
    "scene": Finding(Scene, {**_LABEL, **_SCORE}),
    "detections": Finding(
        Detections,
        {
            **_OBJECT,
            "track_id": ("track_ids", pa.int64()),
            "state": ("states", Finding(ObjectClasses, {**_LABEL, **_SCORE})),
            "sign": ("signs", Finding(ObjectClasses, _CLASS)),
        },
    ),
    "tracks": Finding(
        Tracks,
        {
            "track_id": ("track_ids", pa.int64()),
            **_OBJECT,
            "velocity_xy": ("velocities_xy", pa.list_(pa.float32())),
            "age_ms": ("ages_ms", pa.int64()),
            "n_hits": ("n_hits", pa.int32()),
        },
    ),
    "faces": Finding(
        Faces,
        {
            **_SCORE,
            **_BOX,
            "landmarks_xy": ("landmarks_xy", pa.list_(pa.list_(pa.float32()))),
            "embedding": ("embeddings", pa.list_(pa.float32())),
            "person_id": ("person_ids", pa.string()),
            "similarity": ("similarities", pa.float32()),
            "track_id": ("track_ids", pa.int64()),
        },
    ),
    "measures": Finding(
        Measures, {"name": ("names", pa.string()), "value": ("values", pa.float32())}
    ),
}
"""By the name of the field, in the order of results."""
