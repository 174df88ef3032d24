"""The files by which a run shows how it goes; it and those who look share a folder."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sightflow.storage.drafts import replacing

__all__ = ["N_SLOTS", "ViewFiles"]

N_SLOTS = 9
"""Pictures of so many sources are shown."""
_WATCHED_S = 3.0


@dataclass(frozen=True)
class ViewFiles:
    """Where everything lies that is shown."""

    folder: Path

    @property
    def facts(self) -> Path:
        """What there is to say, as JSON."""
        return self.folder / "facts.json"

    @property
    def watched(self) -> Path:
        """A file that is touched again and again while somebody looks."""
        return self.folder / "watched"

    def picture(self, slot: int) -> Path:
        """The last picture of a source, a JPEG."""
        return self.folder / f"picture-{slot}.jpg"

    def watch(self) -> None:
        """Say that somebody looks."""
        self.watched.touch()

    def is_watched(self) -> bool:
        """Return whether somebody looks."""
        try:
            return time.time() - self.watched.stat().st_mtime < _WATCHED_S
        except FileNotFoundError:
            return False

    def write(self, facts: dict[str, Any]) -> None:
        """Replace the facts."""
        with replacing(self.facts) as draft:
            draft.write_bytes(orjson.dumps(facts))

    def write_picture(self, slot: int, jpeg: bytes) -> None:
        """Replace a picture."""
        with replacing(self.picture(slot)) as draft:
            draft.write_bytes(jpeg)
