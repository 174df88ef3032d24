"""A result is drawn into its picture in the scale of the picture."""

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from sightflow.dashboard.drawing import as_data_uri, draw_row

Pixels = npt.NDArray[np.uint8]


def a_row(width: int, height: int, **found: Any) -> dict[str, Any]:
    return {
        "uri": "a.jpg",
        "sequence": 0,
        "event_time_ms": 0,
        "width": width,
        "height": height,
        **found,
    }


def an_object(*box: float) -> dict[str, Any]:
    return {"label": "car", "class_id": 2, "score": 0.75, "box_xyxy": list(box)}


def black(width: int, height: int) -> Pixels:
    return np.zeros((height, width, 3), np.uint8)


def shown(jpeg: bytes) -> Pixels:
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def test_boxes_are_drawn_in_the_scale_of_the_small_picture() -> None:
    # 1200 x 900 becomes 360 x 270: the box [600, 300, 900, 600] is [180, 90, 270, 180] there.
    row = a_row(1200, 900, detections=[an_object(600, 300, 900, 600)])
    picture = shown(draw_row(black(1200, 900), row))
    assert picture.shape == (270, 360, 3)
    bright = picture.max(axis=2) > 100
    assert bright[135, [181, 268]].all()
    assert not bright[135, [100, 225, 300]].any()


def test_pixels_may_be_smaller_than_the_picture_that_was_recognised() -> None:
    row = a_row(1200, 900, detections=[an_object(600, 300, 900, 600)])
    whole, half = (shown(draw_row(black(w, h), row)) for w, h in ((1200, 900), (600, 450)))
    assert (whole == half).all()


def test_a_tiny_picture_is_enlarged_so_that_texts_can_be_read() -> None:
    row = a_row(32, 32, detections=[an_object(8, 8, 24, 24)])
    assert shown(draw_row(black(32, 32), row)).shape == (270, 270, 3)


def test_classes_are_written_into_the_picture_unless_they_must_not() -> None:
    row = a_row(320, 240, classification=[{"label": "cat", "class_id": 0, "score": 0.5}])
    with_text, without = (
        shown(draw_row(black(320, 240), row, captions=captions)) for captions in (True, False)
    )
    assert with_text.max() > 200
    assert without.max() == 0


def test_what_scores_too_little_is_left_out() -> None:
    row = a_row(320, 240, detections=[an_object(10, 10, 90, 90)])
    assert shown(draw_row(black(320, 240), row, min_score=0.8)).max() == 0


def test_the_pixels_that_are_given_stay_as_they_are() -> None:
    pixels = black(320, 240)
    draw_row(pixels, a_row(320, 240, detections=[an_object(10, 10, 90, 90)]))
    assert pixels.max() == 0


def test_a_page_holds_a_picture_as_text() -> None:
    kind, _, text = as_data_uri(b"\xff\xd8").partition(",")
    assert (kind, base64.b64decode(text)) == ("data:image/jpeg;base64", b"\xff\xd8")
