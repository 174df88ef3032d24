"""Keep the one face that a picture is about, where each picture is to show one person."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.options import check_choices
from sightflow.protocols import Context, Process
from sightflow.records import Faces, ImageRecord, Measures, Outcome, Rejected

__all__ = ["MainFace"]

_FAR_FROM_MIDDLE = 0.5
"""A face in a corner counts as if it were smaller by this part."""
_SEVERAL = 0.5
"""Others of at least this part of its side make it unclear whose picture it is."""


@dataclass(frozen=True)
class MainFace:
    """Keep the face that a picture is about: the largest, and of such the nearest to the middle.

    A picture without a face is rejected as `no_face`. How many faces there were is in `measures`,
    as `n_faces`.
    """

    several: Literal["take", "reject"] = "take"
    """What happens where another face is at least half as large: the main one is taken, or the
    picture is rejected as `several_faces`."""

    needs: ClassVar[tuple[str, ...]] = ("faces",)
    gives: ClassVar[tuple[str, ...]] = ("faces", "measures")

    def check(self) -> None:
        """Refuse a word that is none of the two."""
        check_choices(self)

    def scale_for(self, width: int, height: int) -> float:
        """Return almost 0: it looks at no pixels."""
        return 1e-9

    def open(self, context: Context) -> Process:
        """Return the function that chooses."""

        def chosen(record: ImageRecord) -> Outcome:
            faces = record.faces
            if faces is None:
                raise PipelineError(
                    f"step {context.step!r} chooses among the faces of an earlier step; add one, "
                    "such as DetectFaces"
                )
            if not len(faces):
                return Rejected(record.origin, context.step, "no_face", "no face was found")
            sides, prominence = _sides(faces), _prominence(faces, record)
            main = int(prominence.argmax())
            n_large = int((sides >= _SEVERAL * sides[main]).sum())
            if self.several == "reject" and n_large > 1:
                message = f"{n_large} faces are large enough to be the one that is meant"
                return Rejected(record.origin, context.step, "several_faces", message)
            counted = Measures(("n_faces",), np.array([len(faces)], np.float32))
            measures = counted.and_of(record.measures)
            return replace(record, faces=faces.take([main]), measures=measures)

        return lambda records: [chosen(record) for record in records]


def _sides(faces: Faces) -> npt.NDArray[np.float32]:
    """Return the longer side of each face, float32 [N] in pixels."""
    sides = faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]
    return np.asarray(sides.max(axis=1), np.float32)


def _prominence(faces: Faces, record: ImageRecord) -> npt.NDArray[np.float64]:
    """Return how much a picture is about each face, float64 [N]: side, less where it is aside."""
    centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
    middle = np.array([record.width, record.height]) / 2
    away = np.abs(centres / middle - 1).max(axis=1)
    return np.asarray(_sides(faces) * (1 - _FAR_FROM_MIDDLE * away), np.float64)
