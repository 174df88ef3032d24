"""Whether faces show the same person: two of them (1:1), and one among all enrolled ones (1:N).

Scores are cosines, kept in float32. What has at least the threshold is accepted; a threshold is
taken in float32 as well, as numpy 2 compares it with such scores.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import MetricsError, ShapeError
from sightflow.metrics.shares import Share
from sightflow.records.arrays import check_array

__all__ = [
    "Identification",
    "IdentificationFigures",
    "IdentificationPoint",
    "OperatingPoint",
    "RocCurve",
    "Verification",
    "VerificationFigures",
]

Scores: TypeAlias = npt.NDArray[np.float32]
Ratios: TypeAlias = npt.NDArray[np.float64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_TOO_HIGH = 1.001
"""Cosines of float32 vectors may be above 1 by a rounding error."""
_N_CURVE = 240
"""Points of a ROC curve from pairs of each kind; with those that are always there, below 500."""
_BLOCK = 1_000_000
"""Scores that are looked up at once."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """What a threshold does to the pairs that were measured."""

    threshold: float
    far: float
    """False accept rate: share of the pairs of different people that are accepted, in [0, 1]."""
    tar: float
    """True accept rate: share of the pairs of the same person that are accepted, in [0, 1]."""


@dataclass(frozen=True, slots=True, eq=False)
class RocCurve:
    """P operating points, from (0, 0), where nothing is accepted, to (1, 1)."""

    far: Ratios
    """float64 [P] in [0, 1], ascending."""
    tar: Ratios
    """float64 [P] in [0, 1], ascending."""
    threshold: Scores
    """float32 [P], descending; all but the first are scores of pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class VerificationFigures:
    """How well pairs of the same person and of different people are told apart."""

    same_scores: Scores
    """float32 [n_same], ascending."""
    different_scores: Scores
    """float32 [n_different], ascending."""
    eer: float
    """Equal error rate, in [0, 1]: as many are accepted as are rejected by mistake."""
    eer_threshold: float
    """Where that is; both lie on the line between the two operating points beside it."""
    auc: float
    """How often a pair of the same person scores higher than one of different people, in [0, 1];
    equal scores count half."""
    curve: RocCurve
    """At most 500 points."""

    @property
    def n_same(self) -> int:
        """How many pairs of the same person."""
        return len(self.same_scores)

    @property
    def n_different(self) -> int:
        """How many pairs of different people."""
        return len(self.different_scores)

    def can_tell(self, far: float) -> bool:
        """Return whether there are enough pairs for a false accept rate: 1 / far different ones.

        Raises:
            MetricsError: `far` is not in (0, 1].
        """
        if not 0 < far <= 1:
            raise MetricsError(f"`far` must be in (0, 1]; got {far}; 0.001 is 1 of 1,000 pairs")
        return 1 / self.n_different <= far

    def at(self, far: float) -> OperatingPoint | None:
        """Return the lowest threshold that accepts few enough pairs of different people.

        Args:
            far: the highest false accept rate, in (0, 1].

        Returns:
            The threshold and what it does; its rate is below `far` where scores are equal. None:
            it cannot be told from so few pairs. For a `far` of 1 it is the lowest score.

        Raises:
            MetricsError: `far` is not in (0, 1].
        """
        if not self.can_tell(far):
            return None
        n_allowed = _n_allowed(far, self.n_different)
        if n_allowed == self.n_different:
            return self.at_threshold(float(min(self.same_scores[0], self.different_scores[0])))
        return self.at_threshold(float(_just_above(self.different_scores[-1 - n_allowed])))

    def at_threshold(self, threshold: float) -> OperatingPoint:
        """Return what a threshold does."""
        n_false, n_true = (
            _n_from(scores, np.float32(threshold))
            for scores in (self.different_scores, self.same_scores)
        )
        return OperatingPoint(threshold, n_false / self.n_different, n_true / self.n_same)


