"""Which files of a watched folder are new: by their times, and by name where times do not tell."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from sightflow.records.state import StateCodec, as_bytes
from sightflow.storage.watching import Place, Seen

__all__ = ["Arrived", "Inventory", "Listing", "Recent", "WatchPosition"]

_S = 1_000_000_000
_MARK_BYTES = 9
"""Of a mark; among a hundred thousand files two have one with a chance of 1 to 10^12."""
_MARK = 12
"""Characters of a mark."""


@dataclass(frozen=True)
class WatchPosition:
    """Which files of a folder were handed out."""

    has_begun: bool = False
    """Whether the folder was listed at all."""
    floor_s: int = 0
    """All files that came before this second, since 1970, were handed out, or are not wanted."""
    recent: dict[int, str] = field(default_factory=dict)
    """Marks of those that were handed out and came later, by the second in which they came."""
    folders: tuple[str, ...] = ()
    """Folders in the folder that are known: files of another one may have old times."""
    numbers: dict[str, int] = field(default_factory=dict)
    """Number of the next image of each stream (`source_id`)."""

    def encode(self) -> str:
        """Return the position as the text that `decode` reads."""
        return _POSITIONS.encode(self).decode()

    @staticmethod
    def decode(text: str) -> "WatchPosition":
        """Return the position that a text describes."""
        return _POSITIONS.decode(text.encode())


_POSITIONS = StateCodec(WatchPosition, "place in a watched folder", version=1)


class Recent:
    """Marks of files, by the second in which they came; the oldest are forgotten."""

    def __init__(self, marks: dict[int, str]) -> None:
        """Begin with what `told` gave."""
        self._texts: dict[int, str] = {}
        self._marks: set[str] = set()
        for second, text in marks.items():
            for i in range(0, len(text), _MARK):
                self.add(second, text[i : i + _MARK])

    def add(self, second: int, mark: str) -> None:
        """Remember a file."""
        self._texts[second] = self._texts.get(second, "") + mark
        self._marks.add(mark)

    def __contains__(self, mark: str) -> bool:
        """Return whether a file is remembered, whenever it came."""
        return mark in self._marks

    def forget_before(self, second: int) -> None:
        """Forget the files that came before a second."""
        for old in [one for one in self._texts if one < second]:
            text = self._texts.pop(old)
            self._marks.difference_update(text[i : i + _MARK] for i in range(0, len(text), _MARK))

    def told(self) -> dict[int, str]:
        """Return all marks, as text."""
        return dict(self._texts)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A file that is new, and complete."""

    seen: Seen
    came_ns: int
    """When it came, by itself or with its folder."""
    mark: str
    """What tells it from other files, and from other content under its name."""
    moved_with: str
    """Folder that brought it, where its own time is older than the floor."""

    @property
    def second(self) -> int:
        """The second in which it came."""
        return self.came_ns // _S


@dataclass(frozen=True, slots=True)
class Listing:
    """What a look at the folder has found."""

    new: Sequence[Arrived]
    """Files that are new, in the order in which they came."""
    not_wanted: Sequence[Arrived]
    """Those that were there before, where only new ones are wanted."""
    horizon_s: int
    """What comes from now on, and what is incomplete, comes in this second or later."""
    folders: frozenset[str]
    n_incomplete: int
    """Files that may still be written."""
    began: float
    """When it began, by the clock of this process that is never set."""


