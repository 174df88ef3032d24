"""Pictures in a folder that goes on being filled, on this machine or in an object store."""

import time
from dataclasses import dataclass
from typing import ClassVar, Literal

from sightflow.errors import PipelineError
from sightflow.options import check_choices, check_number
from sightflow.protocols import Context, Read
from sightflow.records import Claim, Rejected, Skipped
from sightflow.sources.backlog import Backlog
from sightflow.sources.filenames import FileNames, check_time_pattern
from sightflow.sources.inventory import Inventory, WatchPosition
from sightflow.sources.lookout import Lookout
from sightflow.sources.reading import file_reader
from sightflow.storage.watching import place_of

__all__ = ["Watched"]

_CLOSING_S = 1.0
"""How long closing waits for the thread; one that waits for a silent storage ends by itself."""


@dataclass(frozen=True)
class Watched:
    """Pictures in a folder, those that come while the job runs too; each file is one image."""

    path: str
    """Of a folder of this machine, or a URL of fsspec such as `s3://bucket/photos`."""
    pattern: str = "*"
    """For file names, such as `*.jpg`; upper and lower case alike."""
    recursive: bool = True
    """Whether folders in the folder are watched."""
    by_folder: bool = False
    """Whether each folder in the folder is a stream of its own (`source_id`), with all below it."""
    start: Literal["all", "new"] = "all"
    """Whether pictures that are there at first are read, or new ones only."""
    every_s: float = 1.0
    """Seconds between two looks; more where looking would take more than a tenth of the time."""
    settle_ms: float = 1000.0
    """A file is complete when it has not changed for so long; 0 where files are renamed into the
    folder. In object stores nothing is incomplete."""
    grace_s: float = 60.0
    """How long after its time a file may turn up; so far back files are remembered."""
    time_pattern: str | None = None
    """Regular expression for when a picture was taken, found in its path below the folder, with
    groups `year`, `month`, `day`, `hour`, `minute`, `second` (UTC) and `millisecond`, or with
    `epoch_s` or `epoch_ms`; None: the time of a picture is that of its file."""
    idle_s: float | None = None
    """End when no picture has come for so long; None goes on until it is stopped."""
    when_behind: Literal["wait", "skip"] = "wait"
    """Whether pictures wait until there is time for them, or are left out, and counted, when a
    later look has found newer ones of their stream."""
    max_age_ms: float | None = None
    """With `skip`: leave out, as well, pictures that were taken longer ago; None: of any age."""

    gives: ClassVar[tuple[str, ...]] = ()
    adjustable: ClassVar[tuple[str, ...]] = (
        "pattern",
        "recursive",
        "start",
        "every_s",
        "settle_ms",
        "grace_s",
        "time_pattern",
        "idle_s",
        "when_behind",
        "max_age_ms",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_choices(self)
        check_number(self, "every_s", within="(0, inf)")
        check_number(self, "settle_ms", "idle_s", "max_age_ms", within="[0, inf)")
        check_number(self, "grace_s", within="[1, inf)")  # clocks of files have a grain
        if self.max_age_ms is not None and self.when_behind == "wait":
            raise PipelineError(
                f"Watched: `max_age_ms` goes with `when_behind` skip; got {self.max_age_ms!r} with "
                "wait, which leaves nothing out"
            )
        if self.time_pattern is not None:
            check_time_pattern(self.time_pattern)

    def open_stream(self, context: Context, position: str | None) -> "WatchedStream":
        """Return the stream, from its start or behind what was handed out at a position."""
        where = WatchPosition() if position is None else WatchPosition.decode(position)
        inventory = Inventory(
            place_of(self.path, pattern=self.pattern, recursive=self.recursive),
            where,
            settle_s=self.settle_ms / 1000,
            grace_s=self.grace_s,
            only_new=self.start == "new",
        )
        lookout = Lookout(self.path, inventory, self.every_s)
        stream = WatchedStream(self, context, lookout, where)
        context.resources.callback(lookout.stop, _CLOSING_S)
        lookout.start()
        return stream

    def open(self, context: Context) -> Read:
        """Return a function that reads one file."""
        return file_reader(context)


class WatchedStream:
    """A folder that is watched; a thread looks, and `poll` hands out where pictures are."""

    def __init__(
        self, source: Watched, context: Context, lookout: Lookout, where: WatchPosition
    ) -> None:
        """Take what looks, and where the stream stands."""
        self._source, self._lookout = source, lookout
        skips = source.when_behind == "skip"
        place = place_of(source.path)
        names = FileNames(
            place, source.path, context.step, source.time_pattern, by_folder=source.by_folder
        )
        self._backlog = Backlog(names, where, skips=skips, max_age_ms=source.max_age_ms)
        self._quiet_since = self._looked_at = time.monotonic()
        self._is_complete = False
        """Whether the last look found nothing that may still be written."""

    def poll(self, timeout_s: float) -> Claim | Rejected | Skipped | None:
        """Return where the next picture is, how many are left out before it, or None.

        Raises:
            SourceError: the folder is not there at first, or cannot be listed.
        """
        self._look(0.0 if len(self._backlog) or self.ended() else timeout_s)
        item = self._backlog.next(time.time() * 1000)
        if item is not None:
            self._quiet_since = time.monotonic()
        return item

    def ended(self) -> bool:
        """Return whether a look so long after the last picture has found nothing new."""
        if self._source.idle_s is None or len(self._backlog) or not self._is_complete:
            return False
        return self._looked_at - self._quiet_since >= self._source.idle_s

    def position(self) -> str:
        """Return what was handed out, in a form that does not grow."""
        return self._backlog.position()

    def _look(self, timeout_s: float) -> None:
        for listing in self._lookout.take(timeout_s):
            self._looked_at = listing.began
            self._is_complete = not listing.n_incomplete
            if listing.new or listing.n_incomplete:
                self._quiet_since = time.monotonic()
            self._backlog.take(listing)
