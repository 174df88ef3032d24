"""Checks of options that several steps have."""

from typing import Any

from sightflow.errors import PipelineError

__all__ = ["check_count"]


def check_count(step: Any, *names: str, at_least: int = 0) -> None:
    """Raise `PipelineError` unless these options of a step are whole numbers from `at_least`."""
    for name in names:
        value = getattr(step, name)
        if not isinstance(value, int) or value < at_least:
            raise PipelineError(
                f"{type(step).__name__}: `{name}` is a whole number from {at_least}; got {value}"
            )
