"""Which of the boxes that were found are those of a truth, as COCO has it."""

import numpy as np
import numpy.typing as npt

__all__ = ["match_boxes", "overlaps"]

Boxes = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_BELOW_ONE = 1 - 1e-10
"""No `min_iou` is higher, so that rounding does not part boxes that are the same."""


def overlaps(found: Boxes, truth: Boxes, crowds: Flags) -> npt.NDArray[np.float64]:
    """Return how much every pair of boxes overlaps.

    Args:
        found: float64 [N, 4], xyxy in pixels, x2 and y2 exclusive.
        truth: float64 [M, 4], the same.
        crowds: bool [M], whether a box is that of a crowd.

    Returns:
        float64 [N, M] in [0, 1]: intersection over union; with a crowd the share of the found box
        that is in it. 0 where a box is empty.
    """
    corners = np.minimum(found[:, None, 2:], truth[None, :, 2:])
    sides = np.clip(corners - np.maximum(found[:, None, :2], truth[None, :, :2]), 0, None)
    common = sides[..., 0] * sides[..., 1]
    union = _areas(found)[:, None] + np.where(crowds, 0.0, _areas(truth) - common)
    shares: npt.NDArray[np.float64] = np.divide(
        common, union, out=np.zeros_like(common), where=common > 0
    )
    return shares


def match_boxes(
    found: Boxes, truth: Boxes, crowds: Flags, min_ious: npt.NDArray[np.float64]
) -> tuple[Flags, Flags]:
    """Match the boxes of one class in one image: each in turn takes the best that is free.

    Args:
        found: float64 [N, 4], xyxy in pixels, best score first.
        truth: float64 [M, 4], the same, in any order; of equal overlaps the last one is taken.
        crowds: bool [M]; a crowd takes any number of boxes that have found nothing else.
        min_ious: float64 [T] in (0, 1]; each is a matching of its own.

    Returns:
        Whether a box has found an object, bool [N, T], and whether it is in a crowd and so neither
        right nor wrong, bool [N, T].

    Source:
        `COCOeval.evaluateImg` of pycocotools 2.0.11.
    """
    limits = np.minimum(min_ious, _BELOW_ONE)
    shares = overlaps(found, truth, crowds)
    matched = _matched(shares[:, ~crowds], limits)
    in_crowd = (shares[:, crowds, None] >= limits).any(axis=1)
    return matched, ~matched & in_crowd


def _matched(shares: npt.NDArray[np.float64], limits: npt.NDArray[np.float64]) -> Flags:
    """Return for each box, and at each limit, whether it has found an object: bool [N, T]."""
    n_found, n_true = shares.shape
    matched = np.zeros((n_found, len(limits)), bool)
    free = np.ones((len(limits), n_true), bool)
    if n_true == 0:
        return matched
    for row in np.flatnonzero(shares.max(axis=1) >= limits.min()).tolist():
        fits = free & (shares[row] >= limits[:, None])
        values = np.where(fits, shares[row], -1.0)
        best = n_true - 1 - values[:, ::-1].argmax(axis=1)
        matched[row] = fits.any(axis=1)
        free[matched[row], best[matched[row]]] = False
    return matched


def _areas(boxes: Boxes) -> npt.NDArray[np.float64]:
    sides = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(sides[:, 0] * sides[:, 1])
