"""Sources: where images come from. A source lists claims and redeems them."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sightflow.sources.directory import Directory as Directory
    from sightflow.sources.union import Union as Union

__all__ = ["Directory", "Union"]


def __getattr__(name: str) -> Any:
    """Load a source when it is asked for, with the libraries that it needs."""
    if name not in __all__:
        raise AttributeError(f"module 'sightflow.sources' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sightflow.sources.{name.lower()}"), name)
