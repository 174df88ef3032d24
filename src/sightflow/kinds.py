"""Names of kinds, resolved: an entry point of any installed package, or `package.module:Thing`.

No room knows the closed set of its sources, operators, sinks, heads or back ends. Ours are entry
points of this package, a user's are entry points of his own or are named by import path.
"""

import functools
import importlib
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from sightflow.errors import PipelineError

__all__ = ["GROUPS", "imported", "known_kinds", "resolve_kind"]

_SINGULAR = {
    "sources": "source",
    "labels": "source of labels",
    "tables": "table",
    "controls": "control",
    "operators": "operator",
    "networks": "network",
    "detectors": "detector of drift",
    "sinks": "sink",
    "heads": "head",
    "backends": "back end",
}
GROUPS = tuple(_SINGULAR)
"""Entry point groups are named `sightflow.<group>`."""


@functools.cache
def _entry_points(group: str) -> dict[str, EntryPoint]:
    """Return the entry points of a group by name; of two with one name ours is the one."""
    found = entry_points(group=f"sightflow.{group}")
    return {point.name: point for point in sorted(found, key=_is_ours)}


def _is_ours(point: EntryPoint) -> bool:
    return point.value.startswith("sightflow.")


def known_kinds(group: str) -> tuple[str, ...]:
    """Return the names registered in a group, sorted."""
    return tuple(sorted(_entry_points(group)))


def resolve_kind(group: str, kind: str) -> Any:
    """Return the class or function that `kind` names.

    Args:
        group: one of `GROUPS`.
        kind: the name of an entry point of `sightflow.<group>`, or `package.module:Thing`.

    Raises:
        PipelineError: nothing has this name, or it cannot be imported.
    """
    point = _entry_points(group).get(kind)
    module, colon, attribute = (point.value if point else kind).partition(":")
    if not colon:
        raise PipelineError(
            f"no {_SINGULAR[group]} is named {kind!r}; known: {', '.join(known_kinds(group))}; "
            "a kind of your own is named `package.module:Class`"
        )
    return imported(f"{module}:{attribute}", f"{_SINGULAR[group]} {kind!r}")


def imported(path: str, what: str) -> Any:
    """Return what `package.module:Thing` names.

    Args:
        path: the name.
        what: of what it is the name, for the message.

    Raises:
        PipelineError: it is no such name, or cannot be imported.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise PipelineError(
            f"{what} cannot be imported: {error}; a name is `package.module:Thing`, of a package "
            "that is installed or on PYTHONPATH"
        ) from error
