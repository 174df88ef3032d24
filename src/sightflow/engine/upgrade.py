"""Going on with another pipeline: what may change between two runs on one state, and what not."""

import dataclasses
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sightflow.engine.nothing import LearnNothing, RememberNothing
from sightflow.errors import JobError, PipelineError
from sightflow.pipeline import KeyedStep, LearningStep, Pipeline
from sightflow.protocols import ImageSink, MessageSink, StreamSource

__all__ = ["NEW_RUN", "Description", "History", "Part", "differences", "digest", "kind_of"]

_STEP, _KEYED, _LEARNING = "step", "keyed step", "learning step"
_SINK, _IMAGE_SINK = "sink", "sink of images"
_SOURCE, _CONTROL = "source", "control"
_WITH_STATE = (_KEYED, _LEARNING, _SINK)
_SERVERS = re.compile("://[^/]*/")
_NOBODY = ""
"""What goes on in the place of steps with a state; no step of a pipeline has this name."""


@dataclass(frozen=True)
class Part:
    """A part of a pipeline, as it is noted of a run."""

    role: str
    name: str
    kind: str
    options: dict[str, str] = field(default_factory=dict)
    """A digest of the value of each: values may be secret."""
    outputs: tuple[str, ...] = ()
    """Of a sink."""
    adjustable: tuple[str, ...] = ()
    """Options of a source that may change while it is read; `source.NAME` of one inside it."""

    def __str__(self) -> str:
        """Return what an error calls it."""
        if self.role in (_SOURCE, _CONTROL):
            return f"the {self.role} ({self.kind})"
        word = "sink" if self.role in (_SINK, _IMAGE_SINK) else "step"
        return f"{word} {self.name!r} ({self.kind})"


@dataclass(frozen=True)
class Description:
    """A pipeline, as it is noted of a run: enough to tell what another one has changed."""

    source: Part
    parts: tuple[Part, ...] = ()
    """Steps and sinks, in order."""
    is_listed: bool = True
    """Whether the source lists its images."""
    n_trainers: int = 1

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Description":
        """Describe a pipeline."""
        return cls(
            _part(_SOURCE, "", pipeline.source),
            tuple(_parts(pipeline)),
            not isinstance(pipeline.source, StreamSource),
            pipeline.n_trainers,
        )

    @property
    def remembers(self) -> str:
        """The role of its steps with a state; empty without any."""
        return next((p.role for p in self.parts if p.role in (_KEYED, _LEARNING)), "")

    @property
    def sinks(self) -> dict[str, Part]:
        """The sinks by their names."""
        return self.named(_SINK, _IMAGE_SINK)

    def named(self, *roles: str) -> dict[str, Part]:
        """Return the parts of some roles, or all, by their names."""
        return {part.name: part for part in self.parts if not roles or part.role in roles}


def differences(before: Description, now: Description) -> list[str]:
    """Return what a pipeline has otherwise than the one before, in words."""
    there, here = before.named(), now.named()
    found = [f"{part} is gone" for name, part in there.items() if name not in here]
    found += [f"{part} is new" for name, part in here.items() if name not in there]
    pairs = [(before.source, now.source)]
    pairs += [(part, here[name]) for name, part in there.items() if name in here]
    for old, new in pairs:
        found += _changed(old, new)
    order = [name for name in there if name in here]
    if order != [name for name in here if name in there]:
        found.append("the order is another")
    return found


