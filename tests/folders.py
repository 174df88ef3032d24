"""Folders that a test fills, without files."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sightflow.storage.watching import Seen

__all__ = ["NOW_S", "Folder", "S", "a_file"]

S = 1_000_000_000
"""A second in nanoseconds."""
NOW_S = int(time.time()) - 1000
"""A time that is long gone: files of it are complete."""


def a_file(path: str, at_s: float, **changes) -> Seen:
    ns = int((NOW_S + at_s) * S)
    return Seen(path, ns, ns, 10, False)._replace(**changes)


@dataclass
class Folder:
    """A folder that has what a test puts into it."""

    there: list[Seen] = field(default_factory=list)
    folders: frozenset[str] = frozenset()

    def uri(self, path: str) -> str:
        return path

    def files(self, known: Collection[str], since_ns: int) -> Iterator[Seen]:
        for seen in list(self.there):
            has_come = seen.moved_with not in known and seen.moved_ns >= since_ns
            yield seen if has_come else seen._replace(moved_with="", moved_ns=0)
