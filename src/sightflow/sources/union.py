"""Several sources, one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sightflow.protocols import Context, Read, Source, given_by
from sightflow.records import Claim, EncodedImage, ImageRecord, Rejected

__all__ = ["Union", "open_all"]


@dataclass(frozen=True)
class Union:
    """The images of several sources, in the order of the sources."""

    sources: tuple[Source, ...]

    @property
    def gives(self) -> tuple[str, ...] | None:
        """What all of them give."""
        return given_by(*self.sources)

    @property
    def labels_come_later(self) -> bool:
        """Whether those of any of them do."""
        return any(getattr(source, "labels_come_later", False) for source in self.sources)

    def claims(self) -> Iterator[Claim]:
        """List the images of all sources."""
        for number, source in enumerate(self.sources):
            for claim in source.claims():
                name = f"{number}/{claim.origin.name}"  # two sources may use the same names
                origin = replace(claim.origin, name=name)
                yield replace(claim, origin=origin, source=(number, *claim.source))

    def open(self, context: Context) -> Read:
        """Return a function that redeems a claim at the source it came from."""
        return open_all(self.sources, context)


def open_all(sources: Sequence[Source], context: Context) -> Read:
    """Open several sources; the first number of `Claim.source` says which one a claim is of."""
    reads = [source.open(context) for source in sources]

    def read(claim: Claim) -> Iterator[EncodedImage | ImageRecord | Rejected]:
        number, *rest = claim.source
        return reads[number](replace(claim, source=tuple(rest)))

    return read
