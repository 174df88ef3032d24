"""Landmarks where people see them, however a face is turned in its picture."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from tests.portraits import ASTRONAUT_BOX, ASTRONAUT_XY, astronaut, moved, shrunk, turned

from sightflow.errors import ModelError, PipelineError
from sightflow.models import ModelFile, zoo
from sightflow.protocols import Context, Process
from sightflow.protocols.context import NoMetrics
from sightflow.records import Faces, ImageRecord, ModelUse
from sightflow.tasks.align_faces import AlignFaces
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.face_heads import Landmarks
from sightflow.testing import a_context, a_record

Points = npt.NDArray[np.float32]

# What is done with the answers of a model, by one that always says the same


@dataclass(frozen=True)
class Always:
    """Sees two points, a quarter and three quarters along the upper part, whatever is shown."""

    box: tuple[float, float, float, float]

    def __call__(self, outputs: Mapping[str, Any]) -> Landmarks:
        n = len(next(iter(outputs.values())))
        points = np.array([[0.25, 0.25], [0.75, 0.25]], np.float32)
        return Landmarks(np.tile(points, (n, 1, 1)), np.tile(np.float32(self.box), (n, 1)))


def always(*box: float) -> ModelFile:
    """Return a model that corrects each square to a box in units of it."""
    model = zoo("mtcnn_onet")
    head = {"kind": f"{__name__}:Always", "box": list(box)}
    return replace(model, card=replace(model.card, name="always", head=head))


UNCHANGED = (0, 0, 1, 1)


def a_face(right_eye: tuple[float, float] = (130, 110), box: Any = (100, 100, 140, 140)) -> Faces:
    """Return a face of 40 x 40 around (120, 120), its left eye at (110, 110)."""
    landmarks = np.array([[(110, 110), right_eye]], np.float32)
    return Faces(np.array([box], np.float32), np.ones(1, np.float32), landmarks)


def aligned(found: Faces, model: ModelFile, *, factor: float = 1.0, **options: Any) -> Faces:
    size = round(200 * factor)
    pixels = np.full((size, size, 3), 128, np.uint8)
    record = a_record(pixels, width=200, height=200, faces=found)
    (outcome,) = AlignFaces(model, **options).open(a_context())([record])
    faces = outcome.faces
    assert faces is not None
    return faces


def test_landmarks_are_told_in_the_square_around_the_box():
    faces = aligned(a_face(), always(*UNCHANGED))

    assert faces.landmarks_xy[0] == pytest.approx(np.float32([[110, 110], [130, 110]]), abs=1e-3)


def test_a_box_that_is_no_square_is_looked_at_with_its_longer_side():
    """20 x 40 around (120, 120)."""
    faces = aligned(a_face(box=(110, 100, 130, 140)), always(*UNCHANGED))

    assert faces.landmarks_xy[0] == pytest.approx(np.float32([[110, 110], [130, 110]]), abs=1e-3)


@pytest.mark.parametrize("factor", [0.5, 0.25])
def test_they_are_in_pixels_of_the_original_when_its_pixels_are_reduced(factor):
    faces = aligned(a_face(), always(*UNCHANGED), factor=factor)

    assert faces.landmarks_xy[0] == pytest.approx(np.float32([[110, 110], [130, 110]]), abs=1e-3)


@pytest.mark.parametrize(
    ("right_eye", "expected"),
    [
        ((110, 130), [[130, 110], [130, 130]]),  # a quarter clockwise
        ((90, 110), [[130, 130], [110, 130]]),  # upside down
        ((110, 90), [[110, 130], [110, 110]]),  # a quarter anticlockwise
    ],
)
def test_a_turned_face_is_looked_at_upright(right_eye, expected):
    faces = aligned(a_face(right_eye), always(*UNCHANGED))

    assert faces.landmarks_xy[0] == pytest.approx(np.float32(expected), abs=1e-3)


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        (1, [[110, 110], [130, 110]]),  # in the square of 40 around (120, 120)
        (2, [[105, 105], [115, 105]]),  # in its upper left quarter, of 20 around (110, 110)
        (3, [[102.5, 102.5], [107.5, 102.5]]),  # in the quarter of that, of 10 around (105, 105)
    ],
)
def test_each_pass_looks_at_the_square_that_the_last_one_corrected(passes, expected):
    faces = aligned(a_face(), always(0, 0, 0.5, 0.5), passes=passes)

    assert faces.landmarks_xy[0] == pytest.approx(np.float32(expected), abs=1e-3)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((-9, -9, 10, 10), [[90, 90], [150, 90]]),  # 3 times 40 are 120
        ((0.45, 0.45, 0.55, 0.55), [[116.67, 116.67], [123.33, 116.67]]),  # a third of 40
        ((0.6, 0.6, 0.4, 0.4), [[116.67, 116.67], [123.33, 116.67]]),  # its sides are swapped
    ],
)
def test_a_box_is_corrected_by_a_factor_of_three_at_most(box, expected):
    faces = aligned(a_face(), always(*box), passes=2)

    assert faces.landmarks_xy[0] == pytest.approx(np.float32(expected), abs=0.01)


def test_boxes_and_scores_stay_as_they_were():
    before = a_face()

    faces = aligned(before, always(0, 0, 0.5, 0.5))

    assert faces.boxes_xyxy is before.boxes_xyxy
    assert faces.scores is before.scores


# Images without faces, and steps that cannot work


class Counted(NoMetrics):
    """Counts how often a model was called."""

    def __init__(self) -> None:
        self.n_calls = 0

    def observe(self, name: str, value: float, /) -> None:
        self.n_calls += name == "inference_ms"


def test_where_there_are_no_faces_no_model_is_called():
    metrics = Counted()
    process = AlignFaces().open(Context("align", metrics=metrics))
    nobody = a_record(faces=a_face().take([]))

    outcomes = process([nobody, nobody])

    assert metrics.n_calls == 0
    assert [len(outcome.faces) for outcome in outcomes] == [0, 0]
    assert outcomes[0].models == (ModelUse("align", "mtcnn_onet", "1"),)

    process([nobody, a_record(faces=a_face())])
    assert metrics.n_calls == 3


def test_each_image_of_a_batch_keeps_its_own_faces():
    images = [a_record(faces=a_face().take(rows)) for rows in ([], [0, 0], [0])]

    outcomes = AlignFaces().open(a_context())(images)

    assert [outcome.faces.landmarks_xy.shape for outcome in outcomes] == [
        (0, 5, 2),
        (2, 5, 2),
        (1, 5, 2),
    ]


def test_without_faces_of_an_earlier_step_the_error_says_what_is_missing():
    with pytest.raises(PipelineError, match="step 'align' works on the faces of an earlier step"):
        AlignFaces().open(a_context("align"))([a_record()])


def test_options_that_cannot_be_are_refused():
    with pytest.raises(PipelineError, match="AlignFaces: `passes` is a whole number from 1; got 0"):
        AlignFaces(passes=0).check()


def test_a_model_for_another_task_is_refused():
    with pytest.raises(ModelError, match=r"task 'detect_faces'.*for 'align_faces'"):
        AlignFaces(zoo("blazeface_back")).check()


def test_a_face_may_be_small_so_that_the_picture_is_not_reduced():
    assert AlignFaces().scale_for(4_000, 3_000) == 1


# A real face


@pytest.fixture(scope="module")
def detect() -> Process:
    return DetectFaces().open(a_context())


@pytest.fixture(scope="module")
def align() -> Process:
    return AlignFaces().open(a_context())


def landmarks_of(outcomes: Any) -> Points:
    """Return the landmarks of the one face of the one image."""
    (outcome,) = outcomes
    (points,) = outcome.faces.landmarks_xy
    return np.asarray(points, np.float32)


def off(points: Points, expected: Points) -> float:
    """Return how far the worst of some points is off, in pixels."""
    return float(np.linalg.norm(points - expected, axis=1).max())


def test_the_landmarks_of_the_astronaut_lie_where_people_see_them(detect, align):
    """Within 4 pixels, where her eyes are 43 apart."""
    (found,) = detect([a_record(astronaut())])

    points = landmarks_of(align([found]))

    assert off(points, ASTRONAUT_XY) < 4
    assert off(points[:2], ASTRONAUT_XY[:2]) < 1.5


@pytest.mark.parametrize("degrees", [30, 60, 90, -30, -60, -90])
def test_they_turn_with_the_picture(detect, align, degrees):
    pixels, matrix = turned(astronaut(), degrees)

    points = landmarks_of(align(detect([a_record(pixels)])))

    upright = landmarks_of(align(detect([a_record(astronaut())])))
    assert off(points, moved(upright, matrix)) < 2.5


def told(degrees: float) -> tuple[ImageRecord, Points]:
    """Return the turned picture with her box and eyes as people see them, and all her points."""
    pixels, matrix = turned(astronaut(), degrees)
    low, high = np.split(ASTRONAUT_BOX[0], 2)
    middle, half = moved((low + high)[None] / 2, matrix), (high - low) / 2
    points = moved(ASTRONAUT_XY, matrix)
    box = np.concatenate([middle - half, middle + half], axis=1)
    found = Faces(box, np.ones(1, np.float32), points[None, :2])
    return a_record(pixels, faces=found), points


@pytest.mark.parametrize("degrees", [0, 45, 120, 150, 180, -135])
def test_a_face_at_any_angle_has_its_landmarks_where_the_eyes_are_known(align, degrees):
    """The detector finds faces that lie on their side, and hardly one that is upside down."""
    record, expected = told(degrees)

    assert off(landmarks_of(align([record])), expected) < 4


@pytest.mark.parametrize(("factor", "most"), [(0.5, 2.0), (0.25, 2.0)])
def test_a_smaller_face_has_its_landmarks_within_two_pixels(detect, align, factor, most):
    pixels = shrunk(astronaut(), factor)

    points = landmarks_of(align(detect([a_record(pixels)])))

    assert off(points, ASTRONAUT_XY * factor) < most


@pytest.mark.parametrize("aside", [0.15, -0.15])
def test_a_box_that_is_a_little_off_changes_little(align, aside):
    """By 15 % of its side to the right and the left, and 20 % larger."""
    record, expected = told(0)
    assert record.faces is not None
    side = 106
    box = ASTRONAUT_BOX + side * np.float32([aside - 0.1, -0.1, aside + 0.1, 0.1])
    found = replace(record.faces, boxes_xyxy=box)

    assert off(landmarks_of(align([replace(record, faces=found)])), expected) < 5
