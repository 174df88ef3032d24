"""Labels that come late: an image is there first, and what it shows is known later."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

from sightflow.errors import SourceError
from sightflow.options import check_count
from sightflow.protocols import Context, Read, Source, given_by
from sightflow.records import Claim, Label

__all__ = ["Late"]


@dataclass(frozen=True)
class Late:
    """The images of a source as if the label of each came later, after more images.

    Learning steps remember an image until its label is there: they test it by what was said of it
    when it came, and learn from it then. Labels are taken at the end of a chunk of images.
    """

    source: Source
    n_images: int
    """How many more labelled images come before the label of an image does, from 0."""

    labels_come_later: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse a negative delay."""
        check_count(self, "n_images")

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What its source gives."""
        return given_by(self.source)

    def claims(self) -> Iterator[Claim]:
        """List the images, and beside them the labels of earlier ones; the last have all the rest.

        Raises:
            SourceError: the source lists videos.
        """
        waiting, last, counts = deque[Label](), list[Claim](), Counter[str]()
        for claim in self.source.claims():
            yield from last
            if claim.frames:
                raise SourceError(f"{claim.origin.uri}: Late takes pictures; this is a video")
            origin = replace(claim.origin, sequence=counts[claim.origin.source_id])
            counts[origin.source_id] += 1  # two sources of a union may number alike
            if origin.label is not None:
                waiting.append(Label(origin.source_id, origin.sequence, origin.label))
                origin = replace(origin, label=None, awaits_label=True)
            known = [waiting.popleft() for _ in range(len(waiting) - self.n_images)]
            last = [replace(claim, origin=origin, labels=(*claim.labels, *known))]
        for claim in last:
            yield replace(claim, labels=(*claim.labels, *waiting))

    def open(self, context: Context) -> Read:
        """Return the function of the source itself."""
        return self.source.open(context)
