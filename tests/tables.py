"""A table for tests, importable by name in every worker: words in a file of lines that grows."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightflow.protocols import Context, Process, TableSource
from sightflow.records import Event, ImageRecord, Measures, ModelUse, TableUpdate
from sightflow.tasks.gallery import GalleryTable, face_row

__all__ = ["KnownWords", "LookUp", "Names", "Words", "add_words"]


def add_words(path: Path, **rows: str | None) -> None:
    """Append rows; None takes one out."""
    with open(path, "a") as file:
        for key, value in rows.items():
            file.write(json.dumps({"key": key, "value": value}) + "\n")


@dataclass(frozen=True)
class Words:
    """A table of words by key."""

    path: str

    def check(self) -> None:
        """Accept everything."""

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> "WordUpdates":
        """Return the lines behind a byte."""
        return WordUpdates(Path(self.path), int(position or 0))

    def open_table(self) -> "KnownWords":
        """Return an empty table."""
        return KnownWords()


class WordUpdates:
    """An update for each line; its version is the byte behind it."""

    def __init__(self, path: Path, start: int) -> None:
        self._path, self._next = path, start
        self._end = path.stat().st_size
        self._first = start == 0

    def poll(self, timeout_s: float) -> TableUpdate | None:
        with open(self._path, "rb") as file:
            file.seek(self._next)
            line = file.readline()
        if not line.endswith(b"\n"):
            time.sleep(min(timeout_s, 0.01))
            return None
        is_news = self._next >= self._end
        self._next += len(line)
        row = json.loads(line) if line.strip() else None
        value = row and row["value"]
        rows = {} if row is None else {row["key"]: None if value is None else value.encode()}
        events = (Event("gallery", "words", "", 0, 0, reason=row["key"]),) if is_news else ()
        return TableUpdate(self._next, rows, events)

    def is_caught_up(self) -> bool:
        return self._next >= self._end

    def position(self) -> str:
        return str(self._next)


class KnownWords:
    """Words by key, in this process."""

    def __init__(self) -> None:
        self.now: tuple[int, dict[str, str]] = (0, {})

    def update(self, update: TableUpdate) -> None:
        words = dict(self.now[1])
        for key, row in update.rows.items():
            if row is None:
                words.pop(key, None)
            else:
                words[key] = row.decode()
        self.now = (update.version, words)


@dataclass(frozen=True)
class LookUp:
    """Measures how many words are known, and how long they are together."""

    table: TableSource
    delay_s: float = 0.0
    """How long it takes for each image."""

    def check(self) -> None:
        """Accept everything."""

    def scale_for(self, width: int, height: int) -> float:
        """Return almost 0."""
        return 1e-9

    def open(self, context: Context) -> Process:
        """Return the function that looks up."""
        words_of = context.tables(self.table)

        def process(records: Sequence[ImageRecord]) -> list[ImageRecord]:
            time.sleep(self.delay_s * len(records))
            version, words = words_of().now
            lengths = sum(map(len, words.values()))
            found = Measures(("n", "length"), np.array([len(words), lengths], np.float32))
            use = ModelUse(context.step, "words", str(version))
            return [replace(r, measures=found, models=(*r.models, use)) for r in records]

        return process


@dataclass(frozen=True)
class Names:
    """A gallery that never changes: by key, a person and an embedding."""

    faces: dict[str, tuple[str, tuple[float, ...]]]

    def check(self) -> None:
        """Accept everything."""

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> "OneUpdate":
        """Return all faces at once."""
        rows = {
            key: face_row(person, np.array(numbers, np.float32), "")
            for key, (person, numbers) in self.faces.items()
        }
        return OneUpdate(rows if position is None else {})

    def open_table(self) -> GalleryTable:
        """Return the faces, so that steps know them where no job tells them."""
        table = GalleryTable()
        update = self.open_updates(Context("names"), None, {}).poll(0)
        if update is not None:
            table.update(update)
        return table


class OneUpdate:
    """One update, and nothing behind it."""

    def __init__(self, rows: dict[str, bytes | None]) -> None:
        self._rows = rows

    def poll(self, timeout_s: float) -> TableUpdate | None:
        rows, self._rows = self._rows, {}
        return TableUpdate(1, rows) if rows else None

    def is_caught_up(self) -> bool:
        return not self._rows

    def position(self) -> str:
        return "1"
