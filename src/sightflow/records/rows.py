"""What a row of a result says of its objects, for those who show it."""

from collections.abc import Iterator, Sequence
from typing import Any

from sightflow.records.schema import Row

__all__ = ["counted_in", "for_viewers", "name_of", "said_of", "tracks_in", "uses_in"]

_SAID = ("state", "sign")


def for_viewers(row: Row, at_most: int) -> dict[str, Any]:
    """Return a row for people to look at: without embeddings, and at most so many of each kind.

    Examples:
        >>> face = {"score": 0.9, "embedding": [0.6, 0.8], "person_id": "ann"}
        >>> for_viewers({"uri": "a.jpg", "faces": [face, face]}, 1)
        {'uri': 'a.jpg', 'faces': [{'score': 0.9, 'person_id': 'ann'}]}
    """
    lists = {name: row[name] for name in ("detections", "tracks", "faces") if name in row}
    return {
        **row,
        **{
            name: [
                {key: value for key, value in item.items() if key != "embedding"}
                for item in items[:at_most]
            ]
            for name, items in lists.items()
        },
    }


def counted_in(row: Row) -> tuple[str, list[tuple[str, int | None]]]:
    """Return what is counted of a row: of which kind, and the label and track of each.

    The kind is `faces`, `tracks`, `objects` or `pictures`, the closest that there is. A picture
    counts as its best class. The track is None where the same thing may be in the next row again.

    Examples:
        >>> light = {"label": "traffic light", "state": {"label": "red", "score": 0.98}}
        >>> counted_in({"detections": [light, {"label": "car"}]})
        ('objects', [('red', None), ('car', None)])
        >>> counted_in({"faces": [{"person_id": None, "track_id": 3}, {"person_id": "ann"}]})
        ('faces', [('unknown', 3), ('ann', None)])
    """
    if "faces" in row:
        return "faces", [(name_of(face), face.get("track_id")) for face in row["faces"]]
    if "tracks" in row:
        return "tracks", [(_label_of(track), track["track_id"]) for track in tracks_in(row)]
    if "detections" in row:
        return "objects", [(_label_of(found), None) for found in row["detections"]]
    return "pictures", [(best["label"], None) for best in row.get("classification", ())[:1]]


def name_of(item: Row) -> str:
    """Return what an item is called: its label with what it is said to show, or who it is.

    A face that was looked up and is nobody's is `unknown`, one that was only found a `face`.

    Examples:
        >>> name_of({"label": "traffic light", "state": {"label": "red", "score": 0.98}})
        'traffic light: red'
        >>> [name_of(face) for face in ({"person_id": "ann"}, {"similarity": 0.2}, {"score": 0.9})]
        ['ann', 'unknown', 'face']
    """
    if "label" not in item:
        was_looked_up = "person_id" in item or "similarity" in item
        return str(item.get("person_id") or ("unknown" if was_looked_up else "face"))
    said = said_of(item)
    return str(item["label"]) if said is None else f"{item['label']}: {said[0]}"


def _label_of(item: Row) -> str:
    said = said_of(item)
    return str(item["label"] if said is None else said[0])


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


def uses_in(row: Row) -> Sequence[Row]:
    """Return which models made a row: `step`, `model` and `model_version` of each.

    Examples:
        >>> use = {"step": "detect", "model": "nanodet", "model_version": "1"}
        >>> [one["step"] for one in uses_in({"uri": "a.jpg", **use})], uses_in({"uri": "a.jpg"})
        (['detect'], ())
    """
    uses: Sequence[Row] = row.get("steps") or ((row,) if row.get("model") else ())
    return uses
