"""A page that shows annotated pictures beside what was recognised in them."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightflow.dashboard.page import write_page
from sightflow.records import Row
from sightflow.storage.jsonlines import read_rows

__all__ = ["Section", "write_gallery"]


@dataclass(frozen=True)
class Section:
    """One run on the page."""

    title: str
    results: Path
    """`NAME.jsonl`; the rejected images and the summary lie beside it."""
    pictures: Path
    """Folder of annotated pictures."""


def write_gallery(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Write a page that shows some runs; it refers to the pictures by relative paths.

    Args:
        path: the HTML file; it appears when it is complete.
        title: heading of the page.
        sections: the runs, in order.
    """
    shown = [_section(section, path.parent) for section in sections]
    write_page(path, "gallery.html", title=title, sections=shown)


def _section(section: Section, base: Path) -> dict[str, Any]:
    """Return what the template needs of a run."""
    rows = list(read_rows(section.results))
    pictures = {picture.name: picture for picture in sorted(section.pictures.rglob("*.jpg"))}
    cards = []
    for row in rows:
        name = os.path.basename(row["uri"])
        picture = pictures.get(name) or pictures.get(f"{name}.jpg")
        cards.append(
            {
                "name": name,
                "size": f"{row['width']} x {row['height']}",
                "picture": picture and os.path.relpath(picture, base),
                "found": _found(row),
            }
        )
    return {
        "title": section.title,
        "cards": cards,
        "rejected": list(read_rows(section.results.with_suffix(".rejected.jsonl"))),
        "summary": json.loads(section.results.with_suffix(".summary.json").read_text("utf-8")),
        "results": os.path.relpath(section.results, base),
        "model": rows[0].get("model", "") if rows else "",
    }


def _found(row: Row) -> list[dict[str, Any]]:
    """Return label and score of everything recognised in an image."""
    found = [*row.get("classification", ()), *row.get("detections", ())]
    scenes = [{**item, "label": f"scene: {item['label']}"} for item in row.get("scene", ())[:1]]
    return [{"label": item["label"], "score": item["score"]} for item in (*found, *scenes)]
