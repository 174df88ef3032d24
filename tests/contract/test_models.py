"""Every registered back end and head keeps its promises. A new one needs an example here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.classifiers import save_colour_classifier

from sightflow.kinds import known_kinds, resolve_kind
from sightflow.models import ModelFile, find_model, zoo, zoo_names
from sightflow.tasks.face_heads import BlazeFace, Embedding, OnetLandmarks, Scrfd, YuNet
from sightflow.tasks.heads import Logits, NanoDet, Probabilities, SeveralHeads, XyxyScoreClass, Yolo
from sightflow.testing import check_backend, check_head

BACKENDS_AT_LEAST, HEADS_AT_LEAST = 1, 10

BACKENDS: dict[str, Callable[[Path], ModelFile]] = {
    "onnx": lambda folder: find_model(save_colour_classifier(folder / "colours.onnx")),
}

CLASSES = np.array([[0.7, 0.2, 0.1], [0, 0.5, 0.5]], np.float32)
BOXES = np.array(  # x1, y1, x2, y2, score, class
    [[[1, 2, 3, 4, 0.5, 1], [0, 0, 9, 9, 0.9, 0]], [[5, 5, 6, 7, 0.7, 1], [1, 1, 2, 2, 0.1, 1]]],
    np.float32,
)
CENTRES = np.array(  # cx, cy, w, h, scores of two classes
    [
        [[9, 9, 4, 6, 0.1, 0.8], [5, 5, 1, 1, 0.6, 0.2]],
        [[1, 1, 1, 1, 0.1, 0.3], [2, 2, 2, 2, 0, 0]],
    ],
    np.float32,
)
CELLS = np.random.default_rng(0).random((2, 4, 2)).astype(np.float32)
SIDES = np.random.default_rng(1).random((2, 4, 4 * 8)).astype(np.float32)

FACES = {
    "score": 4 * CELLS[:, :, :1] - 2,
    "blaze": np.random.default_rng(2).uniform(1, 9, (2, 4, 16)).astype(np.float32),
    "sides": np.random.default_rng(3).random((2, 4, 4)).astype(np.float32),
    "points": np.random.default_rng(4).random((2, 4, 10)).astype(np.float32),
    "cls_8": CELLS[:, :, :1],
    "obj_8": CELLS[:, :, 1:],
}
"""For inputs of 16 x 16 and a stride of 8."""
YUNET = {**FACES, "bbox_8": FACES["sides"], "kps_8": FACES["points"]}
CROPS = {"box": FACES["sides"][:, 0] / 9, "points": FACES["points"][:, 0]}

HEADS: dict[str, tuple[Any, dict[str, Any], str, int]] = {
    "BlazeFace": (
        BlazeFace(("score",), ("blaze",), strides=(8,), anchors=(1,), size=(16, 16)),
        FACES,
        "detect_faces",
        1,
    ),
    "Embedding": (Embedding(((1, 2), (3, 2)), "x"), {"x": 9 * CLASSES}, "embed_faces", 0),
    "Logits": (Logits("x"), {"x": 9 * CLASSES}, "classify", 3),
    "NanoDet": (
        NanoDet(("s",), ("d",), strides=(8,), size=(16, 16)),
        {"s": CELLS, "d": SIDES},
        "detect",
        2,
    ),
    "OnetLandmarks": (OnetLandmarks("box", "points"), CROPS, "align_faces", 5),
    "Probabilities": (Probabilities(), {"x": CLASSES}, "classify", 3),
    "Scrfd": (
        Scrfd(("obj_8",), ("sides",), ("points",), strides=(8,), anchors=1, size=(16, 16)),
        FACES,
        "detect_faces",
        1,
    ),
    "SeveralHeads": (
        SeveralHeads(
            (
                {"kind": "XyxyScoreClass", "output": "x", "classes": {1: 0}},
                {
                    "kind": "Yolo",
                    "output": "y",
                    "transposed": True,
                    "classes": {0: 2, 1: 1},
                    "power": 2,
                },
            )
        ),
        {"x": BOXES, "y": CENTRES},
        "detect",
        3,
    ),
    "XyxyScoreClass": (XyxyScoreClass(), {"x": BOXES}, "detect", 2),
    "Yolo": (Yolo(transposed=True), {"x": CENTRES}, "detect", 2),
    "YuNet": (YuNet(strides=(8,), size=(16, 16)), YUNET, "detect_faces", 1),
}


def test_the_back_ends_and_heads_were_found_and_each_has_an_example() -> None:
    assert len(known_kinds("backends")) >= BACKENDS_AT_LEAST
    assert set(known_kinds("backends")) == set(BACKENDS)
    assert len(known_kinds("heads")) >= HEADS_AT_LEAST
    assert set(known_kinds("heads")) == set(HEADS)


@pytest.mark.parametrize("kind", known_kinds("backends"))
def test_it_keeps_the_promises_of_a_back_end(kind: str, tmp_path: Path) -> None:
    model = BACKENDS[kind](tmp_path)
    assert check_backend(resolve_kind("backends", kind)(), model.path, model.card)


@pytest.mark.parametrize("name", zoo_names())
def test_a_model_that_ships_keeps_the_promises_of_its_card(name: str) -> None:
    model = zoo(name)
    assert check_backend(resolve_kind("backends", model.card.backend)(), model.path, model.card)


@pytest.mark.parametrize("kind", known_kinds("heads"))
def test_it_is_of_its_kind_and_keeps_the_promises_of_a_head(kind: str) -> None:
    head, outputs, task, n_classes = HEADS[kind]
    assert type(head) is resolve_kind("heads", kind)
    assert len(check_head(head, outputs, n_classes=n_classes, task=task)) == 2
