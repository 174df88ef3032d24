"""A watch over values of the stream, such as the error: it tells when they have changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError
from sightflow.metrics.drift import Adwin, Detector, DetectorState, DriftDetector

__all__ = ["Drift", "KeptValue", "Watch", "Watched", "measure"]

_ARRAYS = ("features", "prepared")
_VALUES = ("error", "confidence", *(f"{a}_{of}" for a in _ARRAYS for of in ("mean", "norm")))

_MODES: Mapping[str, Literal["up", "down"]] = {"error": "up", "confidence": "down"}
"""Of these only a change for the worse is told."""
_N_REFERENCE = 100
_REACH = 4.0


@dataclass(frozen=True)
class Drift:
    """Which values are watched, and by which detectors."""

    values: tuple[str, ...] = ("error", "confidence")
    """`error`, 1 for an image whose best class is wrong and 0 otherwise, of which only a rise is
    told; `confidence`, the best score, of which only a fall is told, since a network that learns
    gets surer; `features_mean`, `features_norm`, `prepared_mean` and
    `prepared_norm`, the mean and the length of an array, for which it travels with the image."""
    detectors: tuple[DriftDetector, ...] = (Adwin(),)
    """What tells that a value has changed; each tells it on its own."""

    def __post_init__(self) -> None:
        """Refuse values that do not exist, and a watch without detectors."""
        unknown = [value for value in self.values if value not in _VALUES]
        if unknown or not self.values or len(set(self.values)) < len(self.values):
            raise PipelineError(
                f"Drift: `values` are different ones of {', '.join(_VALUES)}; "
                f"got {list(self.values)}"
            )
        names = [detector.detector for detector in self.detectors]
        if not names or len(set(names)) < len(names):
            raise PipelineError(f"Drift: `detectors` are one or more different ones; got {names}")

    @property
    def takes(self) -> tuple[str, ...]:
        """Arrays of a record that are measured."""
        return tuple(a for a in _ARRAYS if any(value.startswith(a) for value in self.values))

    def open(self, state: "Sequence[KeptValue] | None" = None) -> "Watch":
        """Return a watch, new or as it was when it gave its state."""
        kept = state or [KeptValue(name) for name in self.values]
        return Watch([Watched(self, one) for one in kept])


class KeptValue(msgspec.Struct, frozen=True, array_like=True):
    """A watched value in a checkpoint."""

    name: str
    n: int = 0
    reference: tuple[float, float] = (0.0, 0.0)
    """Mean of the first values, and sum of their squared distances from it."""
    detectors: dict[str, DetectorState] = {}


def measure(value: str, array: npt.NDArray[np.generic]) -> float:
    """Return the mean or the length of an array, as the name of the value says."""
    numbers = array.astype(np.float64)
    if value.endswith("_norm"):
        return float(np.sqrt(np.square(numbers).sum()))
    return float(numbers.mean())


@dataclass(frozen=True)
class Watch:
    """Several values under watch; they change in place."""

    values: "Sequence[Watched]"

    def state(self) -> list[KeptValue]:
        """Return all that is remembered."""
        return [value.state() for value in self.values]


class Watched:
    """A value under watch. The detectors see it in [0, 1].

    A value without bounds is placed there by the mean and the deviation of the first 100 images:
    what is 4 deviations below the mean is 0, and 4 above is 1. Detectors begin after those.
    """

    def __init__(self, how: Drift, kept: KeptValue) -> None:
        """Begin, or go on from a state."""
        self.name = kept.name
        self._n = kept.n
        self._mean, self._squares = kept.reference
        self._has_bounds = kept.name in ("error", "confidence")
        self._detectors: dict[str, Detector] = {
            one.detector: _towards(one, kept.name).open(kept.detectors.get(one.detector))
            for one in how.detectors
        }

    def see(self, value: float) -> list[dict[str, float]]:
        """Take the next value; return figures for each alarm.

        Returns:
            `n`, how many values there were so far; the detector's name, with 1; `<value>_before`,
            the mean before the alarm; of one that knows it also `<value>_after`, the mean after it.
        """
        self._n += 1
        if not self._has_bounds:
            if self._n <= _N_REFERENCE:
                gap = value - self._mean
                self._mean += gap / self._n
                self._squares += gap * (value - self._mean)
                return []
            value = min(1.0, max(0.0, 0.5 + (value - self._mean) / (2 * _REACH * self._scale())))
        alarms = []
        for name, detector in self._detectors.items():
            before = detector.mean
            if detector.update(value) and self._matters(before, detector):
                figures = {"n": float(self._n), name: 1.0, f"{self.name}_before": self._raw(before)}
                if detector.n:
                    figures[f"{self.name}_after"] = self._raw(detector.mean)
                alarms.append(figures)
        return alarms

    def state(self) -> KeptValue:
        """Return all that is remembered."""
        detectors = {name: detector.state() for name, detector in self._detectors.items()}
        return KeptValue(self.name, self._n, (self._mean, self._squares), detectors)

    def _matters(self, before: float, detector: Detector) -> bool:
        """Return whether a change is to be told: that the network gets better is none."""
        mode = _MODES.get(self.name)
        if mode is None or detector.n == 0:
            return True
        return detector.mean > before if mode == "up" else detector.mean < before

    def _scale(self) -> float:
        """Return the deviation of the first values; what was the same in all has a small one."""
        return max(sqrt(self._squares / _N_REFERENCE), 1e-6 * abs(self._mean), 1e-12)

    def _raw(self, mean: float) -> float:
        """Return a mean of what the detectors saw in units of the value."""
        if self._has_bounds:
            return mean
        return self._mean + (mean - 0.5) * 2 * _REACH * self._scale()


def _towards(detector: DriftDetector, value: str) -> DriftDetector:
    """Return a detector that looks for the changes of a value that matter, where it can."""
    options: Any = detector
    if value in _MODES and hasattr(detector, "mode"):
        return cast(DriftDetector, replace(options, mode=_MODES[value]))
    return detector
