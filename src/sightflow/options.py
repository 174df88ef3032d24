"""Checks of options that many parts have: counts, shares, one of some words."""

import typing
from typing import Any

from sightflow.errors import PipelineError

__all__ = ["check_choices", "check_count", "check_share"]


def check_count(part: Any, *names: str, at_least: int = 0) -> None:
    """Raise `PipelineError` unless these options are whole numbers from `at_least`, or None.

    None passes only where the type of the option allows it.
    """
    for name in names:
        value = getattr(part, name)
        if value is None and type(None) in typing.get_args(_hints(part)[name]):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
            raise PipelineError(
                f"{type(part).__name__}: `{name}` is a whole number from {at_least}; got {value!r}"
            )


def check_share(part: Any, *names: str) -> None:
    """Raise `PipelineError` unless these options are in [0, 1]."""
    for name in names:
        value = getattr(part, name)
        if not 0 <= value <= 1:
            raise PipelineError(f"{type(part).__name__}: `{name}` is in [0, 1]; got {value!r}")


def check_choices(part: Any) -> None:
    """Raise `PipelineError` unless each option whose type is a `Literal` is one of its words."""
    for name, hint in _hints(part).items():
        choices = _choices(hint)
        if choices and getattr(part, name) not in choices:
            raise PipelineError(
                f"{type(part).__name__}: `{name}` is one of {', '.join(filter(None, choices))}; "
                f"got {getattr(part, name)!r}"
            )


def _choices(hint: Any) -> tuple[Any, ...]:
    """Return the words of a `Literal`, and None where that is allowed."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    parts = typing.get_args(hint)
    words = tuple(word for part in parts for word in _choices(part))
    return (*words, None) if words and type(None) in parts else words


def _hints(part: Any) -> dict[str, Any]:
    return typing.get_type_hints(type(part))
