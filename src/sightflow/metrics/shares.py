"""Shares of things that were counted, with how far so few of them can be trusted."""

from dataclasses import dataclass
from math import sqrt

__all__ = ["Share", "percent_text"]

_Z = 1.959963984540054
"""Of the normal distribution 95 % lies within so many standard deviations."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many.

    Examples:
        >>> share = Share(8, 10)
        >>> share.value, [round(end, 3) for end in share.interval]
        (0.8, [0.49, 0.943])
    """

    n_hits: int
    n: int

    @property
    def value(self) -> float:
        """The share in [0, 1]; of nothing it is 0."""
        return self.n_hits / max(1, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true share is with a confidence of 95 %, in [0, 1]; of nothing (0, 1).

        It holds for things that do not depend on each other. Pairs of pictures do: a bad picture
        is in many of them.

        Source:
            Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
        """
        if not self.n:
            return 0.0, 1.0
        n_missed, weight = self.n - self.n_hits, self.n + _Z**2
        middle = (self.n_hits + _Z**2 / 2) / weight
        half = _Z / weight * sqrt(self.n_hits * n_missed / self.n + _Z**2 / 4)
        return middle - half if self.n_hits else 0.0, middle + half if n_missed else 1.0


def percent_text(share: float) -> str:
    """Return a share in percent for people; 0 and 100 are none and all, never nearly so.

    Examples:
        >>> [percent_text(share) for share in (0, 0.0001, 0.5, 0.9999, 1)]
        ['0 %', '0.1 %', '50.0 %', '99.9 %', '100 %']
    """
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    return f"{min(99.9, max(0.1, 100 * share)):.1f} %"
