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
from sightflow.records.tracks import Tracks

__all__ = ["FINDINGS", "Finding"]


@dataclass(frozen=True)
class Finding:
    """The form of one field: parallel columns become a list of structs in results."""

    kind: type
    """A frozen dataclass of parallel columns: arrays and tuples of plain values."""
    columns: Mapping[str, tuple[str, pa.DataType]]
    """For each field of a struct, the column that it comes from, and its type."""

    @property
    def type(self) -> pa.DataType:
        """The type of the field in results."""
        fields = (pa.field(name, type_) for name, (_, type_) in self.columns.items())
        return pa.list_(pa.struct(list(fields)))

    def rows(self, found: Any) -> list[dict[str, Any]]:
        """Return findings as plain values, without the columns that no step has filled."""
        columns = {name: getattr(found, column) for name, (column, _) in self.columns.items()}
        filled = {name: _plain(column) for name, column in columns.items() if column is not None}
        return [dict(zip(filled, row, strict=True)) for row in zip(*filled.values(), strict=True)]


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
    "detections": Finding(Detections, _OBJECT),
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
