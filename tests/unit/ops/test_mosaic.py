"""Mosaics and pasted cut-outs: where the objects are is where their pixels are."""

import numpy as np
import pytest

from sightflow.ops.mosaic import mosaic, paste, worsen

SIDE = 100


def blocks(value: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a dark image with a bright block, and its box with the class `value`."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[40:60, 30:70] = value
    return image, np.array([[30, 40, 70, 60, value]], np.float32)


@pytest.mark.parametrize("seed", range(5))
def test_objects_of_a_mosaic_are_where_their_pixels_are(seed: int) -> None:
    images, objects = zip(*(blocks(value) for value in (60, 120, 180, 240)), strict=True)

    whole, kept = mosaic(images, objects, np.random.default_rng(seed))

    assert whole.shape == (SIDE, SIDE, 3)
    assert len(kept) >= 2
    for x1, y1, x2, y2, value in kept.tolist():
        inside = whole[round(y1) + 1 : round(y2) - 1, round(x1) + 1 : round(x2) - 1]
        assert (inside == value).mean() > 0.95
        assert 0 <= x1 < x2 <= SIDE
        assert 0 <= y1 < y2 <= SIDE
    values = set(kept[:, 4].tolist())
    for value in {60.0, 120.0, 180.0, 240.0} - values:
        assert not (whole == value).any()  # none is seen that is not named


def test_a_mosaic_leaves_its_images_as_they_were() -> None:
    image, objects = blocks(200)
    before = image.copy()
    mosaic([image] * 4, [objects] * 4, np.random.default_rng(0))
    assert (image == before).all()


def a_cutout() -> np.ndarray:
    """Return a red disc on a transparent square of 20."""
    y, x = np.mgrid[:20, :20] - 9.5
    cutout = np.zeros((20, 20, 4), np.uint8)
    cutout[..., 0] = 255
    cutout[..., 3] = np.where(x**2 + y**2 < 90, 255, 0)
    return cutout


def test_a_cut_out_is_pasted_at_the_size_asked_for_and_what_is_transparent_is_not() -> None:
    image, none = np.full((SIDE, SIDE, 3), 50, np.uint8), np.zeros((0, 5), np.float32)
    ((x1, y1, x2, y2, class_id),) = paste(
        image, none, a_cutout(), 3, side=40, rng=np.random.default_rng(1)
    ).tolist()
    assert (x2 - x1, y2 - y1, class_id) == (40, 40, 3)
    left, top = int(x1), int(y1)
    assert image[top + 20, left + 20].tolist() == [255, 0, 0]
    assert image[top, left].tolist() == [50, 50, 50]
    outside = np.ones((SIDE, SIDE), bool)
    outside[top : top + 40, left : left + 40] = False
    assert (image[outside] == 50).all()


def test_nothing_is_pasted_over_an_object_or_where_it_does_not_fit() -> None:
    image, everywhere = np.zeros((SIDE, SIDE, 3), np.uint8), np.array([[0, 0, 100, 100, 1]], "f4")
    rng = np.random.default_rng(0)
    assert paste(image, everywhere, a_cutout(), 0, side=10, rng=rng) is everywhere
    none = np.zeros((0, 5), np.float32)
    assert len(paste(image, none, a_cutout(), 0, side=120, rng=rng)) == 0
    assert not image.any()


def test_a_worse_image_is_another_one_of_the_same_size_and_looks_much_the_same() -> None:
    image = np.random.default_rng(0).integers(90, 160, (40, 50, 3), np.uint8)
    for seed in range(6):
        worse = worsen(image, np.random.default_rng(seed))
        assert (worse.shape, worse.dtype) == (image.shape, np.uint8)
        assert 0 < np.abs(worse.astype(int) - image).mean() < 25
