"""Checks of options that many parts have: counts, numbers, shares, one of some words."""

import dataclasses
import numbers
import threading
import typing
from collections.abc import Mapping
from types import UnionType
from typing import Any

import msgspec

from sightflow.errors import PipelineError

__all__ = [
    "check_choices",
    "check_count",
    "check_number",
    "check_share",
    "choices_of",
    "with_options",
    "words_of",
]

_INF = float("inf")
_CONVERTING = threading.Lock()
"""One thread must make the plan of msgspec for a type: see `records.state`."""


def check_count(part: Any, *names: str, at_least: int = 0, at_most: int | None = None) -> None:
    """Raise `PipelineError` unless these options are whole numbers in a range, or None.

    None passes only where the type of the option allows it.

    Args:
        part: the part that has the options.
        names: of the options.
        at_least: the least that is allowed.
        at_most: the most that is allowed; None: any number.
    """
    for name in names:
        value = getattr(part, name)
        if _may_be_none(part, name, value):
            continue
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or value < at_least or (at_most is not None and value > at_most):
            most = "" if at_most is None else f" to {at_most}"
            raise PipelineError(
                f"{type(part).__name__}: `{name}` is a whole number from {at_least}{most}; "
                f"got {value!r}"
            )


def check_number(part: Any, *names: str, within: str) -> None:
    """Raise `PipelineError` unless these options are numbers in an interval, or None.

    None passes only where the type of the option allows it.

    Args:
        part: the part that has the options.
        names: of the options.
        within: the interval, such as `[0, 1)`: 0 is in it and 1 is not. `inf` has no bound.
    """
    low, high = (float(bound) for bound in within[1:-1].split(","))
    for name in names:
        value = getattr(part, name)
        if _may_be_none(part, name, value):
            continue
        fits = isinstance(value, numbers.Real) and not isinstance(value, bool)
        fits = fits and (low < value if within[0] == "(" else low <= value)
        if not fits or not (value < high if within[-1] == ")" else value <= high):
            words = f"in {within}"
            if high == _INF:
                words = f"{'above' if within[0] == '(' else 'from'} {low:g}"
            raise PipelineError(f"{type(part).__name__}: `{name}` is {words}; got {value!r}")


def check_share(part: Any, *names: str) -> None:
    """Raise `PipelineError` unless these options are in [0, 1]."""
    check_number(part, *names, within="[0, 1]")


def check_choices(part: Any) -> None:
    """Raise `PipelineError` unless each option whose type is a `Literal` is one of its words."""
    for name, hint in _hints(type(part)).items():
        words = words_of(hint)
        if words and getattr(part, name) not in words:
            raise PipelineError(
                f"{type(part).__name__}: `{name}` is one of {', '.join(filter(None, words))}; "
                f"got {getattr(part, name)!r}"
            )


def choices_of(kind: type, name: str) -> tuple[str, ...]:
    """Return the words that an option may be, by the `Literal` that is its type."""
    return tuple(word for word in words_of(_hints(kind)[name]) if word is not None)


def with_options(place: str, part: Any, options: Mapping[str, Any]) -> Any:
    """Return a dataclass with other options, each converted from plain values by its type.

    Args:
        place: what an error calls the part.
        part: the dataclass.
        options: by name; it has all of them.

    Raises:
        PipelineError: an option is of another type, or the part refuses it.
    """
    hints, values = _hints(type(part)), {}
    for name, value in options.items():
        try:
            with _CONVERTING:
                values[name] = msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            raise PipelineError(f"{place}: `{name}`: {error}") from error
    return dataclasses.replace(part, **values)


def words_of(hint: Any) -> tuple[Any, ...]:
    """Return the words of a `Literal`, and None where that is allowed."""
    if typing.get_origin(hint) is typing.Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) not in (typing.Union, UnionType):
        return ()
    parts = typing.get_args(hint)
    words = tuple(word for part in parts for word in words_of(part))
    return (*words, None) if words and type(None) in parts else words


def _may_be_none(part: Any, name: str, value: Any) -> bool:
    return value is None and type(None) in typing.get_args(_hints(type(part))[name])


def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
