"""How often labels came over the time of events, in a bounded number of intervals."""

from collections import Counter
from typing import Any

__all__ = ["OTHERS", "OverTime"]

OTHERS = "others"
"""Stands for labels that came when there were too many already."""

_FIRST_WIDTH_MS = 1_000
_MAX_LABELS = 1_000


class OverTime:
    """Counts by label and interval; intervals become twice as long where there are too many."""

    def __init__(self, max_intervals: int = 120) -> None:
        """Begin with intervals of a second.

        Args:
            max_intervals: from the first one that something came in to the last one.
        """
        self._max_intervals = max_intervals
        self._width_ms = _FIRST_WIDTH_MS
        self._intervals: dict[int, Counter[str]] = {}
        self._totals = Counter[str]()

    def add(self, time_ms: int, label: str) -> None:
        """Count a label at a time, in milliseconds; the order of times does not matter."""
        if label not in self._totals and len(self._totals) >= _MAX_LABELS:
            label = OTHERS
        self._totals[label] += 1
        number = time_ms // self._width_ms
        if number not in self._intervals:
            self._intervals[number] = Counter()
            self._widen()
            number = time_ms // self._width_ms
        self._intervals[number][label] += 1

    def _widen(self) -> None:
        """Double the intervals until there are few enough."""
        while max(self._intervals) - min(self._intervals) >= self._max_intervals:
            wider: dict[int, Counter[str]] = {}
            for number, counts in self._intervals.items():
                wider.setdefault(number // 2, Counter()).update(counts)
            self._intervals = wider
            self._width_ms *= 2

    def as_dict(self, max_labels: int) -> dict[str, Any]:
        """Return the counts of the most frequent labels as plain values.

        Returns:
            `bucket_ms` (the length of an interval), `starts_ms` (of all from the first to the
            last), `labels` (`label`, `n` in each interval, `total`) and `n_labels` in all.

        Examples:
            >>> counts = OverTime()
            >>> for time_ms, label in [(0, "car"), (900, "car"), (2500, "bus")]:
            ...     counts.add(time_ms, label)
            >>> counts.as_dict(1)["labels"], counts.as_dict(1)["starts_ms"]
            ([{'label': 'car', 'n': [2, 0, 0], 'total': 2}], [0, 1000, 2000])
        """
        numbers = range(0)
        if self._intervals:
            numbers = range(min(self._intervals), max(self._intervals) + 1)
        nothing = Counter[str]()
        return {
            "bucket_ms": self._width_ms,
            "starts_ms": [number * self._width_ms for number in numbers],
            "labels": [
                {
                    "label": label,
                    "n": [self._intervals.get(number, nothing)[label] for number in numbers],
                    "total": total,
                }
                for label, total in self._totals.most_common(max_labels)
            ],
            "n_labels": len(self._totals),
        }
