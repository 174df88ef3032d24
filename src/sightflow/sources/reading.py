"""Claims for whole files, redeemed in the workers."""

from collections.abc import Iterator

from sightflow.protocols import Context, Read
from sightflow.records import Claim, EncodedImage, Rejected
from sightflow.storage.files import Reader

__all__ = ["file_reader"]


def file_reader(context: Context) -> Read:
    """Return a function that reads the file at the URI of a claim, as one image.

    What cannot be read, also a file that is gone, is rejected as `unreadable`.
    """
    reader = Reader()

    def read(claim: Claim) -> Iterator[EncodedImage | Rejected]:
        try:
            yield EncodedImage(claim.origin, reader.read(claim.origin.uri))
        except OSError as error:
            yield Rejected(claim.origin, context.step, "unreadable", str(error))

    return read
