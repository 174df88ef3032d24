"""Versions of a network in training go to a registry; the best one serves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy.typing as npt
import safetensors.numpy

from sightflow.learn.contest import Contest, Verdict
from sightflow.learn.network import Exported, Predict, Said, Tensors, Trainable, packed
from sightflow.models import Card, DataRange, Facts, ModelFile, Registry, Version
from sightflow.models.finding import parse_address
from sightflow.options import check_choices, check_count, check_number

__all__ = ["Publication", "Publish", "Publisher", "Share", "together", "weights_of"]


@dataclass(frozen=True)
class Publish:
    """Where versions are published, how often, and when one begins to serve."""

    registry: str
    """A folder, or a URL of fsspec."""
    name: str
    """Name of the model in the registry: versions are `REGISTRY/NAME@1` and so on."""
    every_steps: int | None = None
    """Steps between versions; None: one version, at the end."""
    promote: Literal["better", "always", "never"] = "better"
    """`better`: a version serves if it was right more often than the one that serves, on the same
    images."""
    margin: float = 0.0
    """How much better a version must be to serve, as a difference of accuracies in [-1, 1]: with
    0.01 it must be right on one image in a hundred more."""
    window: int = 1_000
    """How many of the last images of the stream a version is compared on, from 1, where no test ran
    since the last step; each counts as the network saw it before it learned from it. A test counts
    as a whole."""

    word_options: ClassVar[tuple[str, ...]] = ("name",)

    def check(self) -> None:
        """Refuse counts and parts that cannot be."""
        check_choices(self)
        check_count(self, "every_steps", "window", at_least=1)
        check_number(self, "margin", within="[-1, 1]")


@dataclass(frozen=True)
class Share:
    """What one trainer has done for a version."""

    step: int
    n_samples: int
    first_ms: int
    last_ms: int
    """Event time of its first and last sample."""
    loss: float
    verdict: Verdict


def together(shares: Sequence[Share]) -> tuple[Facts, Verdict]:
    """Return the facts of a version, and how good it is, from those of its trainers."""
    n_samples = sum(share.n_samples for share in shares)
    data = DataRange(
        min(share.first_ms for share in shares), max(share.last_ms for share in shares), n_samples
    )
    loss = sum(share.loss for share in shares) / len(shares)
    facts = Facts("", sum(share.step for share in shares), n_samples, data, {"loss": loss})
    return facts, Verdict.together([share.verdict for share in shares])


def weights_of(model: ModelFile) -> Tensors:
    """Return the weights of a published version."""
    place = parse_address(str(model.address))
    tensors: Tensors = safetensors.numpy.load(place.registry.weights(place.name, place.resolve()))
    return tensors


@dataclass(frozen=True)
class Publication:
    """A version that was published."""

    address: str
    """REGISTRY/NAME@VERSION."""
    number: int
    verdict: Verdict
    reason: str
    """Why it serves, or does not."""
    promoted: bool


class Publisher:
    """Publishes the versions of one training; what it knows of the serving one is in its state."""

    def __init__(self, how: Publish, run_id: str, *, start: ModelFile | None = None) -> None:
        """Begin with what the registry says; `start` is what the training began with."""
        self._how = how
        self._start = start
        self._run_id = run_id
        self._registry = Registry(how.registry)
        self.serving = self._served_before()
        """Number of the version that serves; None before the first promotion."""
        self.contest = Contest(how.window)
        self._predict: Predict | None = None

    def _served_before(self) -> int | None:
        """Return which version served before this run, which may have been restarted."""
        for pointer in reversed(self._registry.history(self._how.name)):
            version = self._registry.version(self._how.name, pointer.number)
            if version.facts.run_id != self._run_id:
                return pointer.number
        return None

    @property
    def parent(self) -> int | None:
        """The version of the same model that the training began with."""
        address = None if self._start is None else self._start.address
        if address is None:
            return None
        place = parse_address(address)
        is_ours = place.registry.is_at(self._registry.url) and place.name == self._how.name
        return place.number if is_ours else None

    def is_due(self, step: int) -> bool:
        """Return whether a version is to be published after this step."""
        return self._how.every_steps is not None and step % self._how.every_steps == 0

    def open(self, network: Trainable) -> None:
        """Make the version that serves ready for comparison, where it is of such a network."""
        if self.serving is not None:
            weights = self._registry.weights(self._how.name, self.serving)
            self._predict = network.predictor(safetensors.numpy.load(weights))

    def compare(
        self,
        inputs: npt.NDArray[Any],
        ours: Sequence[bool],
        judge: Callable[[Said], Sequence[bool]],
        *,
        held_out: bool,
    ) -> None:
        """Note how both networks did.

        Args:
            inputs: [B, ...] of labelled images.
            ours: whether the network in training was right about each.
            judge: returns the same of what another network says of them.
            held_out: whether they are of a test.
        """
        theirs: Sequence[bool | None] = [None] * len(ours)
        if self._predict is not None:
            theirs = judge(self._predict(inputs))
        self.contest.add(list(zip(ours, theirs, strict=True)), held_out=held_out)

    def publish(
        self, network: Trainable, labels: tuple[str, ...], facts: Facts, verdict: Verdict
    ) -> Publication:
        """Publish a network; let it serve if it is to."""
        exported = network.export()
        metrics = {n: v for n, v in verdict.figures().items() if n != "n_images"}
        weights = network.weights()
        version = self._registry.publish(
            self._how.name,
            onnx=exported.onnx,
            weights=packed(weights),
            card=self._card(exported, labels, facts),
            facts=replace(facts, run_id=self._run_id, metrics={**facts.metrics, **metrics}),
        )
        promoted, reason = self._decide(verdict)
        if promoted:
            self._predict = network.predictor(weights)
            self._promote(version, reason)
        address = self._registry.reference(self._how.name, version.number)
        return Publication(address, version.number, verdict, reason, promoted=promoted)

    def _card(self, exported: Exported, labels: tuple[str, ...], facts: Facts) -> Card:
        begun = "" if self._start is None else f" from {self._start.address}"
        return Card(
            name=self._how.name,
            task=exported.task,
            input=exported.input,
            head=exported.head,
            labels=labels,
            origin=f"trained on the stream{begun}, step {facts.step}, {facts.n_samples} samples",
        )

    def _decide(self, verdict: Verdict) -> tuple[bool, str]:
        """Return whether a version is to serve, and why."""
        if self._how.promote != "better":
            return self._how.promote == "always", f"promote is {self._how.promote!r}"
        if self.serving is None:
            return True, "the first to serve"
        ours, theirs = verdict.accuracy, verdict.serving_accuracy
        if ours is None or theirs is None:
            why = f"version {self.serving} serves and cannot be compared: no image was seen by both"
            return False, why
        said = f"{ours:.4f} against {theirs:.4f} of version {self.serving}, on {verdict.n_images}"
        return ours > theirs + self._how.margin, said

    def _promote(self, version: Version, reason: str) -> None:
        """Let a version serve, unless this training has come further before it was restarted."""
        self.serving = version.number
        self.contest.forget_serving()
        pointer = self._registry.serving(self._how.name)
        if pointer is not None:
            facts = self._registry.version(self._how.name, pointer.number).facts
            if facts.run_id == self._run_id and facts.step >= version.facts.step:
                return
        self._registry.promote(self._how.name, version.number, reason=reason)
