"""Errors of Python on their way through Java, which passes on nothing but their message."""

import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from sightflow import errors
from sightflow.flink.unpacking import FAILURE

__all__ = ["describe_failure", "read_failure", "refusal_of", "reporting"]

_CLASSES_OF_PYTHON = "ClassNotFoundException: org.apache.flink.streaming.api.operators.python"


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
        raise RuntimeError(f"{FAILURE}{json.dumps(failure)}") from error


def read_failure(java_message: str) -> dict[str, str] | None:
    """Return type, message and traceback of the Python error in a message of Java, if any."""
    _, found, rest = java_message.partition(FAILURE)
    if not found:
        return None
    failure: dict[str, str] = json.JSONDecoder().raw_decode(rest)[0]
    return failure


def describe_failure(java_message: str) -> str:
    """Return why a job failed: the error of Python in a message of Java, or its innermost cause."""
    failure = read_failure(java_message)
    if failure is not None and failure["type"] in errors.__all__:
        return failure["message"]  # says what to do; a stack would only hide it
    if failure is not None:
        return f"{failure['type']}: {failure['message']}\n{failure['traceback']}"
    lines = [line for line in java_message.splitlines() if line[:1].strip()]
    causes = [line for line in lines if line.startswith("Caused by: ")]
    return (causes or lines or ["?"])[-1].removeprefix("Caused by: ")


def refusal_of(java_message: str) -> errors.SightflowError:
    """Return the error of a job that a cluster did not take."""
    if _CLASSES_OF_PYTHON in java_message:
        return errors.SetupError(
            "the cluster runs no Python: copy opt/flink-python-*.jar of Flink into lib/ of the "
            "JobManager and of each TaskManager, and start them again"
        )
    return errors.JobError(f"the job was not submitted: {describe_failure(java_message)}")
