"""The files by which a run shows how it goes; it and those who look share a folder."""

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sightflow.storage.drafts import replacing, writing

__all__ = ["N_SLOTS", "ViewFiles"]

N_SLOTS = 9
"""Pictures of so many sources are shown."""
_WATCHED_S = 3.0
_N_KEPT = 3
"""Pictures of a source that are kept: who looks may still want the one before the newest."""


@dataclass(frozen=True)
class ViewFiles:
    """Where everything lies that is shown."""

    folder: Path

    @property
    def facts(self) -> Path:
        """What there is to say, as JSON."""
        return self.folder / "facts.json"

    @property
    def run(self) -> Path:
        """Which run is shown: a text that no other has."""
        return self.folder / "run"

    @property
    def watched(self) -> Path:
        """A file that is touched again and again while somebody looks."""
        return self.folder / "watched"

    def picture(self, slot: int, version: int) -> Path:
        """A picture of a source, a JPEG; each has a number of its own."""
        return self.folder / f"picture-{slot}-{version}.jpg"

    def prepare(self) -> None:
        """Make the folder, without what an earlier run has shown in it.

        Raises:
            OutputError: it cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            self.facts.unlink(missing_ok=True)
            for path in self.folder.glob("picture-*-*.jpg"):
                path.unlink(missing_ok=True)
            self.run.write_text(uuid.uuid4().hex)

    def watch(self) -> None:
        """Say that somebody looks."""
        self.watched.touch()

    def is_watched(self) -> bool:
        """Return whether somebody looks."""
        try:
            return time.time() - self.watched.stat().st_mtime < _WATCHED_S
        except OSError:
            return False

    def write(self, facts: dict[str, Any]) -> None:
        """Replace the facts."""
        with replacing(self.facts) as draft:
            draft.write_bytes(orjson.dumps(facts))

    def write_picture(self, slot: int, version: int, jpeg: bytes) -> None:
        """Add a picture of a source; all but its last ones go."""
        with replacing(self.picture(slot, version)) as draft:
            draft.write_bytes(jpeg)
        kept = sorted(self.folder.glob(f"picture-{slot}-*.jpg"), key=_version_of)
        with writing(self.folder):
            for path in kept[:-_N_KEPT]:
                path.unlink(missing_ok=True)


def _version_of(picture: Path) -> int:
    return int(picture.stem.rpartition("-")[2])
