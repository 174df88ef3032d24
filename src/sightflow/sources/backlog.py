"""Files of a watched folder that wait to be handed out, in the order in which they came."""

import heapq
from collections import Counter, deque
from typing import NamedTuple, Protocol

from sightflow.records import Claim, Rejected, Skipped
from sightflow.sources.inventory import Arrived, Listing, Recent, WatchPosition

__all__ = ["Backlog", "Names"]

_MOST_AT_ONCE = 1000
"""Files that are looked at in one go, so that a poll takes no time."""


class Names(Protocol):
    """Says what the image in a file is called."""

    def source_id(self, arrived: Arrived) -> str:
        """Return the stream that it belongs to."""

    def time_ms(self, arrived: Arrived) -> int | None:
        """Return when it was taken: milliseconds since 1970, UTC; None where that is not told."""

    def item(self, arrived: Arrived, number: int) -> Claim | Rejected:
        """Return where it is, as the image with this number in its stream."""


class _Waiting(NamedTuple):
    """A file that waits; the order is that in which files are handed out."""

    came_ns: int
    modified_ns: int
    path: str
    look: int
    """Number of the listing that found it."""
    arrived: Arrived


class Backlog:
    """Files that wait; where they stand is a position from which nothing comes twice or is lost."""

    def __init__(
        self, names: Names, position: WatchPosition, *, skips: bool, max_age_ms: float | None
    ) -> None:
        """Begin at a position.

        Args:
            names: says what images are called.
            position: what was handed out.
            skips: whether to leave images out of which newer ones of their stream were found later.
            max_age_ms: leave out, as well, what was taken longer ago; None: nothing.
        """
        self._names = names
        self._skips, self._max_age_ms = skips, max_age_ms
        self._waiting: list[_Waiting] = []
        self._handed = Recent(position.recent)
        self._horizon_s = position.floor_s
        self._folders: frozenset[str] = frozenset(position.folders)
        self._moved: Counter[str] = Counter()
        """Files that wait, by the folder that brought them with times before the floor."""
        self._numbers = Counter(position.numbers)
        self._versions: dict[str, str] = {}
        """The last content of each file that waits; what was there before can no more be read."""
        self._listings: deque[Listing] = deque()
        self._n_in = 0
        """Of the first of these listings, how many files are among those that wait."""
        self._look = 0
        """Number of this listing."""
        self._newest: dict[str, int] = {}
        """The listing that found the last file of a stream."""
        self._has_begun = position.has_begun
        self._position: str | None = None

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting) + sum(len(listing.new) for listing in self._listings) - self._n_in

    def take(self, listing: Listing) -> None:
        """Let what a listing has found wait."""
        self._listings.append(listing)
        self._has_begun = True

    def _take_in(self) -> None:
        """Put some of the files that were found in their places among those that wait.

        The horizon is that of the last listing of which all are in: so none is before it.
        """
        n_free = _MOST_AT_ONCE
        while self._listings and n_free:
            listing = self._listings[0]
            part = listing.new[self._n_in : self._n_in + n_free]
            for arrived in part:
                self._put(arrived)
            self._n_in += len(part)
            n_free -= len(part)
            if self._n_in == len(listing.new):
                self._finish(self._listings.popleft())

    def _finish(self, listing: Listing) -> None:
        self._horizon_s, self._folders = listing.horizon_s, listing.folders
        for arrived in listing.not_wanted:
            self._handed.add(arrived.second, arrived.mark)
        self._n_in, self._position = 0, None
        self._look += 1

    def _put(self, arrived: Arrived) -> None:
        seen = arrived.seen
        entry = _Waiting(arrived.came_ns, seen.modified_ns, seen.path, self._look, arrived)
        heapq.heappush(self._waiting, entry)
        self._versions[seen.path] = arrived.mark
        self._newest[self._names.source_id(arrived)] = self._look
        if arrived.moved_with:
            self._moved[arrived.moved_with] += 1

    def next(self, now_ms: float) -> Claim | Rejected | Skipped | None:
        """Hand out what came first, or say what is left out; None: nothing waits."""
        self._take_in()
        if not self._waiting:
            return None
        leaves_out = self._leaves_out(now_ms)
        arrived = self._pop()
        source_id = self._names.source_id(arrived)
        item = self._names.item(arrived, self._numbers[source_id])
        self._numbers[source_id] += 1
        if not leaves_out:
            return item
        n_images = 1
        while n_images < _MOST_AT_ONCE and self._leaves_out(now_ms, source_id):
            self._pop()
            n_images += 1
        self._numbers[source_id] += n_images - 1
        return Skipped(item.origin, n_images)

    def position(self) -> str:
        """Return the position, behind what was handed out."""
        if self._position is None:
            self._position = self._where().encode()
        return self._position

    def _where(self) -> WatchPosition:
        first = [self._waiting[0].arrived.second] if self._waiting else []
        floor_s = min([self._horizon_s, *first])
        self._handed.forget_before(floor_s)
        return WatchPosition(
            self._has_begun, floor_s, self._handed.told(), self._known(), dict(self._numbers)
        )

    def _known(self) -> tuple[str, ...]:
        """Return the folders of which all is known, but for what came after the floor."""
        moved = tuple(f"{folder}/" for folder, n_files in self._moved.items() if n_files)
        return tuple(f for f in sorted(self._folders) if not f"{f}/".startswith(moved))

    def _leaves_out(self, now_ms: float, source_id: str | None = None) -> bool:
        """Return whether the first that waits is left out, and of this stream."""
        if not self._waiting:
            return False
        first = self._waiting[0]
        stream = self._names.source_id(first.arrived)
        if source_id not in (None, stream):
            return False
        if self._versions[first.path] != first.arrived.mark:
            return True
        is_overtaken = first.look < self._newest[stream]
        return self._skips and (is_overtaken or self._is_old(first.arrived, now_ms))

    def _is_old(self, arrived: Arrived, now_ms: float) -> bool:
        time_ms = self._names.time_ms(arrived)
        if time_ms is None or self._max_age_ms is None:
            return False
        return now_ms - time_ms > self._max_age_ms

    def _pop(self) -> Arrived:
        self._position = None
        arrived = heapq.heappop(self._waiting).arrived
        self._handed.add(arrived.second, arrived.mark)
        if self._versions[arrived.seen.path] == arrived.mark:
            del self._versions[arrived.seen.path]
        if arrived.moved_with:
            self._moved[arrived.moved_with] -= 1
        return arrived
