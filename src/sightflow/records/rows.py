"""What a row of a result says of its objects, for those who show it."""

from collections.abc import Iterator
from typing import Any

from sightflow.records.schema import Row

__all__ = ["said_of", "tracks_in"]

_SAID = ("state", "sign")


def said_of(item: Row) -> tuple[str, float] | None:
    """Return what an object is said to show or mean, and the score; None where nothing is said.

    Examples:
        >>> said_of({"label": "traffic light", "state": {"label": "red", "score": 0.98}})
        ('red', 0.98)
    """
    said = next((item[name] for name in _SAID if name in item), None)
    return None if said is None else (said["label"], said["score"])


def tracks_in(row: Row) -> Iterator[dict[str, Any]]:
    """Yield the tracks of a row, each with what its detection is said to show or mean.

    Examples:
        >>> light = {"label": "traffic light", "track_id": 3, "state": {"label": "red"}}
        >>> list(tracks_in({"detections": [light], "tracks": [{"track_id": 3}, {"track_id": 4}]}))
        [{'track_id': 3, 'state': {'label': 'red'}}, {'track_id': 4}]
    """
    known = {found.get("track_id"): found for found in row.get("detections") or ()}
    for track in row["tracks"]:
        found = known.get(track["track_id"], {})
        yield {**track, **{name: found[name] for name in _SAID if name in found}}
