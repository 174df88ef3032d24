"""Training data: the same images several times, each time in another order, and tests between."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Context, Read, Source
from sightflow.records import Claim
from sightflow.sources.union import open_all

__all__ = ["Passes"]

_TRAIN, _TEST = 0, 1


@dataclass(frozen=True)
class Passes:
    """Passes over the images to learn from, and after them one over the images to test with."""

    train: Source
    test: Source | None = None
    """Its images are held out."""
    n_passes: int = 1
    test_every: int | None = None
    """Passes between tests; None: one test after the last."""
    seed: int | None = 0
    """Of the order, which is another one in each pass; None: the order of the source."""

    gives: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        for name in ("n_passes", "test_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise PipelineError(f"Passes: `{name}` is a count, from 1; got {value}")

    def claims(self) -> Iterator[Claim]:
        """List the images of all passes.

        Raises:
            SourceError: a source lists videos.
        """
        counts: Counter[str] = Counter()
        to_learn = list(self.train.claims())
        tests = [] if self.test is None else list(self.test.claims())
        for number in range(self.n_passes):
            order = list(range(len(to_learn)))
            if self.seed is not None:
                random.Random(f"{self.seed}/{number}").shuffle(order)
            for row in order:
                yield _as_part(to_learn[row], _TRAIN, f"pass-{number}", counts)
            done = number + 1
            is_turn = self.test_every is not None and done % self.test_every == 0
            if is_turn or done == self.n_passes:
                for claim in tests:
                    yield _held_out(_as_part(claim, _TEST, f"test-{number}", counts))

    def open(self, context: Context) -> Read:
        """Return a function that redeems a claim at the source it came from."""
        return open_all((self.train, *(() if self.test is None else (self.test,))), context)


def _as_part(claim: Claim, part: int, folder: str, counts: Counter[str]) -> Claim:
    """Return a claim of a pass; an image is numbered by its position in all passes."""
    origin, source_id = claim.origin, claim.origin.source_id
    if claim.frames:
        raise SourceError(f"{origin.uri}: Passes takes pictures; this is a part of a video")
    name, sequence = f"{folder}/{origin.name}", counts[source_id]
    counts[source_id] += 1
    origin = replace(origin, name=name, sequence=sequence)
    return replace(claim, origin=origin, source=(part, *claim.source))


def _held_out(claim: Claim) -> Claim:
    return replace(claim, origin=replace(claim.origin, held_out=True))
