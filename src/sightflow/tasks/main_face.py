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
_SEVERAL = 0.7
"""Others that count at least so much make it unclear whose picture it is."""


@dataclass(frozen=True)
class MainFace:
    """Keep the face that a picture is about: a large one, near to the middle.

    A face counts by its side, and at the edge of the picture by half of that. A picture without a
    face is rejected as `no_face`. How many faces there were is in `measures`, as `n_faces`.
    """

    several: Literal["take", "reject"] = "take"
    """What happens where another face counts at least 0.7 times as much: the main one is taken, or
    the picture is rejected as `several_faces`."""

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
            prominence = _prominence(faces, record)
            main = int(prominence.argmax())
            n_main = int((prominence >= _SEVERAL * prominence[main]).sum())
            if self.several == "reject" and n_main > 1:
                message = f"{n_main} faces may each be the one that is meant"
                return Rejected(record.origin, context.step, "several_faces", message)
            counted = Measures(("n_faces",), np.array([len(faces)], np.float32))
            measures = counted.and_of(record.measures)
            return replace(record, faces=faces.take([main]), measures=measures)

        return lambda records: [chosen(record) for record in records]


def _prominence(faces: Faces, record: ImageRecord) -> npt.NDArray[np.float64]:
    """Return how much a picture is about each face, float64 [N]: side, less where it is aside."""
    sides = (faces.boxes_xyxy[:, 2:] - faces.boxes_xyxy[:, :2]).max(axis=1)
    centres = (faces.boxes_xyxy[:, :2] + faces.boxes_xyxy[:, 2:]) / 2
    middle = np.array([record.width, record.height]) / 2
    away = np.abs(centres / middle - 1).max(axis=1)
    return np.asarray(sides * (1 - _FAR_FROM_MIDDLE * away), np.float64)
