"""Names for the files of streams."""

import re
from collections.abc import Sequence

__all__ = ["stream_names"]

_SUFFIX = re.compile(r"\.[a-z]\w{1,4}$", re.IGNORECASE)
_LONGEST = 100


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
