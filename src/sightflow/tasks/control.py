"""What is set while a job runs: options of steps, and cameras. A table, by messages that come."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from sightflow.errors import PipelineError, SightflowError
from sightflow.options import with_options
from sightflow.protocols import Context, ControlMessages, ControlSource
from sightflow.records import Event, TableUpdate
from sightflow.records.state import StateCodec
from sightflow.sources.addresses import without_password
from sightflow.sources.cameras import camera

__all__ = ["Control", "ControlUpdates", "Settings", "SettingsTable", "adjusted", "check_message"]

_CAMERA = "camera "
"""How the key of a camera begins; an option has a key of its step and a dot."""
_VERBS = ("set", "reset", "camera", "remove_camera")


class _Row(msgspec.Struct, frozen=True, array_like=True):
    """What is set of an option or a camera."""

    version: int
    """Number of the message that said it."""
    value: bytes
    """As JSON; empty: an option is as the pipeline says."""


_ROWS = StateCodec(_Row, "settings", version=1)

# Made here, as one thread must make the plan of msgspec for a type: see `records.state`.
_MESSAGES = msgspec.json.Decoder(dict[str, Any])


def adjusted(step: str, operator: Any, options: Mapping[str, Any]) -> Any:
    """Return an operator with other options, each converted by its type.

    Raises:
        PipelineError: the operator has no such option that may change, or of another type.
    """
    for name in options:
        _check_adjustable(step, operator, name)
    return with_options(step, operator, options)


def _check_adjustable(step: str, operator: Any, name: str) -> None:
    known = _adjustable(operator)
    if name not in known:
        raise PipelineError(
            f"{step}.{name}: {type(operator).__name__} has no such option that may change while "
            f"the job runs; it has {', '.join(known) or 'none'}"
        )


def _adjustable(operator: Any) -> tuple[str, ...]:
    return tuple(getattr(operator, "adjustable", ()))


@dataclass(frozen=True)
class Settings:
    """What is set at one moment."""

    version: int = 0
    """Number of the last message."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Of each step that was changed, by its name."""
    versions: Mapping[str, int] = field(default_factory=dict)
    """Of each step the number of the message that changed it last."""
    cameras: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options of those that were added, by their names; empty of one that was removed."""


class SettingsTable:
    """What is set, for the workers of a process."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rows: dict[str, _Row] = {}
        self.now = Settings()

    def update(self, update: TableUpdate) -> None:
        """Take in an update."""
        for key, row in update.rows.items():
            self._rows.pop(key, None)
            if row is not None:
                self._rows[key] = _ROWS.decode(row)
        options, versions = dict[str, dict[str, Any]](), dict[str, int]()
        cameras = dict[str, Mapping[str, Any]]()
        for key, kept in self._rows.items():
            value = json.loads(kept.value) if kept.value else None
            if key.startswith(_CAMERA):
                cameras[key.removeprefix(_CAMERA)] = value or {}
                continue
            step, _, name = key.rpartition(".")
            versions[step] = max(versions.get(step, 0), kept.version)
            options.setdefault(step, {}).update({name: value} if kept.value else {})
        self.now = Settings(update.version, options, versions, cameras)


@dataclass(frozen=True)
class Change:
    """What one message changes."""

    key: str
    value: bytes
    """As JSON; empty: an option is as the pipeline says, or a camera goes."""
    step: str
    source_id: str
    words: str
    """For people, without a password."""
    label: str | None = None
    """What the message calls itself."""


@dataclass(frozen=True)
class Control:
    """A table of what is set while the job runs: each message is an update."""

    source: ControlSource
    steps: tuple[tuple[str, Any], ...] = ()
    """Those whose options may change, by their names."""
    takes_cameras: bool = False

    def identity(self) -> dict[str, Any]:
        """Return what tells it from others: where its messages come from."""
        return {"source": self.source}

    def check(self) -> None:
        """Refuse a pipeline in which nothing can change."""
        self.source.check()
        if not self.takes_cameras and not any(_adjustable(step) for _, step in self.steps):
            raise PipelineError(
                "no step of the pipeline has an option that may change while it runs, and its "
                "source takes no cameras; leave out the control"
            )

    def open_updates(
        self, context: Context, position: str | None, rows: Mapping[str, bytes]
    ) -> "ControlUpdates":
        """Return what the messages change, from the first or from a position."""
        number, _, place = (position or "0 ").partition(" ")
        messages = self.source.open_messages(context, place or None)
        return ControlUpdates(self, messages, (int(number), place), rows)

    def open_table(self) -> SettingsTable:
        """Return a table in which nothing is set."""
        return SettingsTable()

    def change(self, message: bytes, values: Mapping[str, Any]) -> Change:
        """Return what a message changes.

        Args:
            message: as JSON.
            values: what is set so far, by key.

        Raises:
            PipelineError: it says nothing that can be, and why.
        """
        verb, name, options = _said(message)
        label = options.pop("id", None)
        if verb in ("set", "reset"):
            change = self._set(name, options, values)
        else:
            change = self._camera(verb, name, options)
        return replace(change, label=None if label is None else str(label))

    def _set(self, key: str, rest: Mapping[str, Any], values: Mapping[str, Any]) -> Change:
        step, _, name = key.rpartition(".")
        operator = dict(self.steps).get(step)
        if operator is None:
            known = ", ".join(known for known, part in self.steps if _adjustable(part))
            raise PipelineError(
                f"{key}: must be STEP.OPTION of a step of the pipeline; it has {known}"
            )
        _check_adjustable(step, operator, name)
        others = {
            other.rpartition(".")[2]: value
            for other, value in values.items()
            if other.rpartition(".")[0] == step and other != key
        }
        adjusted(step, operator, others | ({name: rest["value"]} if rest else {})).check()
        value = json.dumps(rest["value"]) if rest else ""
        words = f"{key} = {value}" if rest else f"{key} as in the pipeline"
        return Change(key, value.encode(), step, "", words)

    def _camera(self, verb: str, name: str, options: Mapping[str, Any]) -> Change:
        if not self.takes_cameras:
            raise PipelineError(f"camera {name!r}: the source takes none; use Cameras")
        if verb == "remove_camera":
            return Change(_CAMERA + name, b"", "read", name, f"camera {name} removed")
        live = camera(name, options)
        shown = without_password(str(live.url))
        return Change(
            _CAMERA + name, json.dumps(options).encode(), "read", name, f"camera {name}: {shown}"
        )