@dataclass(frozen=True)
class History:
    """What a run is over all its attempts, whatever its pipeline becomes."""

    run_id: str = "run"
    remembers: str = ""
    """What the steps with a state are, or were when it had some."""
    dropped: tuple[str, ...] = ()
    """Keys of states that were dropped."""

    def key_of(self, name: str) -> str:
        """Return by which key the state of a step or a sink is kept.

        It is its name; what has the name of one that was dropped has another key.
        """
        key, n = name, 1
        while key in self.dropped:
            n += 1
            key = f"{name} (again {n})"
        return key

    def states(
        self, kept: Mapping[str, tuple[str, bytes]], kinds: Mapping[str, str]
    ) -> dict[str, bytes]:
        """Return the states in a checkpoint, by the names of the steps; a new step has none.

        Args:
            kept: kind and state by key.
            kinds: of the steps that there are, by name.

        Raises:
            JobError: it has the state of a step that is gone or of another kind.
        """
        here = {self.key_of(name): name for name in kinds}
        found = {}
        for key, (kind, state) in kept.items():
            name = here.get(key)
            if name is not None and kinds[name] == kind:
                found[name] = state
            elif name is not None or key not in (*self.dropped, _NOBODY):
                has = ", ".join(f"{key} ({kind})" for key, (kind, _) in kept.items())
                ours = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
                raise JobError(
                    f"the checkpoint has states of the steps {has}; the pipeline has {ours}; keep "
                    "their names and kinds, or start the run anew"
                )
        return found

    def going_on(
        self, before: Description, now: Description, drop: Collection[str] = ()
    ) -> "History":
        """Return the history with another pipeline.

        Args:
            before: of the pipeline so far.
            now: of the next one.
            drop: names of steps and sinks whose state may be dropped.

        Raises:
            PipelineError: what was read, remembered or written so far does not fit it.
        """
        _check_source(before.source, now.source)
        _check_trainers(before, now)
        self._check_remembering(now)
        lost = [part for part in before.parts if _loses_state(part, now.named())]
        refused = [part for part in lost if part.name not in drop]
        if refused:
            raise PipelineError(_refusal(refused, before, now))
        dropped = (*self.dropped, *(self.key_of(part.name) for part in lost))
        return replace(self, remembers=now.remembers or self.remembers, dropped=dropped)

    def continued(self, pipeline: Pipeline) -> Pipeline:
        """Return a pipeline with what goes on where steps with a state were and none is left."""
        if pipeline.has_state or not self.remembers:
            return pipeline
        if self.remembers == _KEYED:
            return replace(pipeline, keyed=(KeyedStep(_NOBODY, RememberNothing()),))
        return replace(pipeline, learning=(LearningStep(_NOBODY, LearnNothing()),))

    def _check_remembering(self, now: Description) -> None:
        """Refuse steps with a state that cannot begin in the middle of this run."""
        if now.remembers in ("", self.remembers):
            return
        first = now.named(now.remembers)
        place = f"step {next(iter(first))!r}"
        if self.remembers:
            raise PipelineError(
                f"{place} is a {now.remembers}, and the run has the state of a {self.remembers}"
            )
        if now.remembers == _LEARNING:
            raise PipelineError(f"{place} learns from all images, and the run has begun without it")
        if now.is_listed:
            raise PipelineError(
                f"{place} takes each stream on its own, and the images were listed without regard "
                "to that"
            )


NEW_RUN = History()
"""Of a run that has had one pipeline."""


def kind_of(part: object) -> str:
    """Return the kind of a part: state of one kind is none of another."""
    return type(part).__qualname__


def _parts(pipeline: Pipeline) -> Iterator[Part]:
    """Yield the steps and sinks of a pipeline."""
    for steps, role in (
        (pipeline.steps, _STEP),
        (pipeline.keyed, _KEYED),
        (pipeline.learning, _LEARNING),
    ):
        for step in steps:
            yield _part(role, step.name, step.operator)
    if pipeline.control is not None:
        yield _part(_CONTROL, "", pipeline.control)
    for named in pipeline.sinks:
        role = _IMAGE_SINK if isinstance(named.sink, ImageSink) else _SINK
        yield _part(role, named.name, named.sink, tuple(_outputs(named.sink)))


def _outputs(sink: Any) -> Iterator[str]:
    """Yield where a sink writes; the same topic may be reached by other brokers."""
    for output in sink.outputs():
        yield _SERVERS.sub("://", output) if isinstance(sink, MessageSink) else output


