"""What happened in a stream, beside what is seen in each image."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import msgspec

from sightflow.records.image import Origin
from sightflow.records.state import as_bytes, as_text

__all__ = ["EVENT_KINDS", "Event", "Moment"]

EVENT_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "appeared": "An object is followed from now on.",
        "left": "It was not seen for `max_age_ms`, or the stream ended.",
        "crossed": "It crossed a line.",
        "entered": "It is in a zone from now on.",
        "exited": "It is no longer in a zone",
        "counted": "A window of time ended, with what was counted in it",
        "trained": "A network has learned",
        "published": "A version of it is in the registry",
        "evaluated": "What was recognised so far was held against the truth",
        "tested": "A test is over, an uninterrupted run of images that are held out",
        "drifted": "A watched value has changed",
        "scored": "At the end, of each class",
        "confused": "At the end, of each pair of `label` and `predicted`",
        "calibrated": "At the end, of each range of scores: how often the best class was right.",
        "mistaken": "At the end, of each of the worst mistakes",
        "differed": "Two classifiers do not say the same of an image",
        "compared": "How often they do",
        "identified": "Whose face a track shows is known from now on, or known otherwise.",
        "announced": "What a light shows, or a sign means, is known from now on, or is another.",
        "ended": "That was no longer so, with its first and last image",
        "gallery": "Somebody was enrolled, or forgotten, while the run went on",
        "refused": "A picture was not enrolled",
        "settings_changed": "A message changed an option of a step, or a camera",
        "settings_refused": "A message could not be taken",
        "joined": "At the end, where labels came later",
    }
)
"""What happens, in the order in which the pages tell it: the kind, and what it means."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a stream; what does not apply to its kind is None."""

    kind: str
    """One of `EVENT_KINDS`, or a word of the step's own."""
    step: str
    source_id: str
    sequence: int
    """Of the image that showed it."""
    event_time_ms: int
    """Of that image: milliseconds since 1970, UTC; of `counted`, the end of the window."""
    track_id: int | None = None
    class_id: int | None = None
    label: str | None = None
    box_xyxy: tuple[float, float, float, float] | None = None
    """Where the object was, in pixels of the original image."""
    zone: str | None = None
    """Name of the zone or line."""
    direction: str | None = None
    """`in` or `out` of a crossing."""
    duration_ms: int | None = None
    """Of `left`, how long the object was seen; of `exited`, how long it was in the zone; of
    `counted`, the mean time in the zone of those who left it in the window."""
    n_in: int | None = None
    """How many went in, in this window."""
    n_out: int | None = None
    """How many went out, in this window."""
    n_inside: int | None = None
    """How many are inside at the end of the window."""
    window_start_ms: int | None = None
    uri: str | None = None
    """Of the image, or of a model version that was published."""
    predicted: str | None = None
    """What a network said where `label` is right."""
    figures: Mapping[str, float] | None = None
    """Numbers by name, such as `loss` and `accuracy`."""
    reason: str | None = None
    """Why it happened, in words."""
    person_id: str | None = None
    """Whose face it is."""


class Moment(msgspec.Struct, frozen=True, array_like=True):
    """Where and when an image was, as it is kept in checkpoints."""

    source: bytes = b""
    """Its `source_id`, as bytes, since not every name is UTF-8."""
    sequence: int = 0
    time_ms: int = 0

    @classmethod
    def of(cls, origin: Origin) -> "Moment":
        """Return the moment of an image."""
        return cls(as_bytes(origin.source_id), origin.sequence, origin.event_time_ms)

    def event(self, kind: str, step: str, **fields: Any) -> Event:
        """Return an event of this moment."""
        return Event(kind, step, as_text(self.source), self.sequence, self.time_ms, **fields)
