"""Counts over time in a bounded number of bins, however long that time becomes."""

from datetime import datetime, timezone
from itertools import pairwise

__all__ = ["TimeGrid", "duration_text", "is_of_clock", "time_text"]

_WIDTHS_MS = (
    1, 2, 10, 20, 100, 200, 1_000, 5_000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000,
    21_600_000, 86_400_000, 604_800_000, 2_419_200_000,
)  # fmt: skip
"""Each divides the next, so that a bin is a sum of finer ones; up to four weeks."""
_MAX_BINS = 240
_CLOCK_FROM_MS = 315_532_800_000
"""1980: what is earlier is no time of a clock, but a time within a video."""
_YEAR_9999_MS = 253_402_300_800_000


def is_of_clock(time_ms: int) -> bool:
    """Return whether an event time is one of a clock, not one since the start of a video."""
    return time_ms >= _CLOCK_FROM_MS


class TimeGrid:
    """Bins of one width, which grows with the time that they cover; there are never over 240.

    Examples:
        >>> grid = TimeGrid()
        >>> counts = grid.counter()
        >>> for time_ms in (0, 40, 80, 1_000):
        ...     place = grid.place(time_ms)
        ...     counts[place] = counts.get(place, 0) + 1
        >>> grid.width_ms, counts
        (10, {0: 1, 4: 1, 8: 1, 100: 1})
    """

    def __init__(self) -> None:
        """Start without any time."""
        self.width_ms = 1
        self.first_ms, self.last_ms = 1 << 62, -(1 << 62)
        self._counters: list[dict[int, int]] = []

    @property
    def is_empty(self) -> bool:
        """Whether there was no time at all."""
        return self.first_ms > self.last_ms

    @property
    def bins(self) -> range:
        """The numbers of all bins; one of them begins at its number times `width_ms`."""
        if self.is_empty:
            return range(0)
        return range(self.first_ms // self.width_ms, self.last_ms // self.width_ms + 1)

    def counter(self) -> dict[int, int]:
        """Return counts by bin, which follow the grid when its bins become wider."""
        counts: dict[int, int] = {}
        self._counters.append(counts)
        return counts

    def place(self, time_ms: int) -> int:
        """Return the number of the bin of a time; wider bins may be made for it."""
        if not self.first_ms <= time_ms <= self.last_ms:
            self.first_ms, self.last_ms = min(self.first_ms, time_ms), max(self.last_ms, time_ms)
            self.coarsen(_MAX_BINS)
        return time_ms // self.width_ms

    def coarsen(self, n_bins: int) -> None:
        """Make bins so wide that there are at most so many of them, from 2 on."""
        while len(self.bins) > n_bins:
            self._widen()

    def _widen(self) -> None:
        wider = (width for width in _WIDTHS_MS if width > self.width_ms)
        factor = next(wider, 10 * self.width_ms) // self.width_ms
        self.width_ms *= factor
        for counts in self._counters:
            finer = list(counts.items())
            counts.clear()
            for place, n in finer:
                counts[place // factor] = counts.get(place // factor, 0) + n


def time_text(time_ms: int) -> str:
    """Return an event time for people: of a clock in UTC, of a video from its start.

    Examples:
        >>> time_text(1_795_714_643_649), time_text(63_250)
        ('2026-11-26 17:37:23', '1:03.2')
    """
    if is_of_clock(time_ms) and time_ms < _YEAR_9999_MS:
        return datetime.fromtimestamp(time_ms // 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    minutes, rest_ms = divmod(abs(time_ms), 60_000)
    hours, minutes = divmod(minutes, 60)
    clock = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    return f"{'-' if time_ms < 0 else ''}{clock}:{rest_ms // 1000:02d}.{rest_ms % 1000 // 100}"


_UNITS = (("days", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))


def duration_text(duration_ms: float) -> str:
    """Return a duration for people, in at most two units.

    Examples:
        >>> [duration_text(n) for n in (40, 1_520, 79_400, 300_000, 8_100_000, 180_000_000)]
        ['40 ms', '1.52 s', '1 min 19 s', '5 min', '2 h 15 min', '2 days 2 h']
    """
    if duration_ms < 1_000:
        return f"{duration_ms:.0f} ms"
    if duration_ms < _UNITS[-2][1]:
        return f"{float(f'{duration_ms / 1_000:.3g}'):g} s"
    for (name, unit_ms), (part, part_ms) in pairwise(_UNITS):
        n, rest_ms = divmod(duration_ms, unit_ms)
        if n >= (2 if name == "days" else 1):
            rest = int(rest_ms // part_ms)
            return f"{n:.0f} {name}{f' {rest} {part}' if rest else ''}"
    raise AssertionError(duration_ms)
