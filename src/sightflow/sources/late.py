"""Labels that come late: each image is listed when it is there, and again when its label is."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import PipelineError, SourceError
from sightflow.protocols import Context, Read, Source
from sightflow.records import Claim

__all__ = ["Late"]


@dataclass(frozen=True)
class Late:
    """The images of a source as if their labels came later, after so many more images.

    Each image comes twice: first without its label, then with it. What a network says at first is
    what it is tested by, and it learns at the second time.
    """

    source: Source
    n_images: int

    gives: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        """Refuse a negative delay."""
        if self.n_images < 0:
            raise PipelineError(f"Late: `n_images` is a count, from 0; got {self.n_images}")

    def claims(self) -> Iterator[Claim]:
        """List the images, and again with their labels.

        Raises:
            SourceError: the source lists videos.
        """
        waiting, sequence = deque[Claim](), 0
        for claim in self.source.claims():
            if claim.frames:
                raise SourceError(f"{claim.origin.uri}: Late takes pictures; this is a video")
            if claim.origin.label is None:
                yield _numbered(claim, sequence, "unlabelled")
            else:
                unlabelled = replace(claim.origin, label=None, awaits_label=True)
                yield _numbered(replace(claim, origin=unlabelled), sequence, "unlabelled")
                waiting.append(claim)
            sequence += 1
            if len(waiting) > self.n_images:
                yield _numbered(waiting.popleft(), sequence, "labelled")
                sequence += 1
        for number, claim in enumerate(waiting, sequence):
            yield _numbered(claim, number, "labelled")

    def open(self, context: Context) -> Read:
        """Return the function of the source itself."""
        return self.source.open(context)


def _numbered(claim: Claim, sequence: int, folder: str) -> Claim:
    name = f"{folder}/{claim.origin.name}"
    return replace(claim, origin=replace(claim.origin, name=name, sequence=sequence))
