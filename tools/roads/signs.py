"""Pictures of road signs to train a classifier with: drawn ones, and some real ones."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click
import cv2
import numpy as np
import numpy.typing as npt

from tools.roads.draw_signs import SIGNS, Board, draw
from tools.roads.errors import RoadsError
from tools.roads.other_boards import draw_other
from tools.roads.sign_camera import SIDE, Image, photograph, rephotograph
from tools.roads.sign_photos import Photos, read_some

__all__ = ["LABELS", "sign_picture", "signs"]

UNKNOWN = "unknown"
LABELS = (*SIGNS, UNKNOWN)

REAL: Mapping[str, str] = MappingProxyType({"pedestrian crossing": "crosswalk", "stop": "stop"})
"""Of which labels there are real ones, and their category in the annotations."""
REAL_SHARE = 0.4
"""Part of their pictures that are of real ones."""
UNKNOWN_FACTOR = 6
"""So many times as many pictures of what is none of the signs: there are many kinds."""


@click.command()
@click.argument("photos", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--n", default=200, show_default=True, help="Pictures to train with, of each label.")
@click.option("--n-test", default=40, show_default=True, help="Pictures to test with.")
@click.option("--seed", default=0, show_default=True)
def signs(photos: Path, out: Path, n: int, n_test: int, seed: int) -> None:
    """Draw signs in front of PHOTOS and write them to OUT/train and OUT/test."""
    for part, (name, count) in enumerate((("train", n), ("test", n_test))):
        chosen = _read(photos, held_out=name == "test")
        for number, label in enumerate(LABELS):
            folder = out / name / label
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count * (UNKNOWN_FACTOR if label == UNKNOWN else 1)):
                rng = np.random.default_rng([seed, part, number, i])
                picture = sign_picture(label, chosen, rng)
                cv2.imwrite(str(folder / f"{i:05}.png"), picture[:, :, ::-1])
        click.echo(f"{out / name}: {len(LABELS)} labels, {count} pictures of each sign")


def _read(folder: Path, *, held_out: bool) -> Photos:
    try:
        return read_some(folder, held_out=held_out)
    except RoadsError as error:
        raise click.ClickException(str(error)) from error


def sign_picture(label: str, photos: Photos, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return uint8 [H, W, 3] RGB of a sign, at the size at which a camera saw it."""
    if label == UNKNOWN:
        image = _other(photos, rng)
    elif label in REAL and rng.random() < REAL_SHARE:
        image = rephotograph(photos.crop(REAL[label], rng, SIDE), rng)
    else:
        beside = _beside(rng) if rng.random() < 0.25 else None
        image = photograph(draw(label, rng), photos.background(rng, SIDE), rng, beside=beside)
    return np.round(image * 255).astype(np.uint8)


def _beside(rng: np.random.Generator) -> Board:
    """Return what may stand above or below a sign."""
    if rng.random() < 0.5:
        return draw_other(rng)
    return draw(list(SIGNS)[int(rng.integers(len(SIGNS)))], rng)


def _other(photos: Photos, rng: np.random.Generator) -> Image:
    """Return something that is none of the signs: a board, a street, a light, a part of a sign."""
    kind = rng.random()
    if kind < 0.45:
        return photograph(draw_other(rng), photos.background(rng, SIDE), rng)
    if kind < 0.75:
        return rephotograph(photos.background(rng, SIDE), rng)
    if kind < 0.85:
        return rephotograph(photos.crop("trafficlight", rng, SIDE), rng)
    label = list(SIGNS)[int(rng.integers(len(SIGNS)))]
    whole = photograph(draw(label, rng), photos.background(rng, SIDE), rng)
    return _part(whole, rng)


def _part(image: Image, rng: np.random.Generator) -> Image:
    """Return half of a picture or less, which does not tell what the sign is."""
    share = rng.uniform(0.3, 0.5)
    if rng.random() < 0.5:
        image = image.transpose(1, 0, 2)
    rows = max(int(share * len(image)), 4)
    return np.ascontiguousarray(image[:rows] if rng.random() < 0.5 else image[-rows:])
