"""Faces found in one image, and whose they are."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ShapeError
from sightflow.records.arrays import check_array

__all__ = ["Faces"]


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """N faces found in one image, best first; row i of every column describes face i.

    The last four columns are None until a step has filled them.
    """

    boxes_xyxy: npt.NDArray[np.float32]
    """float32 [N, 4] in pixels of the original image; origin top left; x2, y2 exclusive."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1]."""
    landmarks_xy: npt.NDArray[np.float32]
    """float32 [N, K, 2] in pixels of the original image: first the eyes, that to the left in an
    upright picture before the other; which points follow, the step before tells."""
    embeddings: npt.NDArray[np.float32] | None = None
    """float32 [N, D], of unit length: the cosine of two is how alike the faces are."""
    person_ids: tuple[str | None, ...] | None = None
    """Who it is; None of a face that is nobody's who is enrolled."""
    similarities: npt.NDArray[np.float32] | None = None
    """float32 [N], cosine in [-1, 1] with the face of the gallery that is most alike; -1 where the
    gallery is empty."""
    track_ids: tuple[int | None, ...] | None = None
    """The track of each face; None of a face that is not followed."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.boxes_xyxy)
        check_array("boxes_xyxy", self.boxes_xyxy, (n, 4), np.float32)
        check_array("scores", self.scores, (n,), np.float32)
        n_points = self.landmarks_xy.shape[1] if self.landmarks_xy.ndim == 3 else 0
        check_array("landmarks_xy", self.landmarks_xy, (n, n_points, 2), np.float32)
        if self.embeddings is not None:
            width = self.embeddings.shape[-1] if self.embeddings.ndim else 0
            check_array("embeddings", self.embeddings, (n, width), np.float32)
        if self.similarities is not None:
            check_array("similarities", self.similarities, (n,), np.float32)
        for name in ("person_ids", "track_ids"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise ShapeError(f"`{name}` must have {n} items; got {len(column)}")

    def __len__(self) -> int:
        """Return the number of faces."""
        return len(self.boxes_xyxy)

    @property
    def names(self) -> tuple[str | None, ...]:
        """Who each is; None of one that is nobody's, or of whom no step has told."""
        return self.person_ids or (None,) * len(self)

    @property
    def strangers_xyxy(self) -> npt.NDArray[np.float32]:
        """The boxes of those without a name, float32 [M, 4]."""
        return self.boxes_xyxy[[i for i, name in enumerate(self.names) if name is None]]

    def take(self, rows: Any) -> "Faces":
        """Return the faces of these rows: numbers, or bool [N]."""
        chosen = np.arange(len(self))[rows]
        columns: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        for name, column in columns.items():
            if isinstance(column, tuple):
                columns[name] = tuple(column[i] for i in chosen)
            elif column is not None:
                columns[name] = column[rows]
        return Faces(**columns)
