"""Sources: where images come from. A source lists claims and redeems them."""

from sightflow.sources.directory import Directory
from sightflow.sources.union import Union

__all__ = ["Directory", "Union"]
