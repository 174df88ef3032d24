"""Streams for tests, importable by name in every worker."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sightflow.protocols import Context
from sightflow.records import EncodedImage, Rejected
from sightflow.sources.joined import Joined
from sightflow.sources.jsonlabels import JsonLabels
from sightflow.testing import an_origin, encode_image

__all__ = ["Offered", "labelled_later"]


def labelled_later(images: "Offered", path: Path, words: Sequence[str], n_later: int) -> Joined:
    """Return images whose labels, these words by turns, come so many images later.

    Before the first come labels of pictures that do not exist.
    """
    of_none = [{"source_id": "nowhere", "sequence": i, "label": "x"} for i in range(n_later)]
    labels = [
        {"source_id": "photos", "sequence": i, "label": words[i % len(words)]}
        for i in range(images.n_images)
    ]
    path.write_text("".join(json.dumps(label) + "\n" for label in [*of_none, *labels]))
    return Joined(images, JsonLabels(str(path), follow=False))


@dataclass(frozen=True)
class Offered:
    """Small pictures, one after the other, each a little brighter; some are broken or missing."""

    n_images: int
    interval_s: float = 0.0
    broken: tuple[int, ...] = ()
    missing: tuple[int, ...] = ()
    failing: int | None = None
    """Number of the picture at which the camera fails."""
    grain: int = 0
    """Side of the pictures in pixels, when they are to be noise and large as files."""
    labels: tuple[str, ...] = ()
    """What the pictures show, by turns."""
    log: str | None = None
    """File for the positions at which the stream was opened."""

    def open_stream(self, context: Context, position: str | None) -> "_Stream":
        """Return the stream, at a position: the number of the next picture."""
        if self.log:
            with open(self.log, "a") as file:
                file.write(f"{position}\n")
        return _Stream(self, int(position or 0))

    def pixels(self, number: int) -> npt.NDArray[np.uint8]:
        """Return a picture."""
        if not self.grain:
            return np.full((24, 32, 3), number % 256, np.uint8)
        side = self.grain
        return np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)


class _Stream:
    def __init__(self, source: Offered, number: int) -> None:
        self._source = source
        self._number = number
        self._due = time.monotonic()

    def poll(self, timeout_s: float) -> EncodedImage | Rejected | None:
        wait = self._due - time.monotonic()
        if self.ended() or wait > timeout_s:
            time.sleep(timeout_s)
            return None
        time.sleep(max(0.0, wait))
        self._due += self._source.interval_s
        number, self._number = self._number, self._number + 1
        if number == self._source.failing:
            raise OSError("the cable is cut")
        labels = self._source.labels
        label = labels[number % len(labels)] if labels else None
        origin = an_origin(sequence=number, name=f"{number}.jpg", event_time_ms=number, label=label)
        if number in self._source.missing:
            return Rejected(origin, "read", "unreadable", "the camera is covered")
        picture = encode_image(self._source.pixels(number))
        return EncodedImage(origin, picture[:40] if number in self._source.broken else picture)

    def ended(self) -> bool:
        return self._number >= self._source.n_images

    def position(self) -> str:
        return str(self._number)
