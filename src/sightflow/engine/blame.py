"""Errors of steps, with the step and the image at which they came."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sightflow.errors import SightflowError, StepError
from sightflow.records import ImageRecord

__all__ = ["blaming"]


@contextmanager
def blaming(step: str, records: Sequence[ImageRecord]) -> Iterator[None]:
    """Say of an error that explains nothing in which step it came, and at which image.

    Raises:
        StepError: in place of any error but our own, which say what to do.
    """
    try:
        yield
    except SightflowError:
        raise
    except Exception as error:
        first = records[0].origin
        many = f" or one of {len(records) - 1} behind it" if len(records) > 1 else ""
        raise StepError(
            f"step {step!r}, image {first.uri} (number {first.sequence}){many}: "
            f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        ) from error
