"""Paths as users give them, and one short name for each."""

import os
from collections.abc import Iterable, Iterator

__all__ = ["as_paths", "labelled"]


def as_paths(paths: str | Iterable[str]) -> tuple[str, ...]:
    """Return one path or many as a tuple."""
    return (paths,) if isinstance(paths, str) else tuple(paths)


def labelled(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, label): the last part of each path, numbered where it comes again.

    Examples:
        >>> list(labelled(["a/day", "b/day", "c.mp4"]))
        [('a/day', 'day'), ('b/day', 'day-2'), ('c.mp4', 'c.mp4')]
    """
    taken: set[str] = set()
    for path in paths:
        plain = os.path.basename(path.rstrip("/")) or "root"
        label, number = plain, 1
        while label in taken:
            number += 1
            label = f"{plain}-{number}"
        taken.add(label)
        yield path, label
