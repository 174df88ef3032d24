"""What outputs of models about faces mean, worked out by hand for a few cells."""

import numpy as np
import pytest

from sightflow.errors import CardError, ModelError
from sightflow.tasks.face_heads import BlazeFace, Embedding, OnetLandmarks, Scrfd, YuNet


def logit(score):
    return float(np.log(score / (1 - score)))


def test_blazeface_measures_boxes_and_points_from_the_middle_of_a_cell():
    """An input of 32 x 32 has 2 x 2 cells of stride 16 with two candidates each, one of 32."""
    scores_16, scores_32 = np.full((1, 8, 1), -9.0), np.full((1, 1, 1), -9.0)
    boxes_16, boxes_32 = np.zeros((1, 8, 16)), np.zeros((1, 1, 16))
    scores_16[0, 3] = logit(0.75)  # the second candidate of the cell at x 16..32, y 0..16
    boxes_16[0, 3] = [2, -1, 8, 6, *range(12)]
    head = BlazeFace(("s16", "s32"), ("b16", "b32"), (16, 32), (2, 1), (32, 32))
    outputs = {"s16": scores_16, "s32": scores_32, "b16": boxes_16, "b32": boxes_32}

    (found,) = head({k: v.astype(np.float32) for k, v in outputs.items()}, min_score=0.5)

    assert found.scores == pytest.approx([0.75])
    assert found.boxes_xyxy.tolist() == [[22, 4, 30, 10]]  # middle (24 + 2, 8 - 1)
    assert found.landmarks_xy[0, :2].tolist() == [[24, 9], [26, 11]]
    assert found.landmarks_xy.shape == (1, 6, 2)


def test_yunet_reads_exponential_sizes_from_the_corner_of_a_cell():
    """An input of 16 x 8 has two cells of stride 8."""
    outputs = {
        "cls_8": [[[0.9], [0.9]]],
        "obj_8": [[[0.0], [0.4]]],
        "bbox_8": [[[0, 0, 0, 0], [0.5, 0.25, np.log(2), 0]]],
        "kps_8": [[[0] * 10, [0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1]]],
    }
    head = YuNet(strides=(8,), size=(8, 16))

    (found,) = head({k: np.array(v, np.float32) for k, v in outputs.items()}, min_score=0.3)

    assert found.scores == pytest.approx([0.6])  # the root of 0.9 x 0.4
    assert found.boxes_xyxy[0] == pytest.approx([4, -2, 20, 6])  # middle (12, 2), 16 x 8
    assert found.landmarks_xy[0].tolist() == [[8, 0], [16, 0], [12, 4], [8, 8], [16, 8]]


def test_scrfd_reads_distances_in_strides():
    """Two candidates in the one cell of an input of 8 x 8: the second is a face."""
    outputs = {
        "s": [[[0.1], [0.8]]],
        "d": [[[0] * 4, [0.25, 0, 1, 0.5]]],
        "p": [[[0] * 10, [0, 0, 1, 0, 0.5, 0.5, 0, 1, 1, 1]]],
    }
    head = Scrfd(("s",), ("d",), ("p",), strides=(8,), anchors=2, size=(8, 8))

    (found,) = head({k: np.array(v, np.float32) for k, v in outputs.items()}, min_score=0.5)

    assert found.boxes_xyxy.tolist() == [[-2, 0, 8, 4]]
    assert found.landmarks_xy[0, 1].tolist() == [8, 0]


def test_onet_gives_five_x_and_then_five_y():
    outputs = {"box": np.zeros((1, 4)), "points": np.arange(10)[None] / 10}
    outputs["box"][0] = [0.1, 0, -0.1, 0]

    landmarks = OnetLandmarks("box", "points")(outputs)

    assert landmarks.points_xy[0, 0] == pytest.approx([0.0, 0.5])
    assert landmarks.points_xy[0, 4] == pytest.approx([0.4, 0.9])
    assert landmarks.boxes_xyxy[0] == pytest.approx([0.1, 0, 0.9, 1])


def test_embeddings_have_the_length_1():
    head = Embedding(((0, 0), (1, 1)))

    found = head({"x": np.array([[3, 4], [0, 0]], np.float32)})

    assert found == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
    assert found.dtype == np.float32


def test_a_template_of_one_place_is_refused():
    with pytest.raises(CardError, match="`template` needs two different points"):
        Embedding(([1, 1], [1, 1]))


@pytest.mark.parametrize(
    ("head", "outputs", "message"),
    [
        (Embedding(((0, 0), (1, 1))), {"x": (2, 3, 4)}, r"reads an output \[B, D\]; got \[2, 3, 4"),
        (OnetLandmarks("b", "p"), {"b": (2, 4), "p": (2, 8)}, r"\[B, 4\] and \[B, 10\]; got"),
        (YuNet(strides=(8,)), {"cls_8": (1, 4, 2)}, r"'cls_8' of \[B, k, 1\]; got \[1, 4, 2\]"),
        (
            BlazeFace(("s",), ("b",), (16,), (2,), (32, 32)),
            {"s": (1, 9, 1), "b": (1, 9, 16)},
            "expects 8 candidates in an input of its `size`; got 9",
        ),
    ],
)
def test_outputs_of_another_form_are_told(head, outputs, message):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in outputs.items()}
    asked = {} if isinstance(head, Embedding | OnetLandmarks) else {"min_score": 0.5}
    with pytest.raises(ModelError, match=message):
        head(arrays, **asked)
