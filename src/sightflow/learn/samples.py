"""Samples to learn from, and the memory from which they are learned again."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.learn.network import Truth
from sightflow.options import check_count
from sightflow.protocols import Place

__all__ = ["Replay", "ReplayMemory", "Sample"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """An image to learn from."""

    place: Place
    truth: Truth
    array: npt.NDArray[Any]
    """Input of the network."""
    group: int
    """The class whose share of a memory it takes."""


@dataclass(frozen=True)
class Replay:
    """How much is learned again."""

    batches: int = 4
    """How many batches from the memory are learned again after each new one, from 1."""
    size: int = 2_000
    """How many samples are remembered, from 1; of each class the same number, as far as
    possible."""

    def __post_init__(self) -> None:
        """Refuse a memory without room."""
        check_count(self, "batches", "size", at_least=1)


class ReplayMemory:
    """A memory of bounded size in which the classes have equal shares.

    Source:
        Chrysakis and Moens, "Online Continual Learning from Imbalanced Data", ICML 2020: class
        balancing reservoir sampling.
    """

    def __init__(self, size: int, seed: int) -> None:
        """Begin with no samples."""
        self._size = size
        self._seed = seed
        self._n_seen: dict[int, int] = {}
        self._full: set[int] = set()
        self._rows: dict[int, list[int]] = {}
        self.samples: list[Sample] = []

    def __len__(self) -> int:
        """Return how many samples are remembered."""
        return len(self.samples)

    def add(self, sample: Sample) -> None:
        """Remember a sample, perhaps in place of another."""
        class_id = sample.group
        n_seen = self._n_seen[class_id] = self._n_seen.get(class_id, 0) + 1
        if len(self.samples) < self._size:
            self._rows.setdefault(class_id, []).append(len(self.samples))
            self.samples.append(sample)
            return
        rng = np.random.default_rng([self._seed, sum(self._n_seen.values())])
        most = max(len(rows) for rows in self._rows.values())
        largest = sorted(c for c, rows in self._rows.items() if len(rows) == most)
        self._full.update(largest)
        own = self._rows.get(class_id, [])
        if class_id not in self._full:
            which = int(rng.integers(len(largest) * most))
            row = self._rows[largest[which // most]].pop(which % most)
            self._rows.setdefault(class_id, []).append(row)
            self.samples[row] = sample
        elif rng.random() <= len(own) / n_seen:
            self.samples[own[int(rng.integers(len(own)))]] = sample

    def draw(self, n: int, rng: np.random.Generator) -> Sequence[Sample]:
        """Return n samples, or all where there are fewer, without repetition."""
        rows = rng.choice(len(self.samples), min(n, len(self.samples)), replace=False)
        return [self.samples[row] for row in rows.tolist()]

    def state(self) -> tuple[dict[int, int], list[int], dict[int, list[int]]]:
        """Return what is behind the choice of samples: counts, full classes, rows of each class."""
        return self._n_seen, sorted(self._full), self._rows

    def restore(
        self,
        samples: Sequence[Sample],
        n_seen: dict[int, int],
        full: Sequence[int],
        rows: dict[int, list[int]],
    ) -> None:
        """Go on from these samples, and what `state` gave."""
        self.samples, self._n_seen, self._full = list(samples), dict(n_seen), set(full)
        self._rows = {class_id: list(of_class) for class_id, of_class in rows.items()}
