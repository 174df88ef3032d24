"""CLEAR MOT: boxes found frame by frame, and changes of identity."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from sightflow.metrics.sums import Sums

__all__ = ["Clear", "count_clear"]

_MOSTLY_TRACKED, _MOSTLY_LOST = 0.8, 0.2
_CONTINUES = 1000.0
"""Weight of a pair that was one in the frame before, beside its IoU."""
_EPSILON = float(np.finfo(np.float64).eps)

Ids = Sequence[Sequence[int]]


@dataclass(frozen=True, slots=True)
class Clear(Sums):
    """The counts of CLEAR MOT, and what is made of them.

    Source: Bernardin and Stiefelhagen, "Evaluating multiple object tracking performance", 2008.
    """

    n_matches: int = 0
    n_false_positives: int = 0
    n_misses: int = 0
    n_id_switches: int = 0
    n_fragmentations: int = 0
    """How often an object was found again after it had been missed."""
    n_mostly_tracked: int = 0
    """Objects found in more than 80 % of their frames."""
    n_mostly_lost: int = 0
    """Objects found in less than 20 % of their frames."""
    iou_sum: float = 0.0
    """Of all matches."""

    @property
    def mota(self) -> float:
        """Accuracy: 1 - (misses + false positives + switches) / true boxes; 0 without any."""
        n_true = self.n_matches + self.n_misses
        right = self.n_matches - self.n_false_positives - self.n_id_switches
        return right / n_true if n_true else 0.0

    @property
    def motp(self) -> float:
        """Precision: mean IoU of the matches, in [0, 1]; 0 without any."""
        return self.iou_sum / max(1, self.n_matches)


def count_clear(
    truth_ids: Ids,
    predicted_ids: Ids,
    ious: Sequence[npt.NDArray[np.float64]],
    *,
    min_iou: float,
) -> Clear:
    """Count what was found in the frames of a sequence, in their order.

    Args:
        truth_ids: of each frame, N ids.
        predicted_ids: of each frame, M ids.
        ious: of each frame, float64 [N, M] in [0, 1].
        min_iou: pairs that overlap less do not match, in [0, 1].

    Source:
        TrackEval 1.3.0, `trackeval.metrics.CLEAR`.

    Examples:
        >>> count_clear([[1], [1]], [[7], [8]], [np.ones((1, 1))] * 2, min_iou=0.5).n_id_switches
        1
    """
    objects = _Objects()
    n_misses = n_false_positives = 0
    for true, predicted, overlap in zip(truth_ids, predicted_ids, ious, strict=True):
        matches = objects.match(true, predicted, overlap, min_iou)
        n_misses += len(true) - matches
        n_false_positives += len(predicted) - matches
    shares = [objects.n_matches[i] / n_frames for i, n_frames in objects.n_frames.items()]
    return Clear(
        objects.n_matches.total(),
        n_false_positives,
        n_misses,
        objects.n_switches,
        sum(n_starts - 1 for n_starts in objects.n_starts.values()),
        sum(share > _MOSTLY_TRACKED for share in shares),
        sum(share < _MOSTLY_LOST for share in shares),
        objects.iou_sum,
    )


@dataclass
class _Objects:
    """What became of the true objects so far, by their ids."""

    n_frames: Counter[int] = field(default_factory=Counter)
    n_matches: Counter[int] = field(default_factory=Counter)
    n_starts: Counter[int] = field(default_factory=Counter)
    """How often each was found and had not been in the frame before."""
    last: dict[int, int] = field(default_factory=dict)
    """The prediction that each was matched with the last time."""
    previous: Mapping[int, int] = field(default_factory=dict)
    """The same in the frame before only; frames with an empty side do not count as one."""
    n_switches: int = 0
    iou_sum: float = 0.0

    def match(
        self,
        truth_ids: Sequence[int],
        predicted_ids: Sequence[int],
        ious: npt.NDArray[np.float64],
        min_iou: float,
    ) -> int:
        """Match the boxes of the next frame and note it; return the number of matches."""
        self.n_frames.update(truth_ids)
        if not truth_ids or not predicted_ids:
            return 0
        before = [[self.previous.get(i) == j for j in predicted_ids] for i in truth_ids]
        value = np.where(ious >= min_iou - _EPSILON, _CONTINUES * np.array(before) + ious, 0.0)
        rows, columns = linear_sum_assignment(value, maximize=True)
        kept = value[rows, columns] > _EPSILON
        rows, columns = rows[kept], columns[kept]
        now = {truth_ids[i]: predicted_ids[j] for i, j in zip(rows, columns, strict=True)}
        self.n_switches += sum(self.last.get(i, j) != j for i, j in now.items())
        self.n_starts.update(now.keys() - self.previous.keys())
        self.n_matches.update(now.keys())
        self.iou_sum += float(ious[rows, columns].sum())
        self.last.update(now)
        self.previous = now
        return len(now)
