"""What is drawn over a frame lies where it should, can be read, and is drawn fast."""

import time

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.ops.overlay import Count, Mark, Outline, draw_overlay

GREY = (90, 90, 90)
WHITE = (255, 255, 255)
RED = (200, 0, 0)
BLUE = (0, 0, 200)
AMBER = (255, 196, 0)
ZONE = Outline("yard", ((100, 100), (500, 100), (500, 400), (100, 400)), closed=True)
GATE = Outline("gate", ((100, 240), (540, 240)), closed=False)


def a_canvas(width=640, height=480):
    return np.full((height, width, 3), GREY, np.uint8)


def a_mark(box=(200, 200, 300, 300), text="#1 car 0.90", colour=RED, trail=()):
    return Mark(box, text, colour, tuple(trail))


def drawn(*marks, canvas=None, outlines=(), captions=()):
    pixels = a_canvas() if canvas is None else canvas
    draw_overlay(pixels, marks, outlines=outlines, captions=captions)
    return pixels


def where(pixels, colour):
    """Return x from, y from, x to, y to (exclusive) of the pixels that have this colour."""
    y, x = np.nonzero((pixels == colour).all(axis=2))
    return (x.min(), y.min(), x.max() + 1, y.max() + 1) if len(x) else None


def ink(pixels):
    """Return the extent of white text."""
    x1, y1, x2, y2 = where(pixels, WHITE)
    return x2 - x1, y2 - y1


def test_the_outline_of_a_box_lies_just_inside_it():
    pixels = drawn(a_mark((200, 200, 300, 320)))

    for y, x in ((319, 250), (260, 200), (260, 299), (319, 299)):
        assert tuple(pixels[y, x]) == RED
    for y, x in ((320, 250), (260, 199), (260, 300), (260, 250)):
        assert tuple(pixels[y, x]) == GREY


@pytest.mark.parametrize(
    "box",
    [(0, 0, 50, 50), (600, 0, 640, 40), (630, 470, 640, 480), (0, 470, 640, 480)],
    ids=["top left", "top right", "bottom right", "bottom"],
)
def test_a_label_lies_inside_the_picture_and_is_whole(box):
    in_the_middle = ink(drawn(a_mark()))

    assert ink(drawn(a_mark(box))) == in_the_middle


def test_a_small_object_is_not_hidden_by_the_label_of_another():
    """The label of the lower one would stand on the upper one, and stands below itself."""
    pixels = drawn(
        a_mark((300, 200, 320, 220), text="#1 a", colour=BLUE),
        a_mark((300, 224, 320, 244), text="#2 b"),
    )

    assert where(pixels[201:219, 290:330], RED) is None
    assert where(pixels[246:], RED)[1] == 0


def test_a_label_stands_beside_a_small_object_where_there_is_no_other_room():
    near = [(300, 178, 320, 198), (300, 222, 320, 242), (270, 178, 290, 198), (270, 222, 290, 242)]
    others = [a_mark(box, text="", colour=BLUE) for box in near]

    pixels = drawn(*others, a_mark((300, 200, 320, 220), text="#5 stop"))

    x1, y1, x2, y2 = where(pixels, RED)
    assert (x1, y1) == (300, 200)
    assert x2 > 340
    assert y2 <= 222, "beside the object, not below"


def test_labels_of_objects_at_one_place_do_not_hide_each_other():
    both = drawn(a_mark(text="#1 car"), a_mark(text="#2 car", colour=BLUE))

    for text, colour in (("#1 car", RED), ("#2 car", BLUE)):
        alone = drawn(a_mark(text=text, colour=colour))
        plate = (alone == colour).all(axis=2)[:200].sum()
        assert (both == colour).all(axis=2).sum() >= plate


def test_labels_stand_above_a_box_or_below_or_in_it_on_either_side():
    box = (200, 200, 400, 300)
    colours = [(0, 0, 100 + i) for i in range(6)]
    pixels = drawn(*(a_mark(box, text="#1", colour=colour) for colour in colours))

    plates = [where(pixels, colour) for colour in colours[1:]]  # the box has the first colour
    height = plates[0][3] - plates[0][1]
    assert [(plate[2], plate[3]) for plate in plates[:1]] == [(400, 200)]
    assert (plates[1][0], plates[1][1]) == (200, 300)
    assert (plates[2][2], plates[2][1]) == (400, 300)
    assert (plates[3][0], plates[3][1]) == (200, 200)
    assert (plates[4][0], plates[4][1]) == (200, 300 - height)


def test_a_label_gives_way_to_one_that_it_would_hide_in_part():
    pixels = drawn(a_mark((200, 200, 400, 300)), a_mark((170, 200, 400, 300), colour=BLUE))

    assert where(pixels[:200], RED)[0] == 200
    assert where(pixels[:200], BLUE)[2] == 400


