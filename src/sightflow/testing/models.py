"""Checks of what runs model files, and of what reads their outputs."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import ModelError
from sightflow.kinds import resolve_kind
from sightflow.models import Card
from sightflow.models.backend import Backend
from sightflow.models.shared import load_shared
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Inference, Model
from sightflow.tasks.heads import Found
from sightflow.tasks.model_step import make_head
from sightflow.testing.builders import draw_scene
from sightflow.testing.face_heads import check_embedding, check_face_detector, check_landmarks

__all__ = ["check_backend", "check_head"]

Array = npt.NDArray[Any]
Outputs = Mapping[str, Array]

_CPU = Inference(device="cpu")
_N_THREADS, _N_ROUNDS = 4, 2


def check_backend(backend: Backend, path: str, card: Card, *, tolerance: float = 0.0) -> Outputs:
    """Raise AssertionError unless a back end keeps the promises of `models.backend.Backend`.

    Args:
        backend: made without arguments; `card.backend` names its class.
        path: a small model file, which must answer differently to different pictures.
        card: of the file.
        tolerance: by how much a number may differ in another batch, as a part of 1; a library may
            add in another order when it multiplies other matrices.

    Returns:
        What the model answers for five drawn pictures.
    """
    named = resolve_kind("backends", card.backend)
    assert type(backend) is type(named()), f"the card names {card.backend!r}, which is {named}"
    call = backend.load(path, card, _CPU)
    batch = _batch(card.input.preprocess)
    before = batch.copy()
    together = dict(call(batch))
    assert np.array_equal(batch, before), "the batch must not be changed in place"
    for name, output in together.items():
        assert isinstance(output, np.ndarray), f"{name!r} must be an array; got {type(output)}"
        assert len(output) == len(batch), f"row i of {name!r} is about image i: {output.shape}"
    assert any(_differ(output) for output in together.values()), (
        "it answers the same to all pictures, so nothing was checked"
    )
    alone = _stacked([call(batch[i : i + 1]) for i in range(len(batch))])
    halves = _stacked([call(batch[:2]), call(batch[2:])])
    _check_same(alone, together, "one by one", tolerance)
    _check_same(halves, together, "in two batches", tolerance)
    threaded = _in_threads(load_shared(backend, path, card, _CPU), batch)
    _check_same(threaded, together, "in several threads", tolerance)
    _check_card(card, together)
    _check_files(backend, path, card)
    return together


def _batch(preprocess: Preprocess) -> Array:
    """Return five different pictures as the preprocessing of a card makes them."""
    prepare = preprocess.compile()
    scenes = [draw_scene(boxes=[(40 * i, 60, 40 * i + 90, 200)]) for i in range(3)]
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    pictures = [*scenes, noise, np.full((64, 64, 3), (200, 40, 40), np.uint8)]
    return np.stack([prepare(picture)[0] for picture in pictures])


def _differ(output: Array) -> bool:
    return any(not np.array_equal(output[0], row) for row in output[1:])


def _stacked(parts: Sequence[Outputs]) -> dict[str, Array]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _check_same(found: Outputs, expected: Outputs, how: str, tolerance: float) -> None:
    assert found.keys() == expected.keys(), f"{how} it has the outputs {list(found)}"
    for name, output in expected.items():
        rows = found[name].reshape(-1, *output.shape)  # of several threads
        same = all(np.allclose(row, output, rtol=tolerance, atol=tolerance) for row in rows)
        assert same, f"{how} it must answer as with all at once; {name!r} differs"


def _in_threads(call: Model, batch: Array) -> Outputs:
    """Return the answers to each image, several times over, of workers that share the model."""
    rows = list(range(len(batch))) * _N_ROUNDS
    with ThreadPoolExecutor(_N_THREADS) as threads:
        return _stacked(list(threads.map(lambda i: call(batch[i : i + 1]), rows)))


def _check_card(card: Card, outputs: Outputs) -> None:
    """Raise AssertionError unless outputs have the names that the card says."""
    try:
        _read(make_head(card), outputs, card)
    except (ModelError, LookupError) as error:
        raise AssertionError(
            f"outputs are named as the card's `head` says; there are {list(outputs)}: {error}"
        ) from error
    if card.features is not None:
        assert card.features in outputs, f"`features` is {card.features!r}; got {list(outputs)}"
        features = outputs[card.features]
        assert features.dtype == np.float32, f"features are float32; got {features.dtype}"
        assert features.ndim == 2, f"features are [B, D]; got {features.shape}"


def _read(head: Any, outputs: Outputs, card: Card) -> None:
    n_classes, labels = len(card.labels), card.labels
    if card.task.startswith("detect"):
        assert len(head(outputs, min_score=0.0)) == len(next(iter(outputs.values())))
        return
    found = head(outputs)
    if card.task != "classify":
        _CHECKS[card.task](head, outputs, found, n_classes)
        return
    shape = np.shape(found)[1:]
    assert shape == (n_classes,), f"the head gives {shape} for an image; labels are {labels}"


def _check_files(backend: Backend, path: str, card: Card) -> None:
    """Raise AssertionError unless files that are no such model, or another one, are refused."""
    whole = Path(path).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        wrong = Path(folder, f"wrong{Path(path).suffix}")
        for what, data in (("text", b"no model"), ("half a file", whole[: len(whole) // 2])):
            wrong.write_bytes(data)
            assert _refuses(lambda: backend.load(str(wrong), card, _CPU)), (
                f"{what} in place of a model must be a ModelError"
            )
    height, width = card.input.preprocess.size or (8, 8)
    larger = Preprocess(stretch=(height + 8, width + 8), std=(255, 255, 255))
    other = replace(card, input=replace(card.input, preprocess=larger))
    assert _refuses(lambda: backend.load(path, other, _CPU)(_batch(larger)), only_loading=True), (
        "a card whose preprocessing does not fit the file must be a ModelError"
    )


def _refuses(load: Callable[[], Any], *, only_loading: bool = False) -> bool:
    """Return whether loading raises ModelError; a model that takes other sizes need not."""
    try:
        load()
    except ModelError:
        return True
    except Exception:  # whatever a library raises: it must be translated
        return False
    return only_loading


def check_head(head: Any, outputs: Outputs, *, n_classes: int, task: str = "classify") -> Any:
    """Raise AssertionError unless a head reads outputs as `tasks.heads` says.

    Args:
        head: made with the options of a card.
        outputs: of a model for at least two images, which differ, by name; each [B, ...].
        n_classes: how many labels the card has.
        task: that of its card, such as `classify` and `detect`.

    Returns:
        What the head makes of the outputs.
    """
    n_images = _n_images(outputs)
    assert n_images > 1, f"a check needs outputs for two images or more; got {n_images}"
    before = {name: output.copy() for name, output in outputs.items()}
    finds = task.startswith("detect")
    found = head(outputs, min_score=0.0) if finds else head(outputs)
    for name, output in outputs.items():
        same = np.array_equal(output, before[name])
        assert same, f"output {name!r} must not be changed in place"
    _CHECKS[task](head, outputs, found, n_classes)
    return found


def _n_images(outputs: Outputs) -> int:
    return len(next(iter(outputs.values())))


def _alone(outputs: Outputs, i: int) -> Outputs:
    return {name: output[i : i + 1] for name, output in outputs.items()}


def _check_classifier(head: Any, outputs: Outputs, found: Array, n_classes: int) -> None:
    n_images = _n_images(outputs)
    shape = n_images, n_classes
    assert found.dtype == np.float32, f"a head of a classifier gives float32; got {found.dtype}"
    assert found.shape == shape, f"it gives [B, classes], {shape}; got {found.shape}"
    inside = bool((found >= 0).all() and (found <= 1).all())
    assert inside, f"probabilities are in [0, 1]; got {found.min()} to {found.max()}"
    assert _differ(found), "it says the same of all images, so nothing was checked"
    for i in range(n_images):
        alone = head(_alone(outputs, i))[0]
        assert np.allclose(alone, found[i], atol=1e-6), "an image is read the same in any batch"


def _check_detector(head: Any, outputs: Outputs, found: Sequence[Found], n_classes: int) -> None:
    assert len(found) == _n_images(outputs), (
        f"a head of a detector gives one Found each; got {len(found)}"
    )
    for one in found:
        _check_found(one, n_classes)
    scores = np.concatenate([one.scores for one in found])
    assert len(set(scores.tolist())) > 1, "a check needs candidates with several scores"
    assert any(len(one.scores) for one in found[1:]), "a check needs candidates in several images"
    middle = float(np.median(np.unique(scores)))
    for one, better in zip(found, head(outputs, min_score=middle), strict=True):
        kept = sorted(_candidates(one, middle))
        assert sorted(_candidates(better, 0.0)) == kept, f"`min_score` keeps scores from {middle}"
    for i, one in enumerate(found):
        (alone,) = head(_alone(outputs, i), min_score=0.0)
        same = _candidates(alone, 0.0) == _candidates(one, 0.0)
        assert same, "an image is read the same in any batch"


def _check_found(found: Found, n_classes: int) -> None:
    n = len(found.scores)
    columns = (
        ("boxes_xyxy", (n, 4), np.float32),
        ("scores", (n,), np.float32),
        ("class_ids", (n,), np.int32),
    )
    for name, shape, dtype in columns:
        array = getattr(found, name)
        got = f"`{name}` is {np.dtype(dtype)} {list(shape)}; got {array.dtype} {list(array.shape)}"
        assert (array.dtype, array.shape) == (dtype, shape), got
    inside = bool(((found.scores >= 0) & (found.scores <= 1)).all())
    assert inside, f"scores are in [0, 1]; got {found.scores}"
    known = bool(((found.class_ids >= 0) & (found.class_ids < n_classes)).all())
    assert known, f"class ids are below {n_classes}; got {found.class_ids}"
    ordered = bool((found.boxes_xyxy[:, :2] <= found.boxes_xyxy[:, 2:]).all())
    assert ordered, f"boxes are x1, y1, x2, y2; got {found.boxes_xyxy}"


def _candidates(found: Found, min_score: float) -> list[tuple[Any, ...]]:
    columns = zip(found.boxes_xyxy.tolist(), found.scores, found.class_ids, strict=True)
    return [(*box, s, c) for box, s, c in columns if s >= np.float32(min_score)]


_CHECKS: Mapping[str, Callable[..., None]] = {
    "classify": _check_classifier,
    "detect": _check_detector,
    "detect_faces": check_face_detector,
    "align_faces": check_landmarks,
    "embed_faces": check_embedding,
}
"""By the task of the card."""