class Verification:
    """Figures of pairs of faces, batch by batch; their order makes no difference.

    A pair takes 4 bytes, and as much again while the figures are kept.

    Source:
        ISO/IEC 19795-1:2021, "Biometric performance testing and reporting"; `far` is what it
        calls the false match rate. The points of the curve and `auc` are those of `roc_curve`
        and `roc_auc_score` of scikit-learn 1.7.

    Examples:
        >>> pairs = Verification()
        >>> scores = np.array([0.75, 0.5, 0.25, 0.0], np.float32)
        >>> pairs.update(scores, np.array([True, True, False, False]))
        >>> pairs.compute().at_threshold(0.25)
        OperatingPoint(threshold=0.25, far=0.5, tar=1.0)
    """

    def __init__(self) -> None:
        """Start with no pair."""
        self._same, self._different = array("f"), array("f")

    def update(self, scores: npt.NDArray[np.floating[Any]], same: Flags) -> None:
        """Add pairs.

        Args:
            scores: float [N], cosine similarity of two faces, in [-1, 1].
            same: bool [N], whether they show the same person.

        Raises:
            ShapeError: an array has another shape or dtype.
            MetricsError: a score is no cosine.
        """
        cosines = _cosines("scores", scores)
        check_array("same", same, cosines.shape, np.bool_)
        self._same.frombytes(cosines[same].tobytes())
        self._different.frombytes(cosines[~same].tobytes())

    def merge(self, other: "Verification") -> None:
        """Take over the pairs of another."""
        self._same.extend(other._same)
        self._different.extend(other._different)

    def compute(self) -> VerificationFigures:
        """Return the figures of all pairs.

        Raises:
            MetricsError: there are no pairs of the same person, or none of different people.
        """
        same, different = _ascending(self._same), _ascending(self._different)
        if not len(same) or not len(different):
            raise MetricsError(
                "verification needs pairs of the same person and of different people; "
                f"got {len(same)} and {len(different)}; "
                "take at least two people, one of them with two pictures"
            )
        curve, auc = _curve(same, different), _auc(same, different)
        return VerificationFigures(same, different, *_equal_error(same, different), auc, curve)

    def reset(self) -> None:
        """Forget all pairs."""
        self._same, self._different = array("f"), array("f")


@dataclass(frozen=True, slots=True)
class IdentificationPoint:
    """What a threshold does to the probes that were measured."""

    threshold: float
    identified: Share
    """Of the probes of enrolled people: the right person, with at least the threshold."""
    wrong: Share
    """Of the same probes: another person, with at least the threshold."""
    missed: Share
    """Of the same probes: nobody has the threshold."""
    unknown_rejected: Share
    """Of the probes of other people: nobody has the threshold."""
    false_identified: Share
    """Of the probes of other people: somebody has at least the threshold."""


@dataclass(frozen=True, slots=True, eq=False)
class IdentificationFigures:
    """How well people are found among the enrolled ones, and others are found to be unknown."""

    right_scores: Scores
    """float32, ascending: probes of enrolled people whose best match is the right person."""
    wrong_scores: Scores
    """float32, ascending: probes of enrolled people whose best match is another person."""
    unknown_scores: Scores
    """float32, ascending: probes of people who are not enrolled."""

    @property
    def rank_1(self) -> Share:
        """Probes of enrolled people whose best match is the right person, whatever its score."""
        return Share(len(self.right_scores), self._n_enrolled)

    def at(self, threshold: float) -> IdentificationPoint:
        """Return what a threshold does."""
        right, wrong, false = (
            _n_from(scores, np.float32(threshold))
            for scores in (self.right_scores, self.wrong_scores, self.unknown_scores)
        )
        n, n_unknown = self._n_enrolled, len(self.unknown_scores)
        return IdentificationPoint(
            threshold,
            identified=Share(right, n),
            wrong=Share(wrong, n),
            missed=Share(n - right - wrong, n),
            unknown_rejected=Share(n_unknown - false, n_unknown),
            false_identified=Share(false, n_unknown),
        )

    @property
    def _n_enrolled(self) -> int:
        return len(self.right_scores) + len(self.wrong_scores)


class Identification:
    """Figures of faces that were looked for in a gallery, batch by batch.

    Source:
        ISO/IEC 19795-1:2021, open-set identification: `missed` and `wrong` together are FNIR,
        `false_identified` is FPIR.

    Examples:
        >>> probes, scores = Identification(), np.array([0.75, 0.5, 0.25], np.float32)
        >>> is_enrolled = np.array([True, True, False])
        >>> probes.update(np.array([True, False, False]), scores, is_enrolled)
        >>> probes.compute().at(0.5).wrong.value
        0.5
    """

    def __init__(self) -> None:
        """Start with no probe."""
        self._right, self._wrong, self._unknown = array("f"), array("f"), array("f")

    def update(
        self,
        best_person_is_right: Flags,
        best_scores: npt.NDArray[np.floating[Any]],
        is_enrolled: Flags,
    ) -> None:
        """Add probes.

        Args:
            best_person_is_right: bool [N], whether the best match is the person of the probe;
                False for one who is not enrolled.
            best_scores: float [N], cosine similarity of the best match, in [-1, 1].
            is_enrolled: bool [N], whether the person of the probe is in the gallery.

        Raises:
            ShapeError: an array has another shape or dtype.
            MetricsError: a score is no cosine, or the right person of a probe is not enrolled.
        """
        cosines = _cosines("best_scores", best_scores)
        check_array("best_person_is_right", best_person_is_right, cosines.shape, np.bool_)
        check_array("is_enrolled", is_enrolled, cosines.shape, np.bool_)
        if (impossible := best_person_is_right & ~is_enrolled).any():
            raise MetricsError(
                "the best match can be right only for a person who is enrolled; "
                f"got {int(impossible.sum())} probes where it is and the person is not"
            )
        self._right.frombytes(cosines[best_person_is_right].tobytes())
        self._wrong.frombytes(cosines[is_enrolled & ~best_person_is_right].tobytes())
        self._unknown.frombytes(cosines[~is_enrolled].tobytes())

    def merge(self, other: "Identification") -> None:
        """Take over the probes of another."""
        self._right.extend(other._right)
        self._wrong.extend(other._wrong)
        self._unknown.extend(other._unknown)

    def compute(self) -> IdentificationFigures:
        """Return the figures of all probes; shares of nothing are 0."""
        return IdentificationFigures(*map(_ascending, (self._right, self._wrong, self._unknown)))

    def reset(self) -> None:
        """Forget all probes."""
        self._right, self._wrong, self._unknown = array("f"), array("f"), array("f")


