"""Small pictures for people to look at."""

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg

__all__ = ["thumbnail"]


def thumbnail(pixels: npt.NDArray[np.uint8], *, max_side: int, quality: int = 78) -> bytes:
    """Return a picture as a small JPEG.

    Args:
        pixels: uint8 [H, W, 3] RGB.
        max_side: its longer side is at most so long, in pixels; it is never enlarged.
        quality: of the JPEG, 1 to 100.
    """
    height, width = pixels.shape[:2]
    factor = min(1.0, max_side / max(height, width))
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels), quality=quality, colorspace="RGB", fastdct=True
        )
    )
