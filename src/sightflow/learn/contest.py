"""Which of two networks did better on the same images."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Contest", "Result", "Verdict"]

Result: TypeAlias = tuple[bool, bool | None]
"""Whether the network in training was right about an image, and whether the serving one was."""


@dataclass(frozen=True)
class Verdict:
    """How two networks did on the same images."""

    n_images: int
    accuracy: float | None
    """Of the one in training, in [0, 1]; None without images."""
    serving_accuracy: float | None
    """Of the one that serves; None where none does, or it cannot be compared."""
    is_test: bool = False
    """Whether the images are those of a test; otherwise they are of the stream."""

    @classmethod
    def together(cls, verdicts: Sequence["Verdict"]) -> "Verdict":
        """Return the verdict on the images of all."""
        n = sum(verdict.n_images for verdict in verdicts)

        def mean(accuracies: list[float | None]) -> float | None:
            known = [
                accuracy * verdict.n_images
                for accuracy, verdict in zip(accuracies, verdicts, strict=True)
                if accuracy is not None
            ]
            return sum(known) / n if n and len(known) == len(verdicts) else None

        if len(verdicts) == 1:
            return verdicts[0]
        return cls(
            n,
            mean([verdict.accuracy for verdict in verdicts]),
            mean([verdict.serving_accuracy for verdict in verdicts]),
            all(verdict.is_test for verdict in verdicts),
        )

    def figures(self) -> dict[str, float]:
        """Return what is known."""
        of = "" if self.is_test else "stream_"
        known = {
            f"{of}accuracy": self.accuracy,
            f"serving_{of}accuracy": self.serving_accuracy,
        }
        there = {name: value for name, value in known.items() if value is not None}
        return {"n_images": float(self.n_images), **there}


_MAX_TEST = 100_000


class Contest:
    """Which of two networks was right about the last images."""

    def __init__(self, window: int) -> None:
        """Begin with no images."""
        self._learned = deque[Result](maxlen=window)
        self._tested = deque[Result](maxlen=_MAX_TEST)
        self._test_is_over = False

    def add(self, results: Sequence[Result], *, held_out: bool) -> None:
        """Add images; a test begins anew when others were between."""
        if not held_out:
            self._learned.extend(results)
            self._test_is_over = True
            return
        if self._test_is_over:
            self._tested.clear()
        self._test_is_over = False
        self._tested.extend(results)

    def forget_serving(self) -> None:
        """Forget what the serving network said: another one serves."""
        for results in (self._learned, self._tested):
            kept = [(ours, None) for ours, _ in results]
            results.clear()
            results.extend(kept)

    def verdict(self) -> Verdict:
        """Return how they did: on a test that is not over, or on what was learned from last."""
        is_test = bool(self._tested) and not self._test_is_over
        results = self._tested if is_test else self._learned
        both = [(ours, theirs) for ours, theirs in results if theirs is not None]
        if both:
            n = len(both)
            return Verdict(n, sum(o for o, _ in both) / n, sum(t for _, t in both) / n, is_test)
        n = len(results)
        return Verdict(n, sum(ours for ours, _ in results) / n if n else None, None, is_test)

    def state(self) -> tuple[list[Result], list[Result], bool]:
        """Return all of it, for a checkpoint."""
        return list(self._learned), list(self._tested), self._test_is_over

    def restore(
        self, learned: Sequence[Result], tested: Sequence[Result], test_is_over: bool
    ) -> None:
        """Go on from what `state` gave."""
        self._learned.extend(learned)
        self._tested.extend(tested)
        self._test_is_over = test_is_over
