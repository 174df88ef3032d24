"""An account of tested images: the figures of all of them, and the worst mistakes."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec
import numpy as np

from sightflow.metrics.classification import ClassificationMetrics
from sightflow.metrics.verdicts import Verdicts
from sightflow.records import Event, ImageRecord, Moment, Origin
from sightflow.records.arrays import PackedArray, plain_floats
from sightflow.records.state import as_bytes, as_text

__all__ = ["Account", "KeptAccount"]


class Mistake(msgspec.Struct, frozen=True, array_like=True):
    """An image that was classified wrongly; texts of the source may not be UTF-8."""

    score: float
    number: int
    """Of the tested image, from 0; the first of equal mistakes is the worst."""
    score_of_label: float
    """0 where the right class is not in the result."""
    class_id: int
    predicted: str | None
    uri: bytes
    moment: Moment


class KeptAccount(msgspec.Struct, frozen=True, array_like=True):
    """An account in a checkpoint."""

    arrays: dict[str, PackedArray]
    mistakes: list[Mistake]
    n_unknown: int
    last: Moment


class Account:
    """What is known of the images that were tested, all of one kind: held out, or not."""

    def __init__(
        self, labels: Sequence[str], *, top_k: int, n_mistakes: int, held_out: bool
    ) -> None:
        """Begin with no image."""
        self._labels = tuple(labels)
        self._n_mistakes = n_mistakes
        self._held_out = float(held_out)
        self._metrics = ClassificationMetrics(labels, top_k=top_k)
        self._mistakes: list[tuple[float, int, Mistake]] = []
        self.n_unknown = 0
        """Images whose label is none of the labels."""
        self._last = Moment()

    @property
    def n(self) -> int:
        """How many images were tested."""
        return self._metrics.n

    @property
    def is_empty(self) -> bool:
        """Whether there was no image with a label, not even with one that is unknown."""
        return self.n + self.n_unknown == 0

    def add(self, records: Sequence[ImageRecord], verdicts: Verdicts) -> None:
        """Add images that were tested."""
        first = self._metrics.n
        self._metrics.update(verdicts)
        for row in np.flatnonzero(verdicts.ranks != 0).tolist():
            score = float(verdicts.scores[row])
            is_full = len(self._mistakes) >= self._n_mistakes
            if is_full and not (self._mistakes and score > self._mistakes[0][0]):
                continue
            mistake = _mistake(records[row], score, first + row, int(verdicts.truths[row]))
            heapq.heappush(self._mistakes, (score, -mistake.number, mistake))
            if is_full:
                heapq.heappop(self._mistakes)

    def see(self, origin: Origin) -> None:
        """Remember where the last image was."""
        self._last = Moment.of(origin)

    def reset(self) -> None:
        """Forget all images."""
        self._metrics.reset()
        self._mistakes.clear()
        self.n_unknown = 0

    def figures(self) -> dict[str, float]:
        """Return the figures of all images; of none only the counts."""
        counts = {"n_unknown": self.n_unknown}
        if self.n == 0:
            return {"n": 0, **counts}
        scores = self._metrics.compute()
        return {**scores.tally.figures(), "macro_f1": scores.macro_f1, **counts}

    def event(self, kind: str, step: str, figures: dict[str, float]) -> Event:
        """Return an event at the last image."""
        return self._last.event(kind, step, figures=figures)

    def details(self, step: str) -> Iterator[Event]:
        """Yield what there is to tell of classes, pairs of classes, scores and mistakes."""
        if self.n == 0:
            return
        yield from self._scored(step)
        yield from self._confused(step)
        yield from self._calibrated(step)
        for _, _, mistake in sorted(self._mistakes, reverse=True):
            yield self._mistaken(step, mistake)

    def state(self) -> KeptAccount:
        """Return all that is remembered."""
        arrays = {name: PackedArray.of(a) for name, a in self._metrics.state().items()}
        mistakes = [mistake for _, _, mistake in sorted(self._mistakes)]
        return KeptAccount(arrays, mistakes, self.n_unknown, self._last)

    def restore(self, kept: KeptAccount) -> None:
        """Go on from what `state` gave."""
        self._metrics.restore({name: a.unpack() for name, a in kept.arrays.items()})
        self._mistakes = [(m.score, -m.number, m) for m in kept.mistakes]
        self.n_unknown, self._last = kept.n_unknown, kept.last

    def _scored(self, step: str) -> Iterator[Event]:
        scores = self._metrics.compute()
        columns = scores.precision, scores.recall, scores.f1, scores.support
        names = "precision", "recall", "f1", "n"
        for class_id in np.flatnonzero(scores.occurs).tolist():
            values = (column[class_id].item() for column in columns)
            figures = dict(zip(names, values, strict=True))
            yield self._of_class("scored", step, class_id, figures)

    def _confused(self, step: str) -> Iterator[Event]:
        scores = self._metrics.compute()
        cells = np.column_stack([scores.confusion, scores.n_other])
        for class_id, best in zip(*map(np.ndarray.tolist, np.nonzero(cells)), strict=True):
            predicted = self._labels[best] if best < len(self._labels) else None
            event = self._of_class("confused", step, class_id, {"n": int(cells[class_id, best])})
            yield replace(event, predicted=predicted)

    def _calibrated(self, step: str) -> Iterator[Event]:
        bins = self._metrics.compute().tally.calibration
        for row in np.flatnonzero(bins.n).tolist():
            figures = {
                "min_score": row / len(bins.n),
                "max_score": (row + 1) / len(bins.n),
                "n": int(bins.n[row]),
                "accuracy": float(bins.accuracy[row]),
                "score": float(bins.score[row]),
            }
            yield self.event("calibrated", step, {**figures, "held_out": self._held_out})

    def _mistaken(self, step: str, mistake: Mistake) -> Event:
        scores = np.array([mistake.score, mistake.score_of_label], np.float32)
        figures = dict(zip(("score", "score_of_label"), plain_floats(scores), strict=True))
        return replace(
            self._of_class("mistaken", step, mistake.class_id, figures),
            source_id=as_text(mistake.moment.source),
            sequence=mistake.moment.sequence,
            event_time_ms=mistake.moment.time_ms,
            predicted=mistake.predicted,
            uri=mistake.uri.decode("utf-8", "backslashreplace"),
        )

    def _of_class(self, kind: str, step: str, class_id: int, figures: dict[str, float]) -> Event:
        event = self.event(kind, step, {**figures, "held_out": self._held_out})
        return replace(event, class_id=class_id, label=self._labels[class_id])


def _mistake(record: ImageRecord, score: float, number: int, class_id: int) -> Mistake:
    found, origin = record.classification, record.origin
    labels = () if found is None else found.labels
    own = 0.0
    if found is not None and origin.label in labels:
        own = float(found.scores[labels.index(origin.label)])
    place = as_bytes(origin.uri), Moment.of(origin)
    return Mistake(score, number, own, class_id, labels[0] if labels else None, *place)
