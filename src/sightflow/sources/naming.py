"""Paths as users give them, and one short name for each of them and of their frames."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sightflow.records import Claim, Origin

__all__ = ["VIDEO_SUFFIXES", "as_paths", "frame_origins", "is_live", "labelled", "name_under"]

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".wmv")


_LIVE = re.compile(
    r"(rtsps?|rtmps?|rtp|udp|srt)://.*|https?://[^?#]*\.m3u8([?#].*)?|\d+|/dev/video\d+", re.I
)


def is_live(path: str) -> bool:
    """Return whether a path names a camera or a live stream, and no file.

    Examples:
        >>> [is_live(p) for p in ("rtsp://cam/1", "https://tv/news.m3u8?a=1", "0", "0.mp4")]
        [True, True, True, False]
    """
    return _LIVE.fullmatch(path) is not None and not os.path.isfile(path)


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
        place = re.split(r"[^/]*[*?\[]", path, maxsplit=1)[0]  # of a glob, the folder before it
        plain = os.path.basename(place.rstrip("/")) or "root"
        label, number = plain, 1
        while label in taken:
            number += 1
            label = f"{plain}-{number}"
        taken.add(label)
        yield path, label


def name_under(label: str, name: str) -> str:
    """Return the name of a file below the label of its path; a path to a file is its own label."""
    return label if label == name else f"{label}/{name}"


def frame_origins(claim: Claim) -> list[Origin]:
    """Return where each frame of a segment comes from."""
    first = claim.origin
    return [
        replace(first, sequence=n, event_time_ms=time_ms, name=f"{first.name}/{n:08d}")
        for n, _, time_ms in claim.frames
    ] or [first]