class Inventory:
    """Looks at a folder again and again, and tells what is new since the last time.

    A file is new unless it came before the floor, or is remembered. The floor follows the newest
    file at a distance in which files are remembered; so it is by the clock of the storage.
    """

    def __init__(
        self,
        place: Place,
        position: WatchPosition,
        *,
        settle_s: float,
        grace_s: float,
        only_new: bool,
    ) -> None:
        """Begin at a position.

        Args:
            place: the folder.
            position: what was handed out.
            settle_s: how long a file is unchanged before it is complete.
            grace_s: how long after its time a file may turn up in a listing.
            only_new: whether files that are there at first are not wanted.
        """
        self._place = place
        self._settle_s, self._grace_ns = settle_s, int(grace_s * _S)
        self._takes_all = position.has_begun or not only_new
        self._recent = Recent(position.recent)
        self._floor_s = position.floor_s
        self._folders = frozenset(position.folders)
        self._known: set[int] | None = None
        self._settling: dict[int, float] = {}
        self._now_ns = 0
        self.n_overdue = 0
        """Files that turned up in the last listing and came before the floor: they are not read."""

    def look(self) -> Listing:
        """List the folder.

        Raises:
            OSError: it is not there, or the storage fails.
        """
        began, began_ns = time.monotonic(), time.time_ns()
        versions, unknown, newest_ns = self._listed()
        self._now_ns = max(self._now_ns, min(began_ns, newest_ns))  # of the storage: this, or later
        new = self._arrived(unknown)
        settling = {v: one for v, one in new.items() if self._may_be_incomplete(v, one)}
        self._settling = {v: self._settling.get(v, time.monotonic()) for v in settling}
        complete = sorted((new[v] for v in new.keys() - settling.keys()), key=_order_of)
        self._known = versions - settling.keys()
        self._folders = frozenset(self._place.folders)
        self._lift_floor(complete, settling.values())
        wanted, not_wanted = (complete, []) if self._takes_all else ([], complete)
        self._takes_all = True
        n_incomplete = len(settling)
        return Listing(wanted, not_wanted, self._floor_s, self._folders, n_incomplete, began)

    def _listed(self) -> tuple[set[int], dict[int, Seen], int]:
        """Return the versions of all files, those files that are not known, and the newest time."""
        versions: set[int] = set()
        unknown: dict[int, Seen] = {}
        newest_ns, known = 0, self._known or ()
        for seen in self._place.files(self._folders, self._floor_s * _S):
            version = hash((seen.path, seen.modified_ns, seen.tag))
            versions.add(version)
            newest_ns = max(newest_ns, seen.arrived_ns)
            if version not in known:
                unknown[version] = seen
        return versions, unknown, newest_ns

    def _arrived(self, unknown: dict[int, Seen]) -> dict[int, Arrived]:
        """Return those of these files that are new, and count those that came too late to tell."""
        new: dict[int, Arrived] = {}
        is_first = self._known is None
        self.n_overdue = 0
        for version, seen in unknown.items():
            is_old = seen.arrived_ns < self._floor_s * _S
            if is_old and not seen.moved_with:
                self.n_overdue += not is_first
                continue
            mark = _mark_of(seen)
            if mark not in self._recent:
                came_ns = seen.moved_ns if is_old else seen.arrived_ns
                new[version] = Arrived(seen, came_ns, mark, seen.moved_with if is_old else "")
        return new

    def _may_be_incomplete(self, version: int, arrived: Arrived) -> bool:
        seen = arrived.seen
        if not self._takes_all:  # if it is, it has another version when it is complete
            return False
        if seen.is_whole or seen.arrived_ns <= self._now_ns - self._settle_s * _S:
            return False
        now = time.monotonic()
        return now - self._settling.get(version, now) < self._settle_s

    def _lift_floor(self, complete: Iterable[Arrived], settling: Iterable[Arrived]) -> None:
        for arrived in complete:
            self._recent.add(arrived.second, arrived.mark)
        horizon_s = (self._now_ns - self._grace_ns) // _S
        horizon_s = min([horizon_s, *(arrived.second for arrived in settling)])
        self._floor_s = max(self._floor_s, horizon_s)
        self._recent.forget_before(self._floor_s)


def _order_of(arrived: Arrived) -> tuple[int, int, str]:
    return arrived.came_ns, arrived.seen.modified_ns, arrived.seen.path


def _mark_of(seen: Seen) -> str:
    version = b"%s\0%d\0%s" % (as_bytes(seen.path), seen.modified_ns, str(seen.tag).encode())
    return urlsafe_b64encode(blake2b(version, digest_size=_MARK_BYTES).digest()).decode()
