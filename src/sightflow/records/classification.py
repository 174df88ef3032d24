"""Names for a whole image: its main subject, its scene."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.records.arrays import check_array

__all__ = ["Classification", "Scene"]


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """The best classes of one image, best first; row i of every column is one class."""

    labels: tuple[str, ...]
    class_ids: npt.NDArray[np.int32]
    """int32 [K], index into the model's labels."""
    scores: npt.NDArray[np.float32]
    """float32 [K] in [0, 1], falling."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        n = len(self.labels)
        check_array("class_ids", self.class_ids, (n,), np.int32)
        check_array("scores", self.scores, (n,), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """The scenes that an image may show, most likely first."""

    labels: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    """float32 [S] in [0, 1], falling."""

    def __post_init__(self) -> None:
        """Check that the columns are parallel."""
        check_array("scores", self.scores, (len(self.labels),), np.float32)
