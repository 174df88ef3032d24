"""Who is enrolled in a gallery, as a table."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sightflow.storage.galleryfile import Enrolled, GalleryFile

__all__ = ["COLUMNS", "list_gallery"]

COLUMNS = ("person_id", "n_faces", "since", "last")


def list_gallery(gallery: Path) -> list[dict[str, Any]]:
    """Return a row for each person, by name, with `COLUMNS` as keys; times are UTC.

    Raises:
        GalleryError: there is none, or it cannot be read with the key that is set.
    """
    people: dict[str, list[Enrolled]] = {}
    for entry in GalleryFile(gallery).entries():
        people.setdefault(entry.person_id, []).append(entry)
    return [
        {
            "person_id": person_id,
            "n_faces": len(entries),
            "since": _time(min(entry.added_ms for entry in entries)),
            "last": _time(max(entry.added_ms for entry in entries)),
        }
        for person_id, entries in sorted(people.items())
    ]


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
