"""Which of two sets of boxes belong together."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

__all__ = ["best_pairs", "grown"]


def grown(boxes_xyxy: npt.NDArray[np.float32], by: float) -> npt.NDArray[np.float32]:
    """Return boxes, float32 [N, 4], with width and height larger by a part of themselves.

    Boxes that just miss each other overlap when they are grown; how much tells how near they are.

    Examples:
        >>> grown(np.array([[0, 0, 10, 20]], np.float32), 0.5).tolist()
        [[-2.5, -5.0, 12.5, 25.0]]
    """
    margin = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]) * (by / 2)
    return np.concatenate([boxes_xyxy[:, :2] - margin, boxes_xyxy[:, 2:] + margin], axis=1).astype(
        np.float32
    )


def best_pairs(
    similarity: npt.NDArray[np.float32], *, min_similarity: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the pairs whose similarities add up to the most, each row and column in one at most.

    Args:
        similarity: float32 [N, M].
        min_similarity: pairs below are no pairs, and those at 0 never are.

    Returns:
        The rows and the columns of the pairs, each intp [P].

    Examples:
        >>> best_pairs(np.array([[0.9, 0.8], [0.7, 0.1]], np.float32), min_similarity=0.3)
        (array([0, 1]), array([1, 0]))
    """
    allowed = (similarity >= min_similarity) & (similarity > 0)
    rows, columns = linear_sum_assignment(np.where(allowed, similarity, 0.0), maximize=True)
    kept = allowed[rows, columns]
    return rows[kept], columns[kept]
