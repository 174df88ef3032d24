"""What is told of images by the ends of their paths."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from sightflow.storage.files import split_uri

__all__ = ["Endings", "path_of"]

Told = TypeVar("Told")


def path_of(uri: str) -> str:
    """Return the path of an image; in `zip://a/1.jpg::/photos.zip` it is `a/1.jpg`."""
    return split_uri(uri)[1]


class Endings(Generic[Told]):
    """Values by paths, which may be the ends of longer paths."""

    def __init__(self, told: Mapping[str, Told]) -> None:
        """Take values by path: `a/1.jpg` is also the end of `s3://b/a/1.jpg`."""
        self._told = {tuple(path.strip("/").split("/")): value for path, value in told.items()}
        self._lengths = sorted({len(path) for path in self._told}, reverse=True)

    def of(self, uri: str) -> Told | None:
        """Return the value of the longest path that the path of an image ends with."""
        parts = tuple(path_of(uri).strip("/").split("/"))
        for length in self._lengths:
            if (value := self._told.get(parts[-length:])) is not None:
                return value
        return None
