"""A stream of images and a stream of their labels, which come when somebody has looked."""

import time
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import PipelineError
from sightflow.options import check_count, check_number
from sightflow.protocols import (
    MAX_WAITING,
    MAX_WAITING_MIB,
    Context,
    LabelSource,
    LabelStream,
    Polled,
    Read,
    Stream,
    StreamSource,
    reader_of,
)
from sightflow.records import Claim, EncodedImage, Label, Rejected
from sightflow.records.state import StateCodec

__all__ = ["Joined"]

_SHORT_S = 0.05
"""While images are waited for, labels are looked for this often."""


@dataclass(frozen=True)
class Joined:
    """The images of a stream, whose labels come in a stream of their own.

    A label belongs to the image with its `source_id` and `sequence`, as the results name them.
    Learning steps remember an image until its label is there: they test it by what was said of it
    when it came, and learn from it then. A label may also be there before its image.
    """

    images: StreamSource
    labels: LabelSource
    max_waiting: int = MAX_WAITING
    """Images, and labels, that wait for each other. Of more, the first are let go, which is
    counted. They are in checkpoints."""
    max_waiting_mib: int = MAX_WAITING_MIB
    """Memory that images which wait may take: what a network learns from, not their pixels."""
    wait_s: float = 0.0
    """When the images have ended: end as well when no label has come for so long."""

    gives: ClassVar[tuple[str, ...]] = ()
    labels_come_later: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse parts that are no streams, and what cannot be waited for."""
        for name, shape in (("images", StreamSource), ("labels", LabelSource)):
            part = getattr(self, name)
            if isinstance(part, type) or not isinstance(part, shape):
                method = "open_stream" if shape is StreamSource else "open_labels"
                raise PipelineError(
                    f"Joined: `{name}` is a stream, with a method `{method}`; got {part!r}; images "
                    "that are listed have their labels from Labelled"
                )
        check_count(self, "max_waiting", "max_waiting_mib", at_least=1)
        check_number(self, "wait_s", within="[0, inf)")

    def open_stream(self, context: Context, position: str | None) -> "JoinedStream":
        """Return both as one stream, from their starts or from a position of both."""
        place = _Position() if position is None else _POSITIONS.decode(position.encode())
        return JoinedStream(
            self.images.open_stream(context, place.images),
            self.labels.open_labels(context, place.labels),
            self.wait_s,
            was_turn_of_labels=place.was_turn_of_labels,
        )

    def open(self, context: Context) -> Read:
        """Return the function that redeems claims of the images, where their stream gives them."""
        return reader_of(self.images, context)


@dataclass(frozen=True)
class _Position:
    """Where both streams stand."""

    images: str | None = None
    labels: str | None = None
    was_turn_of_labels: bool = False


_POSITIONS = StateCodec(_Position, "place in two streams", version=1)


class JoinedStream:
    """Gives an image and a label by turns, where both are there."""

    def __init__(
        self, images: Stream, labels: LabelStream, wait_s: float, *, was_turn_of_labels: bool
    ) -> None:
        """Take both, how long to wait for labels when the images have ended, and the last turn."""
        self._images, self._labels, self._wait_s = images, labels, wait_s
        self._is_turn_of_labels = was_turn_of_labels
        self._quiet_since: float | None = None

    def poll(self, timeout_s: float) -> Polled | None:
        """Return what comes next: an image that waits for its label, or a label."""
        if self.ended():
            return None
        if self._images.ended():
            return self._label(timeout_s)
        self._is_turn_of_labels = not self._is_turn_of_labels
        if self._is_turn_of_labels and (label := self._labels.poll(0.0)) is not None:
            return label
        image = self._images.poll(min(timeout_s, _SHORT_S))
        if image is None:
            return self._labels.poll(0.0)
        if isinstance(image, Claim | EncodedImage) and image.origin.label is None:
            return replace(image, origin=replace(image.origin, awaits_label=True))
        return image

    def ended(self) -> bool:
        """Return whether nothing will come any more, or labels were waited for long enough."""
        if not self._images.ended():
            return False
        now, quiet = time.monotonic(), self._quiet_since
        return self._labels.ended() or (quiet is not None and now - quiet >= self._wait_s)

    def position(self) -> str:
        """Return where both stand, and whose turn it was."""
        place = _Position(self._images.position(), self._labels.position(), self._is_turn_of_labels)
        return _POSITIONS.encode(place).decode()

    def _label(self, timeout_s: float) -> Label | Rejected | None:
        label = self._labels.poll(min(timeout_s, self._wait_s))
        if label is not None:
            self._quiet_since = None
        elif self._quiet_since is None:
            self._quiet_since = time.monotonic()
        return label
