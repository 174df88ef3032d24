"""Images are put together of others of their batch and of cut-outs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightflow.errors import PipelineError
from sightflow.learn.compose import Compose

LABELS = ("car", "sign")


def a_batch(n: int = 6) -> tuple[np.ndarray, list[np.ndarray]]:
    images = np.stack([np.full((80, 80, 3), 20 * i + 10, np.uint8) for i in range(n)])
    return images, [np.zeros((0, 5), np.float32)] * n


@pytest.fixture
def cutouts(tmp_path: Path) -> str:
    for label, colour in (("sign", (250, 0, 0, 255)), ("tree", (0, 250, 0, 255))):
        (tmp_path / label).mkdir()
        Image.new("RGBA", (16, 16), colour).save(tmp_path / label / "1.png")
    return str(tmp_path)


def test_cut_outs_of_the_classes_are_pasted_and_others_are_not(cutouts: str) -> None:
    images, objects = a_batch()
    composer = Compose(mosaic=0, cutouts=cutouts, pasted=1.0).open(LABELS)
    whole, kept = composer.compose(images, objects, np.random.default_rng(0))
    assert {int(row[4]) for one in kept for row in one} == {1}
    assert all(len(one) >= 1 for one in kept)
    assert (whole[..., 0] > 240).any(axis=(1, 2)).all()
    assert not (whole[..., 1] > 240).any()
    assert not (images[..., 0] > 240).any()  # those of the memory stay


def test_they_come_in_the_order_of_channels_of_the_images(cutouts: str) -> None:
    images, objects = a_batch()
    composer = Compose(mosaic=0, cutouts=cutouts, pasted=1.0).open(LABELS, bgr=True)
    whole, _ = composer.compose(images, objects, np.random.default_rng(0))
    assert (whole[..., 2] > 240).any()
    assert not (whole[..., 0] > 240).any()


def test_a_mosaic_shows_other_images_of_the_batch() -> None:
    images, objects = a_batch()
    whole, _ = Compose(mosaic=1.0).open(LABELS).compose(images, objects, np.random.default_rng(0))
    assert all(len(np.unique(image[..., 0])) > 1 for image in whole)
    assert set(np.unique(whole).tolist()) <= set(np.unique(images).tolist())


def test_without_anything_to_do_images_stay() -> None:
    images, objects = a_batch()
    composer = Compose(mosaic=0).open(LABELS)
    whole, kept = composer.compose(images, objects, np.random.default_rng(0))
    assert (whole == images).all()
    assert kept == objects
    assert (composer.worsen(whole, np.random.default_rng(0)) == images).all()


def test_the_same_draws_give_the_same(cutouts: str) -> None:
    composer = Compose(cutouts=cutouts, worse=0.5).open(LABELS)
    first, second, other = (
        composer.worsen(
            composer.compose(*a_batch(), np.random.default_rng(seed))[0], np.random.default_rng(9)
        )
        for seed in (1, 1, 2)
    )
    assert (first == second).all()
    assert (first != other).any()


def test_a_folder_without_cut_outs_of_the_classes_is_refused(cutouts: str) -> None:
    with pytest.raises(PipelineError, match=r"Compose: `cutouts` .* has none of \['car'\]"):
        Compose(cutouts=cutouts).open(("car",))


def test_a_file_that_is_no_picture_is_named(cutouts: str) -> None:
    Path(cutouts, "sign", "2.png").write_bytes(b"no picture")
    with pytest.raises(PipelineError, match=r"Compose: `cutouts`: .*2\.png: is no PNG file"):
        Compose(cutouts=cutouts).open(LABELS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mosaic": 1.5}, "`mosaic`"),
        ({"n_pasted": 0}, "`n_pasted` is a whole number from 1"),
        ({"sides": (0.5, 0.2)}, r"`sides` are the shortest and the longest side, .* \[0.5, 0.2\]"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Compose(**options)
