"""The checks of back ends, heads and networks pass what keeps promises, and find what does not."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.networks import Thumbnails

from sightflow.errors import JobError, ModelError
from sightflow.learn.head import Head
from sightflow.models import Card, ModelInput
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Inference, Model
from sightflow.tasks.heads import Found, Logits, XyxyScoreClass
from sightflow.tasks.prepare import Prepare
from sightflow.testing import check_backend, check_head, check_network

Array = npt.NDArray[Any]

CARD = Card(
    "means",
    "classify",
    ModelInput(Preprocess(stretch=(4, 6), std=(255, 255, 255))),
    {"kind": "Logits", "output": "means"},
    ("red", "green", "blue"),
    backend=f"{__name__}:Means",
)


class Means:
    """Answers with the mean of each channel; the file holds the size of its input."""

    def load(self, path: str, card: Card, inference: Inference) -> Model:
        size = self.read(path)
        if card.input.preprocess.size != size:
            raise ModelError(f"{path}: takes {size}; its card makes {card.input.preprocess.size}")
        return self.model()

    def read(self, path: str) -> tuple[int, ...]:
        text = Path(path).read_bytes()
        if not text.startswith(b"means") or not text.endswith(b"end"):
            raise ModelError(f"{path}: is no model")
        return tuple(int(word) for word in text.split()[1:3])

    def model(self) -> Model:
        return lambda batch: {"means": batch.mean(axis=(2, 3))}


class OffByOthers(Means):
    """What it says of an image depends on the others."""

    def model(self) -> Model:
        return lambda batch: {"means": batch.mean(axis=(2, 3)) - batch.mean()}


class Swapping(Means):
    """It keeps its input where other threads find it."""

    def model(self) -> Model:
        kept: list[Array] = [np.zeros(0)]

        def call(batch: Array) -> dict[str, Array]:
            kept[0] = batch
            time.sleep(0.01)
            return {"means": kept[0].mean(axis=(2, 3))}

        return call


class Misnamed(Means):
    def model(self) -> Model:
        return lambda batch: {"mean": batch.mean(axis=(2, 3))}


class Dull(Means):
    def model(self) -> Model:
        return lambda batch: {"means": np.zeros((len(batch), 3), np.float32)}


class Narrow(Means):
    def model(self) -> Model:
        return lambda batch: {"means": batch.mean(axis=(2, 3))[:, :2]}


class Rash(Means):
    """It does not look at what it loads."""

    def read(self, path: str) -> tuple[int, ...]:
        return 4, 6


class Untranslated(Means):
    def read(self, path: str) -> tuple[int, ...]:
        if not Path(path).read_bytes().startswith(b"means"):
            raise EOFError("of a library")
        return 4, 6


class Surprised(Means):
    """It finds out at the first image that the size is wrong."""

    def load(self, path: str, card: Card, inference: Inference) -> Model:
        self.read(path)
        return lambda batch: {"means": batch.reshape(len(batch), 3, 4 * 6).mean(axis=2)}


class Painting(Means):
    def model(self) -> Model:
        def call(batch: Array) -> dict[str, Array]:
            means = batch.mean(axis=(2, 3))
            batch[:] = 0
            return {"means": means}

        return call


def means(folder: Path, kind: type[Means]) -> tuple[Means, str, Card]:
    path = folder / "model.means"
    path.write_text("means 4 6 and so on: end")
    return kind(), str(path), replace(CARD, backend=f"{__name__}:{kind.__name__}")


def test_a_back_end_that_keeps_its_promises_passes(tmp_path: Path) -> None:
    assert check_backend(*means(tmp_path, Means))["means"].shape == (5, 3)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (OffByOthers, "one by one it must answer as with all at once; 'means' differs"),
        (Swapping, "in several threads it must answer as with all at once"),
        (Misnamed, r"outputs are named as the card's `head` says; there are \['mean'\]"),
        (Dull, "it answers the same to all pictures, so nothing was checked"),
        (Narrow, r"the head gives \(2,\) for an image; labels are"),
        (Rash, "text in place of a model must be a ModelError"),
        (Untranslated, "text in place of a model must be a ModelError"),
        (Surprised, "a card whose preprocessing does not fit the file must be a ModelError"),
        (Painting, "the batch must not be changed in place"),
    ],
)
def test_a_back_end_that_breaks_a_promise_is_found(
    kind: type[Means], message: str, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError, match=message):
        check_backend(*means(tmp_path, kind))


def test_a_card_that_names_another_back_end_is_found(tmp_path: Path) -> None:
    _, path, card = means(tmp_path, Means)
    with pytest.raises(AssertionError, match="the card names"):
        check_backend(Dull(), path, card)


def test_features_that_a_card_names_must_be_there(tmp_path: Path) -> None:
    backend, path, card = means(tmp_path, Means)
    assert check_backend(backend, path, replace(card, features="means"))
    with pytest.raises(AssertionError, match=r"`features` is 'deep'; got \['means'\]"):
        check_backend(backend, path, replace(card, features="deep"))


# --- heads ---------------------------------------------------------------------------------------

LOGITS = {"x": np.array([[2, 1, 0], [0, 1, 2]], np.float32)}
ROWS = np.array(
    [[[1, 2, 3, 4, 0.5, 1], [0, 0, 9, 9, 0.9, 0]], [[5, 5, 6, 7, 0.7, 1], [1, 1, 2, 2, 0.1, 1]]],
    np.float32,
)


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda outputs: outputs["x"], r"probabilities are in \[0, 1\]"),
        (lambda outputs: Logits()(outputs).astype(np.float64), "gives float32; got float64"),
        (lambda outputs: Logits()(outputs)[:, :2], r"\[B, classes\], \(2, 3\); got \(2, 2\)"),
        (lambda outputs: np.full((2, 3), 0.5, np.float32), "so nothing was checked"),
        (lambda outputs: Logits()(outputs) / len(outputs["x"]), "is read the same in any batch"),
        (lambda outputs: Logits()({"x": _blank(outputs["x"])}), "must not be changed in place"),
    ],
)
def test_a_head_of_a_classifier_that_breaks_a_promise_is_found(
    head: Callable[..., Any], message: str
) -> None:
    check_head(Logits(), LOGITS, n_classes=3)
    with pytest.raises(AssertionError, match=message):
        check_head(head, {"x": LOGITS["x"].copy()}, n_classes=3)


def _blank(logits: Array) -> Array:
    kept = logits.copy()
    logits[:] = 0
    return kept


@dataclass(frozen=True)
class Detector:
    """Reads rows of six; a change makes it break a promise."""

    change: Callable[[Sequence[Found], float], Any]

    def __call__(self, outputs: dict[str, Array], *, min_score: float) -> Any:
        return self.change(XyxyScoreClass()(outputs, min_score=min_score), min_score)


def everything(found: Sequence[Found], min_score: float) -> Sequence[Found]:
    return XyxyScoreClass()({"x": ROWS[: len(found)]}, min_score=0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found, _: found[:1], "gives one Found each; got 1"),
        (everything, "`min_score` keeps scores from"),
        (lambda found, _: [replace(f, scores=f.scores * 9) for f in found], r"scores are in \[0"),
        (
            lambda found, _: [replace(f, class_ids=f.class_ids.astype(np.int64)) for f in found],
            r"`class_ids` is int32 \[2\]; got int64",
        ),
        (lambda found, _: [replace(f, class_ids=f.class_ids + 1) for f in found], "below 2"),
        (
            lambda found, _: [replace(f, boxes_xyxy=f.boxes_xyxy[:, ::-1]) for f in found],
            "boxes are x1, y1, x2, y2",
        ),
        (
            lambda found, _: [replace(f, boxes_xyxy=f.boxes_xyxy / len(found)) for f in found],
            "an image is read the same in any batch",
        ),
    ],
)
def test_a_head_of_a_detector_that_breaks_a_promise_is_found(
    change: Callable[[Sequence[Found], float], Any], message: str
) -> None:
    check_head(XyxyScoreClass(), {"x": ROWS}, n_classes=2, task="detect")
    with pytest.raises(AssertionError, match=message):
        check_head(Detector(change), {"x": ROWS.copy()}, n_classes=2, task="detect")


def test_a_head_is_checked_with_several_images() -> None:
    with pytest.raises(AssertionError, match="two images or more; got 1"):
        check_head(Logits(), {"x": LOGITS["x"][:1]}, n_classes=3)


# --- networks ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Small(Thumbnails):
    """One layer on small pictures; it may break one promise."""

    breaks: str = ""

    @property
    def preparation(self) -> Prepare:
        return Prepare() if self.breaks == "sizes" else super().preparation

    def open(self, n_classes: int, shape: tuple[int, ...], optimiser: Any, seed: int) -> Any:
        opened = super().open(n_classes, shape, optimiser, seed)
        return _Broken(opened, self.breaks)


class _Broken:
    def __init__(self, opened: Any, breaks: str) -> None:
        self._opened, self._breaks = opened, breaks
        self._n_calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def predict(self, inputs: Array) -> Array:
        found: Array = self._opened.predict(inputs)
        if self._breaks == "predict":
            return found.astype(np.float64)
        return found * 2 if self._breaks == "sum" else found

    def learn(self, inputs: Array, class_ids: Array, step: int) -> float:
        self._n_calls += 1
        if self._breaks == "draws":
            inputs = inputs + np.random.default_rng().integers(0, 9, inputs.shape)
        # the number of the call in place of that of the step: which is the same until a restart
        number = self._n_calls - 1 if self._breaks == "counts" else step
        loss: float = self._opened.learn(inputs, class_ids, number)
        return float("nan") if self._breaks == "loss" else loss

    def restore(self, tensors: Any) -> None:
        try:
            self._opened.restore(tensors)
        except JobError:
            if self._breaks != "restore":
                raise

    def start(self, weights: Any) -> None:
        if self._breaks != "start" or not weights:
            self._opened.start(weights)

    def predictor(self, weights: Any) -> Any:
        return (
            self._opened.predict if self._breaks == "predictor" else self._opened.predictor(weights)
        )

    def shared(self) -> Sequence[str]:
        return ["unknown"] if self._breaks == "shared" else self._opened.shared()


@pytest.mark.parametrize(
    ("breaks", "message"),
    [
        ("predict", "`predict` gives float32; got float64"),
        ("sum", "probabilities add up to 1"),
        ("loss", "losses are finite"),
        ("draws", "the same steps give the same tensors, to the last bit"),
        ("counts", "what is restored goes on as if untouched, to the last bit"),
        ("restore", "tensors of another network must be a JobError"),
        ("start", "`start` begins with weights"),
        ("predictor", "`predictor` predicts as they did"),
        ("shared", r"`shared` names tensors; it has no \['unknown'\]"),
    ],
)
def test_a_network_that_breaks_a_promise_is_found(breaks: str, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_network(Small(breaks))


def test_a_network_whose_export_is_no_model_is_found() -> None:
    with pytest.raises(ModelError, match="ONNX Runtime cannot load it"):
        check_network(Small())  # its export only looks like one


@dataclass(frozen=True)
class Mirrored(Head):
    """It exports another network than it has trained."""

    def open(self, n_classes: int, shape: tuple[int, ...], optimiser: Any, seed: int) -> Any:
        opened: Any = super().open(n_classes, shape, optimiser, seed)
        opened.export = super().open(n_classes, shape, optimiser, seed).export
        return opened


def test_a_network_whose_export_says_something_else_is_found() -> None:
    with pytest.raises(AssertionError, match="the exported model must agree with `predict`"):
        check_network(Mirrored())
