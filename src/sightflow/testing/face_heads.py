"""What heads of models about faces promise."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.tasks.face_heads import FoundFaces, Landmarks

__all__ = ["check_embedding", "check_face_detector", "check_landmarks"]

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]


def check_face_detector(head: Any, outputs: Outputs, found: Sequence[FoundFaces], _: int) -> None:
    """Raise AssertionError unless a head gives the candidates of each image."""
    n_images = _n_images(outputs)
    assert len(found) == n_images, f"a head of a detector gives one each; got {len(found)}"
    for one in found:
        n, n_points = len(one.scores), one.landmarks_xy.shape[1]
        _check_column("boxes_xyxy", one.boxes_xyxy, (n, 4))
        _check_column("scores", one.scores, (n,))
        _check_column("landmarks_xy", one.landmarks_xy, (n, n_points, 2))
        assert n_points >= 2, f"the first two landmarks are the eyes; there are {n_points}"
        inside = bool(((one.scores >= 0) & (one.scores <= 1)).all())
        assert inside, f"scores are in [0, 1]; got {one.scores}"
        ordered = bool((one.boxes_xyxy[:, :2] <= one.boxes_xyxy[:, 2:]).all())
        assert ordered, f"boxes are x1, y1, x2, y2; got {one.boxes_xyxy}"
    scores = np.unique(np.concatenate([one.scores for one in found]))
    assert len(scores) > 1, "a check needs candidates with several scores"
    middle = float(np.median(scores))
    for i, better in enumerate(head(outputs, min_score=middle)):
        n_better = int((found[i].scores >= np.float32(middle)).sum())
        assert len(better.scores) == n_better, f"`min_score` keeps scores from {middle}"
        (alone,) = head(_alone(outputs, i), min_score=0.0)
        same = np.array_equal(alone.boxes_xyxy, found[i].boxes_xyxy)
        assert same, "an image is read the same in any batch"


def check_landmarks(head: Any, outputs: Outputs, found: Landmarks, n_points: int) -> None:
    """Raise AssertionError unless a head gives the landmarks of each crop."""
    n_images = _n_images(outputs)
    _check_column("points_xy", found.points_xy, (n_images, n_points, 2))
    _check_column("boxes_xyxy", found.boxes_xyxy, (n_images, 4))
    for i in range(n_images):
        alone = head(_alone(outputs, i))
        same = np.array_equal(alone.points_xy[0], found.points_xy[i])
        assert same, "an image is read the same in any batch"


def check_embedding(head: Any, outputs: Outputs, found: Array, _: int) -> None:
    """Raise AssertionError unless a head gives numbers of unit length for each face."""
    n_images = _n_images(outputs)
    _check_column("embedding", found, (n_images, found.shape[-1]))
    lengths = np.linalg.norm(found, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5), f"embeddings have the length 1; got {lengths}"
    for i in range(n_images):
        alone = head(_alone(outputs, i))[0]
        assert np.allclose(alone, found[i], atol=1e-6), "an image is read the same in any batch"


def _check_column(name: str, array: Array, shape: tuple[int, ...]) -> None:
    got = f"`{name}` is float32 {list(shape)}; got {array.dtype} {list(array.shape)}"
    assert (array.dtype, array.shape) == (np.dtype(np.float32), shape), got


def _n_images(outputs: Outputs) -> int:
    return len(next(iter(outputs.values())))


def _alone(outputs: Outputs, i: int) -> Outputs:
    return {name: output[i : i + 1] for name, output in outputs.items()}
