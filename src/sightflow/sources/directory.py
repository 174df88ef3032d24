"""Pictures in files: folders, single files, globs, object stores, archives."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from sightflow.options import check_number
from sightflow.protocols import Context, Read
from sightflow.records import Claim, Origin
from sightflow.sources.reading import file_reader
from sightflow.storage.files import StoredFile, list_named

__all__ = ["Directory"]


@dataclass(frozen=True)
class Directory:
    """Every file of folders, globs, archives and single paths, sorted; each is one image."""

    paths: str | tuple[str, ...]
    """Paths of this machine, or URLs of fsspec."""
    pattern: str = "*"
    """For file names in folders, such as `*.jpg`; upper and lower case alike."""
    recursive: bool = True
    """Whether folders in a folder are read."""
    fps: float | None = None
    """Pictures of each path a second, where they are the frames of a video, sorted by the numbers
    in their names; None: the time of a picture is that of its file."""
    start_time_ms: int = 0
    """With `fps`: when the first picture was taken, milliseconds since 1970."""

    gives: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse a rate that cannot be."""
        check_number(self, "fps", within="(0, 1000]")

    def claims(self) -> Iterator[Claim]:
        """List the files."""
        found = list_named(
            self.paths,
            pattern=self.pattern,
            recursive=self.recursive,
            by_number=self.fps is not None,
        )
        for path, number, file in found:
            yield Claim(Origin(file.uri, path, number, self._time_ms(number, file), file.name))

    def open(self, context: Context) -> Read:
        """Return a function that reads one file."""
        return file_reader(context)

    def _time_ms(self, sequence: int, file: StoredFile) -> int:
        if self.fps is None:
            return file.modified_ms
        return self.start_time_ms + round(sequence * 1000 / self.fps)
