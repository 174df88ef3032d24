"""The check of networks that are trained."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import JobError, ModelError
from sightflow.learn.network import Exported, Network, ObjectNetwork, Said, Tensors, Trainable
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.train import Train
from sightflow.models import Card, ModelFile
from sightflow.pipeline import Pipeline
from sightflow.protocols import Inference
from sightflow.records import ImageRecord
from sightflow.sources.directory import Directory
from sightflow.tasks.heads import Found
from sightflow.tasks.model_step import head_of
from sightflow.testing.builders import a_context, a_record, draw_scene
from sightflow.testing.descriptions import check_description, sent
from sightflow.testing.operators import check_operator

__all__ = ["check_network"]

_LABELS = ("left", "right")
_OPTIMISER = Optimiser(rate=0.01, averaging=0.5)
_N_STEPS = 6
_BATCH = 4
_BOXES = [(x, 8, x + 12, 40) for x in (0, 40, 4, 44, 8, 48, 2, 42)]
"""Of the block in each picture, in pixels."""

Pixels = npt.NDArray[np.uint8]


def check_network(network: Network) -> Mapping[str, float]:
    """Raise AssertionError unless a network keeps the promises of `learn.network.Network`.

    It learns to tell eight drawn pictures apart, by where a block stands, in six steps. A network
    that learns where objects are must not leave out any, so as to be checked: `min_score` 0.

    Returns:
        The loss before the first step and before the last.
    """
    check_description(network, _in_pipeline)
    network.check()
    assert network.takes in ("features", "prepared"), f"`takes` is {network.takes!r}"
    check_operator(network.preparation)
    pictures = [draw_scene(64, 48, boxes=[box]) for box in _BOXES]
    lessons = _Lessons(network, _prepared(network, pictures))
    undisturbed, losses = _trained(lessons, range(_N_STEPS))
    _check_predicts(undisturbed, lessons)
    again, _ = _trained(lessons, range(_N_STEPS))
    _check_same(again.tensors(), undisturbed.tensors(), "the same steps give the same tensors")
    _check_restored(lessons, undisturbed)
    _check_weights(lessons, undisturbed)
    _check_export(undisturbed.export(), pictures, undisturbed.predict(lessons.inputs))
    return {"first": losses[0], "last": losses[-1]}


@dataclass(frozen=True, eq=False)
class _Lessons:
    """Inputs of a network; every other one is of the other class."""

    network: Network
    inputs: npt.NDArray[Any]

    def open(self) -> Trainable:
        return sent(self.network).open(len(_LABELS), self.inputs.shape[1:], _OPTIMISER, 0)

    def learn(self, opened: Trainable, step: int) -> float:
        rows = [(step * _BATCH + i) % len(self.inputs) for i in range(_BATCH)]
        return opened.learn(self.inputs[rows], self._truths(rows), step)

    def _truths(self, rows: Sequence[int]) -> Any:
        class_ids = np.array([row % 2 for row in rows], np.int64)
        if not isinstance(self.network, ObjectNetwork):
            return class_ids
        placement = self.network.preprocess.placement_for(64, 48)
        boxes = placement.from_source(np.array([_BOXES[row] for row in rows], np.float32))
        objects = np.concatenate([boxes, class_ids[:, None]], axis=1, dtype=np.float32)
        return [row[None] for row in objects]


def _in_pipeline(network: Network) -> Pipeline:
    return Pipeline(Directory("photos")).apply("train", Train(_LABELS, network=network))


def _prepared(network: Network, pictures: Sequence[Pixels]) -> npt.NDArray[Any]:
    """Return what the network's preparation makes of pictures, [B, ...]."""
    context = a_context()
    with context.resources:
        process = network.preparation.open(context)
        outcomes = [o for picture in pictures for o in process([a_record(picture)])]
    arrays = [getattr(o, network.takes) for o in outcomes if isinstance(o, ImageRecord)]
    assert len(arrays) == len(pictures), f"its preparation rejects pictures: {outcomes}"
    assert all(array is not None for array in arrays), f"its preparation gives `{network.takes}`"
    return np.stack(arrays)


def _trained(
    lessons: _Lessons, steps: range, *, tensors: Tensors | None = None
) -> tuple[Trainable, list[float]]:
    """Return the network after steps, from the first one or from tensors; and the losses."""
    opened = lessons.open()
    if tensors is not None:
        opened.restore(tensors)
    losses = [lessons.learn(opened, step) for step in steps]
    assert all(math.isfinite(loss) for loss in losses), f"losses are finite; got {losses}"
    return opened, losses


