"""A pipeline as YAML, and back. Plug-ins are named by kind; each option is checked by its type."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, UnionType
from typing import Any

import msgspec

from sightflow.errors import PipelineError, SightflowError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.learn.network import Network
from sightflow.metrics.drift import DriftDetector
from sightflow.models import ModelFile, find_model
from sightflow.options import words_of
from sightflow.pipeline import Pipeline
from sightflow.protocols import LabelSource, Source, StreamSource, TableSource
from sightflow.settings import RunSettings

__all__ = ["read_pipeline", "to_yaml"]

_SECTIONS = ("name", "source", "steps", "sinks", "control", "run")


def read_pipeline(
    path: Path, values: Mapping[str, str] = MappingProxyType({})
) -> tuple[Pipeline, RunSettings]:
    """Read a pipeline and how to run it from a YAML file.

    Args:
        path: the file.
        values: what `${NAME}` in its texts stands for, by name.

    Raises:
        PipelineError: the message names the file, the place in it and what was expected.
    """
    try:
        fields = msgspec.yaml.decode(path.read_bytes(), type=dict[str, Any])
        _refuse_unused(path, values)
        return _pipeline({name: _filled(value, values) for name, value in fields.items()})
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}") from error
    except msgspec.ValidationError as error:  # a DecodeError too
        raise PipelineError(f"{path}: must be a mapping in YAML: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PipelineError(f"{path}: is no YAML: {error}") from error
    except SightflowError as error:
        raise PipelineError(f"{path}: {error}") from error


def to_yaml(pipeline: Pipeline, settings: RunSettings | None = None) -> str:
    """Return a pipeline as YAML that `read_pipeline` reads; options at their default are left out.

    Raises:
        PipelineError: a part is of a kind that has no name, or is no dataclass.
    """
    fields: dict[str, Any] = {
        "name": pipeline.name,
        "source": _describe("sources", pipeline.source),
        "steps": [
            {"name": step.name, **_describe("operators", step.operator)}
            for step in pipeline.all_steps
        ],
        "sinks": [
            {"name": named.name, **_describe("sinks", named.sink)} for named in pipeline.sinks
        ],
    }
    if pipeline.control is not None:
        fields["control"] = _describe("controls", pipeline.control)
    if settings is not None:
        fields["run"] = _options(settings)
    return msgspec.yaml.encode(fields).decode()


def _filled(value: Any, values: Mapping[str, str]) -> Any:
    """Return a part of a file with its `${NAME}` filled in."""
    if isinstance(value, dict):
        return {key: _filled(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, values) for item in value]
    if isinstance(value, str):
        return _BLANK.sub(lambda found: _known(found[1], values), value)
    return value


def _refuse_unused(path: Path, values: Mapping[str, str]) -> None:
    blanks = set(_BLANK.findall(path.read_text("utf-8")))
    for name in values:
        if name not in blanks:
            raise PipelineError(f"nothing in it is named ${{{name}}}; there are {sorted(blanks)}")


_BLANK = re.compile(r"\$\{(\w+)\}")


def _known(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        raise PipelineError(
            f"`${{{name}}}` needs a value: --{name} VALUE or --set {name}=VALUE; there are "
            f"{sorted(values)}"
        )
    return values[name]


def _pipeline(fields: Mapping[str, Any]) -> tuple[Pipeline, RunSettings]:
    unknown = sorted(set(fields) - set(_SECTIONS))
    if unknown or "source" not in fields:
        raise PipelineError(
            f"needs `source` and may have {', '.join(_SECTIONS)}; got {sorted(fields)}"
        )
    pipeline = Pipeline(
        _part("sources", "source", fields["source"]), name=str(fields.get("name", "sightflow"))
    )
    for place, entry in _entries("steps", fields):
        name, rest = _named(place, entry)
        pipeline = pipeline.apply(name, _part("operators", place, rest))
    for place, entry in _entries("sinks", fields):
        name, rest = _named(place, entry)
        pipeline = pipeline.write(name, _part("sinks", place, rest))
    if fields.get("control") is not None:
        pipeline = pipeline.controlled_by(_part("controls", "control", fields["control"]))
    return pipeline, _build(RunSettings, "run", fields.get("run") or {})


def _entries(section: str, fields: Mapping[str, Any]) -> list[tuple[str, Any]]:
    entries = fields.get(section) or []
    if not isinstance(entries, list):
        raise PipelineError(f"{section}: must be a list; got {entries!r}")
    return [(f"{section}[{i}]", entry) for i, entry in enumerate(entries)]


def _named(place: str, entry: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise PipelineError(f"{place}: must be a mapping with a `name`; got {entry!r}")
    return entry["name"], {key: value for key, value in entry.items() if key != "name"}


def _part(group: str, place: str, entry: Any) -> Any:
    """Return the source, operator or sink that an entry describes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str):
        raise PipelineError(
            f"{place}: must be a mapping with a `kind`, one of {', '.join(known_kinds(group))} "
            f"or `package.module:Class`; got {entry!r}"
        )
    options = {key: value for key, value in entry.items() if key != "kind"}
    try:
        kind = resolve_kind(group, entry["kind"])
    except PipelineError as error:
        raise PipelineError(f"{place}.kind: {error}") from error
    if not isinstance(kind, type) or not dataclasses.is_dataclass(kind):
        raise PipelineError(f"{place}.kind: {entry['kind']!r} must be a dataclass; got {kind!r}")
    return _build(kind, place, options)


