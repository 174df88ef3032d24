"""How the weights of a network are changed by gradients: rule, rate, and averages."""

import math
from dataclasses import dataclass
from typing import Literal

from sightflow.options import check_choices, check_count, check_number

__all__ = ["Optimiser"]


@dataclass(frozen=True)
class Optimiser:
    """The rule by which a step of gradient descent changes weights."""

    rule: Literal["adamw", "sgd"] = "adamw"
    """`adamw`, or `sgd` with momentum."""
    rate: float = 1e-3
    """Learning rate; the highest where a schedule changes it."""
    schedule: Literal["constant", "one_cycle", "cosine"] = "constant"
    """`one_cycle` rises and falls, `cosine` falls, over `n_steps`; both end at almost 0."""
    n_steps: int | None = None
    """Steps of the schedule; those beyond have its last rate. None: as many as the images that the
    source lists make."""
    warmup: float = 0.3
    """Part of `one_cycle` in which the rate rises, in (0, 1)."""
    momentum: float = 0.9
    """Of `sgd`, in [0, 1)."""
    weight_decay: float = 1e-4
    averaging: float = 0.0
    """How slowly the average of the weights follows them, in [0, 1): a step keeps this share of it
    and takes the rest from the weights. The average predicts and is published. 0: the weights
    themselves do."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        check_choices(self)
        check_number(self, "rate", within="(0, inf)")
        check_count(self, "n_steps", at_least=1)
        check_number(self, "warmup", within="(0, 1)")
        check_number(self, "momentum", "averaging", within="[0, 1)")
        check_number(self, "weight_decay", within="[0, inf)")

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, from 0.

        Source:
            Smith and Topin, "Super-Convergence", 2018, with cosines in place of lines: from a
            twenty-fifth of the highest rate, and to a ten-thousandth of that.

        Examples:
            >>> halving = Optimiser(rate=0.1, schedule="cosine", n_steps=10)
            >>> [round(halving.rate_at(step), 3) for step in (0, 5, 10)]
            [0.1, 0.05, 0.0]
        """
        if self.schedule == "constant" or self.n_steps is None:
            return self.rate
        done = min(1.0, step / self.n_steps)
        if self.schedule == "cosine":
            return _between(self.rate, 0.0, done)
        first, last = self.rate / _START, self.rate / _START / _END
        if done < self.warmup:
            return _between(first, self.rate, done / self.warmup)
        return _between(self.rate, last, (done - self.warmup) / (1 - self.warmup))

    def averaging_at(self, step: int) -> float:
        """Return how much of the average stays at a step, from 0: at first less, as it is young."""
        return min(self.averaging, (1 + step) / (10 + step))


_START, _END = 25.0, 1e4


def _between(start: float, end: float, done: float) -> float:
    """Return a value on the half cosine from start to end, `done` in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
