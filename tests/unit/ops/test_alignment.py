"""Similarities between pictures, and the crops that they show."""

import math

import numpy as np
import pytest

from sightflow.ops.alignment import (
    fit_similarities,
    inverted,
    transformed,
    turned_squares,
    warp,
)

TEMPLATE = [[38.0, 52.0], [74.0, 52.0], [56.0, 72.0], [42.0, 92.0], [71.0, 92.0]]


def turned(points, degrees, factor=1.0, move=(0.0, 0.0)):
    angle = math.radians(degrees)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(points) @ rotation.T * factor + move


@pytest.mark.parametrize("degrees", [0, 30, 90, 180, -135])
def test_points_that_were_turned_scaled_and_moved_are_brought_back(degrees):
    moved = turned(TEMPLATE, degrees, 3.5, (100, -20))

    (matrix,) = fit_similarities(moved[None], TEMPLATE)

    assert transformed(moved[None], matrix[None])[0] == pytest.approx(np.array(TEMPLATE))


def test_a_mirrored_face_is_not_mirrored_back():
    """The best similarity without a reflection leaves an error; its determinant stays positive."""
    mirrored = np.array(TEMPLATE) * [-1, 1]

    (matrix,) = fit_similarities(mirrored[None], TEMPLATE)

    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_in_one_place_are_brought_to_the_middle_of_the_template():
    (matrix,) = fit_similarities([[[7.0, 9.0]] * 5], TEMPLATE)

    found = transformed([[[7.0, 9.0]]], matrix[None])[0, 0]
    assert found == pytest.approx(np.mean(TEMPLATE, axis=0))


def test_no_points_give_no_similarities():
    assert fit_similarities(np.zeros((0, 5, 2)), TEMPLATE).shape == (0, 2, 3)


def test_a_square_becomes_the_whole_crop():
    """A square of 20 pixels around (50, 30): its corner lies at (40, 20)."""
    matrices = turned_squares([[50, 30]], [20], [0.0], 48)

    corners = transformed([[[40, 20], [60, 40], [50, 30]]], matrices)[0]
    assert corners == pytest.approx(np.array([[0, 0], [48, 48], [24, 24]]))


def test_eyes_that_are_not_level_are_level_in_the_crop():
    left, right = [40.0, 20.0], [60.0, 40.0]  # 45 degrees, clockwise
    matrices = turned_squares([[50, 30]], [40], [math.pi / 4], 80)

    eyes = transformed([[left, right]], matrices)[0]
    assert eyes[0, 1] == pytest.approx(eyes[1, 1])
    assert eyes[0, 0] < eyes[1, 0]


def test_an_inverted_similarity_leads_back():
    matrices = turned_squares([[50, 30], [5, 9]], [20, 300], [0.3, -2.0], 112)
    points = np.array([[[3.0, 4.0], [50.0, 60.0]]] * 2)

    assert transformed(transformed(points, matrices), inverted(matrices)) == pytest.approx(points)


def test_a_crop_of_the_same_size_is_the_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])

    assert (warp(pixels, identity, 32) == pixels).all()


def test_beyond_the_edges_the_edges_go_on():
    pixels = np.full((10, 10, 3), 90, np.uint8)
    far_left = np.array([[1.0, 0, 200], [0, 1, 0]])

    assert (warp(pixels, far_left, 16) == 90).all()


@pytest.mark.parametrize("side", [512, 500, 333])
def test_what_shrinks_is_averaged_so_that_no_pixel_is_left_out(side):
    """Rows that are black and white by turns become grey; bilinear would show stripes."""
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[::2] = 255
    factor = 16 / side
    shrunk = warp(pixels, np.array([[factor, 0, 0], [0, factor, 0]]), 16)

    assert np.abs(shrunk[1:-1].astype(int) - 127).max() <= 8


@pytest.mark.parametrize("factor", [0.1, 0.3, 0.45, 0.8, 2.0])
def test_a_spot_lies_where_the_similarity_says(factor):
    """A bright spot of 9 pixels around (200, 120), seen through crops of several scales."""
    pixels = np.zeros((400, 401, 3), np.uint8)
    pixels[116:125, 196:205] = 255
    size = 64
    matrix = np.array([[factor, 0, 30.0 - factor * 200], [0, factor, 20.0 - factor * 120]])

    shown = warp(pixels, matrix, size)[:, :, 0].astype(float)

    y, x = np.mgrid[:size, :size]
    assert (shown * x).sum() / shown.sum() == pytest.approx(30, abs=0.1)
    assert (shown * y).sum() / shown.sum() == pytest.approx(20, abs=0.1)


@pytest.mark.parametrize("size", [(7, 200), (200, 7), (1, 60), (60, 1), (61, 37)])
def test_a_ramp_stays_a_ramp_however_long_and_narrow_the_picture_is(size):
    """The brightness of a pixel is its column; a crop at a fifth of the size has every fifth."""
    height, width = size
    ramp = np.broadcast_to(np.arange(width, dtype=np.uint8)[None, :, None], (height, width, 3))
    matrix = np.array([[0.2, 0.0, 0.0], [0.0, 0.2, 0.0]])

    crop = warp(np.ascontiguousarray(ramp), matrix, 12)

    within = [u for u in range(12) if 4 <= 5 * u <= width - 5]
    assert [int(crop[0, u, 0]) for u in within] == pytest.approx([5 * u for u in within], abs=1.5)


@pytest.mark.parametrize(
    ("move", "expected"),
    [((-100, 0), 39), ((100, 0), 0), ((0, -100), 10), ((0, 100), 10), ((-100, 100), 39)],
)
def test_a_crop_that_misses_the_picture_shows_its_nearest_edge(move, expected):
    ramp = np.broadcast_to(np.arange(40, dtype=np.uint8)[None, :, None], (40, 40, 3))
    matrix = np.array([[1.0, 0.0, move[0]], [0.0, 1.0, move[1]]])

    crop = warp(np.ascontiguousarray(ramp), matrix, 20)

    column = 10 if move[0] == 0 else 0
    assert set(crop[:, column, 0].tolist()) == {expected}