def _cosines(name: str, scores: npt.NDArray[np.floating[Any]]) -> Scores:
    """Return scores as float32, checked."""
    if scores.ndim != 1 or not np.issubdtype(scores.dtype, np.floating):
        raise ShapeError(f"`{name}` must be float [N]; got {scores.dtype} {list(scores.shape)}")
    if scores.size and not (scores.min() >= -_TOO_HIGH and scores.max() <= _TOO_HIGH):
        raise MetricsError(
            f"`{name}` must be cosines in [-1, 1]; got {scores.min()} to {scores.max()}; "
            "embeddings have unit length"
        )
    return scores.astype(np.float32)


def _ascending(scores: "array[float]") -> Scores:
    return np.sort(np.frombuffer(scores, np.float32))


def _n_from(scores: Scores, threshold: np.float32) -> int:
    """Return how many of the ascending scores have at least the threshold."""
    return len(scores) - int(np.searchsorted(scores, threshold))


def _just_above(score: np.float32) -> np.float32:
    return np.float32(np.nextafter(score, np.float32(np.inf)))


def _n_allowed(far: float, n: int) -> int:
    """Return the highest number whose share of n is at most `far`."""
    nearest = round(far * n)
    return nearest if nearest / n <= far else nearest - 1


def _equal_error(same: Scores, different: Scores) -> tuple[float, float]:
    """Return the equal error rate and its threshold."""

    def excess(threshold: np.float32) -> int:
        """Return false accept rate minus false reject rate, in 1 / (n_same * n_different)."""
        n_rejected = len(same) - _n_from(same, threshold)
        return _n_from(different, threshold) * len(same) - n_rejected * len(different)

    sides = same, different
    above_all = _just_above(max(same[-1], different[-1]))
    firsts = [bisect_left(side, True, key=lambda score: excess(score) <= 0) for side in sides]
    reached = [side[i] for side, i in zip(sides, firsts, strict=True) if i < len(side)]
    after = min([*reached, above_all])
    before = max(side[i - 1] for side in sides if (i := int(np.searchsorted(side, after))))
    part = excess(before) / (excess(before) - excess(after))
    rates = [_n_from(different, threshold) / len(different) for threshold in (before, after)]
    threshold = float(before) + part * (float(after) - float(before))
    return rates[0] + part * (rates[1] - rates[0]), threshold


def _auc(same: Scores, different: Scores) -> float:
    doubled = 0
    for start in range(0, len(same), _BLOCK):
        block = same[start : start + _BLOCK]
        doubled += int(np.searchsorted(different, block, "left").sum())
        doubled += int(np.searchsorted(different, block, "right").sum())
    return doubled / (2 * len(same) * len(different))


def _curve(same: Scores, different: Scores) -> RocCurve:
    """Return the curve; of many pairs points that are even on a logarithmic axis of `far`."""
    n_same, n_different = len(same), len(different)
    chosen = [different, same]
    if n_different > _N_CURVE:
        chosen[0] = different[-np.geomspace(1, n_different, _N_CURVE).round().astype(int)]
    if n_same > _N_CURVE:
        chosen[1] = same[np.linspace(0, n_same - 1, _N_CURVE).round().astype(int)]
    corner = int(np.searchsorted(same, different[-1], "right"))
    chosen.append(same[corner : corner + 1])  # the most that is found without a false accept
    chosen.append(np.array([_just_above(max(same[-1], different[-1]))]))
    thresholds = np.unique(np.concatenate(chosen))[::-1]
    far = (n_different - np.searchsorted(different, thresholds)) / n_different
    tar = (n_same - np.searchsorted(same, thresholds)) / n_same
    return RocCurve(far, tar, thresholds)
