"""Labels that come later, joined with their images, which wait for them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import msgspec

from sightflow.errors import JobError
from sightflow.protocols import Metrics, Place, Recall
from sightflow.records import Event, ImageRecord, Label, Outcome
from sightflow.records.codec import decode_outcomes, encode_outcomes, without_pixels
from sightflow.records.state import StateCodec, as_bytes, as_text

__all__ = ["Joining", "Labelled", "Limits"]

Labelled: TypeAlias = tuple[ImageRecord, Place]
"""An image as it came out, now with its label, and where it was listed."""

_Id: TypeAlias = tuple[str, int]
"""The `source_id` and `sequence` of an image."""

_METRICS = {
    "n_joined": "labels_joined",
    "n_without_label": "images_without_label",
    "n_let_go": "images_let_go",
    "n_unmatched": "labels_unmatched",
}
_SMALL = 8_192
"""Bytes of arrays of an image that are in checkpoints even if it could be read again."""


@dataclass(frozen=True)
class Limits:
    """How much may wait."""

    n_items: int
    """Images, and labels."""
    n_bytes: int
    """Of the arrays of the images."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What waits, in a checkpoint."""

    images: bytes
    places: list[Place]
    left_out: list[int]
    """Rows of images whose arrays are not here: they are read again."""
    labels: list[tuple[bytes, int, bytes | None, int | None]]
    counts: dict[str, int]


_KEPT = StateCodec(_Kept, "labels", version=3)


class Joining:
    """Images that wait for their labels, and labels that wait for their images."""

    def __init__(
        self,
        limits: Limits | None,
        arrays: Sequence[str],
        metrics: Metrics,
        recall: Recall | None = None,
    ) -> None:
        """Begin with none.

        Args:
            limits: how much waits; of more, the first are let go. None: the source lists its
                images, so it bounds what waits, and labels come behind their images.
            arrays: fields of a record that learning steps take, and that are kept with it.
            metrics: where it is counted.
            recall: reads images again, so that large arrays need not be in checkpoints.
        """
        self._limits, self._arrays, self._metrics = limits, tuple(arrays), metrics
        self._recall = recall
        self._images: dict[_Id, Labelled] = {}
        self._labels: dict[_Id, Label] = {}
        self._n_bytes = 0
        self._counts = dict.fromkeys(_METRICS, 0)

    def wait(self, outcomes: Sequence[Outcome], number: int) -> Iterator[Labelled]:
        """Keep the images of a chunk that await a label; yield those whose label is there."""
        for row, outcome in enumerate(outcomes):
            origin = outcome.origin
            if not isinstance(outcome, ImageRecord) or not origin.awaits_label:
                continue
            key = origin.source_id, origin.sequence
            self._let_go(key)  # of two images with one number the second counts
            self._keep(key, without_pixels(outcome, self._arrays), (number, row))
            if key in self._labels:
                yield from self._joined(key, self._labels.pop(key))
            self._keep_within_limits()

    def join(self, labels: Sequence[Label]) -> Iterator[Labelled]:
        """Yield the images of labels; a label whose image is not there waits for it."""
        for label in labels:
            key = label.source_id, label.sequence
            if key in self._images:
                yield from self._joined(key, label)
            elif self._limits is None:
                self._count("n_unmatched")
            else:
                if key in self._labels:  # of an earlier run, where numbers began anew
                    self._count("n_unmatched")
                self._labels[key] = label
                if len(self._labels) > self._limits.n_items:
                    del self._labels[next(iter(self._labels))]
                    self._count("n_unmatched")

    def end(self) -> list[Event]:
        """Tell what became of images and labels, those that still wait included."""
        counts = {**self._counts, "n_waiting": len(self._images)}
        counts["n_unmatched"] += len(self._labels)
        figures = {name: float(count) for name, count in counts.items()}
        if not any(figures.values()):
            return []
        return [Event("joined", "labels", "", 0, 0, figures=figures)]

    def encode(self) -> bytes:
        """Return what waits as bytes."""
        records = [record for record, _ in self._images.values()]
        left_out = [row for row, record in enumerate(records) if self._is_left(record)]
        for row in left_out:
            records[row] = without_pixels(records[row])
        places = [place for _, place in self._images.values()]
        labels = [
            (
                as_bytes(label.source_id),
                label.sequence,
                None if label.label is None else as_bytes(label.label),
                label.event_time_ms,
            )
            for label in self._labels.values()
        ]
        images = encode_outcomes(records, self._arrays)
        return _KEPT.encode(_Kept(images, places, left_out, labels, self._counts))

    def restore(self, data: bytes) -> None:
        """Go on from what `encode` gave.

        Raises:
            JobError: another version wrote it, or an image cannot be read again.
        """
        kept = _KEPT.decode(data)
        records = [r for r in decode_outcomes(kept.images) if isinstance(r, ImageRecord)]
        for row, again in zip(kept.left_out, self._read_again(kept), strict=True):
            arrays = {name: getattr(again, name) for name in self._arrays}
            records[row] = replace(records[row], **arrays)
        for record, place in zip(records, kept.places, strict=True):
            self._keep((record.origin.source_id, record.origin.sequence), record, place)
        for source_id, sequence, word, time_ms in kept.labels:
            text = None if word is None else as_text(word)
            label = Label(as_text(source_id), sequence, text, time_ms)
            self._labels[label.source_id, sequence] = label
        self._counts = kept.counts

    def _read_again(self, kept: _Kept) -> list[ImageRecord]:
        if not kept.left_out:
            return []
        if self._recall is None:
            raise JobError(
                "the checkpoint has images of a source that can be read again, which this one "
                "cannot; go on with the source that it was made with"
            )
        found = self._recall([kept.places[row] for row in kept.left_out])
        records = [outcome for outcome in found if isinstance(outcome, ImageRecord)]
        if len(records) < len(found):
            raise JobError("an image that waits for its label cannot be read again")
        return records

    def _joined(self, key: _Id, label: Label) -> Iterator[Labelled]:
        record, place = self._images[key]
        if label.event_time_ms not in (None, record.origin.event_time_ms):
            self._count("n_unmatched")  # it is of an earlier image with this number
            return
        self._forget(key)
        if label.label is None:
            self._count("n_without_label")
            return
        self._count("n_joined")
        origin = replace(record.origin, label=label.label, awaits_label=False)
        yield replace(record, origin=origin), place

    def _keep(self, key: _Id, record: ImageRecord, place: Place) -> None:
        self._images[key] = record, place
        self._n_bytes += self._size(record)

    def _forget(self, key: _Id) -> None:
        record, _ = self._images.pop(key)
        self._n_bytes -= self._size(record)

    def _let_go(self, key: _Id) -> None:
        if key in self._images:
            self._forget(key)
            self._count("n_let_go")

    def _keep_within_limits(self) -> None:
        limits = self._limits
        while (
            limits is not None
            and self._images
            and (len(self._images) > limits.n_items or self._n_bytes > limits.n_bytes)
        ):
            self._let_go(next(iter(self._images)))

    def _size(self, record: ImageRecord) -> int:
        arrays = (getattr(record, name) for name in self._arrays)
        return sum(array.nbytes for array in arrays if array is not None)

    def _is_left(self, record: ImageRecord) -> bool:
        """Return whether the arrays of an image are not in checkpoints."""
        return self._recall is not None and self._size(record) > _SMALL

    def _count(self, name: str) -> None:
        self._counts[name] += 1
        self._metrics.count(_METRICS[name])
