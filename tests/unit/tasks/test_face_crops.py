"""The faces of a batch side by side, in pixels of the decoded pictures, and back to images."""

import math
from typing import Any

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.ops.alignment import turned_squares
from sightflow.records import Faces, ImageRecord
from sightflow.tasks.face_crops import FaceCrops, face_record
from sightflow.testing import a_record


def faces(*boxes: tuple[float, ...], eyes: Any = ((0, 0), (10, 0))) -> Faces:
    """Return faces that all have their eyes in the same places."""
    n = len(boxes)
    return Faces(
        np.array(boxes, np.float32).reshape(n, 4),
        np.ones(n, np.float32),
        np.tile(np.array(eyes, np.float32), (n, 1, 1)),
    )


def an_image(found: Faces | None, *, factor: float = 1.0, grey: int = 0) -> ImageRecord:
    """Return an image of 400 x 200, decoded at a factor of its size."""
    pixels = np.full((round(200 * factor), round(400 * factor), 3), grey, np.uint8)
    return a_record(pixels, width=400, height=200, faces=found)


def test_faces_of_all_images_stand_side_by_side():
    first, second = faces((0, 0, 20, 40), (100, 100, 150, 120)), faces((10, 10, 20, 20))

    crops = FaceCrops([an_image(first), an_image(faces()), an_image(second)], "step")

    assert crops.n == 3
    assert crops.centres_xy.tolist() == [[10, 20], [125, 110], [15, 15]]
    assert crops.sides.tolist() == [40, 50, 10]
    assert crops.landmarks_xy.shape == (3, 2, 2)


def test_they_are_in_pixels_of_the_decoded_picture():
    """At a half and at a quarter of the size."""
    found = faces((40, 20, 120, 60), eyes=((60, 40), (100, 40)))

    crops = FaceCrops([an_image(found, factor=0.5), an_image(found, factor=0.25)], "step")

    assert crops.centres_xy.tolist() == [[40, 20], [20, 10]]
    assert crops.sides.tolist() == [40, 20]
    assert crops.landmarks_xy.tolist() == [[[30, 20], [50, 20]], [[15, 10], [25, 10]]]


def test_points_come_back_in_pixels_of_the_original():
    found = faces((40, 20, 120, 60), eyes=((60, 40), (100, 40)))
    crops = FaceCrops([an_image(found, factor=0.25), an_image(found)], "step")

    points = crops.in_original(crops.landmarks_xy)

    assert points.dtype == np.float32
    assert points.tolist() == [[[60, 40], [100, 40]]] * 2


@pytest.mark.parametrize(
    ("right_eye", "degrees"), [((10, 0), 0), ((10, 10), 45), ((0, 10), 90), ((-10, 0), 180)]
)
def test_the_eyes_tell_how_much_a_face_is_turned_clockwise(right_eye, degrees):
    crops = FaceCrops([an_image(faces((0, 0, 20, 20), eyes=((0, 0), right_eye)))], "step")

    assert np.degrees(crops.eye_angles) == pytest.approx([degrees])


def test_each_image_gets_the_rows_of_its_own_faces():
    images = [
        an_image(found)
        for found in (faces(), faces((0, 0, 1, 1), (0, 0, 2, 2)), faces(), faces((0, 0, 3, 3)))
    ]

    parts = list(FaceCrops(images, "step").split(np.arange(3, dtype=np.float32)))

    assert [record for record, _, _ in parts] == images
    assert [len(found) for _, found, _ in parts] == [0, 2, 0, 1]
    assert [column.tolist() for *_, column in parts] == [[], [0, 1], [], [2]]


def test_crops_are_of_the_picture_of_the_face_and_come_some_at_a_time():
    """70 faces in the first of two pictures: 64 in one call of a model."""
    many, one = faces(*[(10, 10, 20, 20)] * 70), faces((10, 10, 20, 20))
    crops = FaceCrops([an_image(many, grey=50), an_image(one, grey=200)], "step")
    squares = turned_squares(crops.centres_xy, crops.sides, crops.eye_angles, 8)

    parts = list(crops.crops(squares, 8))

    assert [len(part) for part in parts] == [64, 7]
    assert [int(crop.mean()) for part in parts for crop in part] == [50] * 70 + [200]
    assert all(crop.shape == (8, 8, 3) for part in parts for crop in part)


def test_images_without_faces_have_no_crops():
    crops = FaceCrops([an_image(faces()), an_image(faces())], "step")

    assert crops.n == 0
    assert crops.landmarks_xy.shape == (0, 5, 2)
    assert list(crops.crops(np.zeros((0, 2, 3)), 8)) == []
    assert [len(column) for *_, column in crops.split(np.zeros((0, 4), np.float32))] == [0, 0]


def test_where_nobody_has_looked_for_faces_the_error_says_what_to_do():
    message = "step 'align' works on the faces of an earlier step; add one, such as DetectFaces"
    with pytest.raises(PipelineError, match=message):
        FaceCrops([an_image(faces()), an_image(None)], "align")


def test_the_specimen_has_one_upright_face_inside_its_picture():
    record = face_record()
    crops = FaceCrops([record], "check")

    assert crops.n == 1
    assert math.degrees(crops.eye_angles[0]) == 0
    assert record.faces is not None
    assert (record.faces.boxes_xyxy >= 0).all()
    assert (record.faces.boxes_xyxy <= 64).all()
