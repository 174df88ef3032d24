"""Paths as users give them, and names that are made of them."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence

from sightflow.errors import SourceError

__all__ = ["VIDEO_SUFFIXES", "as_paths", "name_under", "short_names", "stream_names"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")

_SUFFIX = re.compile(r"\.[a-z]\w{1,4}$", re.IGNORECASE)
_LONGEST = 100


def as_paths(paths: str | Iterable[str]) -> tuple[str, ...]:
    """Return one path or many as a tuple.

    Raises:
        SourceError: one is there twice; its images would have the same numbers.
    """
    listed = (paths,) if isinstance(paths, str) else tuple(paths)
    seen: set[str] = set()
    for path in listed:
        plain = path if "://" in path else os.path.normpath(path)
        if plain in seen:
            raise SourceError(f"{path}: is named twice; name each path once")
        seen.add(plain)
    return listed


def short_names(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, name): the last part of each path, numbered where it comes again.

    Examples:
        >>> list(short_names(["a/day", "b/day", "c.mp4"]))
        [('a/day', 'day'), ('b/day', 'day-2'), ('c.mp4', 'c.mp4')]
    """
    taken: set[str] = set()
    for path in paths:
        place = re.split(r"[^/]*[*?\[]", path, maxsplit=1)[0]  # of a glob, the folder before it
        plain = os.path.basename(place.rstrip("/")) or "root"
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        yield path, name


def name_under(short: str, name: str) -> str:
    """Return the name of a file below the short name of its path; that of a file is its own."""
    return short if short == name else f"{short}/{name}"


def stream_names(source_ids: Sequence[str]) -> dict[str, str]:
    """Return a file name without ending for each stream, different without regard to case.

    As few of the last parts of its path as tell it apart; a number where they do not.

    Examples:
        >>> stream_names(["a/clip.mp4", "rtsp://gate:554/cam 1", "photos/"])
        {'a/clip.mp4': 'clip', 'rtsp://gate:554/cam 1': 'cam_1', 'photos/': 'photos'}
        >>> stream_names(["x/det.txt", "y/Det.txt"])
        {'x/det.txt': 'x-det', 'y/Det.txt': 'y-Det'}
    """
    parts = {source_id: _parts(source_id) for source_id in source_ids}
    most = max(map(len, parts.values()), default=0)
    for n_parts in range(1, most + 1):
        names = {s: "-".join(words[-n_parts:])[-_LONGEST:] for s, words in parts.items()}
        if len({name.casefold() for name in names.values()}) == len(names) and all(names.values()):
            return names
    return {source_id: f"{number:04d}" for number, source_id in enumerate(source_ids, 1)}


def _parts(source_id: str) -> list[str]:
    """Return the parts of a path that can be part of a file name."""
    words = re.split(r"[/\\]|::", _SUFFIX.sub("", source_id.rstrip("/")))
    plain = (re.sub(r"[^\w.-]+", "_", word).lstrip(".") for word in words)
    return [word for word in plain if word]
