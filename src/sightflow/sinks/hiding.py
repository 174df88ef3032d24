"""Which faces of a video are blurred: those that are nobody's, also where they were missed.

A face that is followed was somewhere between the places where it was found before and after.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.records import Row

__all__ = ["Hiding"]

_LONGEST_GAP_MS = 2_000
"""A face that was away for longer may have gone and come back."""

Box = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class _Sighting:
    """Where a face that is followed was found."""

    place: int
    """Of the frame, among those that have a row."""
    box_xyxy: Box
    is_known: bool


class Hiding:
    """The faces of a stream that are blurred."""

    def __init__(self, rows: Iterable[Row]) -> None:
        """Look for frames in which a face was missed that is followed before and after.

        Args:
            rows: of the stream, in order.
        """
        self._missed: dict[int, list[Box]] = {}
        frames: list[tuple[int, int]] = []
        last: dict[int, _Sighting] = {}
        for place, row in enumerate(rows):
            frames.append((row["sequence"], row["event_time_ms"]))
            for face in row["faces"]:
                track_id = face.get("track_id")
                if track_id is None:
                    continue
                now = _Sighting(place, np.array(face["box_xyxy"], np.float32), not _is_hidden(face))
                before, last[track_id] = last.get(track_id), now
                if before is not None and not (before.is_known and now.is_known):
                    self._hide_between(before, now, frames)

    def boxes_xyxy(self, row: Row) -> Box:
        """Return what is blurred in a frame, float32 [N, 4] in its pixels."""
        found = [face["box_xyxy"] for face in row["faces"] if _is_hidden(face)]
        boxes = [*found, *self._missed.get(row["sequence"], ())]
        return np.array(boxes, np.float32).reshape(-1, 4)

    def _hide_between(
        self, before: _Sighting, now: _Sighting, frames: Sequence[tuple[int, int]]
    ) -> None:
        """Note where the face was in the frames, given as (sequence, time in ms), between two."""
        start_ms, end_ms = frames[before.place][1], frames[now.place][1]
        if end_ms - start_ms > _LONGEST_GAP_MS:
            return
        for number, time_ms in frames[before.place + 1 : now.place]:
            part = np.float32((time_ms - start_ms) / max(end_ms - start_ms, 1))
            box = before.box_xyxy + (now.box_xyxy - before.box_xyxy) * part
            self._missed.setdefault(number, []).append(box)


def _is_hidden(face: Row) -> bool:
    return face.get("person_id") is None
