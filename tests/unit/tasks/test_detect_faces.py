"""Faces in pixels of the original, small ones in large pictures too, each of them once.

One tiny model finds the same rows in everything it looks at. Another finds red blocks in an input
of 100 x 100, as detectors find faces: none that is small there, and none that fills it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data
from onnx import TensorProto, helper, save_model

from sightflow.errors import ModelError, PipelineError
from sightflow.models import Card, ModelFile, ModelInput, write_card, zoo
from sightflow.ops.boxes import box_iou
from sightflow.ops.preprocess import Preprocess
from sightflow.protocols import Context, Process
from sightflow.protocols.context import NoMetrics
from sightflow.records import Faces, ImageRecord, ModelUse
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.face_heads import FoundFaces
from sightflow.testing import a_context, a_record, check_operator

Pixels = npt.NDArray[np.uint8]
Make = Callable[..., ModelFile]

SURE = 0.9
"""A score that calls for no second look."""
SMALLEST, LARGEST = 16, 60
"""Sides of the blocks that are found, in pixels of the input."""


def found(rows: Sequence[Sequence[float]]) -> FoundFaces:
    """Return rows of x1, y1, x2, y2, score; the landmarks are the corners."""
    table = np.array(rows, np.float32).reshape(-1, 5)
    boxes = table[:, :4]
    return FoundFaces(boxes, table[:, 4], boxes.reshape(-1, 2, 2))


@dataclass(frozen=True)
class Rows:
    """Finds the same in everything."""

    rows: tuple[tuple[float, ...], ...] = ()

    def __call__(self, outputs: Mapping[str, Any], *, min_score: float) -> list[FoundFaces]:
        one = found(self.rows)
        return [one.take(one.scores >= min_score) for _ in outputs["seen"]]


@dataclass(frozen=True)
class RedBlocks:
    """Finds red blocks; their blue is the score, in percent."""

    def __call__(self, outputs: Mapping[str, Any], *, min_score: float) -> list[FoundFaces]:
        return [self._one(pixels, min_score) for pixels in outputs["seen"]]

    def _one(self, pixels: npt.NDArray[np.float32], min_score: float) -> FoundFaces:
        mask = (pixels[:, :, 0] == 255).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
        rows = []
        for x, y, width, height, _ in stats[1:].tolist():
            score = float(pixels[y, x, 2]) / 100
            if SMALLEST <= max(width, height) <= LARGEST and score >= min_score:
                rows.append((x, y, x + width, y + height, score))
        return found(rows)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes a detector whose output is its input."""

    def make_one(kind: str, preprocess: Preprocess | None = None, **options: Any) -> ModelFile:
        path = tmp_path / "sees.onnx"
        value = ["B", "H", "W", 3]
        graph = helper.make_graph(
            [helper.make_node("Identity", ["images"], ["seen"])],
            "sees",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, value)],
            [helper.make_tensor_value_info("seen", TensorProto.FLOAT, value)],
        )
        opset = helper.make_opsetid("", 17)
        save_model(helper.make_model(graph, opset_imports=[opset], ir_version=9), path)
        card = Card(
            name="sees",
            task="detect_faces",
            version="1",
            input=ModelInput(preprocess or letterbox("top_left")),
            head={"kind": f"{__name__}:{kind}", **options},
            labels=("face",),
        )
        write_card(card, path.with_suffix(".yaml"))
        return ModelFile(str(path), card)

    return make_one


def letterbox(anchor: Any) -> Preprocess:
    return Preprocess(
        letterbox=(100, 100), anchor=anchor, interpolation="nearest", std=(1, 1, 1), layout="HWC"
    )


@pytest.fixture
def always(make: Make) -> Callable[..., ModelFile]:
    """Return a function that makes a detector which finds these rows in everything."""

    def make_one(*rows: tuple[float, ...], preprocess: Preprocess | None = None) -> ModelFile:
        return make("Rows", preprocess, rows=[list(row) for row in rows])

    return make_one


