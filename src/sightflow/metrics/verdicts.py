"""Classifications held against the truth, image by image, and the sums over them.

Losses and scores are summed as whole multiples of 2^-32: so the sums are the same in any order, and
a window forgets exactly.
"""

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import MetricsError
from sightflow.metrics.sums import Sums

__all__ = ["Calibration", "Integers", "Tally", "Verdicts", "Whole", "judge"]

Integers: TypeAlias = npt.NDArray[np.int64]
Whole: TypeAlias = npt.NDArray[np.integer[Any]]
"""Of any width."""

_N_BINS = 15
_FLOOR = 1e-7
_UNIT = 2.0**32
_TOO_HIGH = 1.001
"""Probabilities in float32 may be above 1 by a rounding error."""


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What N results are worth; row i of every column is one image."""

    truths: Integers
    """int64 [N], the right class."""
    predicted: Integers
    """int64 [N], the best class; -1: none, or one that has no label here."""
    ranks: Integers
    """int64 [N], place of the right class in the result, from 0; -1: it is not there."""
    losses: Integers
    """int64 [N], minus the logarithm of the right class's probability, in 2^-32."""
    scores: npt.NDArray[np.float32]
    """float32 [N] in [0, 1], of the best class; 0 where there is none."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.truths)

    def take(self, rows: slice) -> "Verdicts":
        """Return some of them."""
        columns = self.truths, self.predicted, self.ranks, self.losses, self.scores
        return Verdicts(*(column[rows] for column in columns))  # type: ignore[arg-type]


def judge(
    truths: Whole,
    scores: npt.NDArray[np.float32],
    class_ids: Whole,
    *,
    n_classes: int,
) -> Verdicts:
    """Hold results against the truth.

    The probability of a right class that is not in the result is unknown: what the scores leave of
    1 is shared equally among the classes that are not there. No probability counts as less than
    1e-7, so one image costs at most 16.1.

    Args:
        truths: integer [N], the right class, from 0.
        scores: float32 [N, K] in [0, 1], best first.
        class_ids: integer [N, K], each at most once in a row; -1 where a class has no label here,
            and behind the end of a shorter result, with score 0.
        n_classes: how many classes there are.

    Returns:
        One row for each image.

    Raises:
        MetricsError: shapes differ, a class does not exist, or a score is not in [0, 1].
    """
    right: Integers = np.asarray(truths, np.int64)
    _check(right, scores, class_ids, n_classes)
    n, width = scores.shape
    if width == 0:
        scores, class_ids = np.zeros((n, 1), np.float32), np.full((n, 1), -1)
    rows = np.arange(n)
    is_right = class_ids == right[:, None]
    places = is_right.argmax(axis=1)
    is_there = is_right[rows, places]
    n_absent = n_classes - (class_ids >= 0).sum(axis=1)
    rest = (1 - scores.sum(axis=1, dtype=np.float64)) / np.maximum(1, n_absent)
    probabilities = np.where(is_there, scores[rows, places], rest)
    ranks = np.where(is_there, places, -1)
    best = class_ids[:, 0].astype(np.int64)
    return Verdicts(right, best, ranks, _losses(probabilities), scores[:, 0])


def _losses(probabilities: npt.NDArray[np.floating[Any]]) -> Integers:
    clipped = np.clip(probabilities.astype(np.float64), _FLOOR, 1.0)
    return np.asarray(np.rint(-np.log(clipped) * _UNIT), np.int64)


def _check(
    truths: Integers,
    scores: npt.NDArray[np.float32],
    class_ids: Whole,
    n_classes: int,
) -> None:
    if truths.ndim != 1 or scores.shape != class_ids.shape or len(scores) != len(truths):
        raise MetricsError(
            f"scores and class ids are [N, K]; got {list(scores.shape)} and "
            f"{list(class_ids.shape)} for {len(truths)} images"
        )
    if len(truths) and (truths.min() < 0 or truths.max() >= n_classes):
        raise MetricsError(
            f"right classes are in [0, {n_classes}); got {truths.min()} to {truths.max()}"
        )
    if scores.size and not (scores.min() >= 0 and scores.max() <= _TOO_HIGH):
        raise MetricsError(f"scores are in [0, 1]; got {scores.min()} to {scores.max()}")


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A reliability diagram: whether a score of 0.8 is right in 8 of 10 images.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """

    n: Integers
    """int64 [15], as are the others in length: images whose best score is in (i/15, (i+1)/15]."""
    accuracy: npt.NDArray[np.float64]
    """float64, share of them that is right; 0 where there are none."""
    score: npt.NDArray[np.float64]
    """float64, mean of their best scores; 0 where there are none."""

    @property
    def error(self) -> float:
        """Expected calibration error: mean distance of score and accuracy, in [0, 1]."""
        gaps = self.n * np.abs(self.accuracy - self.score)
        return float(gaps.sum() / max(1, int(self.n.sum())))


def _no_bins() -> Integers:
    return np.zeros(_N_BINS, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Tally(Sums):
    """Sums over images, whose ratios are 0 where there are no images."""

    n: int = 0
    n_correct: int = 0
    n_in_top_k: int = 0
    loss: int = 0
    """In 2^-32."""
    bin_n: Integers = field(default_factory=_no_bins)
    """int64 [15], as are the others: by the best score."""
    bin_correct: Integers = field(default_factory=_no_bins)
    bin_score: Integers = field(default_factory=_no_bins)
    """In 2^-32."""

    @classmethod
    def of(
        cls,
        ranks: Whole,
        losses: Integers,
        scores: npt.NDArray[np.float32],
        *,
        top_k: int,
    ) -> "Tally":
        """Return the sums over images, given by columns of `Verdicts`."""
        capped = np.minimum(scores.astype(np.float64), 1.0)
        bins = np.clip(np.ceil(capped * _N_BINS).astype(np.int64) - 1, 0, _N_BINS - 1)
        is_correct = ranks == 0
        score_sums = _no_bins()
        np.add.at(score_sums, bins, np.rint(capped * _UNIT).astype(np.int64))
        return cls(
            len(ranks),
            int(is_correct.sum()),
            int(((ranks >= 0) & (ranks < top_k)).sum()),
            int(losses.sum()),
            np.bincount(bins, minlength=_N_BINS),
            np.bincount(bins[is_correct], minlength=_N_BINS),
            score_sums,
        )

    @property
    def accuracy(self) -> float:
        """Share of the images whose best class is right, in [0, 1]."""
        return self.n_correct / max(1, self.n)

    @property
    def top_k_accuracy(self) -> float:
        """Share of the images whose right class is among the best k, in [0, 1]."""
        return self.n_in_top_k / max(1, self.n)

    @property
    def log_loss(self) -> float:
        """Mean of minus the logarithm of the right class's probability, from 0."""
        return self.loss / _UNIT / max(1, self.n)

    @property
    def calibration(self) -> Calibration:
        """The reliability diagram."""
        n = np.maximum(1, self.bin_n)
        return Calibration(self.bin_n, self.bin_correct / n, self.bin_score / _UNIT / n)

    def figures(self) -> dict[str, float]:
        """Return number of images and ratios by name."""
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "top_k_accuracy": self.top_k_accuracy,
            "log_loss": self.log_loss,
            "calibration_error": self.calibration.error,
        }
