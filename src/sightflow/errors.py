"""Every exception that Sightflow raises on purpose: one root, and each class is also a builtin.

A bad configuration or a broken environment is an error. A bad image is data: it travels as a
`Rejected` record, and the job goes on.
"""

__all__ = [
    "CardError",
    "DecodeError",
    "GalleryError",
    "JobError",
    "LedgerError",
    "MetricsError",
    "ModelError",
    "OutputError",
    "OutputExistsError",
    "PipelineError",
    "RegistryError",
    "SetupError",
    "ShapeError",
    "SightflowError",
    "SourceError",
    "SqlError",
    "StepError",
]


class SightflowError(Exception):
    """The root of all errors of this package."""


class PipelineError(SightflowError, ValueError):
    """A pipeline, a step or an option of one is not what it must be."""


class CardError(SightflowError, ValueError):
    """A model, or its card, is missing, unreadable or incomplete."""


class RegistryError(CardError):
    """A registry cannot be opened, or has no such model or version."""


class ModelError(SightflowError, ValueError):
    """A model file does not do what its card says."""


class MetricsError(SightflowError, ValueError):
    """What was found cannot be held against a truth."""


class GalleryError(SightflowError, ValueError):
    """A gallery of faces cannot be read or made, or what is to be put into it does not fit."""


class ShapeError(SightflowError, ValueError):
    """An array has another shape or dtype than its name promises."""


class SourceError(SightflowError, OSError):
    """A source cannot be listed or opened at all."""


class SqlError(SightflowError, ValueError):
    """A statement of SQL is not what it must be, or names what is not there."""


class OutputError(SightflowError, OSError):
    """A sink cannot write where it was told to."""


class OutputExistsError(SightflowError, FileExistsError):
    """A sink would have to overwrite something that it was not told to overwrite."""


class SetupError(SightflowError, RuntimeError):
    """Java, Flink or a library that the job needs is missing or does not fit."""


class JobError(SightflowError, RuntimeError):
    """A job started and failed."""


class StepError(JobError):
    """A step failed in a way that it does not explain; the message has the traceback."""


class LedgerError(SightflowError, AssertionError):
    """The counts of a run do not add up: an image was lost or counted twice."""


class DecodeError(SightflowError, ValueError):
    """Bytes that cannot be made into a picture; turned into a `Rejected` record."""

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason (one of `records.REASONS`) beside the message for people."""
        super().__init__(message)
        self.reason = reason
        self.message = message
