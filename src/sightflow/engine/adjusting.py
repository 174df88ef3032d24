"""Steps whose options change while the job runs: opened anew with what is set by then."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, Generic, TypeVar

from sightflow.pipeline import KeyedStep, Pipeline, Step
from sightflow.protocols import Context, Fold, Process
from sightflow.records import Event, ImageRecord, ModelUse, Outcome
from sightflow.tasks.control import Settings, adjusted

__all__ = ["open_fold", "open_process", "settings_of"]

GetSettings = Callable[[], Settings]
Opened = TypeVar("Opened")


def settings_of(pipeline: Pipeline, context: Context) -> GetSettings | None:
    """Return what gives the settings of a job; None: nothing changes it while it runs."""
    if pipeline.settings is None:
        return None
    table_of = context.tables(pipeline.settings)
    return lambda: table_of().now


def open_process(step: Step, context: Context, settings: GetSettings | None) -> Process:
    """Open a stateless step; what is set holds from the next batch on."""
    if settings is None or not _may_change(step.operator):
        return step.operator.open(context)
    step_now = _Adjusted(step, context, settings, lambda operator, at: operator.open(at))

    def process(records: Sequence[ImageRecord]) -> Sequence[Outcome]:
        version, work = step_now.get()
        outcomes: Sequence[Outcome] = work([_stamped(r, step.name, version) for r in records])
        return outcomes

    return process


def open_fold(step: KeyedStep, context: Context, settings: GetSettings | None) -> Fold[Any]:
    """Open a keyed step; what is set holds from the next image on, and its states stay."""
    if settings is None or not _may_change(step.operator):
        return step.operator.open_fold(context)
    step_now = _Adjusted(step, context, settings, lambda operator, at: operator.open_fold(at))
    _, first = step_now.opened

    def take(state: Any, record: ImageRecord) -> tuple[Any, ImageRecord, Sequence[Event]]:
        version, fold = step_now.get()
        state, outcome, events = fold.step(state, record)
        return state, _stamped(outcome, step.name, version), events

    def end(state: Any) -> Sequence[Event]:
        events: Sequence[Event] = step_now.get()[1].end(state)
        return events

    return Fold(first.initial, take, end, first.encode, first.decode)


class _Adjusted(Generic[Opened]):
    """A step as it is opened now, and the number of the message that changed it last."""

    def __init__(
        self,
        step: Step | KeyedStep,
        context: Context,
        settings: GetSettings,
        open_with: Callable[[Any, Context], Opened],
    ) -> None:
        """Open it as the pipeline says: what is set need not be known yet."""
        self._step, self._context, self._settings = step, context, settings
        self._open_with = open_with
        self._resources = ExitStack()
        context.resources.callback(lambda: self._resources.close())
        self.opened = 0, self._open(step.operator)

    def get(self) -> tuple[int, Opened]:
        """Return it as it is set by now."""
        settings, name = self._settings(), self._step.name
        version = settings.versions.get(name, 0)
        if version != self.opened[0]:
            options = settings.options.get(name, {})
            self.opened = version, self._open(adjusted(name, self._step.operator, options))
        return self.opened

    def _open(self, operator: Any) -> Opened:
        """Open it; what it held before is released behind that, so that a model stays loaded."""
        before, self._resources = self._resources, ExitStack()
        opened = self._open_with(operator, replace(self._context, resources=self._resources))
        before.close()
        return opened


def _may_change(operator: object) -> bool:
    return bool(getattr(operator, "adjustable", ()))


def _stamped(record: ImageRecord, step: str, version: int) -> ImageRecord:
    """Return an image that says by which message its step was set; before any, as it is."""
    if not version:
        return record
    return replace(record, models=(ModelUse(step, "settings", str(version)), *record.models))
