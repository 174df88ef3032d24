"""What every step with a model does: prepare images, call the model on the batch, note its use."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from sightflow.errors import CardError, ModelError
from sightflow.kinds import resolve_kind
from sightflow.models import Card, ModelFile
from sightflow.ops.preprocess import Placement
from sightflow.protocols import Context, Inference, Process
from sightflow.records import ImageRecord, ModelUse, Origin

__all__ = [
    "CLASSIFIER",
    "Batch",
    "Pixels",
    "build_head",
    "check_model",
    "grey_record",
    "head_of",
    "labels_of",
    "make_head",
    "naming",
    "open_classifier",
    "open_model",
    "output_of",
    "scale_of",
    "try_out",
    "use_of",
]


Pixels: TypeAlias = npt.NDArray[np.uint8]

CLASSIFIER = "efficientnet_lite0"
"""The model that ships which classifiers take when none is named."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The answer of a model for B pictures."""

    outputs: Mapping[str, npt.NDArray[Any]]
    """Each [B, ...], by name."""
    placements: Sequence[Placement]
    """Where the model's pixels came from, for each picture."""
    use: ModelUse


def check_model(model: ModelFile, *, task: str) -> None:
    """Raise an error unless the model is for this task and is there; loading it tells the rest."""
    card = model.card
    if card.task != task:
        raise ModelError(
            f"model {card.name!r} is for the task {card.task!r}; this step needs one for {task!r}"
        )
    if card.input.preprocess.size is None:
        raise CardError(
            f"model {card.name!r}: `input.preprocess` must give every image one size; add `crop`, "
            "`letterbox` or `stretch`"
        )
    model.check_file()


def try_out(open_step: Callable[[Context], Process], record: ImageRecord | None = None) -> None:
    """Raise what a step raises for a grey picture: a card that does not fit the outputs.

    Args:
        open_step: returns the step.
        record: a picture that the step takes; without it a grey one, in which nothing was found.
    """
    with ExitStack() as resources:
        context = Context("check", Inference(device="cpu"), resources=resources)
        open_step(context)([record or grey_record()])


def grey_record() -> ImageRecord:
    """Return a grey picture, to try a step with."""
    origin = Origin("grey", "check", 0, 0, "grey")
    return ImageRecord(origin, 64, 64, np.full((64, 64, 3), 128, np.uint8))


def scale_of(record: ImageRecord) -> tuple[float, float]:
    """Return how many decoded pixels there are for one of the original, in x and y."""
    height, width = record.pixels.shape[:2]
    return width / record.width, height / record.height


def make_head(card: Card) -> Callable[..., Any]:
    """Return the head that a card names; what it raises names the model.

    Raises:
        CardError: as `head_of` does.
    """
    head = head_of(card)

    def read(outputs: Mapping[str, npt.NDArray[Any]], **how: Any) -> Any:
        with naming(card):
            return head(outputs, **how)

    return read


def head_of(card: Card) -> Any:
    """Return the head that a card names, with its options; it is called with the outputs.

    Raises:
        CardError: the card names none, or an option that the head does not have.
    """
    try:
        return build_head(card.head)
    except CardError as error:
        raise CardError(f"model {card.name!r}: {error}") from error


def build_head(options: Mapping[str, Any]) -> Any:
    """Return a head, by its `kind` and its options.

    Raises:
        CardError: there is no such kind or option.
    """
    given = dict(options)
    kind = given.pop("kind", None)
    if not isinstance(kind, str):
        raise CardError(f"`head` needs a `kind`; got {dict(options)}")
    try:
        return resolve_kind("heads", kind)(**given)
    except (TypeError, CardError) as error:
        raise CardError(f"`head`: {error}") from error


@contextmanager
def naming(card: Card) -> Iterator[None]:
    """Put the name of the model before what is wrong with its outputs."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"model {card.name!r}: {error}") from error


def labels_of(card: Card, class_ids: npt.NDArray[np.integer[Any]]) -> tuple[str, ...]:
    """Return the labels of classes.

    Raises:
        ModelError: the model gives a class that has no label on the card.
    """
    for class_id in (int(class_ids.max(initial=0)), int(class_ids.min(initial=0))):
        if len(class_ids) and not 0 <= class_id < len(card.labels):
            raise ModelError(
                f"model {card.name!r} gives class {class_id}; its card has "
                f"{len(card.labels)} labels; list all of them, from class 0"
            )
    return tuple(card.labels[i] for i in class_ids)


def open_model(model: ModelFile, context: Context) -> Callable[[Sequence[Pixels]], Batch]:
    """Load a model and return a function that runs it on pictures, each uint8 [H, W, 3] RGB."""
    run = model.load(context.inference)
    preprocess = model.card.input.preprocess
    prepare, shape = preprocess.compile(), preprocess.shape or ()
    dtype = np.float32 if preprocess.normalizes else np.uint8
    use = use_of(model, context)
    observe = context.metrics.observe

    def call(pictures: Sequence[Pixels]) -> Batch:
        started = time.perf_counter()
        batch = np.empty((len(pictures), *shape), dtype)
        placements = [prepare(p, out)[1] for p, out in zip(pictures, batch, strict=True)]
        prepared = time.perf_counter()
        outputs = run(batch)
        observe("preprocess_ms", (prepared - started) * 1e3)
        observe("inference_ms", (time.perf_counter() - prepared) * 1e3)
        return Batch(outputs, placements, use)

    return call


def open_classifier(
    model: ModelFile, context: Context
) -> Callable[[Sequence[Pixels]], npt.NDArray[np.float32]]:
    """Load a classifier and return a function of pictures: float32 [B, classes], probabilities.

    That function raises `ModelError` where the model does not give one for each label of its card.
    """
    call, card = open_model(model, context), model.card
    probabilities_of = make_head(card)

    def classify(pictures: Sequence[Pixels]) -> npt.NDArray[np.float32]:
        probabilities: npt.NDArray[np.float32] = probabilities_of(call(pictures).outputs)
        if probabilities.shape[1:] != (len(card.labels),):
            raise ModelError(
                f"model {card.name!r} gives {list(probabilities.shape)} for a batch; its card "
                f"has {len(card.labels)} labels; list one for each class"
            )
        return probabilities

    return classify


def use_of(model: ModelFile, context: Context) -> ModelUse:
    """Return what results say of a model that a step uses."""
    return ModelUse(context.step, model.card.name, model.version)


def output_of(outputs: Mapping[str, npt.NDArray[Any]], name: str | None) -> npt.NDArray[Any]:
    """Return the named output, or the first one.

    Raises:
        ModelError: the model has no output of this name.
    """
    if name is None:
        return next(iter(outputs.values()))
    if name not in outputs:
        raise ModelError(f"the card names the output {name!r}; there are {list(outputs)}")
    return outputs[name]
