"""On which side of a border each object is, and when it changes sides. Pure functions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sightflow.records import Tracks
from sightflow.records.arrays import plain_floats

__all__ = ["Border", "Change", "Sighting", "forget", "look"]

Box = tuple[float, float, float, float]
Point = tuple[float, float]


@dataclass(frozen=True)
class Border:
    """What parts inside from outside."""

    distances: Callable[[list[Point]], list[float]]
    """How far points are inside, in pixels; negative outside."""
    is_met: Callable[[Point, Point], bool]
    """Whether the way between two points on both sides leads through it."""
    anchor: Callable[[Box], Point]
    """The point of a box that stands for the object."""
    margin: float
    """How far beyond the border an object must be to have changed sides, as a share of the height
    of its box, from 0."""


@dataclass(frozen=True)
class Sighting:
    """An object where it was last seen."""

    inside: bool
    """Its side; near the border that on which it was before."""
    since_ms: int
    """When it came to this side, or was first seen."""
    last_ms: int
    """When it was last seen."""
    point: Point
    distance: float
    """Of the point from the border, in pixels; negative outside."""
    box_xyxy: Box
    class_id: int
    label: str
    met: bool = True
    """Whether its last way across led through the border."""


@dataclass(frozen=True)
class Change:
    """An object is on another side than before, was seen for the first time, or is gone."""

    track_id: int
    now: Sighting
    before: Sighting | None
    """None where it was seen for the first time."""

    @property
    def stayed_ms(self) -> int:
        """How long it was on the side that it left."""
        return 0 if self.before is None else self.now.last_ms - self.before.since_ms


def look(
    sightings: Mapping[int, Sighting], tracks: Tracks, time_ms: int, border: Border
) -> tuple[dict[int, Sighting], list[Change]]:
    """Return where the objects are after an image, and which have changed sides or are new."""
    after, changes = dict(sightings), list[Change]()
    boxes = [_box(*plain_floats(row)) for row in tracks.boxes_xyxy]
    points = [border.anchor(box) for box in boxes]
    columns = zip(
        tracks.track_ids.tolist(),
        points,
        border.distances(points),
        boxes,
        tracks.class_ids.tolist(),
        tracks.labels,
        strict=True,
    )
    for track_id, point, distance, box, class_id, label in columns:
        before = sightings.get(track_id)
        now = Sighting(distance > 0, time_ms, time_ms, point, distance, box, class_id, label)
        if before is not None:
            now = _settled(before, now, border)
        after[track_id] = now
        if before is None or now.inside != before.inside:
            changes.append(Change(track_id, now, before))
    return after, changes


def _settled(before: Sighting, now: Sighting, border: Border) -> Sighting:
    """Return a sighting whose side is the old one unless the object is well beyond the border."""
    crossed = (before.distance > 0) != (now.distance > 0)
    met = border.is_met(before.point, now.point) if crossed else before.met
    is_clear = abs(now.distance) >= border.margin * (now.box_xyxy[3] - now.box_xyxy[1])
    if now.inside != before.inside and is_clear:
        return replace(now, met=met)
    return replace(now, inside=before.inside, since_ms=before.since_ms, met=met)


def forget(
    sightings: Mapping[int, Sighting], before_ms: int
) -> tuple[dict[int, Sighting], dict[int, Sighting]]:
    """Return the objects that were seen since a time, and those that were not."""
    gone = {i: seen for i, seen in sightings.items() if seen.last_ms < before_ms}
    return {i: seen for i, seen in sightings.items() if i not in gone}, gone


def _box(x1: float, y1: float, x2: float, y2: float) -> Box:
    return x1, y1, x2, y2
