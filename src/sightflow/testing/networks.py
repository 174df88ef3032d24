"""The check of networks that are trained."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sightflow.errors import JobError, ModelError
from sightflow.learn.network import Exported, Network, Tensors, Trainable
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.train import Train
from sightflow.models import Card, ModelFile
from sightflow.pipeline import Pipeline
from sightflow.protocols import Inference
from sightflow.records import ImageRecord
from sightflow.sources.directory import Directory
from sightflow.testing.builders import a_context, a_record, draw_scene
from sightflow.testing.descriptions import check_description, sent
from sightflow.testing.operators import check_operator

__all__ = ["check_network"]

_LABELS = ("left", "right")
_OPTIMISER = Optimiser(rate=0.01, averaging=0.5)
_N_STEPS = 6
_BATCH = 4

Pixels = npt.NDArray[np.uint8]


def check_network(network: Network) -> Mapping[str, float]:
    """Raise AssertionError unless a network keeps the promises of `learn.network.Network`.

    It learns to tell eight drawn pictures apart, by where a block stands, in six steps.

    Returns:
        The loss before the first step and before the last.
    """
    check_description(network, _in_pipeline)
    network.check()
    assert network.takes in ("features", "prepared"), f"`takes` is {network.takes!r}"
    check_operator(network.preparation)
    pictures = [
        draw_scene(64, 48, boxes=[(x, 8, x + 12, 40)]) for x in (0, 40, 4, 44, 8, 48, 2, 42)
    ]
    inputs = _prepared(network, pictures)
    undisturbed, losses = _trained(network, inputs, range(_N_STEPS))
    _check_predicts(undisturbed, inputs)
    again, _ = _trained(network, inputs, range(_N_STEPS))
    _check_same(again.tensors(), undisturbed.tensors(), "the same steps give the same tensors")
    _check_restored(network, inputs, undisturbed)
    _check_weights(network, inputs, undisturbed)
    _check_export(undisturbed.export(), pictures, undisturbed.predict(inputs))
    return {"first": losses[0], "last": losses[-1]}


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


def _open(network: Network, inputs: npt.NDArray[Any]) -> Trainable:
    return sent(network).open(len(_LABELS), inputs.shape[1:], _OPTIMISER, 0)


def _trained(
    network: Network, inputs: npt.NDArray[Any], steps: range, *, tensors: Tensors | None = None
) -> tuple[Trainable, list[float]]:
    """Return the network after steps, from the first one or from tensors; and the losses."""
    opened = _open(network, inputs)
    if tensors is not None:
        opened.restore(tensors)
    losses = [_learn(opened, inputs, step) for step in steps]
    assert all(math.isfinite(loss) for loss in losses), f"losses are finite; got {losses}"
    return opened, losses


def _learn(opened: Trainable, inputs: npt.NDArray[Any], step: int) -> float:
    rows = [(step * _BATCH + i) % len(inputs) for i in range(_BATCH)]
    return opened.learn(inputs[rows], np.array([row % 2 for row in rows], np.int64), step)


def _check_predicts(opened: Trainable, inputs: npt.NDArray[Any]) -> None:
    found = opened.predict(inputs)
    assert found.dtype == np.float32, f"`predict` gives float32; got {found.dtype}"
    shape = len(inputs), len(_LABELS)
    assert found.shape == shape, f"`predict` gives [B, classes], {shape}; got {found.shape}"
    assert np.allclose(found.sum(axis=1), 1, atol=1e-4), f"probabilities add up to 1; got {found}"
    assert np.array_equal(opened.predict(inputs), found), "predicting must change nothing"
    assert not np.allclose(found, found[0]), "it says the same of all, so nothing was checked"


def _check_restored(network: Network, inputs: npt.NDArray[Any], undisturbed: Trainable) -> None:
    """Raise AssertionError unless a network goes on from its tensors to the last bit."""
    half = _N_STEPS // 2
    stopped, _ = _trained(network, inputs, range(half))
    kept = _copied(stopped.tensors())
    assert _changed(kept, undisturbed.tensors()), "steps must change tensors"
    behind, _ = _trained(network, inputs, range(half, _N_STEPS), tensors=kept)
    _check_same(behind.tensors(), undisturbed.tensors(), "what is restored goes on as if untouched")
    unknown = set(undisturbed.shared()) - set(undisturbed.tensors())
    assert not unknown, f"`shared` names tensors; it has no {sorted(unknown)}"
    try:
        _open(network, inputs).restore({})
    except JobError:
        return
    raise AssertionError("tensors of another network must be a JobError in `restore`")


def _check_weights(network: Network, inputs: npt.NDArray[Any], trained: Trainable) -> None:
    """Raise AssertionError unless weights predict the same elsewhere, and another training starts.

    The last digits may differ: weights may be kept in another scale than they are published in.
    """
    expected, weights = trained.predict(inputs), _copied(trained.weights())
    predict = _open(network, inputs).predictor(weights)
    assert predict is not None, "`predictor` takes the weights of such a network"
    assert np.allclose(predict(inputs), expected, atol=1e-4), "`predictor` predicts as they did"
    assert _open(network, inputs).predictor({}) is None, "`predictor` of other weights is None"
    started = _open(network, inputs)
    started.start(weights)
    assert np.allclose(started.predict(inputs), expected, atol=1e-4), "`start` begins with weights"
    _learn(started, inputs, 0)
    assert np.allclose(predict(inputs), expected, atol=1e-4), "weights given away do not change"
    try:
        _open(network, inputs).start({})
    except ModelError:
        return
    raise AssertionError("weights of another network must be a ModelError in `start`")


def _check_export(
    exported: Exported, pictures: Sequence[Pixels], expected: npt.NDArray[np.float32]
) -> None:
    """Raise AssertionError unless the model file says of pictures what the network says.

    Another library computes it, in another order: the last digits differ.
    """
    head = {"kind": "Probabilities", "output": exported.output}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "exported.onnx")
        path.write_bytes(exported.onnx)
        model = ModelFile(str(path), Card("exported", "classify", exported.input, head, _LABELS))
        model.check()
        prepare = exported.input.preprocess.compile()
        batch = np.stack([prepare(picture)[0] for picture in pictures])
        found = model.load(Inference(device="cpu"))(batch)[exported.output]
    assert np.allclose(found, expected, atol=1e-3), (
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
