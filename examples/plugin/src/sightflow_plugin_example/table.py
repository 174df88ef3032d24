"""Pictures in a table of SQLite: `pictures (name TEXT, taken_ms INTEGER, data BLOB)`."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from sightflow.errors import SourceError
from sightflow.protocols import Context, Read
from sightflow.records import Claim, EncodedImage, Origin, Rejected

__all__ = ["PictureTable", "add_picture"]


@dataclass(frozen=True)
class PictureTable:
    """Every picture that is in the table when the job is built, in the order of coming."""

    path: str
    """Of the database. Others may add rows while the job runs: those are for the next one."""

    gives: ClassVar[tuple[str, ...]] = ()

    def claims(self) -> Iterator[Claim]:
        """List the pictures, without their bytes."""
        if not Path(self.path).is_file():
            raise SourceError(f"{self.path}: no such file")
        try:
            with closing(_connected(self.path)) as database:
                found = database.execute(
                    "SELECT rowid, name, taken_ms FROM pictures ORDER BY rowid"
                )
                for number, (row, name, taken_ms) in enumerate(found):
                    inside = f"{row:06d}/{PurePath(name).name}"
                    uri = f"sqlite://{self.path}#{row}"  # so that no sink takes it for a file
                    yield Claim(Origin(uri, self.path, number, taken_ms, inside))
        except sqlite3.Error as error:
            raise SourceError(f"{self.path}: {error}") from error

    def open(self, context: Context) -> Read:
        """Return a function that reads one picture."""
        database = context.resources.enter_context(closing(_connected(self.path)))

        def read(claim: Claim) -> Iterator[EncodedImage | Rejected]:
            row = int(claim.origin.uri.rpartition("#")[2])
            try:
                found = database.execute("SELECT data FROM pictures WHERE rowid = ?", (row,))
                ((data,),) = found.fetchall()
                yield EncodedImage(claim.origin, bytes(data))
            except (sqlite3.Error, ValueError, TypeError) as error:
                yield Rejected(claim.origin, context.step, "unreadable", f"row {row}: {error}")

        return read


def add_picture(path: str, name: str, taken_ms: int, data: bytes) -> None:
    """Add a picture to a table, which is made if it is not there."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS pictures (name TEXT, taken_ms INTEGER, data BLOB)"
        )
        database.execute("INSERT INTO pictures VALUES (?, ?, ?)", (name, taken_ms, data))


def _connected(path: str) -> sqlite3.Connection:
    uri = f"{Path(path).absolute().as_uri()}?mode=ro"
    return sqlite3.connect(uri, uri=True, check_same_thread=False)
