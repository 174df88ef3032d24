"""What is in the parts of a pipeline: models and tables, wherever a step holds them."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar

__all__ = ["found_in"]

Kind = TypeVar("Kind")
_PLAIN = (str, bytes, int, float, type(None), type)
"""What nothing is in."""


def found_in(objects: Iterable[object], kind: type[Kind]) -> list[Kind]:
    """Return what is of a kind in the fields of objects, and in dataclasses and collections there.

    Each once, in order; what is in one of them is not looked for.
    """
    found: list[Kind] = []
    seen = set[int]()
    waiting = [part for one in objects for part in getattr(one, "__dict__", {}).values()][::-1]
    while waiting:
        part = waiting.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, kind):
            if part not in found:
                found.append(part)
        else:
            waiting += _inside(part)[::-1]
    return found


def _inside(part: object) -> list[object]:
    """Return what is in a dataclass or a collection."""
    if isinstance(part, Mapping):
        return list(part.values())
    if isinstance(part, tuple | list):
        return list(part)
    if is_dataclass(part):
        return [getattr(part, one.name, None) for one in fields(part)]
    return []
