"""What pictures in files are called, and when they were taken."""

import os
import re
from datetime import datetime, timezone

from sightflow.errors import PipelineError
from sightflow.records import Claim, Origin, Rejected
from sightflow.sources.inventory import Arrived
from sightflow.storage.watching import Place

__all__ = ["FileNames", "check_time_pattern"]

_UNITS = ("year", "month", "day", "hour", "minute", "second")
_GROUPS = (*_UNITS, "millisecond", "epoch_s", "epoch_ms")


def check_time_pattern(pattern: str) -> None:
    r"""Raise `PipelineError` unless a regular expression finds times.

    Examples:
        >>> check_time_pattern(r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})")
    """
    try:
        names = set(re.compile(pattern).groupindex)
    except re.error as error:
        raise PipelineError(
            f"`time_pattern` must be a regular expression; got {pattern!r}: {error}"
        ) from error
    if names - set(_GROUPS) or not names & {"year", "epoch_s", "epoch_ms"}:
        raise PipelineError(
            f"`time_pattern` has groups of {', '.join(_GROUPS)}, and at least year, epoch_s or "
            f"epoch_ms, as in (?P<epoch_s>[0-9]+); got {sorted(names)}"
        )


class FileNames:
    """Says what the picture in a file is called, and when it was taken."""

    def __init__(
        self, place: Place, root: str, step: str, time_pattern: str | None, *, by_folder: bool
    ) -> None:
        """Take the folder.

        Args:
            place: what knows URIs in it.
            root: its path, as the user gave it.
            step: who rejects what has no time.
            time_pattern: for times in paths; None: a time is that of the file.
            by_folder: whether each folder in it is a stream of its own.
        """
        self._place, self._root, self._step = place, root, step
        self._time = re.compile(time_pattern) if time_pattern else None
        self._by_folder = by_folder

    def source_id(self, arrived: Arrived) -> str:
        """Return the folder that is watched, or the one in it that has the file."""
        folder, slash, _ = arrived.seen.path.partition("/")
        return f"{self._root.rstrip('/')}/{folder}" if self._by_folder and slash else self._root

    def time_ms(self, arrived: Arrived) -> int | None:
        """Return the time in the name of a file, or when it was written; None: it has none."""
        if self._time is None:
            return arrived.seen.modified_ns // 1_000_000
        found = self._time.search(arrived.seen.path)
        try:
            return None if found is None else _time_of(found.groupdict())
        except ValueError:  # there is no 30th of February
            return None

    def item(self, arrived: Arrived, number: int) -> Claim | Rejected:
        """Return the claim for a file; rejected where its name should tell a time and does not.

        A file may be replaced under its name, so that the name of the image has its number too.
        """
        path = arrived.seen.path
        stem, ending = os.path.splitext(path)
        time_ms = self.time_ms(arrived)
        origin = Origin(
            self._place.uri(path),
            self.source_id(arrived),
            number,
            arrived.seen.modified_ns // 1_000_000 if time_ms is None else time_ms,
            f"{stem}-{number:06d}{ending}",
        )
        if time_ms is None:
            message = f"`time_pattern` is not found in {path!r}"
            return Rejected(origin, self._step, "no_time", message)
        return Claim(origin)


def _time_of(groups: dict[str, str | None]) -> int:
    """Return the milliseconds since 1970 that named groups tell.

    Raises:
        ValueError: there is no such time.
    """
    values = {name: int(text) for name, text in groups.items() if text is not None}
    if "epoch_ms" in values:
        return values["epoch_ms"]
    if "epoch_s" in values:
        return values["epoch_s"] * 1000
    parts = {"month": 1, "day": 1} | {name: values[name] for name in _UNITS if name in values}
    moment = datetime(**parts, tzinfo=timezone.utc)
    return int(moment.timestamp()) * 1000 + values.get("millisecond", 0)
