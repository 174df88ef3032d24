"""Options of commands that are options of a part: their defaults and choices are those of the part.

A part is named `package.module:Class.option`, or `package.module:function.argument`. It is loaded
when its default or its choices are asked for, so that Java can start before it.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import click

from sightflow.options import choices_of

__all__ = ["FieldChoice", "FieldOption", "given"]


class FieldOption(click.Option):
    """An option that is left out of the part when it is left out of the call."""

    def __init__(
        self,
        *names: Any,
        field: str,
        shown: Callable[[Any], Any] = lambda default: default,
        **more: Any,
    ) -> None:
        """Take the names of the option, the field, and how its default is shown in the help."""
        super().__init__(*names, **{"show_default": True, **more})
        self._field = field
        self._shown = shown

    def default_of_field(self) -> Any:
        """Return the default as the help shows it."""
        part, name = _part_and_name(self._field)
        made = {field.name: field.default_factory for field in _fields(part)}
        if made.get(name, MISSING) is not MISSING:
            return self._shown(made[name]())
        return self._shown(inspect.signature(part).parameters[name].default)

    def get_default(self, ctx: click.Context, call: bool = True) -> Any:
        """Return the default for the help; a call has none."""
        return None if call else self.default_of_field()


class FieldChoice(click.Choice[str]):
    """One of the words that a field may be."""

    def __init__(self, field: str) -> None:
        """Take the field."""
        self._field = field
        self.case_sensitive = True

    @property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]
        """The words."""
        return choices_of(*_part_and_name(self._field))


def given(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those of the options that a call has."""
    return {name: options[name] for name in names if options[name] is not None}


def _fields(part: Any) -> tuple[Any, ...]:
    return fields(part) if is_dataclass(part) else ()


def _part_and_name(field: str) -> tuple[Any, str]:
    module, _, path = field.partition(":")
    part, _, name = path.partition(".")
    return getattr(importlib.import_module(module), part), name
