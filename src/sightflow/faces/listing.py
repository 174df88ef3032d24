"""Who is enrolled in a gallery, as a table."""

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sightflow.storage.galleryfile import Enrolled, GalleryFile

__all__ = ["PEOPLE", "PICTURES", "list_people", "list_pictures"]

PEOPLE = ("person_id", "n_faces", "since", "last")
"""Columns of the table of those who are enrolled."""
PICTURES = ("person_id", "picture", "since")
"""Columns of the table of their pictures."""


def list_people(gallery: Path) -> list[dict[str, Any]]:
    """Return a row for each person, by name, with `PEOPLE` as keys; times are UTC.

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


def list_pictures(gallery: Path) -> list[dict[str, Any]]:
    """Return a row for each picture, by person, with `PICTURES` as keys; times are UTC.

    Raises:
        GalleryError: there is none, or it cannot be read with the key that is set.
    """
    entries = GalleryFile(gallery).entries()
    return [
        {"person_id": one.person_id, "picture": one.uri, "since": _time(one.added_ms)}
        for one in sorted(entries, key=lambda one: (one.person_id, one.uri))
    ]


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
