"""A detector of drift by Hoeffding's bound: quick to notice, and with a bound for false alarms."""

from dataclasses import dataclass
from math import log, sqrt
from typing import ClassVar, Literal

from sightflow.metrics.drift import DetectorState, check_finite
from sightflow.options import check_choices, check_number

__all__ = ["Hddm", "HddmDetector"]


@dataclass(frozen=True)
class Hddm:
    """HDDM with averages: the mean since the start is held against that of the best stretch.

    Made for values in [0, 1].

    Source:
        Frias-Blanco et al., "Online and Non-Parametric Drift Detection Methods Based on
        Hoeffding's Bounds", IEEE TKDE 27 (3), 2015, HDDM_A.

    Examples:
        >>> detector = Hddm().open()
        >>> alarms = [detector.update(value) for value in [0.1, 0.3] * 200 + [0.7, 0.9] * 200]
        >>> alarms.index(True)
        411
    """

    delta: float = 0.001
    """Bound for the chance that a difference of means is by chance, in (0, 1)."""
    mode: Literal["both", "up", "down"] = "both"
    """Which change of the mean is looked for."""

    detector: ClassVar[str] = "hddm"

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check_choices(self)
        check_number(self, "delta", within="(0, 1)")

    def open(self, state: DetectorState | None = None) -> "HddmDetector":
        """Return a detector, new or as it was when it gave its state."""
        return HddmDetector(self, state)


class HddmDetector:
    """What `Hddm` describes, at work; after an alarm it begins anew."""

    def __init__(self, how: Hddm, state: DetectorState | None = None) -> None:
        """Begin, or go on from a state."""
        self._how = how
        self._all, self._lowest, self._highest = state or [[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]

    @property
    def n(self) -> int:
        """Values since the last alarm."""
        return int(self._all[0])

    @property
    def mean(self) -> float:
        """Their mean; 0 where there are none."""
        return _mean(self._all)

    def update(self, value: float) -> bool:
        """Take the next value; return whether the mean has left its best stretch behind."""
        check_finite("Hddm", value)
        n, total = self._all
        self._all = [n + 1, total + value]
        now, bound = self.mean, self._bound(n + 1)
        if not self._lowest[0] or now + bound <= _mean(self._lowest) + self._bound(self._lowest[0]):
            self._lowest = self._all
        if not self._highest[0] or (
            now - bound >= _mean(self._highest) - self._bound(self._highest[0])
        ):
            self._highest = self._all
        rises = self._how.mode != "down" and self._has_left(self._lowest, 1.0)
        falls = self._how.mode != "up" and self._has_left(self._highest, -1.0)
        if rises or falls:
            self._all = self._lowest = self._highest = [0.0, 0.0]
        return rises or falls

    def state(self) -> DetectorState:
        """Return number and sum of all values, and of those until the lowest and highest mean."""
        return [list(self._all), list(self._lowest), list(self._highest)]

    def _bound(self, n: float) -> float:
        return sqrt(log(1 / self._how.delta) / (2 * n))

    def _has_left(self, best: list[float], sign: float) -> bool:
        """Return whether the mean of all differs from that of the best stretch, by no chance."""
        n, n_best = self._all[0], best[0]
        if n == n_best:
            return False
        share = (n - n_best) / n_best / n
        gap = sign * (self.mean - _mean(best))
        return gap >= sqrt(share / 2 * log(2 / self._how.delta))


def _mean(part: list[float]) -> float:
    n, total = part
    return total / n if n else 0.0
