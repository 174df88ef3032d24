"""Errors of Python on their way through Java, which passes on nothing but their message."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["read_failure", "reporting"]

_FAILURE = "sightflow-failure:"


@contextmanager
def reporting() -> Iterator[None]:
    """Put the Python traceback into the message of an error, which is all that Java passes on."""
    try:
        yield
    except Exception as error:
        failure = {
            "type": type(error).__name__,
            "message": str(error),
            "traceback": traceback.format_exc(),
        }
        raise RuntimeError(f"{_FAILURE}{json.dumps(failure)}") from error


def read_failure(java_message: str) -> dict[str, str] | None:
    """Return type, message and traceback of the Python error in a message of Java, if any."""
    _, found, rest = java_message.partition(_FAILURE)
    if not found:
        return None
    failure: dict[str, str] = json.JSONDecoder().raw_decode(rest)[0]
    return failure
