"""Training data: the same images several times, each time in another order, and tests between."""

import hashlib
import posixpath
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sightflow.errors import PipelineError, SourceError
from sightflow.options import check_count, check_number
from sightflow.protocols import Context, Read, Source, given_by
from sightflow.records import Claim
from sightflow.records.state import as_bytes
from sightflow.sources.union import open_all

__all__ = ["Passes"]

_TRAIN, _TEST = 0, 1


@dataclass(frozen=True)
class Passes:
    """Passes over the images to learn from, and after them one over the images to test with."""

    train: Source
    test: Source | None = None
    """Its images are held out."""
    hold_out: float = 0.0
    """In place of `test`: the share of `train` that is held out for tests, in [0, 1), roughly. The
    label and the file name of an image decide, so that the same ones are held out in each run."""
    n_passes: int = 1
    test_every: int | None = None
    """Passes between tests; None: one test after the last."""
    seed: int | None = 0
    """Of the order, which is another one in each pass; None: the order of the source."""

    def __post_init__(self) -> None:
        """Refuse what is no count."""
        check_count(self, "n_passes", "test_every", at_least=1)
        check_number(self, "hold_out", within="[0, 1)")
        if self.hold_out and self.test is not None:
            raise PipelineError(
                f"Passes: `hold_out` is 0 where there is `test`; got {self.hold_out}; leave one out"
            )

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What its sources give."""
        return given_by(self.train, *(() if self.test is None else (self.test,)))

    def claims(self) -> Iterator[Claim]:
        """List the images of all passes.

        Raises:
            SourceError: a source lists videos.
        """
        counts: Counter[str] = Counter()
        to_learn, tests = _split(list(self.train.claims()), self.hold_out)
        if self.test is not None:
            tests = list(self.test.claims())
        part_of_tests = _TRAIN if self.test is None else _TEST
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
                    yield _held_out(_as_part(claim, part_of_tests, f"test-{number}", counts))

    def open(self, context: Context) -> Read:
        """Return a function that redeems a claim at the source it came from."""
        return open_all((self.train, *(() if self.test is None else (self.test,))), context)


def _split(claims: list[Claim], share: float) -> tuple[list[Claim], list[Claim]]:
    """Return those to learn from and those to test with.

    What is held out stays so when images are added, or the folder is named in another way.
    """
    chosen = [_draw(claim) < share for claim in claims]
    return (
        [claim for claim, is_test in zip(claims, chosen, strict=True) if not is_test],
        [claim for claim, is_test in zip(claims, chosen, strict=True) if is_test],
    )


def _draw(claim: Claim) -> float:
    """Return a number in [0, 1) that follows from label and name of a file."""
    name = f"{claim.origin.label}/{posixpath.basename(claim.origin.name)}"
    digest = hashlib.sha256(as_bytes(name)).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _as_part(claim: Claim, part: int, folder: str, counts: Counter[str]) -> Claim:
    """Return a claim of a pass; an image is numbered by its position in all passes."""
    origin, source_id = claim.origin, claim.origin.source_id
    if origin.awaits_label or claim.labels:
        raise SourceError(
            f"{origin.uri}: Passes changes the order, and labels would come before their images; "
            "put Late around Passes"
        )
    if claim.frames:
        raise SourceError(f"{origin.uri}: Passes takes pictures; this is a part of a video")
    name, sequence = f"{folder}/{origin.name}", counts[source_id]
    counts[source_id] += 1
    origin = replace(origin, name=name, sequence=sequence)
    return replace(claim, origin=origin, source=(part, *claim.source))


def _held_out(claim: Claim) -> Claim:
    return replace(claim, origin=replace(claim.origin, held_out=True))
