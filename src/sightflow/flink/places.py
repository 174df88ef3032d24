"""Places that a pipeline names: those of this machine are not there on a cluster."""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sightflow.errors import PipelineError
from sightflow.models import ModelFile
from sightflow.options import choices_of
from sightflow.pipeline import Pipeline
from sightflow.protocols import ConnectorSource

__all__ = ["check_places"]

_GLOB = re.compile(r"[*?\[]")


def check_places(pipeline: Pipeline, shared: Sequence[str]) -> None:
    """Raise an error if a part reads or writes in a folder that only this machine has.

    Weights travel with the job. All else that is named by a path must be a URL, or be below a
    folder that all machines have in the same place.

    Args:
        pipeline: whose options are looked through.
        shared: such folders.

    Raises:
        PipelineError: a path of this machine is none of these.
    """
    parts: list[tuple[str, object]] = [("the control", pipeline.control)]
    if not isinstance(pipeline.source, ConnectorSource):  # which is made here, and travels
        parts.append(("the source", pipeline.source))
    parts += [(f"step {step.name!r}", step.operator) for step in pipeline.all_steps]
    named = [(part, path) for part, thing in parts for path in _paths_in(thing)]
    for sink in pipeline.sinks:
        local = (path for path in sink.sink.outputs() if _is_local(path))
        named += [(f"sink {sink.name!r}", path) for path in local]
    folders = [os.path.abspath(folder) for folder in shared]
    for part, path in named:
        if not any(_is_below(path, folder) for folder in folders):
            raise PipelineError(
                f"{part}: {path} is on this machine, and the machines of the cluster need not "
                "have it; take a URL, or if they have the same folder in the same place, say "
                "so (`shared`), and name it from /"
            )


def _is_below(path: str, folder: str) -> bool:
    return os.path.isabs(path) and os.path.commonpath([os.path.abspath(path), folder]) == folder


def _paths_in(thing: Any) -> Iterator[str]:
    """Yield the texts in a part that are paths of something that is here, or will be."""
    if isinstance(thing, str):
        if _is_here(thing):
            yield thing
        return
    options = (getattr(thing, name, None) for name in _names(thing, "path_options"))
    yield from (text for text in options if isinstance(text, str) and _is_local(text))
    for value in _inside(thing):
        yield from _paths_in(value)


def _inside(thing: Any) -> list[Any]:
    """Return what is in a collection or in the fields of a part.

    Of models, which travel, only where one is followed: what comes later does not. Options that are
    words are left out, and those that are known as paths.
    """
    if isinstance(thing, Mapping):
        return list(thing.values())
    if isinstance(thing, tuple | list):
        return list(thing)
    if isinstance(thing, type) or not dataclasses.is_dataclass(thing):
        return []
    known = {*_names(thing, "word_options"), *_names(thing, "path_options")}
    names = {field.name for field in dataclasses.fields(thing)} - known
    words = {name for name in names if choices_of(type(thing), name)}
    values = [getattr(thing, name, None) for name in sorted(names - words)]
    follows = getattr(thing, "follow", False) is True
    followed = [one.address for one in values if follows and isinstance(one, ModelFile)]
    return followed + [one for one in values if not isinstance(one, ModelFile)]


def _names(thing: Any, member: str) -> tuple[str, ...]:
    return tuple(getattr(type(thing), member, ()))


def _is_local(text: str) -> bool:
    return "://" not in text


def _is_here(text: str) -> bool:
    """Return whether a text names something on this machine, or a pattern below such a folder."""
    place = _GLOB.split(text, maxsplit=1)[0]
    if place != text:
        place = os.path.dirname(place)
    return bool(place) and _is_local(text) and os.path.exists(place)
