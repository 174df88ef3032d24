"""How good classifications are: accuracy, precision and recall, log loss, calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.metrics.verdicts import Integers, Tally, Verdicts

__all__ = ["ClassificationMetrics", "ClassificationScores", "Window"]

Ratios: TypeAlias = npt.NDArray[np.float64]
Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationScores:
    """How good the classifications of some images are; a ratio of nothing is 0."""

    labels: tuple[str, ...]
    """C classes."""
    tally: Tally
    """Accuracy, top-k accuracy, log loss and calibration of all images."""
    confusion: Integers
    """int64 [C, C]: images by right class (rows) and best class (columns)."""
    n_other: Integers
    """int64 [C]: images by right class whose best class is none of the labels, or not there."""

    @property
    def support(self) -> Integers:
        """int64 [C], images of each class."""
        return np.asarray(self.confusion.sum(axis=1) + self.n_other)

    @property
    def precision(self) -> Ratios:
        """float64 [C], share of what was called so that is so."""
        return np.asarray(self._hits() / np.maximum(1, self.confusion.sum(axis=0)))

    @property
    def recall(self) -> Ratios:
        """float64 [C], share of the images of a class that was called so."""
        return np.asarray(self._hits() / np.maximum(1, self.support))

    @property
    def f1(self) -> Ratios:
        """float64 [C], harmonic mean of precision and recall."""
        either = self.support + self.confusion.sum(axis=0)
        return np.asarray(2 * self._hits() / np.maximum(1, either))

    @property
    def occurs(self) -> npt.NDArray[np.bool_]:
        """Whether a class is there in truth or in the results, bool [C]."""
        return np.asarray(self.support + self.confusion.sum(axis=0) > 0)

    @property
    def macro_f1(self) -> float:
        """Mean of `f1` over the classes that occur."""
        occurs = self.occurs
        return float(self.f1[occurs].mean()) if occurs.any() else 0.0

    def _hits(self) -> Integers:
        return np.diagonal(self.confusion)


class ClassificationMetrics:
    """Scores of classifications that were held against a truth, batch by batch.

    The order of the images and how they are divided into batches make no difference.

    Examples:
        >>> from sightflow.metrics.verdicts import judge
        >>> metrics = ClassificationMetrics(("cat", "dog"), top_k=1)
        >>> best, scores = np.array([[0], [0]]), np.array([[0.75], [0.5]], np.float32)
        >>> metrics.update(judge(np.array([0, 1]), scores, best, n_classes=2))
        >>> metrics.compute().tally.accuracy
        0.5
    """

    def __init__(self, labels: Sequence[str], *, top_k: int) -> None:
        """Start with no image."""
        self._labels = tuple(labels)
        self._top_k = top_k
        self._tally = Tally()
        self._cells = self._no_cells()

    @property
    def n(self) -> int:
        """How many images there were."""
        return self._tally.n

    def update(self, verdicts: Verdicts) -> None:
        """Add images that have been judged."""
        tally = Tally.of(verdicts.ranks, verdicts.losses, verdicts.scores, top_k=self._top_k)
        self._tally = self._tally.merge(tally)
        np.add.at(self._cells, (verdicts.truths, verdicts.predicted), 1)

    def compute(self) -> ClassificationScores:
        """Return the scores of all images."""
        cells = self._cells.copy()
        return ClassificationScores(self._labels, self._tally, cells[:, :-1], cells[:, -1])

    def reset(self) -> None:
        """Forget all images."""
        self._tally, self._cells = Tally(), self._no_cells()

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that is remembered; as long as there are cells that are not 0."""
        *counts, bin_n, bin_correct, bin_score = astuple(self._tally)
        filled = np.flatnonzero(self._cells)
        return {
            "counts": np.array(counts, np.int64),
            "bins": np.stack([bin_n, bin_correct, bin_score]),
            "cells": np.stack([filled, self._cells.ravel()[filled]]),
        }

    def restore(self, state: Arrays) -> None:
        """Go on from what `state` gave, of metrics with the same labels."""
        self.reset()
        bins = np.array(state["bins"])
        self._tally = Tally(*state["counts"].tolist(), *bins)
        places, counts = state["cells"]
        self._cells.ravel()[places] = counts

    def _no_cells(self) -> Integers:
        n = len(self._labels)
        return np.zeros((n, n + 1), np.int64)  # the last column, -1, is of other classes


_ROW = np.dtype([("time_ms", "<i8"), ("loss", "<i8"), ("score", "<f4"), ("rank", "<i4")])


class Window:
    """Sums over the last images: at most `size`, and no older than `span_ms`.

    The last ones are those that came last; one that comes late takes a place as any other does.
    """

    def __init__(self, size: int, span_ms: int | None = None, *, top_k: int) -> None:
        """Start with no image.

        Args:
            size: how many images are remembered, from 1.
            span_ms: images that are this much older than the youngest so far do not count.
            top_k: how many classes may hold the right one.
        """
        self._size = size
        self._span_ms = span_ms
        self._top_k = top_k
        self._parts = [np.zeros(0, _ROW)]
        self._n = 0
        self._youngest_ms = -(2**63)

    def add(self, times_ms: Integers, verdicts: Verdicts) -> None:
        """Take the next images, with their event times, int64 [N]."""
        if len(verdicts) == 0:
            return
        rows = np.empty(len(verdicts), _ROW)
        rows["time_ms"], rows["loss"] = times_ms, verdicts.losses
        rows["score"], rows["rank"] = verdicts.scores, verdicts.ranks
        self._parts.append(rows)
        self._n += len(rows)
        self._youngest_ms = max(self._youngest_ms, int(rows["time_ms"].max()))
        if self._n >= 2 * self._size:
            self._kept()

    def compute(self) -> Tally:
        """Return the sums."""
        rows = self._kept()
        rows = rows[self._is_young(rows)]
        return Tally.of(rows["rank"], rows["loss"], rows["score"], top_k=self._top_k)

    def reset(self) -> None:
        """Forget all images."""
        self._parts, self._n, self._youngest_ms = [np.zeros(0, _ROW)], 0, -(2**63)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return all that is remembered, 24 bytes an image."""
        rows = self._kept()
        youngest = np.array(self._youngest_ms, np.int64)
        return {"youngest_ms": youngest, "rows": np.frombuffer(rows.tobytes(), np.uint8)}

    def restore(self, state: Arrays) -> None:
        """Go on from what `state` gave, of a window with the same size and span."""
        self._parts = [np.frombuffer(state["rows"].tobytes(), _ROW)]
        self._n = len(self._parts[0])
        self._youngest_ms = int(state["youngest_ms"])

    def _kept(self) -> npt.NDArray[Any]:
        """Return what may still count, and forget the rest."""
        rows = np.concatenate(self._parts)[-self._size :]
        is_young = self._is_young(rows)
        first = int(is_young.argmax()) if is_young.any() else len(rows)
        self._parts, self._n = [rows[first:].copy()], len(rows) - first
        return self._parts[0]

    def _is_young(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        if self._span_ms is None or len(rows) == 0:
            return np.ones(len(rows), bool)
        return np.asarray(rows["time_ms"] > self._youngest_ms - self._span_ms)
