"""Changed copies of training images: what is drawn, and what it does to the pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from sightflow.errors import PipelineError
from sightflow.ops.augment import Augment


def noise(n: int = 4, height: int = 8, width: int = 12) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), np.uint8)


def grey(level: int, n: int = 500) -> npt.NDArray[np.uint8]:
    return np.full((n, 4, 4, 3), level, np.uint8)


class Extremes:
    """A generator that draws the same numbers for each image, and never mirrors."""

    def __init__(self, **draws: float) -> None:
        names = ("turn", "x", "y", "size", "light", "contrast")
        self._draws = [draws.get(name, 0.0) for name in names]

    def uniform(self, low: float, high: float, shape: tuple[int, int]) -> Any:
        return np.tile(self._draws, (shape[0], 1))

    def random(self, n: int) -> Any:
        return np.ones(n)


def changed(augment: Augment, images: npt.NDArray[np.uint8], **draws: float) -> Any:
    rng: Any = Extremes(**draws)
    return augment.apply(images, rng)


def test_images_stay_as_they_are_unless_something_is_asked_for() -> None:
    images = noise()
    before = images.copy()
    found = Augment().apply(images, np.random.default_rng(0))
    assert (found == images).all()
    Augment(90, 0.5, 0.5, 0.5, 0.5, flip=True).apply(images, np.random.default_rng(0))
    assert (images == before).all()


def test_the_same_draws_change_images_in_the_same_way() -> None:
    augment = Augment(10, 0.1, 0.1, 0.2, 0.2, flip=True)
    first, second, other = (
        augment.apply(noise(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


def test_an_image_is_turned_about_its_middle() -> None:
    images = noise(height=9, width=9)
    found = changed(Augment(rotation_deg=90), images, turn=1)
    assert (found == np.rot90(images, axes=(1, 2))).all()
    even = noise(height=8, width=8)
    found = changed(Augment(rotation_deg=180), even, turn=-1)
    assert (found == even[:, ::-1, ::-1]).all()


def test_an_image_is_shifted_by_a_part_of_its_sides_and_its_edge_is_repeated() -> None:
    images = noise(height=8, width=12)
    found = changed(Augment(shift=0.25), images, x=1, y=-1)  # 3 to the right, 2 up
    assert (found[:, :6, 3:] == images[:, 2:, :9]).all()
    assert (found[:, :6, :3] == images[:, 2:, :1]).all()
    assert (found[:, 6:, 3:] == images[:, 7:, :9]).all()


def test_an_image_is_scaled_about_its_middle() -> None:
    images = np.zeros((1, 9, 9, 3), np.uint8)
    images[:, 3:6, 3:6] = 200
    found = changed(Augment(scale=1.0), images, size=1)  # twice as large
    assert found[0, 4, 4, 0] == 200
    assert (found[0, 2:7, 2:7] == 200).all()
    assert not found[0, :1].any()
    assert (found == found[:, ::-1, ::-1]).all()


def test_half_of_the_images_are_mirrored() -> None:
    images = noise(200)
    found = Augment(flip=True).apply(images, np.random.default_rng(0))
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (mirrored | (found == images).all(axis=(1, 2, 3))).all()
    assert 70 < mirrored.sum() < 130


@pytest.mark.parametrize(
    ("augment", "level", "draws", "expected"),
    [
        (Augment(brightness=0.2), 100, {"light": 1}, 151),  # 0.2 * 255 more
        (Augment(brightness=0.2), 100, {"light": -1}, 49),
        (Augment(brightness=0.2), 20, {"light": -1}, 0),
        (Augment(brightness=0.2), 230, {"light": 1}, 255),
        (Augment(brightness=1.0), 10, {"light": 0.8}, 214),  # 0.8 * 255 more
        (Augment(contrast=0.5), 227, {"contrast": -1}, 177),  # half as far from 127.5: 177.25
        (Augment(contrast=0.5), 27, {"contrast": -1}, 77),
        (Augment(contrast=0.5), 0, {"contrast": 1}, 0),
        (Augment(contrast=0.5), 200, {"contrast": 1}, 236),  # 127.5 + 1.5 * 72.5: 236.25
    ],
)
def test_light_and_contrast_are_changed(
    augment: Augment, level: int, draws: dict[str, float], expected: int
) -> None:
    assert (changed(augment, grey(level, 1), **draws) == expected).all()


def test_no_image_is_changed_by_more_than_was_said() -> None:
    found = Augment(brightness=0.1).apply(grey(128), np.random.default_rng(0))
    levels = found[:, 0, 0, 0].astype(int)
    assert (levels.min(), levels.max()) == (103, 153)  # 128 +- 25.5, of 500 draws


def test_each_colour_has_more_or_less_by_a_draw_of_its_own() -> None:
    found = Augment(colour=0.5).apply(grey(100), np.random.default_rng(0)).astype(int)

    assert (found == found[:, :1, :1]).all(), "the same everywhere in an image"
    levels = found[:, 0, 0]
    assert (levels.min(axis=0) <= 52).all()
    assert (levels.max(axis=0) >= 148).all()
    assert ((levels >= 50) & (levels <= 150)).all()
    assert np.abs(np.corrcoef(levels.T)[np.triu_indices(3, 1)]).max() < 0.2


def test_colours_are_changed_behind_light_and_contrast() -> None:
    rng: Any = np.random.default_rng(3)
    images = noise(50)
    augment = Augment(brightness=0.2, contrast=0.3, colour=0.2)

    found = augment.apply(images, np.random.default_rng(3))

    draws = rng.uniform(-1, 1, (50, 6))
    rng.random(50)
    tints = 1 + 0.2 * rng.uniform(-1, 1, (50, 3))
    gain = (1 + 0.3 * draws[:, 5])[:, None, None, None]
    light = (255 * 0.2 * draws[:, 4])[:, None, None, None]
    expected = ((images - 127.5) * gain + 127.5 + light) * tints[:, None, None]
    assert np.abs(found - np.clip(expected, 0, 255)).max() <= 0.51


def test_half_of_the_images_lose_a_square_to_one_grey() -> None:
    images = np.zeros((600, 20, 16, 3), np.uint8)
    images[..., 0], images[..., 1] = 255, 7

    found = Augment(erase=0.25).apply(images, np.random.default_rng(0))

    lost = (found != images).any(axis=3)
    erased = lost.any(axis=(1, 2))
    assert 240 < erased.sum() < 360
    for image, mask in zip(found[erased], lost[erased], strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert mask.sum() == len(rows) * len(columns) <= 16, "a square of 4 x 4, or what is seen"
        assert len(np.unique(image[mask])) == 1
    assert (lost.sum(axis=(1, 2)) == 16).sum() > 150
    assert lost.any(axis=0).all(), "every part of the image at some time"


def test_what_is_not_asked_for_draws_nothing() -> None:
    """A training of before goes on as it was."""
    plain, more = Augment(10, 0.1, 0.1, 0.2, 0.2), Augment(10, 0.1, 0.1, 0.2, 0.2, erase=0.5)
    first, second = (one.apply(noise(), np.random.default_rng(1)) for one in (plain, more))
    same = (first == second).all(axis=(1, 2, 3))
    assert same.any()
    assert not same.all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rotation_deg": 181}, r"`rotation_deg` is in \[0, 180\]; got 181"),
        ({"shift": -0.1}, r"`shift` is in \[0, 1\]; got -0.1"),
        ({"scale": 1.1}, r"`scale` is in \[0, 1\]; got 1.1"),
        ({"colour": -0.5}, r"`colour` is in \[0, 1\]; got -0.5"),
        ({"erase": 1.5}, r"`erase` is in \[0, 1\]; got 1.5"),
        ({"brightness": 2}, r"`brightness` is in \[0, 1\]; got 2"),
        ({"contrast": float("nan")}, r"`contrast` is in \[0, 1\]; got nan"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Augment(**options)


def test_objects_move_with_their_pixels() -> None:
    images = np.zeros((8, 60, 80, 3), np.uint8)
    images[:, 20:40, 30:50] = 255
    objects = [np.array([[30, 20, 50, 40, 3]], np.float32)] * 8
    augment = Augment(shift=0.1, scale=0.3, flip=True)
    changed, moved = augment.apply_to_objects(images, objects, np.random.default_rng(0))
    assert (changed == augment.apply(images, np.random.default_rng(0))).all()
    for image, rows in zip(changed, moved, strict=True):
        ys, xs = np.nonzero(image[..., 0] > 127)
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert rows[0, :4].tolist() == pytest.approx(box, abs=1.0)
        assert rows[0, 4] == 3


def test_an_object_that_is_moved_out_is_gone() -> None:
    images = np.full((1, 40, 40, 3), 200, np.uint8)
    objects = [np.array([[30, 10, 40, 20, 0]], np.float32)]
    rng: Any = Extremes(x=1)
    _, moved = Augment(shift=0.5).apply_to_objects(images, objects, rng)
    assert len(moved[0]) == 0
