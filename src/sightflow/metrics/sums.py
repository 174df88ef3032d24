"""Counts and sums, from which ratios are made; those of several sequences add up."""

from dataclasses import fields
from typing import Any, TypeVar

__all__ = ["Sums"]

_Self = TypeVar("_Self", bound="Sums")


class Sums:
    """What dataclasses of counts share."""

    __slots__ = ()

    def merge(self: _Self, other: _Self) -> _Self:
        """Return the counts of both together."""
        columns: Any = fields(self)  # type: ignore[arg-type]
        return type(self)(
            *(getattr(self, column.name) + getattr(other, column.name) for column in columns)
        )