def _check_predicts(opened: Trainable, lessons: _Lessons) -> None:
    found = opened.predict(lessons.inputs)
    n = len(lessons.inputs)
    assert len(found) == n, f"`predict` says something of each of {n} inputs; got {len(found)}"
    if isinstance(lessons.network, ObjectNetwork):
        assert all(isinstance(one, Found) for one in found), f"objects are `Found`; got {found[0]}"
    else:
        assert found.dtype == np.float32, f"`predict` gives float32; got {found.dtype}"
        shape = n, len(_LABELS)
        assert found.shape == shape, f"`predict` gives [B, classes], {shape}; got {found.shape}"
        assert np.allclose(found.sum(axis=1), 1, atol=1e-4), (
            f"probabilities add up to 1; got {found}"
        )
    assert _agree(opened.predict(lessons.inputs), found, 0), "predicting must change nothing"
    same = all(_agree([one], [found[0]], 1e-6) for one in found)
    assert not same, "it says the same of all, so nothing was checked"


def _agree(some: Said, others: Said, tolerance: float) -> bool:
    """Return whether the same is said, up to a difference of probabilities, or of 1,000 pixels."""
    return all(
        a.shape == b.shape and np.allclose(a, b, rtol=0, atol=tolerance)
        for one, other in zip(some, others, strict=True)
        for a, b in zip(_columns(one), _columns(other), strict=True)
    )


def _columns(said: Any) -> Sequence[npt.NDArray[Any]]:
    if isinstance(said, Found):
        return said.boxes_xyxy / 1_000, said.scores, said.class_ids
    return (np.asarray(said),)


def _check_restored(lessons: _Lessons, undisturbed: Trainable) -> None:
    """Raise AssertionError unless a network goes on from its tensors to the last bit."""
    half = _N_STEPS // 2
    stopped, _ = _trained(lessons, range(half))
    kept = _copied(stopped.tensors())
    assert _changed(kept, undisturbed.tensors()), "steps must change tensors"
    behind, _ = _trained(lessons, range(half, _N_STEPS), tensors=kept)
    _check_same(behind.tensors(), undisturbed.tensors(), "what is restored goes on as if untouched")
    unknown = set(undisturbed.shared()) - set(undisturbed.tensors())
    assert not unknown, f"`shared` names tensors; it has no {sorted(unknown)}"
    try:
        lessons.open().restore({})
    except JobError:
        return
    raise AssertionError("tensors of another network must be a JobError in `restore`")


def _check_weights(lessons: _Lessons, trained: Trainable) -> None:
    """Raise AssertionError unless weights predict the same elsewhere, and another training starts.

    The last digits may differ: weights may be kept in another scale than they are published in.
    """
    inputs = lessons.inputs
    expected, weights = trained.predict(inputs), _copied(trained.weights())
    predict = lessons.open().predictor(weights)
    assert predict is not None, "`predictor` takes the weights of such a network"
    assert _agree(predict(inputs), expected, 1e-4), "`predictor` predicts as they did"
    assert lessons.open().predictor({}) is None, "`predictor` of other weights is None"
    started = lessons.open()
    started.start(weights)
    assert _agree(started.predict(inputs), expected, 1e-4), "`start` begins with weights"
    lessons.learn(started, 0)
    assert _agree(predict(inputs), expected, 1e-4), "weights given away do not change"
    try:
        lessons.open().start({})
    except ModelError:
        return
    raise AssertionError("weights of another network must be a ModelError in `start`")


def _check_export(exported: Exported, pictures: Sequence[Pixels], expected: Said) -> None:
    """Raise AssertionError unless the model file says of pictures what the network says.

    Another library computes it, in another order: the last digits differ.
    """
    card = Card("exported", exported.task, exported.input, exported.head, _LABELS)
    read = partial(head_of(card), **({"min_score": 0.0} if exported.task == "detect" else {}))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "exported.onnx")
        path.write_bytes(exported.onnx)
        model = ModelFile(str(path), card)
        model.check()
        prepare = exported.input.preprocess.compile()
        batch = np.stack([prepare(picture)[0] for picture in pictures])
        found = read(model.load(Inference(device="cpu"))(batch))
    assert _agree(found, expected, 1e-3), (
        f"the exported model must agree with `predict`; it says {found} and not {expected}"
    )


def _copied(tensors: Tensors) -> dict[str, npt.NDArray[Any]]:
    return {name: np.array(value) for name, value in tensors.items()}


def _changed(one: Tensors, other: Tensors) -> bool:
    return any(np.asarray(one[n]).tobytes() != np.asarray(other[n]).tobytes() for n in one)


def _check_same(found: Tensors, expected: Tensors, rule: str) -> None:
    assert found.keys() == expected.keys(), f"{rule}: they have the same names"
    for name, value in expected.items():
        same = np.asarray(found[name]).tobytes() == np.asarray(value).tobytes()
        assert same, f"{rule}, to the last bit; {name!r} differs"
