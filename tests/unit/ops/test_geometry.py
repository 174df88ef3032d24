"""Points beside lines and in polygons."""

import numpy as np
import pytest

from sightflow.ops.geometry import crosses, distance_to_line, distance_to_polygon

# An L: the square from 0 to 20 without its upper right quarter.
L_SHAPE = ((0, 0), (10, 0), (10, 10), (20, 10), (20, 20), (0, 20))


def test_right_of_a_line_is_positive_whatever_its_direction() -> None:
    points = np.array([[5.0, 12.0]])
    assert distance_to_line(points, (0, 10), (100, 10)) == pytest.approx([2])
    assert distance_to_line(points, (100, 10), (0, 10)) == pytest.approx([-2])
    assert distance_to_line(np.array([[0.0, 0.0]]), (0, 10), (10, 0)) == pytest.approx([-(50**0.5)])


@pytest.mark.parametrize(
    ("point", "distance"),
    [
        ((5, 5), 5),  # inside, from the left edge and from the one at x = 10
        ((15, 5), -5),  # in the missing quarter
        ((15, 13), 3),
        ((-3, 24), -5),  # from the corner at (0, 20)
        ((2, 20), 0),
    ],
)
def test_a_polygon_may_be_concave(point, distance) -> None:
    assert distance_to_polygon(np.array([point], float), L_SHAPE) == pytest.approx([distance])


@pytest.mark.parametrize(
    ("point", "distance"),
    [((2, 2), 2), ((6, 6), -(2**0.5)), ((8, 1), 0.5**0.5), ((1, 8), 0.5**0.5), ((-2, 3), -2)],
)
def test_a_polygon_may_have_slanted_edges(point, distance) -> None:
    triangle = (0, 0), (10, 0), (0, 10)  # its long edge is x + y = 10
    assert distance_to_polygon(np.array([point], float), triangle) == pytest.approx([distance])


def test_the_order_of_the_corners_does_not_matter() -> None:
    points = np.random.default_rng(0).uniform(-5, 25, (200, 2))
    forwards = distance_to_polygon(points, L_SHAPE)
    assert distance_to_polygon(points, L_SHAPE[::-1]) == pytest.approx(forwards)
    inside = [0 < x < 20 and 0 < y < 20 and not (x > 10 and y < 10) for x, y in points]
    assert (forwards > 0).tolist() == inside


def test_no_points_have_no_distances() -> None:
    assert distance_to_polygon(np.zeros((0, 2)), L_SHAPE).shape == (0,)
    assert distance_to_line(np.zeros((0, 2)), (0, 0), (1, 0)).shape == (0,)


def test_a_way_past_the_end_of_a_line_does_not_cross_it() -> None:
    assert crosses((50, 0), (60, 20), (0, 10), (100, 10))
    assert not crosses((99, 0), (105, 20), (0, 10), (100, 10))
    assert not crosses((0, 0), (100, 0), (0, 10), (100, 10))


@pytest.mark.parametrize("x", [0, 100])
def test_a_way_through_the_very_end_of_a_line_crosses_it(x) -> None:
    assert crosses((x, 0), (x, 20), (0, 10), (100, 10))


@pytest.mark.parametrize(
    ("point", "is_inside"), [((5, 5), True), ((15, 5), False), ((25, 5), True)]
)
def test_to_the_right_of_a_point_there_may_be_many_edges(point, is_inside) -> None:
    """A comb with teeth from 0 to 10, 20 to 30 and 40 to 50, on a back below them."""
    teeth = [(0, 0), (10, 0), (10, 10), (20, 10), (20, 0), (30, 0), (30, 10), (40, 10), (40, 0)]
    comb = (*teeth, (50, 0), (50, 20), (0, 20))
    (distance,) = distance_to_polygon(np.array([point], float), comb)
    assert distance == pytest.approx(5 if is_inside else -5)


@pytest.mark.parametrize(("end", "does"), [((30, 10), True), ((8, 10), False)])
def test_a_slanted_way_meets_a_slanted_line_or_passes_it(end, does) -> None:
    assert crosses((10, 0), (20, 30), (0, 20), end) is does
    assert crosses((20, 30), (10, 0), end, (0, 20)) is does
