"""Train a network on the stream: test it with each image, then learn from it."""

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import ClassVar

from sightflow.errors import ModelError, PipelineError
from sightflow.learn.compose import Compose
from sightflow.learn.head import Head
from sightflow.learn.network import Network, ObjectNetwork
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish, weights_of
from sightflow.learn.samples import Replay
from sightflow.learn.training import Training
from sightflow.models import ModelFile
from sightflow.ops.augment import Augment
from sightflow.options import check_count
from sightflow.protocols import Context, Inference, Operator, SourceFacts
from sightflow.tasks.model_step import grey_record

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """Improve a network by gradient descent on the labelled images, in their order.

    Each image is first recognised by the network as it is then, which gives its `classification`,
    or its `detections` where the network learns objects; afterwards a labelled one is learned from.
    So the results are an honest test. Images without a label, and those that are held out, are only
    recognised.
    """

    labels: tuple[str, ...] = ()
    """The classes, by the labels of the images; empty: those of `start`, or of the source."""
    network: Network = field(default_factory=Head)
    """What is trained."""
    start: ModelFile | None = None
    """A published version of such a network to begin with, `REGISTRY/NAME@VERSION` in YAML; None:
    the network's own first weights."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    batch_size: int = 32
    """Images in one step of gradient descent."""
    replay: Replay | None = None
    """What is learned again; None: each image is learned from once."""
    augment: Augment | None = None
    """How images are changed before they are learned from."""
    compose: Compose | None = None
    """How images are put together before they are changed, where objects are learned."""
    publish: Publish | None = None
    """Where versions are published; None: nowhere."""
    trainers: int = 1
    """Places that learn at the same time, each from its part of the images."""
    average_every: int = 16
    """Chunks of a trainer between averages of the weights of all."""
    top_k: int = 5
    """How many classes a result holds."""
    seed: int = 0
    """All that is drawn follows from it and from the number of the step."""
    kept_bytes: int = 8_192
    """The largest input of the network, in bytes, of which checkpoints hold a copy, from 0. A
    checkpoint has what is still to be learned from. Of a larger input it only notes where the image
    is, and a restart reads that once more."""
    report_every: int = 50
    """Steps between events of the kind `trained`."""

    word_options: ClassVar[tuple[str, ...]] = ("labels",)

    @property
    def gives(self) -> tuple[str, ...]:
        """What the network says of an image."""
        return ("detections",) if isinstance(self.network, ObjectNetwork) else ("classification",)

    @property
    def preparation(self) -> Operator:
        """The step that makes the network's input from the pixels."""
        return self.network.preparation

    @property
    def takes(self) -> tuple[str, ...]:
        """The array of a record that is the network's input."""
        return (self.network.takes,)

    def check(self) -> None:
        """Refuse a training that cannot work."""
        counts = ("batch_size", "trainers", "average_every", "top_k", "report_every")
        check_count(self, *counts, at_least=1)
        check_count(self, "kept_bytes")
        self._check_labels()
        if self._lacks_steps:
            raise PipelineError(
                f"Train: the schedule {self.optimiser.schedule!r} needs `optimiser.n_steps`, since "
                "the source does not list how many images there are"
            )
        if self.compose is not None:
            if not isinstance(self.network, ObjectNetwork):
                raise PipelineError(
                    f"Train: `compose` is for networks that learn where objects are; "
                    f"{type(self.network).__name__} learns classes"
                )
            self.compose.open(self.labels)
        if self.augment and self.augment.erase and isinstance(self.network, ObjectNetwork):
            raise PipelineError(
                "Train: `augment.erase` may hide an object and leave its name; leave it out where "
                "objects are learned"
            )
        if self.augment is not None and self.network.takes != "prepared":
            raise PipelineError(
                f"Train: `augment` changes pixels; {type(self.network).__name__} learns from "
                f"{self.network.takes}"
            )
        self._check_start()
        if self.publish is not None:
            self.publish.check()
            if self.trainers > 1 and self.publish.every_steps is not None:
                raise PipelineError(
                    "Train: several `trainers` publish one version, at the end; leave out "
                    "`publish.every_steps`"
                )
        self.network.check()

    def _check_labels(self) -> None:
        least = 1 if isinstance(self.network, ObjectNetwork) else 2
        if len(self.labels) < least or len(set(self.labels)) < len(self.labels):
            how_many = "one or more" if least == 1 else "two or more"
            told = "Annotated tells objects" if least == 1 else "a folder for each class"
            raise PipelineError(
                f"Train: `labels` are {how_many} different words; got {list(self.labels)}; give "
                f"them, or a source with so many labels: {told}"
            )
        for label in self.labels:
            if not label.isprintable():  # a name of a folder that is no UTF-8
                raise PipelineError(f"Train: `labels` are printable; got {label!r}")

    def _check_start(self) -> None:
        if self.start is None:
            return
        if self.start.address is None:
            raise PipelineError(
                f"Train: `start` is a published version, REGISTRY/NAME@VERSION; got "
                f"{self.start.reference}; a file of weights is `pretrained` of a TorchNetwork"
            )
        if self.start.card.labels != self.labels:
            raise PipelineError(
                f"Train: `start`, {self.start.address}, knows {list(self.start.card.labels)} in "
                f"this order; `labels` must be the same; got {list(self.labels)}"
            )
        try:
            with ExitStack() as resources:
                context = Context("check", Inference(device="cpu"), resources=resources)
                (grey,) = self.preparation.open(context)([grey_record()])
                shape = getattr(grey, self.network.takes).shape
                network = self.network.open(len(self.labels), shape, self.optimiser, self.seed)
                network.start(weights_of(self.start))
        except ModelError as error:
            raise ModelError(
                f"Train: `start`, {self.start.address}: {error}; use the same `network`"
            ) from error

    @property
    def lacks_facts(self) -> bool:
        """Whether classes, or the number of steps, are to be those of the source."""
        return not self.labels or self._lacks_steps

    @property
    def _lacks_steps(self) -> bool:
        return self.optimiser.n_steps is None and self.optimiser.schedule != "constant"

    def with_facts(self, facts: SourceFacts) -> "Train":
        """Return the same, with what is left out taken from the source."""
        how, n_images = self.optimiser, facts.n_images
        if self._lacks_steps and n_images is not None:
            again = 0 if self.replay is None else self.replay.batches
            n_steps = n_images // (self.batch_size * self.trainers) * (1 + again)
            how = replace(how, n_steps=max(1, n_steps))
        known = () if self.start is None else self.start.card.labels
        told = facts.object_labels if isinstance(self.network, ObjectNetwork) else facts.labels
        return replace(self, labels=self.labels or known or told, optimiser=how)

    def open_learner(self, context: Context, snapshot: bytes | None) -> Training:
        """Return the training, from its beginning or from a snapshot of it."""
        return Training(self, context, snapshot)