def check_message(message: bytes) -> None:
    """Raise `PipelineError` unless a message can be one, whatever the pipeline is."""
    verb, name, options = _said(message)
    options.pop("id", None)
    if verb == "camera":
        camera(name, options)
    elif verb in ("set", "reset") and not all(name.rpartition(".")[::2]):
        raise PipelineError(f"{name!r}: must be STEP.OPTION, such as detect.min_score")


def _said(message: bytes) -> tuple[str, str, dict[str, Any]]:
    """Return what a message is about, a name, and what else it has."""
    try:
        said = _MESSAGES.decode(message)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PipelineError(f"a message is a mapping in JSON: {error}") from error
    verbs = [verb for verb in _VERBS if verb in said]
    name = said.get(verbs[0]) if len(verbs) == 1 else None
    if not isinstance(name, str) or not name:
        raise PipelineError(
            f"a message has one of {', '.join(_VERBS)}, with a name; got {sorted(said)}"
        )
    rest = {other: value for other, value in said.items() if other != verbs[0]}
    wanted = {"set": ["value"], "camera": list(rest)}.get(verbs[0], [])
    if [other for other in rest if other != "id" or other in wanted] != wanted:
        raise PipelineError(
            f"`{verbs[0]}` goes with {' '.join(wanted) or 'nothing'}; got {sorted(rest)}"
        )
    return verbs[0], name, rest


class ControlUpdates:
    """Messages as updates of the table; one that cannot be taken is told, and changes nothing."""

    def __init__(
        self,
        control: Control,
        messages: ControlMessages,
        place: tuple[int, str],
        rows: Mapping[str, bytes],
    ) -> None:
        """Take the messages behind a place: how many there were, and where their source stands."""
        self._control, self._messages = control, messages
        self._number, self._place = place
        kept = {key: _ROWS.decode(row).value for key, row in rows.items()}
        self._values = {key: json.loads(value) for key, value in kept.items() if value}
        self._stale = [key for key in rows if not self._fits(key)]

    def poll(self, timeout_s: float) -> TableUpdate | None:
        """Return what the next message changes; at first, what the pipeline does not know."""
        if self._stale:
            return self._without_stale()
        found = self._messages.poll(timeout_s)
        if found is None:
            return None
        where, message = found
        self._number, self._place = self._number + 1, self._messages.position()
        try:
            change = self._control.change(message, self._values)
        except SightflowError as error:
            told = self._event("settings_refused", "control", where, reason=str(error))
            return TableUpdate(self._number, {}, (told,))
        told = self._event("settings_changed", change.step, where, reason=change.words)
        told = replace(told, source_id=change.source_id, label=change.label)
        self._values.pop(change.key, None)
        if change.value:
            self._values[change.key] = json.loads(change.value)
        row = _ROWS.encode(_Row(self._number, change.value))
        return TableUpdate(self._number, {change.key: row}, (told,))

    def is_caught_up(self) -> bool:
        """Return whether all was given that was there when it was opened."""
        return not self._stale and self._messages.is_caught_up()

    def position(self) -> str:
        """Return how many messages there were, and where their source stands."""
        return f"{self._number} {self._place}"

    def _fits(self, key: str) -> bool:
        """Return whether what is set fits this pipeline: it may be another than before."""
        if key.startswith(_CAMERA):
            return self._control.takes_cameras
        step, _, name = key.rpartition(".")
        operator = dict(self._control.steps).get(step)
        try:
            options = {name: self._values[key]} if key in self._values else {}
            adjusted(step, operator, options).check()
        except (SightflowError, AttributeError):
            return False
        return True

    def _without_stale(self) -> TableUpdate:
        """Return an update that takes out what does not fit."""
        gone, self._stale = self._stale, []
        self._number += 1
        for key in gone:
            self._values.pop(key, None)
        reason = f"not in the pipeline any more: {', '.join(gone)}"
        told = self._event("settings_refused", "control", "", reason=reason)
        return TableUpdate(self._number, dict.fromkeys(gone), (told,))

    def _event(self, kind: str, step: str, where: str, *, reason: str) -> Event:
        return Event(
            kind,
            step,
            "",
            0,
            int(time.time() * 1000),
            uri=where or None,
            figures={"version": float(self._number)},
            reason=reason,
        )
