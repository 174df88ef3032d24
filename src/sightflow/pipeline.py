"""A pipeline: a source, named steps over image records, and sinks. It is data and runs nothing."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from sightflow.errors import PipelineError, SightflowError
from sightflow.models import ModelFile
from sightflow.parts import found_in
from sightflow.protocols import (
    ControlSource,
    ImageSink,
    KeyedOperator,
    LearningOperator,
    MessageSink,
    Operator,
    ResultSink,
    Source,
    StreamSource,
    TableSource,
    given_by,
    needed_by,
)
from sightflow.tasks.control import Control

__all__ = ["KeyedStep", "LearningStep", "NamedSink", "Pipeline", "Step"]

_STEPS: dict[str, tuple[str, type]] = {
    "open_learner": ("learning step", LearningOperator),
    "open_fold": ("keyed step", KeyedOperator),
    "open": ("step", Operator),
}
"""The method that tells what a part is, what to call it, and the rest of its shape."""

_SINKS: dict[str, tuple[str, type]] = {
    "open_results": ("sink of results", ResultSink),
    "open_images": ("sink of images", ImageSink),
    "open_messages": ("sink of messages", MessageSink),
}
_CONTROLS: dict[str, tuple[str, type]] = {"open_messages": ("control", ControlSource)}
_SOURCES: dict[str, tuple[str, type]] = {
    "claims": ("source", Source),
    "open_stream": ("stream", StreamSource),
}


@dataclass(frozen=True)
class Step:
    """An operator with its place in a pipeline."""

    name: str
    """Unique in the pipeline; it names the step in results and errors."""
    operator: Operator


@dataclass(frozen=True)
class KeyedStep:
    """A keyed operator with its place in a pipeline."""

    name: str
    """Unique in the pipeline; it names the state in checkpoints."""
    operator: KeyedOperator


@dataclass(frozen=True)
class LearningStep:
    """A learning operator with its place in a pipeline."""

    name: str
    """Unique in the pipeline; it names the state in checkpoints."""
    operator: LearningOperator


@dataclass(frozen=True)
class NamedSink:
    """A sink with its name in a pipeline."""

    name: str
    sink: ResultSink | ImageSink | MessageSink


@dataclass(frozen=True)
class Pipeline:
    """What to do with the images of a source; each method returns a new pipeline.

    Examples:
        >>> from sightflow import Classify, Directory, JsonLines, Pipeline
        >>> pipeline = (
        ...     Pipeline(Directory("photos"))
        ...     .apply("classify", Classify(top_k=1))
        ...     .write("results", JsonLines("results.jsonl"))
        ... )
        >>> [step.name for step in pipeline.steps]
        ['classify']
    """

    source: Source | StreamSource
    steps: tuple[Step, ...] = ()
    keyed: tuple[KeyedStep, ...] = ()
    """Steps with a state for each stream; they come after those without."""
    learning: tuple[LearningStep, ...] = ()
    """Steps with one state for all images, in place of `keyed`."""
    sinks: tuple[NamedSink, ...] = ()
    """Every sink gets what comes out of the last step."""
    name: str = "sightflow"
    """Name of the job."""
    control: ControlSource | None = None
    """Messages that change options of steps, and cameras, while the job runs."""

    def __post_init__(self) -> None:
        """Refuse a source without the methods of one."""
        if all(callable(getattr(self.source, method, None)) for method in _SOURCES):
            raise PipelineError(
                "the source needs `claims` and `open`, or `open_stream`, not both; "
                f"got {self.source!r}"
            )
        _check_shape("the source", self.source, _SOURCES)

    def apply(self, name: str, operator: Operator | KeyedOperator | LearningOperator) -> "Pipeline":
        """Add a step at the end.

        Raises:
            PipelineError: the name is taken or empty, `operator` is no operator, it is a stateless
                one behind one with a state, or there are keyed and learning ones.
        """
        self._check_name("step", name)
        kind = _check_shape(f"step {name!r}", operator, _STEPS)
        stateful: list[KeyedStep | LearningStep] = [*self.keyed, *self.learning]
        if kind is LearningOperator:
            step = LearningStep(name, cast(LearningOperator, operator))
            added = replace(self, learning=(*self.learning, step))
        elif kind is KeyedOperator:
            keyed = KeyedStep(name, cast(KeyedOperator, operator))
            added = replace(self, keyed=(*self.keyed, keyed))
        elif stateful:
            raise PipelineError(
                f"step {name!r} needs the pixels, which do not travel to where steps with a "
                f"state work; apply it before {stateful[0].name!r}"
            )
        else:
            return replace(self, steps=(*self.steps, Step(name, cast(Operator, operator))))
        if added.keyed and added.learning:
            raise PipelineError(
                f"step {name!r} and {stateful[0].name!r}: one takes each stream on its own and the "
                "other all images in one place; run them as two pipelines"
            )
        return added

    def write(self, name: str, sink: ResultSink | ImageSink | MessageSink) -> "Pipeline":
        """Add a sink for what comes out of the last step.

        Raises:
            PipelineError: the name is taken or empty, or `sink` is no sink.
        """
        self._check_name("sink", name)
        _check_shape(f"sink {name!r}", sink, _SINKS)
        return replace(self, sinks=(*self.sinks, NamedSink(name, sink)))

    def controlled_by(self, control: ControlSource) -> "Pipeline":
        """Let messages change options of steps, and cameras, while the job runs.

        Raises:
            PipelineError: `control` is no source of messages.
        """
        _check_shape("the control", control, _CONTROLS)
        return replace(self, control=control)

    def check(self, *, without_sinks: Collection[str] = ()) -> None:
        """Raise the first error that can be known before anything runs.

        Args:
            without_sinks: names of sinks whose output is there already.

        Raises:
            SightflowError: a part refuses its configuration, two sinks share a file, or a sink for
                pixels would have to wait for a keyed step.
        """
        getattr(self.source, "check", _do_nothing)()
        earlier = list[object]()
        for step in self.all_steps:
            try:
                step.operator.check()
                getattr(step.operator, "check_after", _takes_any)(earlier)
                earlier.append(step.operator)
            except SightflowError as error:
                error.args = (f"step {step.name!r}: {error}",)
                raise
        self._check_needs()
        self._check_trainers()
        if self.settings is not None:
            self.settings.check()
        for name, sink in self.image_sinks:
            if self.has_state:
                raise PipelineError(
                    f"sink {name!r}: {type(sink).__name__} writes beside the pixels, before steps "
                    f"with a state such as {self.all_steps[-1].name!r}; use AnnotatedVideo, or "
                    "leave one out"
                )
        self._check_sinks(without_sinks)

    @property
    def all_steps(self) -> "tuple[Step | KeyedStep | LearningStep, ...]":
        """The steps in the order of the pipeline."""
        return (*self.steps, *self.keyed, *self.learning)

    @property
    def has_state(self) -> bool:
        """Whether steps remember what they have seen."""
        return bool(self.keyed or self.learning)

    @property
    def n_trainers(self) -> int:
        """In how many places the learning steps work, by turns of the chunks."""
        return max((getattr(s.operator, "trainers", 1) for s in self.learning), default=1)

    @property
    def travelling(self) -> tuple[str, ...]:
        """Arrays of a record that go with it to the learning steps."""
        return tuple(sorted({name for step in self.learning for name in step.operator.takes}))

    @property
    def pixel_steps(self) -> tuple[Step, ...]:
        """The steps that see pixels: the stateless ones, and what prepares for learning ones."""
        prepared = (
            Step(step.name, preparation)
            for step in self.learning
            if (preparation := step.operator.preparation) is not None
        )
        return (*self.steps, *prepared)

    @property
    def models(self) -> tuple[ModelFile, ...]:
        """The models of the steps and of the tables that they look things up in, each once."""
        return tuple(found_in((step.operator for step in self.pixel_steps), ModelFile))

    @property
    def tables(self) -> "tuple[TableSource, ...]":
        """The tables of the job, each once: what steps look things up in, and what is set."""
        sources: type[Any] = TableSource
        found = found_in((step.operator for step in self.all_steps), sources)
        return (*found, *(() if self.settings is None else (self.settings,)))

    @property
    def settings(self) -> Control | None:
        """The table of what is set while the job runs; None without `control`."""
        if self.control is None:
            return None
        stateless = tuple((step.name, step.operator) for step in self.steps)
        keyed = tuple((step.name, step.operator) for step in self.keyed)
        takes_cameras = getattr(self.source, "takes_cameras", False)
        return Control(self.control, (*stateless, *keyed), takes_cameras=takes_cameras)

    @property
    def image_sinks(self) -> Iterator[tuple[str, ImageSink]]:
        """Yield (name, sink) of the sinks that work beside the pixels."""
        return ((n.name, n.sink) for n in self.sinks if isinstance(n.sink, ImageSink))

    @property
    def result_sinks(self) -> Iterator[tuple[str, ResultSink]]:
        """Yield (name, sink) of the sinks that take results in order."""
        return ((n.name, n.sink) for n in self.sinks if isinstance(n.sink, ResultSink))

    @property
    def message_sinks(self) -> Iterator[tuple[str, MessageSink]]:
        """Yield (name, sink) of the sinks that send messages while the run goes on."""
        return ((n.name, n.sink) for n in self.sinks if isinstance(n.sink, MessageSink))

    def check_work(self, n_chunks: int) -> None:
        """Raise an error if there are fewer chunks of images than trainers."""
        if 0 < n_chunks < self.n_trainers:
            raise PipelineError(
                f"{self.n_trainers} trainers need as many chunks of images; the source has "
                f"{n_chunks}: set `trainers` to that or less, or a smaller `batch_size` of the run"
            )

    def _check_sinks(self, without: Collection[str]) -> None:
        """Raise an error if a sink refuses its configuration, or two share a file."""
        outputs: dict[str, str] = {}
        for named in self.sinks:
            if named.name in without:
                continue
            named.sink.check()
            for output in named.sink.outputs():
                place = os.path.realpath(output)
                if place in outputs:
                    raise PipelineError(
                        f"sinks {outputs[place]!r} and {named.name!r} both write {output}; "
                        "choose another path for one of them"
                    )
                outputs[place] = named.name

    def _check_trainers(self) -> None:
        """Raise an error if learning steps cannot work in several places."""
        if self.n_trainers == 1:
            return
        if getattr(self.source, "labels_come_later", False):
            raise PipelineError(
                f"{self.n_trainers} trainers share the images, and labels that come later are "
                "joined with them in one place; leave out `trainers`"
            )
        if isinstance(self.source, StreamSource):
            raise PipelineError(
                f"{self.n_trainers} trainers share the images that a source lists; a stream has "
                "one: leave out `trainers`"
            )
        for step in self.learning:
            if getattr(step.operator, "trainers", 1) != self.n_trainers:
                raise PipelineError(
                    f"step {step.name!r} cannot work in {self.n_trainers} places as another step "
                    "does; leave it out, and hold the published version against a test of its own"
                )

    def _check_needs(self) -> None:
        """Raise an error if a part needs what none before it gives; parts may not tell."""
        if getattr(self.source, "labels_come_later", False) and not self.learning:
            raise PipelineError(
                f"{type(self.source).__name__} tells labels later, which learning steps such as "
                "Train and Evaluate take; apply one, or leave it out"
            )
        given: set[str] = set()
        for place, part, gives in self._places():
            missing = sorted(set(needed_by(part)) - given)
            if missing:
                raise PipelineError(
                    f"{place}: {type(part).__name__} needs {', '.join(missing)}, which no step "
                    "before it gives; Detect gives detections, Track tracks and which one each "
                    "detection or face has (`track_ids`), Classify classification, "
                    "ClassifyTrafficLight detections.states, ClassifySign detections.signs, Drive "
                    "both, DetectFaces faces, EmbedFaces faces.embeddings, Identify "
                    "faces.person_ids"
                )
            if gives is None:
                return  # it may give anything
            given.update(gives)

    def _places(self) -> Iterator[tuple[str, object, tuple[str, ...] | None]]:
        """Yield what each part is called, the part, and which fields of a record it gives."""
        yield "the source", self.source, given_by(self.source)
        for step in self.all_steps:
            yield f"step {step.name!r}", step.operator, given_by(step.operator)
        for named in self.sinks:
            yield f"sink {named.name!r}", named.sink, ()

    def _check_name(self, kind: str, name: str) -> None:
        taken = {step.name for step in self.all_steps} | {named.name for named in self.sinks}
        if not name or name in taken:
            raise PipelineError(
                f"{kind} {name!r} needs a name of its own; in the pipeline are {sorted(taken)}"
            )


def _do_nothing() -> None:
    """Check nothing: what most sources can know before a run."""


def _takes_any(earlier: Sequence[object]) -> None:
    """Refuse no step: what most operators do about those before them."""


def _check_shape(place: str, part: object, shapes: Mapping[str, tuple[str, type]]) -> type:
    """Return the shape that a part has, by the method that tells it.

    Raises:
        PipelineError: it has none of these methods, or not all others of its shape.
    """
    if not isinstance(part, type):
        for method, (name, shape) in shapes.items():
            if not callable(getattr(part, method, None)):
                continue
            missing = [f"`{member}`" for member in _members(shape) if not hasattr(part, member)]
            if not missing:
                return shape
            raise PipelineError(
                f"{place}: {type(part).__name__} has `{method}`, so it is a {name}; it also needs "
                f"{', '.join(missing)}"
            )
    raise PipelineError(
        f"{place} needs an object with {' or '.join(f'`{method}`' for method in shapes)}; "
        f"got {part!r}"
    )


def _members(shape: type) -> list[str]:
    """Return the names that a protocol asks for."""
    return sorted(name for name in vars(shape) if not name.startswith("_"))
