"""Portraits that packages of the set-up carry, and what people see in them."""

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image
from tests.faces import orl_faces

__all__ = ["ASTRONAUT_BOX", "ASTRONAUT_XY", "astronaut", "moved", "shrunk", "stranger", "turned"]

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]

ASTRONAUT_BOX = np.array([[172, 74, 278, 180]], np.float32)
"""Her face: from ear to ear, from under the hair to the chin."""
ASTRONAUT_XY = np.array(
    [[204.2, 101.2], [246.7, 103.5], [224.5, 128.0], [204.0, 140.0], [244.0, 141.2]], np.float32
)
"""Her pupils, the tip of the nose, the corners of the mouth: read from the picture, six times as
large."""


def astronaut() -> Pixels:
    """Return a woman who looks into the camera, 512 x 512."""
    return np.asarray(skimage.data.astronaut(), np.uint8)


def stranger(person: int, number: int = 1) -> Pixels:
    """Return one of ten pictures of one of forty people, 92 x 112, from 1: the faces of ORL."""
    (path,) = orl_faces(person, [number])
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def turned(pixels: Pixels, degrees: float) -> tuple[Pixels, Matrix]:
    """Return a picture turned about its middle, and the matrix [2, 3] that says where points go.

    Positive angles turn it anticlockwise. What comes in from outside repeats its edges.
    """
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1)
    size = (width, height)
    shown = cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shown, np.uint8), np.asarray(matrix, np.float64)


def moved(points_xy: npt.NDArray[np.float32], matrix: Matrix) -> npt.NDArray[np.float32]:
    """Return where points [K, 2] are in a turned picture."""
    return np.asarray(points_xy @ matrix[:, :2].T + matrix[:, 2], np.float32)


def shrunk(pixels: Pixels, factor: float) -> Pixels:
    """Return a picture made smaller, each pixel the mean of many."""
    small = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)