def _part(role: str, name: str, part: object, outputs: tuple[str, ...] = ()) -> Part:
    fields = dict(_fields(part) or {})
    if role in (_SINK, _IMAGE_SINK):
        fields.pop("overwrite", None)  # what was there before a run is no matter of its state
    digests = {option: digest(value) for option, value in fields.items()}
    if role != _SOURCE:
        return Part(role, name, kind_of(part), digests, outputs)
    adjustable = list(getattr(part, "adjustable", ()))
    for option, value in fields.items():
        if isinstance(value, StreamSource):
            inner = _part(_SOURCE, "", value)
            digests[option] = digest(inner.kind)
            digests |= {f"{option}.{one}": told for one, told in inner.options.items()}
            adjustable += [f"{option}.{one}" for one in inner.adjustable]
    return Part(role, name, kind_of(part), digests, outputs, tuple(adjustable))


def _fields(part: Any) -> Mapping[str, Any] | None:
    """Return the options that tell a part from others of its kind; None: it is a plain value."""
    if callable(getattr(type(part), "identity", None)):
        identity: Mapping[str, Any] = part.identity()
        return identity
    if dataclasses.is_dataclass(part):
        return {one.name: getattr(part, one.name) for one in dataclasses.fields(part)}
    return vars(part) if hasattr(part, "__dict__") and not isinstance(part, type) else None


def digest(value: Any) -> str:
    """Return what tells a part, or the value of an option, from others, and does not tell it."""
    text = repr(_described(value)).encode("utf-8", "backslashreplace")
    return hashlib.sha256(text).hexdigest()[:16]


def _described(value: Any) -> Any:
    """Return a value in plain ones: kinds and options of all that is in it."""
    if isinstance(value, tuple | list):
        return [_described(item) for item in value]
    fields = _fields(value)
    if fields is None:
        return repr(value)
    return [kind_of(value), {name: _described(item) for name, item in fields.items()}]


def _changed(old: Part, new: Part) -> list[str]:
    """Return in what two parts of one name differ."""
    if (old.role, old.kind) != (new.role, new.kind):
        return [f"{new} was {old.kind}"]
    names = sorted({*old.options, *new.options})
    changed = [name for name in names if old.options.get(name) != new.options.get(name)]
    return [f"`{name}` of {new} is another" for name in changed]


def _check_source(old: Part, new: Part) -> None:
    """Refuse another source: what was listed, and where it stands, is of the one before."""
    fixed = [name for name in new.options if name not in new.adjustable]
    same = [
        replace(part, options={name: part.options.get(name, "") for name in fixed})
        for part in (old, new)
    ]
    if changed := _changed(*same):
        raise PipelineError(f"where the run stands is a place in its source: {changed[0]}")


def _check_trainers(before: Description, now: Description) -> None:
    """Refuse another number of trainers: each has its own part of what was learned."""
    if before.n_trainers != now.n_trainers and now.remembers == _LEARNING:
        raise PipelineError(
            f"{before.n_trainers} trainers share what was learned; got {now.n_trainers}"
        )


def _loses_state(old: Part, now: Mapping[str, Part]) -> bool:
    """Return whether a part with a state has none of its kind behind it."""
    new = now.get(old.name)
    if old.role not in _WITH_STATE or new is None:
        return old.role in _WITH_STATE
    return (old.role, old.kind, old.outputs) != (new.role, new.kind, new.outputs)


def _refusal(lost: Iterable[Part], before: Description, now: Description) -> str:
    """Say whose state would be lost, and what may be meant."""
    there, here = before.named(), now.named()
    words = []
    for part in lost:
        new = here.get(part.name)
        if new is None:
            words.append(f"{part} is gone")
        elif part.kind != new.kind:
            words.append(f"{new} was {part.kind}")
        else:
            words.append(f"{part} writes another file")
    added = [f"{part}" for name, part in here.items() if name not in there]
    return (
        f"{'; '.join(words)}: what it remembers or wrote so far would be lost, since that is found "
        f"by its name; new are {', '.join(added) or 'none'}; keep names and kinds, or allow it "
        f"with `drop_state` ({' '.join(f'--drop-state {part.name}' for part in lost)})"
    )
