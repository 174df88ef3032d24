"""Labels that come later, joined with their images, which wait for them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

import msgspec

from sightflow.errors import JobError
from sightflow.protocols import Metrics, Outcome, Place
from sightflow.records import Event, ImageRecord, Label
from sightflow.records.codec import decode_outcomes, encode_outcomes

__all__ = ["Joining", "Told"]

Told: TypeAlias = tuple[ImageRecord, Place]
"""An image as it came out, now with its label, and where it was listed."""

_Id: TypeAlias = tuple[str, int]
"""The `source_id` and `sequence` of an image."""


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """What waits, in a checkpoint."""

    version: int
    """Of this form; a change of the fields takes the next number."""
    images: bytes
    places: list[Place]
    labels: list[tuple[bytes, int, bytes | None]]
    """Not every name of a source is UTF-8."""
    counts: dict[str, int]


_VERSION = 1
# Made here, since msgspec may make its plan for a type in one thread only: see `chunks`.
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Kept)


class Joining:
    """Images that wait for their labels, and labels that wait for their images."""

    def __init__(self, max_waiting: int | None, arrays: Sequence[str], metrics: Metrics) -> None:
        """Begin with none.

        Args:
            max_waiting: how many of each wait; of more, the first are let go. None: no limit, the
                source has one.
            arrays: fields of a record that learning steps take, and that are kept with it.
            metrics: where it is counted.
        """
        self._max_waiting, self._arrays, self._metrics = max_waiting, arrays, metrics
        self._images: dict[_Id, Told] = {}
        self._labels: dict[_Id, str | None] = {}
        self._counts = {"n_joined": 0, "n_without_label": 0, "n_let_go": 0, "n_unmatched": 0}

    def wait(self, outcomes: Sequence[Outcome], number: int) -> Iterator[Told]:
        """Keep the images of a chunk that await a label; yield those whose label is there."""
        for row, outcome in enumerate(outcomes):
            origin = outcome.origin
            if not isinstance(outcome, ImageRecord) or not origin.awaits_label:
                continue
            key, told = (origin.source_id, origin.sequence), (outcome, (number, row))
            if key in self._labels:
                yield from self._joined(told, self._labels.pop(key))
            else:
                self._images[key] = told
                if self._max_waiting is not None and len(self._images) > self._max_waiting:
                    del self._images[next(iter(self._images))]
                    self._count("n_let_go")

    def join(self, labels: Sequence[Label]) -> Iterator[Told]:
        """Yield the images of labels; a label whose image is not there waits for it."""
        for label in labels:
            key = label.source_id, label.sequence
            if key in self._images:
                yield from self._joined(self._images.pop(key), label.label)
            else:
                self._labels[key] = label.label
                if self._max_waiting is not None and len(self._labels) > self._max_waiting:
                    del self._labels[next(iter(self._labels))]
                    self._count("n_unmatched")

    def encode(self) -> bytes:
        """Return what waits as bytes."""
        records, places = zip(*self._images.values(), strict=True) if self._images else ((), ())
        labels = [
            (_bytes(source_id), sequence, None if label is None else _bytes(label))
            for (source_id, sequence), label in self._labels.items()
        ]
        images = encode_outcomes(records, self._arrays)
        return _ENCODER.encode(_Kept(_VERSION, images, list(places), labels, self._counts))

    def restore(self, data: bytes) -> None:
        """Go on from what `encode` gave.

        Raises:
            JobError: another version wrote it.
        """
        kept = _DECODER.decode(data)
        if kept.version != _VERSION:
            raise JobError(
                f"the checkpoint's labels must be of version {_VERSION}; got {kept.version}; "
                "start the run anew"
            )
        for record, place in zip(decode_outcomes(kept.images), kept.places, strict=True):
            if isinstance(record, ImageRecord):
                self._images[record.origin.source_id, record.origin.sequence] = record, place
        for source_id, sequence, label in kept.labels:
            key = _text(source_id), sequence
            self._labels[key] = None if label is None else _text(label)
        self._counts = kept.counts

    def end(self) -> list[Event]:
        """Tell what became of images and labels, those that still wait included."""
        counts = {**self._counts, "n_waiting": len(self._images)}
        counts["n_unmatched"] += len(self._labels)
        figures = {name: float(count) for name, count in counts.items()}
        return (
            [Event("joined", "labels", "", 0, 0, figures=figures)] if any(counts.values()) else []
        )

    def _joined(self, told: Told, label: str | None) -> Iterator[Told]:
        if label is None:
            self._count("n_without_label")
            return
        self._count("n_joined")
        record, place = told
        origin = replace(record.origin, label=label, awaits_label=False)
        yield replace(record, origin=origin), place

    def _count(self, name: str) -> None:
        self._counts[name] += 1
        self._metrics.count(f"labels_{name[2:]}")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
