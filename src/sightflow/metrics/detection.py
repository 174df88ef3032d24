"""How well objects were found: average precision, and precision and recall at one score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import MetricsError
from sightflow.metrics.matching import match_boxes
from sightflow.records import Detections, LabelledObject

__all__ = ["MIN_IOUS", "DetectionMetrics", "DetectionScores"]

Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Flags: TypeAlias = npt.NDArray[np.bool_]
Integers: TypeAlias = npt.NDArray[np.int64]
Ratios: TypeAlias = npt.NDArray[np.float64]

MIN_IOUS: Ratios = np.linspace(0.5, 0.95, 10)
"""Over which average precision is averaged."""
_RECALLS = np.linspace(0.0, 1.0, 101)
_MAX_FOUND = 100
"""Of a class in an image; of more those with the best scores count."""

_ROW = np.dtype([("score", "<f4"), ("class_id", "<i4"), ("matched", "<u2"), ("ignored", "<u2")])
"""A detection; a bit for each of `MIN_IOUS`, and the next one for `min_iou`."""
_BITS = np.arange(len(MIN_IOUS) + 1, dtype=np.uint16)


@dataclass(frozen=True, slots=True, eq=False)
class DetectionScores:
    """How well the objects of some images were found; a ratio of nothing is 0."""

    labels: tuple[str, ...]
    """C classes."""
    n: int
    """Images."""
    n_unknown: int
    """Objects whose label is none of the labels, which do not count."""
    n_objects: Integers
    """int64 [C], without crowds."""
    n_hits: Integers
    """int64 [C], objects that were found, with `min_score` and `min_iou`."""
    n_false: Integers
    """int64 [C], detections of no object, the same."""
    ap: Ratios
    """float64 [C, 10], average precision at each of `MIN_IOUS`."""

    @property
    def precision(self) -> Ratios:
        """float64 [C], share of what was found that is there."""
        return np.asarray(self.n_hits / np.maximum(1, self.n_hits + self.n_false))

    @property
    def recall(self) -> Ratios:
        """float64 [C], share of the objects that was found."""
        return np.asarray(self.n_hits / np.maximum(1, self.n_objects))

    @property
    def f1(self) -> Ratios:
        """float64 [C], harmonic mean of precision and recall."""
        either = self.n_objects + self.n_hits + self.n_false
        return np.asarray(2 * self.n_hits / np.maximum(1, either))

    @property
    def occurs(self) -> Flags:
        """Whether a class is there in truth or in the results, bool [C]."""
        return np.asarray(self.n_objects + self.n_false > 0)

    @property
    def map_50(self) -> float:
        """Mean average precision at IoU 0.5, over the classes that have objects, in [0, 1]."""
        return self._mean(self.ap[:, 0])

    @property
    def map(self) -> float:
        """The same, also averaged over `MIN_IOUS`."""
        return self._mean(self.ap.mean(axis=1))

    def figures(self) -> dict[str, float]:
        """Return counts, and ratios of all classes together, by name."""
        n_objects, n_hits, n_false = (
            int(column.sum()) for column in (self.n_objects, self.n_hits, self.n_false)
        )
        return {
            "n": self.n,
            "n_objects": n_objects,
            "n_false": n_false,
            "n_unknown": self.n_unknown,
            "precision": n_hits / max(1, n_hits + n_false),
            "recall": n_hits / max(1, n_objects),
            "f1": 2 * n_hits / max(1, n_objects + n_hits + n_false),
            "map_50": self.map_50,
            "map": self.map,
        }

    def _mean(self, values: Ratios) -> float:
        has_objects = self.n_objects > 0
        return float(values[has_objects].mean()) if has_objects.any() else 0.0


class DetectionMetrics:
    """Scores of detections that were held against the objects of their images, image by image.

    Average precision needs the order of all detections by their scores, so 12 bytes of each are
    kept: its score, its class, and at each IoU whether it has found an object and whether it is in
    a crowd. Equal scores are in the order in which they came; otherwise the order of the images
    makes no difference.

    Source:
        Lin et al., "Microsoft COCO: common objects in context", 2014; `COCOeval` of pycocotools
        2.0.11, with boxes of all sizes and at most 100 of a class in an image.

    Examples:
        >>> metrics = DetectionMetrics(("cat",), min_score=0.5, min_iou=0.5)
        >>> box = np.array([[0, 0, 10, 8]], np.float32)
        >>> found = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int32), ("cat",))
        >>> metrics.update(found, [LabelledObject("cat", (0, 0, 10, 10))])
        >>> scores = metrics.compute()
        >>> scores.map_50, round(scores.map, 3)
        (1.0, 0.7)
    """

    def __init__(self, labels: Sequence[str], *, min_score: float, min_iou: float) -> None:
        """Start with no image.

        Args:
            labels: the classes.
            min_score: from which on a detection counts for precision and recall, in [0, 1].
            min_iou: from which on it has found an object for them, in (0, 1].
        """
        self._labels = tuple(labels)
        self._class_ids = {label: i for i, label in enumerate(self._labels)}
        self._min_score, self._min_iou = min_score, min_iou
        self._limits = np.append(MIN_IOUS, min_iou)
        self.reset()

    @property
    def n(self) -> int:
        """How many images there were."""
        return self._n

    def update(self, detections: Detections, objects: Sequence[LabelledObject]) -> None:
        """Add an image.

        Args:
            detections: in it; those of other labels are left out.
            objects: all that are in it; those of other labels are counted as `n_unknown`.
        """
        true_ids = self._ids_of([one.label for one in objects])
        truth = np.array([one.box_xyxy for one in objects], np.float64).reshape(-1, 4)
        ignored = np.array([one.ignored for one in objects], bool)
        counted = true_ids[~ignored]
        self._n += 1
        self._n_unknown += int((counted < 0).sum())
        self._n_objects += np.bincount(counted[counted >= 0], minlength=len(self._labels))
        found_ids = self._ids_of(detections.labels)
        order = np.argsort(-detections.scores, kind="stable")
        parts = [np.zeros(0, _ROW)]
        for class_id in np.unique(found_ids[found_ids >= 0]).tolist():
            chosen = order[found_ids[order] == class_id][:_MAX_FOUND]
            mine = true_ids == class_id
            boxes = detections.boxes_xyxy[chosen].astype(np.float64)
            flags = match_boxes(boxes, truth[mine], ignored[mine], self._limits)
            parts.append(_rows(detections.scores[chosen], class_id, *flags))
        self._parts.append(np.concatenate(parts))

    def merge(self, other: "DetectionMetrics") -> None:
        """Add the images of another, as if they had come after those that are here.

        Raises:
            MetricsError: it has other labels, or another `min_iou`.
        """
        here, there = ((one._labels, one._min_iou) for one in (self, other))
        if here != there:
            raise MetricsError(
                "metrics that are merged have the same labels and `min_iou`; got "
                f"{len(there[0])} labels, {there[1]} and {len(here[0])} labels, {here[1]}"
            )
        self._n += other._n
        self._n_unknown += other._n_unknown
        self._n_objects += other._n_objects
        self._parts.append(other._kept())

    def compute(self) -> DetectionScores:
        """Return the scores of all images."""
        rows = self._kept()
        rows = rows[np.lexsort((-rows["score"], rows["class_id"]))]  # stable
        matched, ignored = (
            (rows[name][:, None] >> _BITS) & 1 > 0 for name in ("matched", "ignored")
        )
        ends = np.searchsorted(rows["class_id"], np.arange(len(self._labels) + 1)).tolist()
        parts = [slice(*pair) for pair in pairwise(ends)]
        ap = [
            _average_precision(matched[part, :-1], ignored[part, :-1], n_objects)
            for part, n_objects in zip(parts, self._n_objects.tolist(), strict=True)
        ]
        is_sure = rows["score"] >= self._min_score
        is_hit, is_false = matched[:, -1], ~matched[:, -1] & ~ignored[:, -1]
        n_hits, n_false = (
            np.bincount(rows["class_id"][is_sure & flags], minlength=len(self._labels))
            for flags in (is_hit, is_false)
        )
        counts = self._n_objects.copy(), n_hits, n_false
        table = np.array(ap, np.float64).reshape(-1, len(MIN_IOUS))
        return DetectionScores(self._labels, self._n, self._n_unknown, *counts, table)

    def reset(self) -> None:
        """Forget all images."""
        self._n = self._n_unknown = 0
        self._n_objects = np.zeros(len(self._labels), np.int64)
        self._parts = [np.zeros(0, _ROW)]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that is remembered."""
        return {
            "counts": np.array([self._n, self._n_unknown], np.int64),
            "n_objects": self._n_objects.copy(),
            "rows": np.frombuffer(self._kept().tobytes(), np.uint8),
        }

    def restore(self, state: Arrays) -> None:
        """Go on from what `state` gave, of metrics with the same labels and `min_iou`."""
        self._n, self._n_unknown = state["counts"].tolist()
        self._n_objects = state["n_objects"].copy()
        self._parts = [np.frombuffer(state["rows"].tobytes(), _ROW)]

    def _ids_of(self, labels: Sequence[str]) -> Integers:
        """Return the class of each label, int64; -1: none."""
        return np.array([self._class_ids.get(label, -1) for label in labels], np.int64)

    def _kept(self) -> npt.NDArray[Any]:
        self._parts = [np.concatenate(self._parts)]
        return self._parts[0]


def _rows(
    scores: npt.NDArray[np.float32], class_id: int, matched: Flags, ignored: Flags
) -> npt.NDArray[Any]:
    rows = np.empty(len(scores), _ROW)
    rows["score"], rows["class_id"] = scores, class_id
    rows["matched"], rows["ignored"] = (flags @ (1 << _BITS) for flags in (matched, ignored))
    return rows


def _average_precision(matched: Flags, ignored: Flags, n_objects: int) -> list[float]:
    """Return the average precision of a class at each IoU.

    Args:
        matched: bool [N, T], best score first.
        ignored: bool [N, T].
        n_objects: how many there are.
    """
    columns = zip(matched.T, ignored.T, strict=True)
    return [_area(is_hit[~is_out], n_objects) for is_hit, is_out in columns]


def _area(is_hit: Flags, n_objects: int) -> float:
    """Return the mean over 101 recalls of the best precision with so much recall or more."""
    if n_objects == 0 or not is_hit.any():
        return 0.0
    n_hits = np.cumsum(is_hit)
    precision = n_hits / np.arange(1, len(is_hit) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(n_hits / n_objects, _RECALLS)
    return float(np.append(best, 0.0)[places].mean())
