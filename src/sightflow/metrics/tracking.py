"""How well objects were followed: CLEAR MOT, and identity and HOTA, which motrics computes.

The figures are those of TrackEval 1.3.0, for one sequence and for several together. CLEAR MOT is
our own: that of motrics 0.3.0 differs where two true boxes compete for a prediction.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import motrics
import numpy as np
import numpy.typing as npt

from sightflow.errors import MetricsError
from sightflow.metrics.clear import Clear, count_clear
from sightflow.metrics.sums import Sums
from sightflow.storage.motfile import MotRows

__all__ = ["Hota", "Identity", "TrackingMetrics", "TrackingScores"]

_MIN_IOU = 0.5
_N_ALPHAS = 19


@dataclass(frozen=True, slots=True)
class Identity(Sums):
    """Identity: each object is matched with one track for the whole sequence, at IoU >= 0.5.

    Source: Ristani et al., "Performance measures and a data set for multi-target tracking", 2016.
    """

    n_matches: int = 0
    n_false_positives: int = 0
    n_misses: int = 0

    @property
    def idf1(self) -> float:
        """Harmonic mean of `idp` and `idr`, in [0, 1]."""
        n_wrong = self.n_false_positives + self.n_misses
        return self.n_matches / max(1.0, self.n_matches + 0.5 * n_wrong)

    @property
    def idp(self) -> float:
        """Share of the predicted boxes that have the right identity, in [0, 1]."""
        return self.n_matches / max(1, self.n_matches + self.n_false_positives)

    @property
    def idr(self) -> float:
        """Share of the true boxes that were found with the right identity, in [0, 1]."""
        return self.n_matches / max(1, self.n_matches + self.n_misses)


def _nothing() -> npt.NDArray[np.float64]:
    return np.zeros(_N_ALPHAS)


@dataclass(frozen=True, slots=True, eq=False)
class Hota(Sums):
    """HOTA: detection and association alike, at 19 IoU thresholds from 0.05 to 0.95.

    Source: Luiten et al., "HOTA: a higher order metric for evaluating multi-object tracking", 2021.
    """

    n_matches: npt.NDArray[np.float64] = field(default_factory=_nothing)
    """float64 [19], as are the others: one number for each threshold."""
    n_false_positives: npt.NDArray[np.float64] = field(default_factory=_nothing)
    n_misses: npt.NDArray[np.float64] = field(default_factory=_nothing)
    association_sum: npt.NDArray[np.float64] = field(default_factory=_nothing)
    """Over all matches: how much the whole true track and the whole predicted one agree."""
    iou_sum: npt.NDArray[np.float64] = field(default_factory=_nothing)
    """Of all matches."""

    @property
    def hota(self) -> float:
        """Mean over the thresholds of sqrt(DetA * AssA), in [0, 1]."""
        return float(np.mean(np.sqrt(self._detection() * self._association())))

    @property
    def det_a(self) -> float:
        """Detection accuracy, in [0, 1]."""
        return float(np.mean(self._detection()))

    @property
    def ass_a(self) -> float:
        """Association accuracy, in [0, 1]."""
        return float(np.mean(self._association()))

    @property
    def loc_a(self) -> float:
        """Localisation accuracy, in [0, 1]; 1 at thresholds that nothing reaches."""
        ratio = np.maximum(1e-10, self.iou_sum) / np.maximum(1e-10, self.n_matches)
        return float(np.mean(ratio))

    def _detection(self) -> npt.NDArray[np.float64]:
        n_all = self.n_matches + self.n_false_positives + self.n_misses
        return np.asarray(self.n_matches / np.maximum(1, n_all))

    def _association(self) -> npt.NDArray[np.float64]:
        return np.asarray(self.association_sum / np.maximum(1, self.n_matches))


@dataclass(frozen=True, slots=True, eq=False)
class TrackingScores:
    """How good the tracks of one sequence are, or of several together."""

    clear: Clear = field(default_factory=Clear)
    identity: Identity = field(default_factory=Identity)
    hota: Hota = field(default_factory=Hota)

    def merge(self, other: "TrackingScores") -> "TrackingScores":
        """Return the scores of both together: counts add up, ratios are made from the sums."""
        return TrackingScores(
            self.clear.merge(other.clear),
            self.identity.merge(other.identity),
            self.hota.merge(other.hota),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values, ratios in [0, 1]; `mota` may be below 0."""
        ratios = {
            name: float(getattr(part, name))
            for part, names in (
                (self.hota, ("hota", "det_a", "ass_a", "loc_a")),
                (self.identity, ("idf1", "idp", "idr")),
                (self.clear, ("mota", "motp")),
            )
            for name in names
        }
        counts = [c.name for c in fields(self.clear) if c.name.startswith("n_")]
        return {**ratios, **{name: int(getattr(self.clear, name)) for name in counts}}


