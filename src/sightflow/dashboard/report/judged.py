"""How right classifications are whose images have labels, added up row by row."""

import heapq
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from sightflow.dashboard.learning import Details
from sightflow.dashboard.truth import LabelOf
from sightflow.metrics.classification import ClassificationScores
from sightflow.metrics.verdicts import Tally
from sightflow.records import Row

__all__ = ["Judged"]

_TOP_K = 5
_N_MISTAKES = 48
_BATCH = 8_192


class Judged:
    """Classifications held against labels; as large as pairs of classes are many, not images."""

    def __init__(self, label_of: LabelOf) -> None:
        """Start with no image."""
        self._label_of = label_of
        self._tally = Tally()
        self._ranks: list[int] = []
        self._scores: list[float] = []
        self._pairs: Counter[tuple[str, str | None]] = Counter()
        self._known: set[str] = set()
        self._worst: list[tuple[float, int, Row]] = []
        self.n_without = self.n_unclassified = 0
        """Images without a label; those with one that nothing has classified."""
        self._n = self._widest = 0

    @property
    def n(self) -> int:
        """How many images have a label and a classification."""
        return self._n

    @property
    def top_k(self) -> int:
        """So many best classes are looked at for the top-k accuracy."""
        return min(_TOP_K, self._widest)

    @property
    def unknown(self) -> list[str]:
        """Labels that no result names at all, sorted."""
        return sorted({label for label, _ in self._pairs} - self._known)

    def add(self, row: Row) -> None:
        """Hold a row against its label."""
        label = self._label_of(row)
        found = row.get("classification")
        if label is None or found is None:
            self.n_without += label is None
            self.n_unclassified += label is not None
            return
        names = [item["label"] for item in found]
        rank = names.index(label) if label in names else -1
        score = min(1.0, found[0]["score"]) if found else 0.0
        self._n += 1
        self._known.update(names)
        self._widest = max(self._widest, len(names))
        self._pairs[label, names[0] if names else None] += 1
        self._ranks.append(rank)
        self._scores.append(score)
        if len(self._ranks) >= _BATCH:
            self._add_up()
        if rank:
            self._note_mistake(row, label, score, found[rank]["score"] if rank > 0 else 0.0)

    def tally(self) -> Tally:
        """Return accuracy and calibration of all images; no loss is known."""
        self._add_up()
        return self._tally

    def mistakes(self) -> list[Row]:
        """Return the surest mistakes, these first: rows with `told`, `score` and `own_score`."""
        return [row for _, _, row in sorted(self._worst, key=lambda one: one[:2], reverse=True)]

    def details(self) -> Details:
        """Return what there is to tell of classes, pairs of classes and scores."""
        scores = self._scores_of_classes
        return Details(
            "classify", False, list(_scored(scores)), list(_confused(scores)),
            list(_calibrated(self.tally())), [],
        )  # fmt: skip

    @cached_property
    def _scores_of_classes(self) -> ClassificationScores:
        labels = tuple(sorted({label for label, _ in self._pairs}))
        places = {label: i for i, label in enumerate(labels)}
        cells = np.zeros((len(labels), len(labels) + 1), np.int64)
        for (label, predicted), n in self._pairs.items():
            column = -1 if predicted is None else places.get(predicted, -1)
            cells[places[label], column] += n
        return ClassificationScores(labels, self.tally(), cells[:, :-1], cells[:, -1])

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes."""
        return self._scores_of_classes.macro_f1

    def _add_up(self) -> None:
        ranks, scores = np.array(self._ranks, np.int64), np.array(self._scores, np.float32)
        no_losses = np.zeros(len(ranks), np.int64)
        self._tally = self._tally.merge(Tally.of(ranks, no_losses, scores, top_k=_TOP_K))
        self._ranks, self._scores = [], []

    def _note_mistake(self, row: Row, label: str, score: float, own: float) -> None:
        is_full = len(self._worst) >= _N_MISTAKES
        if is_full and score <= self._worst[0][0]:
            return
        wrong = {**row, "told": label, "score": score, "own_score": own}
        entry = score, -self._n, wrong
        (heapq.heapreplace if is_full else heapq.heappush)(self._worst, entry)


def _scored(scores: ClassificationScores) -> Iterator[Row]:
    columns = zip(
        scores.precision.tolist(), scores.recall.tolist(), scores.f1.tolist(),
        scores.support.tolist(), strict=True,
    )  # fmt: skip
    for class_id, values in enumerate(columns):
        figures = dict(zip(("precision", "recall", "f1", "n"), values, strict=True))
        yield {"class_id": class_id, "label": scores.labels[class_id], "figures": figures}


def _confused(scores: ClassificationScores) -> Iterator[Row]:
    cells = np.column_stack([scores.confusion, scores.n_other])
    for right, best in zip(*map(np.ndarray.tolist, np.nonzero(cells)), strict=True):
        named = {"predicted": scores.labels[best]} if best < len(scores.labels) else {}
        n = int(cells[right, best])
        yield {"class_id": right, "label": scores.labels[right], "figures": {"n": n}, **named}


def _calibrated(tally: Tally) -> Iterator[Row]:
    bins = tally.calibration
    for i in np.flatnonzero(bins.n).tolist():
        figures = {
            "min_score": i / len(bins.n),
            "max_score": (i + 1) / len(bins.n),
            "n": int(bins.n[i]),
            "accuracy": float(bins.accuracy[i]),
            "score": float(bins.score[i]),
        }
        yield {"figures": figures}
