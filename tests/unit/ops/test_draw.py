"""What is drawn lies where it should and can be read."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from sightflow.ops.draw import (
    colour_of,
    colour_of_object,
    colour_of_person,
    draw_classification,
    draw_detections,
    draw_faces,
    enlarged,
    font_of,
    ink_on,
)
from sightflow.records import Classification, Detections, Faces, ObjectClasses

GREY = (90, 90, 90)
WHITE = (255, 255, 255)


def a_canvas(width=640, height=480):
    return np.full((height, width, 3), GREY, np.uint8)


def found(*boxes, scores=None, class_ids=None, labels=None):
    n = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(n, 4),
        np.array(scores or [0.9] * n, np.float32),
        np.array(class_ids or [0] * n, np.int32),
        labels or ("cat",) * n,
    )


def where(pixels, colour):
    """Return x from, y from, x to, y to (exclusive) of the pixels that have this colour."""
    y, x = np.nonzero((pixels == colour).all(axis=2))
    return (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else None


def test_the_outline_of_a_box_lies_just_inside_it():
    drawn = draw_detections(a_canvas(), found((100, 200, 180, 260)))

    colour = colour_of(0)
    for y, x in ((259, 140), (230, 100), (230, 179), (259, 179)):
        assert tuple(drawn[y, x]) == colour
    for y, x in ((260, 140), (230, 99), (230, 180), (230, 140)):
        assert tuple(drawn[y, x]) == GREY


def test_boxes_are_scaled_to_a_reduced_picture():
    drawn = draw_detections(a_canvas(), found((200, 400, 360, 520)), scale=0.5)

    assert tuple(drawn[259, 179]) == colour_of(0)
    assert tuple(drawn[260, 179]) == GREY


def test_the_picture_itself_is_not_changed():
    canvas = a_canvas()

    draw_detections(canvas, found((100, 100, 200, 200)))
    draw_classification(
        canvas, Classification(("a",), np.zeros(1, np.int32), np.ones(1, np.float32))
    )

    assert (canvas == GREY).all()


def test_nothing_found_leaves_the_picture_as_it_is():
    assert (draw_detections(a_canvas(), found()) == GREY).all()


def test_objects_below_min_score_are_left_out():
    two = found((10, 50, 60, 90), (300, 300, 400, 400), scores=[0.5, 0.4], class_ids=[0, 1])

    drawn = draw_detections(a_canvas(), two, min_score=0.5)

    assert where(drawn, colour_of(0)) is not None
    assert where(drawn, colour_of(1)) is None


def test_the_best_object_lies_on_top():
    same_place = found((100, 100, 300, 300), (100, 100, 300, 300), class_ids=[0, 1])

    drawn = draw_detections(a_canvas(), same_place)

    assert tuple(drawn[200, 100]) == colour_of(0)


def ink_of(drawn):
    """Return the extent of the text: class 0 is dark red, so that its ink is white."""
    x1, y1, x2, y2 = where(drawn, WHITE)
    return x2 - x1, y2 - y1


@pytest.mark.parametrize(
    "box",
    [
        (300, 0, 400, 90),
        (0, 0, 50, 50),
        (600, 0, 640, 40),
        (630, 470, 640, 480),
        (590, 200, 700, 300),
    ],
    ids=["top", "top left", "top right", "bottom right", "beyond the right edge"],
)
def test_a_label_lies_inside_the_picture_and_is_whole(box):
    in_the_middle = ink_of(draw_detections(a_canvas(), found((300, 200, 400, 300))))

    at_the_edge = ink_of(draw_detections(a_canvas(), found(box)))

    assert at_the_edge == pytest.approx(in_the_middle, abs=2)


@pytest.mark.parametrize(
    "box", [(50, 50, 50, 90), (50, 50, 50.4, 90), (640, 100, 640, 200), (640, 480, 640, 480)]
)
def test_a_box_without_area_is_no_reason_to_stop(box):
    """Clipping at the edge of the image leaves such boxes; reduced pictures make thin ones."""
    assert draw_detections(a_canvas(), found(box)).shape == (480, 640, 3)


def test_a_label_stands_on_the_upper_left_corner_of_its_box():
    drawn = draw_detections(a_canvas(), found((300, 200, 420, 300)))

    # 640 / 32 pixels of text, and 6 around
    assert where(drawn, colour_of(0)) == (300, 174, 420, 300)


def test_a_line_is_two_pixels_wide_and_more_in_large_pictures():
    small = draw_detections(a_canvas(), found((100, 100, 300, 300)))
    large = draw_detections(a_canvas(1600, 900), found((100, 100, 300, 300)))

    for drawn, width in ((small, 2), (large, 4)):
        assert tuple(drawn[200, 100 + width - 1]) == colour_of(0)
        assert tuple(drawn[200, 100 + width]) == GREY


def test_a_label_that_is_wider_than_the_picture_shows_its_beginning():
    narrow = draw_detections(a_canvas(30, 60), found((10, 40, 20, 50), labels=("elephant",)))

    assert tuple(narrow[30, 0]) == colour_of(0)


NOBODY = (150, 150, 150)


def people(*boxes, names=None, scores=None):
    n = len(boxes)
    return Faces(
        np.array(boxes, np.float32).reshape(n, 4),
        np.array(scores or [0.9] * n, np.float32),
        np.zeros((n, 5, 2), np.float32),
        person_ids=names,
        similarities=None if names is None else np.full(n, 0.75, np.float32),
    )


def test_a_light_has_the_colour_that_it_shows_and_other_objects_that_of_their_class():
    boxes = (20, 20, 60, 100), (200, 20, 240, 100), (400, 20, 440, 100)
    states = ObjectClasses(("red", "unknown", None), (0, None, None), np.ones(3, np.float32))
    lights = replace(found(*boxes, class_ids=[9, 9, 2]), states=states)

    drawn = draw_detections(a_canvas(), lights)

    shown = [tuple(drawn[60, x]) for x in (20, 200, 400)]
    assert shown == [colour_of_object(0, ("red", 1.0)), NOBODY, colour_of(2)]
    red, green = colour_of_object(0, ("red", 1.0)), colour_of_object(0, ("green", 1.0))
    assert red[0] > 2 * max(red[1:])
    assert green[1] > 2 * max(green[0], green[2])


def test_what_a_sign_means_is_written_on_a_white_plate():
    sign = ObjectClasses(("stop",), (14,), np.array([0.987], np.float32))
    known = replace(found((100, 100, 200, 200), labels=("traffic sign",)), signs=sign)

    drawn = draw_detections(a_canvas(), known)

    plate = drawn[75:99, 102:120]
    assert tuple(plate[0, 0]) == tuple(drawn[150, 100]) == colour_of_object(0, ("stop", 0.9))
    assert plate.max() >= 250
    assert plate.min() < 60, "black on white"


def test_a_face_that_nobody_looked_up_has_a_grey_box():
    drawn = draw_faces(a_canvas(), people((300, 200, 420, 300)))

    assert where(drawn, NOBODY) == (300, 174, 420, 300)
    assert tuple(drawn[250, 350]) == GREY


def test_faces_are_drawn_in_the_colours_of_their_people_and_grey_where_they_are_unknown():
    boxes = (40, 100, 140, 200), (240, 100, 340, 200), (440, 100, 540, 200)

    drawn = draw_faces(a_canvas(), people(*boxes, names=("Ada", None, "Bob")))

    assert tuple(drawn[150, 40]) == colour_of_person("Ada")
    assert tuple(drawn[150, 240]) == NOBODY
    assert tuple(drawn[150, 440]) == colour_of_person("Bob")


def test_a_person_has_the_same_colour_in_every_process():
    """The CRC-32 of "Ada" is 3_040_723_336, which leaves 256 of 360."""
    assert colour_of_person("Ada") == colour_of(256)
    assert colour_of_person(None) == NOBODY
    assert len({colour_of_person(f"person {i}") for i in range(20)}) > 15


@pytest.mark.parametrize(
    ("faces", "label", "score"),
    [
        (people((100, 200, 103, 260), names=("Ada",)), "Ada", 0.75),
        (people((100, 200, 103, 260), scores=[0.8]), "face", 0.8),
    ],
)
def test_it_is_written_who_it_is_and_how_alike_or_that_it_is_a_face(faces, label, score):
    """What is written of an object with this label and score is the same text."""
    thin = found((100, 200, 103, 260), labels=(label,), scores=[score])

    colour = colour_of_person(faces.person_ids[0] if faces.person_ids else None)
    plate = where(draw_faces(a_canvas(), faces), colour)

    assert plate == where(draw_detections(a_canvas(), thin), colour_of(0))


def test_of_the_unknown_no_likeness_is_written():
    """The plate is as wide as the word and 6 pixels."""
    thin = (100, 200, 103, 260)

    x1, _, x2, _ = where(draw_faces(a_canvas(), people(thin, names=(None,))), NOBODY)

    word = ImageDraw.Draw(Image.new("RGB", (9, 9))).textlength("unknown", font_of(20))
    assert x2 - x1 == pytest.approx(word + 6, abs=1.5)


def test_faces_below_min_score_are_left_out_and_the_others_keep_their_names():
    boxes = (40, 100, 140, 200), (240, 100, 340, 200)
    two = people(*boxes, names=("Ada", "Bob"), scores=[0.4, 0.9])

    drawn = draw_faces(a_canvas(), two, min_score=0.5)

    assert where(drawn, colour_of_person("Ada")) is None
    assert tuple(drawn[150, 240]) == colour_of_person("Bob")


def test_boxes_of_faces_are_scaled_to_a_reduced_picture():
    drawn = draw_faces(a_canvas(), people((200, 400, 360, 520)), scale=0.5)

    assert tuple(drawn[259, 179]) == NOBODY
    assert tuple(drawn[260, 179]) == GREY


def test_no_faces_leave_the_picture_as_it_is():
    canvas = a_canvas()

    assert (draw_faces(canvas, people()) == GREY).all()
    draw_faces(canvas, people((100, 100, 200, 200)))
    assert (canvas == GREY).all()


def test_classes_stand_in_the_lower_left_corner_best_on_top():
    top3 = Classification(
        ("cat", "dog", "cow", "hen"),
        np.array([0, 1, 2, 3], np.int32),
        np.array([0.4, 0.3, 0.2, 0.1], np.float32),
    )

    drawn = draw_classification(a_canvas(), top3)

    plates = [where(drawn, colour_of(i)) for i in range(3)]
    assert [plate[0] for plate in plates] == [0, 0, 0]
    assert plates[0][3] < plates[1][3] < plates[2][3] == 480
    assert plates[0][1] > 480 * 3 // 4
    assert where(drawn, colour_of(3)) is None


def test_no_class_leaves_the_picture_as_it_is():
    none = Classification((), np.zeros(0, np.int32), np.zeros(0, np.float32))

    assert (draw_classification(a_canvas(), none) == GREY).all()


def test_a_small_picture_is_enlarged_by_a_whole_factor():
    small = np.arange(32 * 24 * 3, dtype=np.uint8).reshape(24, 32, 3)

    large, factor = enlarged(small)

    assert (factor, large.shape) == (10, (240, 320, 3))
    assert (large[::10, ::10] == small).all()
    assert (large[9::10, 9::10] == small).all()


@pytest.mark.parametrize(("width", "factor"), [(319, 2), (320, 1), (4000, 1), (1, 320)])
def test_only_a_picture_with_a_long_side_below_320_pixels_is_enlarged(width, factor):
    assert enlarged(np.zeros((1, width, 3), np.uint8))[1] == factor


def test_neighbouring_classes_have_colours_far_apart():
    colours = np.array([colour_of(i) for i in range(80)])

    assert np.abs(np.diff(colours, axis=0)).sum(axis=1).min() > 100


def test_the_colours_of_the_first_classes_are_a_red_and_a_blue():
    # Hues of 0 and 0.618; a value of 0.95, and 0.15 of it where the saturation takes most.
    assert [colour_of(0), colour_of(1)] == [(242, 36, 36), (36, 96, 242)]


@pytest.mark.parametrize(
    ("colour", "ink"),
    [
        ((255, 196, 0), (0, 0, 0)),
        ((255, 110, 0), (0, 0, 0)),  # 0.299 * 255 + 0.587 * 110 = 140.8
        ((255, 108, 0), WHITE),
        ((0, 255, 0), (0, 0, 0)),
        ((0, 0, 255), WHITE),
    ],
)
def test_ink_is_black_on_what_is_bright_and_white_on_what_is_dark(colour, ink):
    assert ink_on(colour) == ink