@pytest.fixture
def blocks(make: Make) -> ModelFile:
    return make("RedBlocks")


def a_picture(width: int, height: int, *blocks: tuple[int, ...], score: float = SURE) -> Pixels:
    """Return a grey picture with red blocks: x, y, width, height."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    for x, y, w, h in blocks:
        pixels[y : y + h, x : x + w] = 255, 0, round(100 * score)
    return pixels


def shrunk_to(width: int, height: int, *, original: tuple[int, int]) -> ImageRecord:
    return a_record(a_picture(width, height), width=original[0], height=original[1])


def faces_in(pixels: Pixels | ImageRecord, model: ModelFile, **options: Any) -> Faces:
    record = pixels if isinstance(pixels, ImageRecord) else a_record(pixels)
    (outcome,) = DetectFaces(model, **options).open(a_context())([record])
    faces = outcome.faces
    assert faces is not None
    return faces


def boxes_in(pixels: Pixels | ImageRecord, model: ModelFile, **options: Any) -> list[list[float]]:
    boxes: list[list[float]] = faces_in(pixels, model, **options).boxes_xyxy.tolist()
    return sorted(boxes)


# What is found, in pixels of the original


def test_it_keeps_the_promises_of_an_operator(always):
    outcomes = check_operator(DetectFaces(always((10, 10, 20, 20, 0.9)), tile_px=100))

    assert all(outcome.faces is not None for outcome in outcomes)


def test_boxes_and_landmarks_are_in_pixels_of_the_original(always):
    """400 x 200 fits into 100 x 100 at a scale of 1/4."""
    faces = faces_in(a_picture(400, 200), always((10, 5, 30, 35, 0.9)))

    assert faces.boxes_xyxy.tolist() == [[40, 20, 120, 140]]
    assert faces.landmarks_xy.tolist() == [[[40, 20], [120, 140]]]
    assert faces.scores == pytest.approx([0.9])


@pytest.mark.parametrize("reduced", [(200, 100), (100, 50)])
def test_they_are_in_pixels_of_the_original_when_its_pixels_are_reduced(always, reduced):
    record = shrunk_to(*reduced, original=(400, 200))

    faces = faces_in(record, always((10, 5, 30, 35, 0.9)))

    assert faces.boxes_xyxy.tolist() == [[40, 20, 120, 140]]
    assert faces.landmarks_xy.tolist() == [[[40, 20], [120, 140]]]


def test_a_reduction_that_does_not_divide_the_size_counts_each_axis_by_itself(always):
    """A picture of 401 x 203 reduced to 101 x 51 and stretched to 100 x 100."""
    stretched = Preprocess(stretch=(100, 100), std=(1, 1, 1), layout="HWC")
    model = always((50, 50, 75, 75, 0.9), preprocess=stretched)

    faces = faces_in(shrunk_to(101, 51, original=(401, 203)), model)

    expected = np.float32([[200.5, 101.5, 300.75, 152.25]])
    assert faces.boxes_xyxy == pytest.approx(expected, abs=1e-3)
    assert faces.landmarks_xy[0].ravel() == pytest.approx(expected[0], abs=1e-3)


def test_bars_of_a_letterbox_are_taken_off(always):
    """400 x 200 lies in the middle of 100 x 100, below a bar of 25."""
    model = always((10, 30, 30, 60, 0.9), preprocess=letterbox("center"))

    faces = faces_in(a_picture(400, 200), model)

    assert faces.boxes_xyxy.tolist() == [[40, 20, 120, 140]]
    assert faces.landmarks_xy.tolist() == [[[40, 20], [120, 140]]]


def test_boxes_are_cut_at_the_edges_of_the_image_and_landmarks_are_not(always):
    faces = faces_in(a_picture(200, 100), always((-10, -5, 20, 20, 0.9)))

    assert faces.boxes_xyxy.tolist() == [[0, 0, 40, 40]]
    assert faces.landmarks_xy.tolist() == [[[-20, -10], [40, 40]]]


def test_a_face_that_lies_wholly_in_a_bar_is_no_face(always):
    """200 x 100 fills the upper half of the input; below it is nothing."""
    assert boxes_in(a_picture(200, 100), always((10, 60, 30, 80, 0.9))) == []


def test_each_image_of_a_batch_has_its_own_faces(blocks):
    pictures = [
        a_picture(100, 100, (20, 30, 20, 20)),
        a_picture(100, 100),
        a_picture(200, 100, (40, 40, 40, 40)),
    ]

    outcomes = DetectFaces(blocks).open(a_context())([a_record(p) for p in pictures])

    assert [outcome.faces.boxes_xyxy.tolist() for outcome in outcomes] == [
        [[20, 30, 40, 50]],
        [],
        [[40, 40, 80, 80]],
    ]


def test_nothing_found_is_a_result(blocks):
    faces = faces_in(a_picture(100, 100), blocks)

    assert len(faces) == 0
    assert faces.boxes_xyxy.shape == (0, 4)
    assert faces.landmarks_xy.shape == (0, 2, 2)


@pytest.mark.parametrize("size", [(1, 1), (3_000, 1), (1, 3_000)], ids=str)
def test_a_picture_of_any_size_is_looked_at(blocks, size):
    assert boxes_in(a_picture(*size), blocks) == []


def test_the_use_of_the_model_is_noted(always):
    step = DetectFaces(always((10, 10, 20, 20, 0.9)))

    (outcome,) = step.open(a_context("look"))([a_record()])

    assert outcome.models == (ModelUse("look", "sees", "1"),)


# Which of the candidates are faces


def test_faces_below_min_score_are_left_out(always):
    model = always((0, 0, 20, 20, 0.9), (50, 0, 70, 20, 0.75))

    assert len(faces_in(a_picture(100, 100), model, min_score=0.75)) == 2
    assert len(faces_in(a_picture(100, 100), model, min_score=0.76)) == 1


def test_the_best_face_comes_first_with_its_own_landmarks(always):
    faces = faces_in(a_picture(100, 100), always((0, 0, 20, 20, 0.9), (50, 0, 70, 20, 0.95)))

    assert faces.scores == pytest.approx([0.95, 0.9])
    assert faces.landmarks_xy[:, 0].tolist() == [[50, 0], [0, 0]]


def test_of_two_faces_that_overlap_the_better_one_stays(always):
    """Two boxes of 20 x 20, 8 apart: an overlap of 240 / 560, about 0.43."""
    model = always((10, 10, 30, 30, 0.9), (18, 10, 38, 30, 0.95))

    assert boxes_in(a_picture(100, 100), model, max_iou=0.42) == [[18, 10, 38, 30]]
    assert len(boxes_in(a_picture(100, 100), model, max_iou=0.44)) == 2


def test_a_box_that_lies_in_a_better_one_for_the_most_part_is_a_part_of_that_face(always):
    """A box of 10 x 10 in one of 30 x 30, beyond whose edge a part of it lies."""
    face = (10, 10, 40, 40, 0.95)
    inside = always(face, (33, 20, 43, 30, 0.9))  # 70 %
    outside = always(face, (34, 20, 44, 30, 0.9))  # 60 %

    assert boxes_in(a_picture(100, 100), inside) == [[10, 10, 40, 40]]
    assert len(boxes_in(a_picture(100, 100), outside)) == 2


def test_a_better_box_in_a_larger_one_hides_no_face(always):
    model = always((10, 10, 40, 40, 0.9), (20, 20, 30, 30, 0.95))

    assert len(boxes_in(a_picture(100, 100), model)) == 2


def test_max_faces_keeps_the_best(always):
    model = always(*((20 * i, 0, 20 * i + 10, 10, 0.86 + i / 100) for i in range(4)))

    faces = faces_in(a_picture(100, 100), model, max_faces=2)

    assert faces.scores == pytest.approx([0.89, 0.88])


def test_a_part_of_a_face_does_not_count_among_max_faces(always):
    rows = (10, 10, 40, 40, 0.95), (15, 15, 25, 25, 0.9), (60, 60, 80, 80, 0.87)

    faces = faces_in(a_picture(100, 100), always(*rows), max_faces=2)

    assert faces.scores == pytest.approx([0.95, 0.87])


# Tiles: 400 x 200 is looked at as a whole, where a face of 64 pixels or more is seen, and in three
# tiles of 200 x 200, from x = 0, 100 and 200, where one of 32 pixels or more is seen.

TILES = {"tile_px": 200}


@pytest.mark.parametrize("x", [10, 150, 200, 340])
def test_a_small_face_in_a_large_picture_is_found_in_a_tile(blocks, x):
    picture = a_picture(400, 200, (x, 80, 40, 40))

    assert boxes_in(picture, blocks, **TILES) == [[x, 80, x + 40, 120]]
    assert boxes_in(picture, blocks, tile_px=None) == []


def test_a_picture_no_larger_than_a_tile_is_looked_at_as_a_whole_only(blocks):
    picture = a_picture(400, 200, (150, 80, 40, 40))

    assert boxes_in(picture, blocks, tile_px=400) == []
    assert boxes_in(picture, blocks, tile_px=399) == []  # shown at no more than its size
    assert boxes_in(picture, blocks, tile_px=200) == [[150, 80, 190, 120]]


def test_tiles_are_counted_in_pixels_of_the_original_where_these_are_reduced(blocks):
    """The same picture at half its size: a tile of 400 is one of 200 there."""
    record = a_record(a_picture(400, 200, (150, 80, 40, 40)), width=800, height=400)

    assert boxes_in(record, blocks, tile_px=400) == [[300, 160, 380, 240]]
    assert boxes_in(record, blocks, tile_px=800) == []


def test_a_face_that_several_views_show_is_found_once(blocks):
    """The whole picture and all tiles that have it."""
    picture = a_picture(400, 200, (120, 60, 72, 72))

    assert boxes_in(picture, blocks, **TILES) == [[120, 60, 192, 132]]


def test_a_face_in_the_last_of_many_tiles_is_found(blocks):
    picture = a_picture(1600, 1600, (1520, 1520, 40, 40))

    assert boxes_in(picture, blocks, **TILES) == [[1520, 1520, 1560, 1560]]


def test_a_face_that_the_edge_of_a_tile_cuts_is_not_taken_from_it(blocks):
    """350 x 350 has tiles from 0 and 150, and the whole picture shows 56 pixels as 16.

    52 pixels from x = 149 are cut by both tiles, by one pixel each; from x = 140 one has them all.
    """
    across = a_picture(350, 350, (149, 20, 52, 52))
    within = a_picture(350, 350, (140, 20, 52, 52))

    assert boxes_in(across, blocks, **TILES) == []
    assert boxes_in(within, blocks, **TILES) == [[140, 20, 192, 72]]


@pytest.mark.parametrize(
    ("x", "n_found"), [(0, 0), (2, 0), (6, 1), (354, 1), (358, 0), (360, 0)], ids=str
)
def test_a_small_face_that_the_edge_of_the_picture_cuts_is_not_taken(blocks, x, n_found):
    """2 % of a tile are 4 pixels."""
    picture = a_picture(400, 200, (x, 80, 40, 40))

    assert len(boxes_in(picture, blocks, **TILES)) == n_found


def test_a_large_face_is_found_at_the_edge_of_the_picture(blocks):
    assert boxes_in(a_picture(400, 200, (0, 60, 72, 72)), blocks, **TILES) == [[0, 60, 72, 132]]


@pytest.mark.parametrize(("side", "n_found"), [(50, 1), (52, 0)])
def test_a_face_larger_than_half_a_tile_is_not_taken_from_it(always, side, n_found):
    """The last tile of 400 x 400 shows it at (220, 220), and the whole picture elsewhere."""
    model = always((10, 10, 10 + side, 10 + side, 0.9))

    boxes = boxes_in(a_picture(400, 400), model, **TILES)

    size = 220 + 2 * side
    assert boxes.count([220, 220, size, size]) == n_found


@pytest.mark.parametrize(
    ("min_score", "score", "n_found"),
    [(0.5, 0.64, 0), (0.5, 0.66, 1), (0.9, 0.94, 0), (0.9, 0.96, 1)],
)
def test_a_face_in_a_tile_must_score_more(blocks, min_score, score, n_found):
    """By 0.15, or by half of what is missing to 1."""
    picture = a_picture(400, 200, (150, 80, 40, 40), score=score)

    assert len(boxes_in(picture, blocks, min_score=min_score, **TILES)) == n_found


def test_a_face_in_the_whole_picture_need_not_score_more(blocks):
    picture = a_picture(400, 200, (150, 60, 72, 72), score=0.64)

    assert len(boxes_in(picture, blocks, min_score=0.6, **TILES)) == 1


# The second look


def test_a_face_that_fills_the_picture_is_found_from_farther_away(blocks):
    """88 of 100 pixels of the input are too many for the model; 44 in the middle are not."""
    picture = a_picture(200, 100, (12, 8, 176, 84))

    assert boxes_in(picture, blocks) == [[12, 8, 188, 92]]


def test_what_is_found_from_farther_away_is_in_pixels_of_the_original(blocks):
    record = a_record(a_picture(200, 100, (12, 8, 176, 84)), width=600, height=300)

    faces = faces_in(record, blocks)

    assert faces.boxes_xyxy.tolist() == [[36, 24, 564, 276]]
    assert faces.landmarks_xy.tolist() == [[[36, 24], [564, 276]]]


class Counted(NoMetrics):
    """Counts how often a model was called."""

    def __init__(self) -> None:
        self.n_calls = 0

    def observe(self, name: str, value: float, /) -> None:
        self.n_calls += name == "inference_ms"


@pytest.mark.parametrize(
    ("rows", "n_looks"),
    [
        ([], 2),
        ([(10, 10, 30, 30, 0.84)], 2),
        ([(10, 10, 30, 30, 0.86)], 1),
        ([(10, 10, 30, 30, 0.84), (50, 10, 70, 30, 0.86)], 1),
        ([(10, 10, 44, 30, 0.86)], 1),
        ([(10, 10, 45, 30, 0.86)], 2),
    ],
    ids=["no face", "none is certain", "certain", "one is certain", "smaller", "it fills much"],
)
def test_a_picture_is_looked_at_again_where_no_face_is_certain_or_one_fills_much(
    always, rows, n_looks
):
    metrics = Counted()
    process = DetectFaces(always(*rows)).open(Context("look", metrics=metrics))

    process([a_record(a_picture(100, 100))])

    assert metrics.n_calls == n_looks


def test_only_pictures_that_need_it_are_looked_at_again(blocks):
    metrics = Counted()
    process = DetectFaces(blocks).open(Context("look", metrics=metrics))
    sure, none = a_picture(100, 100, (10, 10, 20, 20)), a_picture(100, 100)

    process([a_record(sure), a_record(sure)])
    assert metrics.n_calls == 1
    process([a_record(sure), a_record(none)])
    assert metrics.n_calls == 3


# How it is described


def test_the_scale_is_that_at_which_a_tile_is_looked_at(always):
    model = always()

    assert DetectFaces(model, tile_px=200).scale_for(4_000, 3_000) == 0.5
    assert DetectFaces(model, tile_px=200).scale_for(150, 125) == pytest.approx(100 / 150)
    assert DetectFaces(model, tile_px=None).scale_for(4_000, 3_000) == pytest.approx(100 / 4_000)
    assert DetectFaces(model, tile_px=None).scale_for(50, 80) == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.5}, r"DetectFaces: `min_score` is in \[0, 1\]; got 1.5"),
        ({"max_iou": -0.1}, r"DetectFaces: `max_iou` is in \[0, 1\]; got -0.1"),
        ({"max_faces": 0}, "DetectFaces: `max_faces` is a whole number from 1; got 0"),
        ({"tile_px": 63}, "DetectFaces: `tile_px` is a whole number from 64; got 63"),
    ],
)
def test_options_that_cannot_be_are_refused(always, options, message):
    with pytest.raises(PipelineError, match=message):
        DetectFaces(always(), **options).check()


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ModelError, match=r"is for the task 'detect'.*for 'detect_faces'"):
        DetectFaces(zoo("nanodet")).check()


# Real pictures, with the model that ships

ASTRONAUT = np.array([[172, 74, 278, 180]], np.float32)
"""Her face, as people see it: from ear to ear, from under the hair to the chin."""


@pytest.fixture(scope="module")
def process() -> Process:
    return DetectFaces().open(a_context())


def found_in(process: Process, pixels: Pixels) -> npt.NDArray[np.float32]:
    (outcome,) = process([a_record(np.ascontiguousarray(pixels))])
    boxes: npt.NDArray[np.float32] = outcome.faces.boxes_xyxy
    return boxes


def placed(pixels: Pixels, width: int, height: int, x: int, y: int) -> Pixels:
    canvas = np.full((height, width, 3), 120, np.uint8)
    canvas[y : y + pixels.shape[0], x : x + pixels.shape[1]] = pixels
    return canvas


def test_the_astronaut_has_one_face_and_its_landmarks_lie_in_it(process):
    (outcome,) = process([a_record(skimage.data.astronaut())])
    faces = outcome.faces

    assert len(faces) == 1
    assert box_iou(faces.boxes_xyxy, ASTRONAUT)[0, 0] > 0.85
    left, right, nose, mouth = faces.landmarks_xy[0, :4]
    assert left == pytest.approx([204, 101], abs=6)
    assert right == pytest.approx([247, 103], abs=6)
    assert nose == pytest.approx([223, 127], abs=6)
    assert mouth == pytest.approx([224, 147], abs=6)


def test_she_has_one_face_when_the_picture_is_shrunk_to_100_pixels(process):
    small = cv2.resize(skimage.data.astronaut(), (100, 100), interpolation=cv2.INTER_AREA)

    (box,) = found_in(process, small)

    assert box_iou(box[None] * 5.12, ASTRONAUT)[0, 0] > 0.75


@pytest.mark.parametrize(("x", "y"), [(0, 0), (1_500, 900), (700, 1_288)])
def test_she_has_one_face_in_a_large_picture(process, x, y):
    (box,) = found_in(process, placed(skimage.data.astronaut(), 2_400, 1_800, x, y))

    assert box_iou(box[None] - np.float32([x, y, x, y]), ASTRONAUT)[0, 0] > 0.75


@pytest.mark.parametrize("margin", [0, 10, 30])
def test_she_has_one_face_when_it_fills_the_picture(process, margin):
    x1, y1, x2, y2 = (ASTRONAUT[0] + [-margin, -margin, margin, margin]).astype(int)

    (box,) = found_in(process, skimage.data.astronaut()[y1:y2, x1:x2])

    assert box_iou(box[None] + np.float32([x1, y1, x1, y1]), ASTRONAUT)[0, 0] > 0.65


def test_a_cup_of_coffee_is_no_certain_face():
    """It scores 0.60: nobody's name follows from that, and who wants none of it asks for more."""
    strict = DetectFaces(min_score=0.65).open(a_context())
    assert len(found_in(strict, skimage.data.coffee())) == 0
