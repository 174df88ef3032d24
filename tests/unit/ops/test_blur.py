"""Nobody can be recognised in what is blurred, and nothing else changes."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from tests.portraits import ASTRONAUT_BOX, ASTRONAUT_XY, astronaut

from sightflow.ops.blur import blur_boxes
from sightflow.ops.boxes import box_iou
from sightflow.records import Faces
from sightflow.tasks.detect_faces import DetectFaces
from sightflow.tasks.embed_faces import EmbedFaces
from sightflow.testing import a_context, a_record

Pixels = npt.NDArray[np.uint8]


def noise(width: int = 200, height: int = 100) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def blurred(pixels: Pixels, *boxes: tuple[float, ...]) -> Pixels:
    changed = pixels.copy()
    blur_boxes(changed, np.array(boxes, np.float32).reshape(-1, 4))
    return changed


def changes(before: Pixels, after: Pixels) -> tuple[int, int, int, int] | None:
    """Return x from, y from, x to, y to (exclusive) of what has changed."""
    y, x = np.nonzero((before != after).any(axis=2))
    return (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else None


def test_a_box_is_blurred_with_a_little_around_it_and_the_rest_is_untouched():
    """30 % of 40 pixels are 12."""
    assert changes(noise(), blurred(noise(), (60, 40, 100, 70))) == (48, 28, 112, 82)


def test_what_is_around_is_a_part_of_the_longer_side():
    """30 % of 30 pixels are 9, also in x."""
    assert changes(noise(), blurred(noise(), (60, 40, 70, 70))) == (51, 31, 79, 79)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((-20, -20, 20, 20), (0, 0, 32, 32)),
        ((180, 80, 220, 120), (168, 68, 200, 100)),
        ((-500, -500, 500, 500), (0, 0, 200, 100)),
        ((205, 40, 225, 60), (199, 34, 200, 66)),
    ],
    ids=["top left", "bottom right", "more than all", "only what is around lies inside"],
)
def test_a_box_beyond_the_edges_is_blurred_as_far_as_there_are_pixels(box, expected):
    found = changes(noise(), blurred(noise(), box))

    assert found == expected


@pytest.mark.parametrize("box", [(300, 10, 340, 50), (-90, -90, -50, -50)])
def test_a_box_outside_the_picture_changes_nothing(box):
    assert changes(noise(), blurred(noise(), box)) is None


def test_without_boxes_nothing_changes():
    assert changes(noise(), blurred(noise())) is None


def test_each_of_several_boxes_is_blurred():
    once = blurred(noise(), (20, 20, 30, 30))

    assert (blurred(noise(), (20, 20, 30, 30), (150, 50, 180, 80))[:, :80] == once[:, :80]).all()
    assert changes(once, blurred(noise(), (20, 20, 30, 30), (150, 50, 180, 80))) == (
        141,
        41,
        189,
        89,
    )


def test_pictures_whose_25_cells_are_alike_are_one_picture_when_blurred():
    """64 pixels of a grown box of 80: each cell of 16 x 16 is a mean, whatever its pixels are."""
    rng = np.random.default_rng(1)
    cells = rng.integers(60, 196, (5, 5, 3))
    plain = cells.repeat(16, axis=0).repeat(16, axis=1)
    detail = np.tile(np.array([[-50, 50], [50, -50]]), (40, 40))[:, :, None]
    box = (15, 15, 65, 65)  # and 30 % of 50 pixels around it

    one, other = plain.astype(np.uint8), (plain + detail).astype(np.uint8)

    assert np.abs(one.astype(int) - other).min() == 50
    assert np.abs(blurred(one, box).astype(int) - blurred(other, box)).max() <= 1


def test_no_more_than_25_values_of_a_face_are_left():
    """What is between the middles of the cells follows from these."""
    pixels = astronaut()
    after = blurred(pixels, tuple(ASTRONAUT_BOX[0]))
    left, top, right, bottom = changes(pixels, after) or (0, 0, 0, 0)
    part = after[top:bottom, left:right]

    few = cv2.resize(part, (5, 5), interpolation=cv2.INTER_AREA)
    again = cv2.resize(few, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)

    assert (right - left, bottom - top) == (170, 170)  # 106 and 30 % on each side
    assert np.abs(np.diff(part.astype(int), axis=1)).max() <= 12, "no edge is left"
    assert np.abs(part.astype(int) - again).mean() < 12, "it is what 25 values say"


def test_neither_detector_nor_network_knows_a_blurred_face():
    pixels = astronaut()
    hidden = blurred(pixels, tuple(ASTRONAUT_BOX[0]))
    told = Faces(ASTRONAUT_BOX, np.ones(1, np.float32), ASTRONAUT_XY[None])

    (seen,) = DetectFaces().open(a_context())([a_record(hidden)])
    before, after = EmbedFaces().open(a_context())(
        [a_record(pixels, faces=told), a_record(hidden, faces=told)]
    )

    assert box_iou(seen.faces.boxes_xyxy, ASTRONAUT_BOX).max(initial=0) < 0.2
    assert before.faces.embeddings[0] @ after.faces.embeddings[0] < 0.3


@pytest.mark.parametrize("side", [1, 2, 4])
def test_a_tiny_face_is_no_reason_to_stop(side):
    after = blurred(noise(), (50, 50, 50 + side, 50 + side))

    assert after.shape == (100, 200, 3)