class TrackingMetrics:
    """Scores of tracks against a truth, sequence by sequence.

    Examples:
        >>> from sightflow.storage.motfile import parse_mot
        >>> metrics = TrackingMetrics()
        >>> metrics.update("a", parse_mot(b"1,1,0,0,9,9", "gt"), parse_mot(b"1,5,0,0,9,9", "t"))
        >>> metrics.compute().clear.mota
        1.0
    """

    def __init__(self) -> None:
        """Start with no sequence."""
        self._scores: dict[str, TrackingScores] = {}

    def update(self, sequence_name: str, truth: MotRows, predictions: MotRows) -> None:
        """Score a sequence.

        Args:
            sequence_name: one that was not there before.
            truth: rows with score 0 do not count: what is found there is a false positive.
            predictions: their scores do not matter.

        Raises:
            MetricsError: the name is taken, or two rows of a frame have the same id.
        """
        if sequence_name in self._scores:
            raise MetricsError(f"{sequence_name}: this sequence is scored already")
        kept = truth.scores != 0
        sides = (
            _Side(f"{sequence_name}: truth", truth, kept),
            _Side(f"{sequence_name}: predictions", predictions, np.ones(len(predictions), bool)),
        )
        frames = np.union1d(*(side.frames for side in sides))
        self._scores[sequence_name] = _score(*(side.aligned(frames) for side in sides))

    def merge(self, other: "TrackingMetrics") -> None:
        """Take over the sequences of another.

        Raises:
            MetricsError: both have a sequence of the same name.
        """
        if taken := sorted(self._scores.keys() & other._scores.keys()):
            raise MetricsError(f"{taken[0]}: this sequence is scored already")
        self._scores.update(other._scores)

    def compute(self) -> TrackingScores:
        """Return the scores of all sequences together, as one long sequence has them."""
        combined = TrackingScores()
        for scores in self._scores.values():
            combined = combined.merge(scores)
        return combined

    def by_sequence(self) -> dict[str, TrackingScores]:
        """Return the scores of each sequence, in the order in which they came."""
        return dict(self._scores)

    def reset(self) -> None:
        """Forget all sequences."""
        self._scores.clear()


class _Side:
    """The boxes of a truth or of predictions, by frame."""

    def __init__(self, name: str, rows: MotRows, kept: npt.NDArray[np.bool_]) -> None:
        order = np.flatnonzero(kept)[np.argsort(rows.frames[kept], kind="stable")]
        frames, self._track_ids = rows.frames[order], rows.track_ids[order]
        self._boxes = rows.boxes_xyxy[order]
        self.frames, starts = np.unique(frames, return_index=True)
        ends = [*starts[1:].tolist(), len(frames)]
        parts = map(slice, starts.tolist(), ends)
        self._parts = dict(zip(self.frames.tolist(), parts, strict=True))
        pairs, counts = np.unique(np.stack([frames, self._track_ids]), axis=1, return_counts=True)
        if (counts > 1).any():
            frame, track_id = pairs[:, int(np.argmax(counts > 1))].tolist()
            raise MetricsError(
                f"{name}: an id may be there once in a frame; frame {frame} has {track_id} "
                "more than once"
            )

    def aligned(self, frames: npt.NDArray[np.int64]) -> motrics.Frames:
        """Return ids and boxes for each of these frames; a frame without boxes has none."""
        parts = [self._parts.get(frame, slice(0, 0)) for frame in frames.tolist()]
        return motrics.Frames(
            [self._track_ids[part].tolist() for part in parts],
            [self._boxes[part] for part in parts],
        )


def _score(truth: motrics.Frames, predictions: motrics.Frames) -> TrackingScores:
    """Return what motrics finds as counts and sums, which can be added up."""
    found = motrics.evaluate(truth, predictions, iou_threshold=_MIN_IOU)
    identity, hota = found.identity, found.hota
    overlaps = [
        np.array(motrics.iou_matrix(true, predicted)).reshape(len(true), len(predicted))
        for true, predicted in zip(truth.boxes, predictions.boxes, strict=True)
    ]
    n_matches = np.array(hota.hota_tp_alphas, np.float64)
    return TrackingScores(
        count_clear(truth.ids, predictions.ids, overlaps, min_iou=_MIN_IOU),
        Identity(identity.idtp, identity.idfp, identity.idfn),
        Hota(
            n_matches,
            np.array(hota.hota_fp_alphas, np.float64),
            np.array(hota.hota_fn_alphas, np.float64),
            np.array(hota.assa_alphas) * n_matches,
            np.array(hota.loca_alphas) * n_matches,
        ),
    )