def _build(kind: Any, place: str, options: Any) -> Any:
    """Make a dataclass from its options, each checked by the type of its field."""
    if not isinstance(options, dict):
        raise PipelineError(f"{place}: must be a mapping; got {options!r}")
    hints = typing.get_type_hints(kind)
    known = [field.name for field in dataclasses.fields(kind) if field.init]
    for name in options:
        if name not in known:
            raise PipelineError(f"{place}.{name}: no such option; {kind.__name__} has {known}")
    missing = [field.name for field in dataclasses.fields(kind) if _is_missing(field, options)]
    if missing:
        raise PipelineError(f"{place}: {kind.__name__} needs {', '.join(missing)}")
    values = {
        name: _value(hints[name], f"{place}.{name}", value) for name, value in options.items()
    }
    try:
        return kind(**values)
    except (TypeError, SightflowError) as error:
        raise PipelineError(f"{place}: {error}") from error


def _is_missing(field: "dataclasses.Field[Any]", options: Mapping[str, Any]) -> bool:
    has_default = field.default is not dataclasses.MISSING
    has_factory = field.default_factory is not dataclasses.MISSING
    return field.init and field.name not in options and not has_default and not has_factory


def _value(hint: Any, place: str, value: Any) -> Any:
    """Return one option, checked; models and nested sources are named, the rest is plain."""
    hint = _unless_none(hint, value)
    if hint is ModelFile:
        try:
            return find_model(msgspec.convert(value, str))
        except (SightflowError, msgspec.ValidationError) as error:
            raise PipelineError(f"{place}: {error}") from error
    if _is_part(hint):
        return _nested(hint, place, value)
    item = _item_of(hint)
    if _is_part(item):
        if not isinstance(value, list):
            raise PipelineError(f"{place}: must be a list; got {value!r}")
        return tuple(_nested(item, f"{place}[{i}]", entry) for i, entry in enumerate(value))
    words = words_of(hint)
    if words and value not in words:
        raise PipelineError(f"{place}: is one of {', '.join(filter(None, words))}; got {value!r}")
    try:
        return msgspec.convert(value, hint)
    except msgspec.ValidationError as error:
        raise PipelineError(f"{place}: {error}; got {value!r}") from error


_GROUPS: Mapping[Any, str] = {
    Source: "sources",
    StreamSource: "sources",
    LabelSource: "labels",
    TableSource: "tables",
    Network: "networks",
    DriftDetector: "detectors",
}
"""Options that are parts of a kind of their own."""


def _is_part(hint: Any) -> bool:
    return hint in _GROUPS or dataclasses.is_dataclass(hint)


def _nested(hint: Any, place: str, value: Any) -> Any:
    """Return an option that has options itself."""
    if hint in _GROUPS:
        return _part(_GROUPS[hint], place, value)
    if isinstance(value, dict) and value.get("kind") == hint.__name__:
        value = {name: option for name, option in value.items() if name != "kind"}
    return _build(hint, place, value)


def _unless_none(hint: Any, value: Any) -> Any:
    """Return X for `X | None` where there is a value and X is a part."""
    choices = [choice for choice in typing.get_args(hint) if choice is not type(None)]
    if value is not None and len(choices) == 1 and _is_part(choices[0]):
        return choices[0] if typing.get_origin(hint) in (typing.Union, UnionType) else hint
    return hint


def _item_of(hint: Any) -> Any:
    """Return the type of the items of `tuple[..., ...]`, or None for other types."""
    items = typing.get_args(hint) if typing.get_origin(hint) is tuple else ()
    return items[0] if len(items) == 2 and items[1] is Ellipsis else None


def _describe(group: str, part: Any) -> dict[str, Any]:
    """Return kind and options of a source, operator or sink."""
    if not dataclasses.is_dataclass(part):
        raise PipelineError(f"{part!r} must be a dataclass to be written as YAML")
    kind = type(part)
    name = kind.__name__
    if name not in known_kinds(group) or resolve_kind(group, name) is not kind:
        name = f"{kind.__module__}:{kind.__qualname__}"
    return {"kind": name, **_options(part)}


def _options(part: Any) -> dict[str, Any]:
    """Return the fields of a dataclass that are not at their default."""
    options = {}
    for field in dataclasses.fields(part):
        value = getattr(part, field.name)
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if value != default:
            options[field.name] = _plain(value)
    return options


def _plain(value: Any) -> Any:
    if isinstance(value, ModelFile):
        return value.reference
    if dataclasses.is_dataclass(value):
        groups = {
            "claims": "sources",
            "open_stream": "sources",
            "open_labels": "labels",
            "open_updates": "tables",
            "preparation": "networks",
            "detector": "detectors",
        }
        for method, group in groups.items():
            if hasattr(value, method):
                return _describe(group, value)
        return _options(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value
