"""Every exception has the one root and is also what its users already catch."""

import pytest

from sightflow import errors
from sightflow.errors import CardError, DecodeError, JobError, SightflowError

CAUGHT_AS = {
    "CardError": ValueError,
    "DecodeError": ValueError,
    "GalleryError": ValueError,
    "SetupError": RuntimeError,
    "JobError": RuntimeError,
    "LedgerError": AssertionError,
    "MetricsError": ValueError,
    "ModelError": ValueError,
    "OutputError": OSError,
    "OutputExistsError": FileExistsError,
    "PipelineError": ValueError,
    "RegistryError": CardError,
    "ShapeError": ValueError,
    "SourceError": OSError,
    "SqlError": ValueError,
    "StepError": JobError,
}


def test_every_exception_is_listed_here() -> None:
    assert set(errors.__all__) == {*CAUGHT_AS, "SightflowError"}


@pytest.mark.parametrize("name", CAUGHT_AS)
def test_an_exception_is_one_of_ours_and_what_is_already_caught(name: str) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, SightflowError)
    assert issubclass(kind, CAUGHT_AS[name])


@pytest.mark.parametrize("name", set(CAUGHT_AS) - {"DecodeError"})
def test_the_message_is_what_was_said(name: str) -> None:
    assert str(getattr(errors, name)("photos: not there")) == "photos: not there"


def test_a_decode_error_keeps_its_reason() -> None:
    error = DecodeError("corrupt", "cut short")
    assert (error.reason, error.message, str(error)) == ("corrupt", "cut short", "cut short")
