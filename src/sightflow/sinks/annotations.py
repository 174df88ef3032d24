"""From rows and events to what is drawn into the frames of a stream."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from sightflow.ops.blur import blur_boxes
from sightflow.ops.draw import (
    Colour,
    Pixels,
    colour_of,
    colour_of_object,
    colour_of_person,
    object_text,
)
from sightflow.ops.overlay import Count, Mark, Outline, draw_overlay
from sightflow.records import Row
from sightflow.records.rows import said_of, tracks_in
from sightflow.sinks.hiding import Hiding

__all__ = ["Annotator", "Tally"]

_MAX_TRAIL_POINTS = 50
_MAX_CAPTIONS = 3


class Tally:
    """What passed the lines and zones of a stream up to each of its images."""

    def __init__(self, events: Mapping[tuple[str, str], Sequence[int]]) -> None:
        """Keep the `sequence` of events in any order, by zone and `in`, `out` or other kind."""
        self._events = {key: np.sort(np.array(found)) for key, found in events.items()}

    def at(self, zone: str, sequence: int) -> Count:
        """Return what was counted up to an image, with what that image shows."""

        def n(kind: str) -> int:
            found = self._events.get((zone, kind))
            return 0 if found is None else int(np.searchsorted(found, sequence, side="right"))

        return Count(n("in"), n("out"), max(0, n("entered") - n("exited")))


class Annotator:
    """Draws what was recognised into the frames of one stream, which come in order of time."""

    def __init__(
        self,
        outlines: Sequence[Outline],
        tally: Tally,
        *,
        min_score: float,
        trail_ms: int,
        hiding: Hiding | None,
    ) -> None:
        """Start without trails; without `hiding` no face is blurred."""
        self._outlines, self._tally = outlines, tally
        self._min_score, self._trails = min_score, _Trails(trail_ms)
        self._hiding, self._tracks_are_faces = hiding, False

    def leave(self, pixels: Pixels) -> None:
        """Leave a frame without a row as it is, but blur all of it where strangers are blurred."""
        if self._hiding is not None:
            height, width = pixels.shape[:2]
            blur_boxes(pixels, np.array([[0, 0, width, height]], np.float32))

    def draw(self, pixels: Pixels, row: Row) -> None:
        """Draw the objects and classes of a row, and the counts as they were then; in place."""
        if self._hiding is not None:
            blur_boxes(pixels, self._hiding.boxes_xyxy(row))
        found = self._objects(row)
        shown = [item for item in found if item["score"] >= self._min_score]
        now = row["event_time_ms"]
        trails = self._trails.step(now, [item for item in found if _is_followed(item)])
        draw_overlay(
            pixels,
            [_mark(item, trails) for item in shown],
            outlines=[(o, self._tally.at(o.name, row["sequence"])) for o in self._outlines],
            captions=_captions(row),
        )

    def _objects(self, row: Row) -> list[dict[str, Any]]:
        """Return what is drawn as boxes, what lies on top first: of what is followed its tracks."""
        faces = list(row.get("faces") or ())
        if faces:  # where there is none, it is as in the frame before
            self._tracks_are_faces = "track_id" in faces[0]
        if self._tracks_are_faces or row.get("tracks") is None:
            return [*faces, *(row.get("detections") or ())]
        tracks = sorted(tracks_in(row), key=lambda track: track["track_id"])
        return [*faces, *tracks]


def _is_followed(item: Row) -> bool:
    return item.get("track_id") is not None


def _mark(item: Row, trails: dict[int, tuple[tuple[float, float, float], ...]]) -> Mark:
    x1, y1, x2, y2 = item["box_xyxy"]
    track_id = item.get("track_id")
    text = _text(item) if track_id is None else f"#{track_id} {_text(item)}"
    trail = () if track_id is None else trails.get(track_id, ())
    return Mark((x1, y1, x2, y2), text, _colour(item), trail)


def _text(item: Row) -> str:
    if "label" in item:
        return object_text(item["label"], item["score"], said_of(item))
    if "person_id" not in item:
        return f"face {item['score']:.2f}"
    return _name(item) or "unknown"


def _colour(item: Row) -> Colour:
    if "label" not in item:
        return colour_of_person(_name(item))
    number = item["class_id"] if item.get("track_id") is None else item["track_id"]
    return colour_of_object(number, said_of(item))


def _name(face: Row) -> str | None:
    name: str | None = face.get("person_id")
    return name


def _captions(row: Row) -> list[tuple[str, Colour]]:
    best = (row.get("classification") or [])[:_MAX_CAPTIONS]
    return [(f"{c['label']} {c['score']:.2f}", colour_of(c["class_id"])) for c in best]


class _Trails:
    """Where each followed object stood in the last time."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._places: dict[int, deque[tuple[int, float, float]]] = {}

    def step(
        self, now_ms: int, tracks: Sequence[Row]
    ) -> dict[int, tuple[tuple[float, float, float], ...]]:
        """Take note of where the objects are; return the trail of each of them."""
        if not self._length_ms:
            return {}
        for track in tracks:
            x1, _, x2, y2 = track["box_xyxy"]
            places = self._places.setdefault(track["track_id"], deque())
            places.append((now_ms, (x1 + x2) / 2, y2))
        since_ms = now_ms - self._length_ms
        for places in self._places.values():
            while places and places[0][0] <= since_ms:
                places.popleft()
        self._places = {track_id: places for track_id, places in self._places.items() if places}
        return {t["track_id"]: tuple(self._trail(t["track_id"], now_ms)) for t in tracks}

    def _trail(self, track_id: int, now_ms: int) -> Iterator[tuple[float, float, float]]:
        places = self._places[track_id]
        stride = -(-len(places) // _MAX_TRAIL_POINTS)
        for i, (time_ms, x, y) in enumerate(places):
            if (len(places) - 1 - i) % stride == 0:
                yield x, y, 1 - (now_ms - time_ms) / self._length_ms