def test_a_label_below_a_box_lies_inside_the_picture_too():
    whole = (0, 0, 640, 480)
    pixels = drawn(*(a_mark(whole, text="#1", colour=(0, 0, 100 + i)) for i in range(3)))

    x1, _, _, y2 = where(pixels, (0, 0, 102))
    assert (x1, y2) == (0, 480)


def test_a_label_that_is_wider_than_the_picture_shows_its_beginning():
    narrow = drawn(a_mark((8, 40, 20, 50), text="a long text"), canvas=a_canvas(30, 60))

    assert tuple(narrow[30, 0]) == RED


def test_a_trail_of_two_places_is_drawn_in_the_colour_of_its_object():
    pixels = drawn(a_mark((260, 300, 320, 400), trail=[(100, 200, 1.0), (150, 200, 1.0)]))

    assert tuple(pixels[200, 125]) == RED
    assert tuple(pixels[190, 125]) == tuple(pixels[210, 125]) == GREY


def test_of_two_boxes_at_one_place_the_first_lies_on_top():
    pixels = drawn(a_mark(), a_mark(colour=BLUE))

    assert tuple(pixels[250, 200]) == RED


@pytest.mark.parametrize(("width", "height"), [(320, 180), (1280, 720), (3840, 2160)])
def test_text_has_a_height_that_can_be_read_at_every_size(width, height):
    """Of a capital: a 50th of the picture's height, 8 pixels at least; no more than a 14th."""
    box = (width // 2, height // 2, width * 3 // 4, height * 3 // 4)

    _, tall = ink(drawn(a_mark(box), canvas=a_canvas(width, height)))

    assert max(8, height / 50) <= tall <= height / 14


@pytest.mark.parametrize(
    "box", [(50, 50, 50, 90), (640, 480, 640, 480), (-1e9, -1e9, 1e9, 1e9), (700, 10, 800, 20)]
)
def test_a_box_that_cannot_be_seen_is_no_reason_to_stop(box):
    drawn(a_mark(box, trail=[(x, box[3], 1.0) for x in box]))


@pytest.mark.parametrize("size", [(1, 1), (8, 8), (63, 2)])
def test_a_tiny_picture_is_no_reason_to_stop(size):
    drawn(a_mark(), canvas=a_canvas(*size), outlines=[(ZONE, Count()), (GATE, Count())])


def test_a_trail_leads_to_the_object_and_fades_with_age():
    trail = [(100 + 10 * i, 400, (i + 1) / 20) for i in range(20)]

    pixels = drawn(a_mark((260, 300, 320, 400), trail=trail))

    reds = [int(pixels[400, x, 0]) for x in (115, 155, 195, 235)]
    assert reds == sorted(reds)
    assert GREY[0] < reds[0] < reds[-1] < RED[0]
    assert tuple(pixels[400, 80]) == GREY


def test_a_zone_is_filled_so_that_what_is_in_it_stays_visible():
    pixels = drawn(outlines=[(ZONE, Count())])

    inside = np.array(pixels[250, 300], int)
    assert inside == pytest.approx(0.85 * np.array(GREY) + 0.15 * np.array(AMBER), abs=1)
    assert tuple(pixels[100, 400]) == AMBER
    assert tuple(pixels[450, 300]) == GREY


def test_the_number_inside_a_zone_is_written_at_its_top():
    none, three = (drawn(outlines=[(ZONE, Count(n_inside=n))]) for n in (0, 3))

    y, x = np.nonzero((none != three).any(axis=2))
    assert len(y)
    assert y.max() < 100
    assert 100 <= x.min() <= x.max() < 250


@pytest.mark.parametrize(("count", "below"), [(Count(n_in=7), True), (Count(n_out=7), False)])
def test_who_crosses_a_line_from_its_left_to_its_right_is_counted_on_the_right(count, below):
    """Walking along this line from left to right, the lower side of the picture is the right."""
    before, after = drawn(outlines=[(GATE, Count())]), drawn(outlines=[(GATE, count)])

    y, x = np.nonzero((before != after).any(axis=2))
    assert len(y)
    assert (y.min() > 240) if below else (y.max() < 240)
    assert abs(x.mean() - 320) < 40


# Wings of the arrows, halfway from the tip; an arrow is 1.6 * 13 = 20.8 long, and its wings 0.4 of
# that back and to the sides. To the right of the line is `in`.
ARROWS = {
    ((100, 240), (540, 240)): [(324, 256), (316, 256), (324, 223), (316, 223)],
    ((320, 100), (320, 400)): [(303, 254), (303, 246), (337, 254), (337, 246)],
    ((200, 100), (400, 300)): [(291, 215), (285, 209), (309, 185), (315, 191)],
}


@pytest.mark.parametrize("line", ARROWS, ids=["across", "down", "slanted"])
def test_arrows_point_away_from_a_line_to_both_sides(line):
    pixels = drawn(outlines=[(Outline("", line, closed=False), Count())])

    for x, y in ARROWS[line]:
        assert pixels[y - 1 : y + 2, x - 1 : x + 2].max() > 230, (x, y)


def test_a_count_stands_just_beyond_the_tip_of_its_arrow():
    down = Outline("", ((320, 100), (320, 400)), closed=False)  # `in` is on the left
    pixels = drawn(outlines=[(down, Count())])

    left, right = pixels[:, :297], pixels[:, 344:]
    x1, y1, x2, y2 = where(left, WHITE)
    assert (x2, abs((y1 + y2) / 2 - 250) <= 1) == (296, True)  # 320 - 20.8 - 3
    x1, _, x2, _ = where(right, WHITE)
    assert x1 == 0  # 320 + 20.8 + 3

    across = drawn(outlines=[(Outline("", ((100, 240), (540, 240)), closed=False), Count())])
    assert where(across[263:, 300:340], WHITE)[1] == 1  # 240 + 20.8 + 3
    assert where(across[:218, 300:340], WHITE)[3] == 216  # 240 - 20.8 - 3


def test_a_line_has_a_dark_edge_and_is_smooth():
    slanted = Outline("", ((100, 100), (500, 180)), closed=False)
    pixels = drawn(outlines=[(slanted, Count())])

    column = pixels[:, 480, 0].astype(int)  # far from the label and the arrows
    assert column.max() > 230
    assert column.min() < 70
    assert len(np.unique(pixels[100:180, 450:490])) > 10


def test_a_zone_is_closed_and_filled_up_to_its_edge():
    pixels = drawn(outlines=[(ZONE, Count())])

    assert tuple(pixels[250, 100]) == AMBER
    filled = 0.85 * np.array(GREY) + 0.15 * np.array(AMBER)
    for y, x in ((110, 110), (390, 490)):
        assert np.array(pixels[y, x], int) == pytest.approx(filled, abs=1)


def test_at_a_corner_in_the_middle_the_arrows_are_those_of_the_part_before_it():
    corner = Outline("", ((100, 100), (100, 300), (300, 300)), closed=False)

    before, after = (drawn(outlines=[(corner, Count(n_in=n))]) for n in (0, 9))

    _, x = np.nonzero((before != after).any(axis=2))
    assert x.max() < 100


def test_counts_stand_at_the_middle_of_a_line_of_several_points():
    corner = Outline("gate", ((100, 100), (100, 300), (300, 300)), closed=False)

    before, after = drawn(outlines=[(corner, Count())]), drawn(outlines=[(corner, Count(9, 9))])

    y, x = np.nonzero((before != after).any(axis=2))
    assert (abs(x.mean() - 100) < 60, abs(y.mean() - 300) < 60) == (True, True)


def test_captions_stand_in_the_lower_left_corner_from_top_to_bottom():
    pixels = drawn(captions=[("cat 0.40", RED), ("dog 0.30", BLUE)])

    red, blue = where(pixels, RED), where(pixels, BLUE)
    assert red[0] == blue[0] == 0
    assert red[1] < blue[1] < blue[3] == 480


def test_an_outline_beyond_the_picture_is_no_reason_to_stop():
    far = Outline("far", ((900, 900), (950, 900), (950, 990)), closed=True)

    drawn(outlines=[(far, Count())])


@pytest.mark.parametrize(
    ("points", "closed", "message"),
    [
        (((1, 1), (1, 1)), False, r"'x': a line needs 2 different points or more; got \[\(1, 1\)"),
        (((1, 1), (2, 2)), True, "'x': a zone needs 3 different points or more"),
    ],
)
def test_an_outline_without_extent_is_refused(points, closed, message):
    with pytest.raises(PipelineError, match=message):
        Outline("x", points, closed)


def test_ten_objects_with_trails_take_less_time_than_a_frame_lasts():
    """About 5 ms on one core of a server; the limit leaves room for a busy machine."""
    trail = [(100 + 5 * i, 400 + i % 7, (i + 1) / 50) for i in range(50)]
    marks = [a_mark((300 + 40 * i, 300, 380 + 40 * i, 400), trail=trail) for i in range(10)]
    canvas = a_canvas(1280, 720)
    drawn(*marks, canvas=canvas)

    took = []
    for _ in range(10):
        started = time.perf_counter()
        drawn(*marks, canvas=canvas)
        took.append(time.perf_counter() - started)

    assert min(took) < 0.02
