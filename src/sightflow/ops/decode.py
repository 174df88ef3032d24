"""Encoded bytes to upright RGB pixels. The only place that knows image formats.

JPEG goes to libjpeg-turbo (`simplejpeg`), which can decode at 1/2, 1/4 or 1/8 of the size for
less work; everything else, and the odd kinds of JPEG, go to Pillow.
"""

import io
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from sightflow.errors import DecodeError

__all__ = ["FORMATS", "MAX_PIXELS", "Decoded", "decode", "decode_cutout", "may_be_picture"]

MAX_PIXELS = 178_000_000
"""Default limit for width x height of a picture."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM")
"""What is decoded, in Pillow's words. GIF, WebP and TIFF give their first frame."""

_MAX_JPEG_PIXELS_PER_BYTE = 1 << 14
"""Even a blank JPEG spends about one bit on each block of 64 pixels; beyond this it is a bomb."""

_STARTS = {
    rb"\xff\xd8\xff": "JPEG",
    rb"\x89PNG": "PNG",
    rb"RIFF.{4}WEBP": "WebP",
    rb"GIF8": "GIF",
    rb"BM": "BMP",
    rb"II\*\0|MM\0\*": "TIFF",
    rb".{4}ftypavi[fs]": "AVIF",
}

_JPEG = ("JPEG", "MPO")
"""MPO, which phones write, is a JPEG with a second picture behind it."""

_EXIF_ORIENTATION = 0x0112

Image.MAX_IMAGE_PIXELS = None  # the limit here is `max_pixels`, applied before any decoding
warnings.filterwarnings("ignore", module=r"PIL\..*")  # remarks on damaged metadata

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded picture."""

    pixels: Pixels
    """uint8 [H, W, 3] RGB, upright."""
    width: int
    """Pixels of the original, upright; `pixels` may be smaller."""
    height: int


def _full_scale(width: int, height: int) -> float:
    return 1.0


def decode(
    data: bytes,
    *,
    max_pixels: int = MAX_PIXELS,
    scale_for: Callable[[int, int], float] = _full_scale,
) -> Decoded:
    """Decode the first frame of a picture to upright RGB.

    The size is read from the header first, so that a small file that claims to be huge costs
    nothing. Transparent parts become white, CMYK and palettes become RGB, 16 bits become 8.

    Args:
        data: the bytes of a file in one of `FORMATS`.
        max_pixels: limit for width x height.
        scale_for: told the upright width and height, returns in (0, 1] the smallest scale that
            the caller can use; a JPEG may then be decoded smaller, but never below it.

    Returns:
        The pixels and the size of the original.

    Raises:
        DecodeError: with the reason `empty`, `not_an_image`, `too_large`, `unsupported` or
            `corrupt`.

    Source:
        Pixels at scale 1 equal Pillow's `Image.convert("RGB")` after `ImageOps.exif_transpose`,
        except that of 16 bits the upper 8 are taken (Pillow clips) and transparency becomes white.
    """
    if not data:
        raise DecodeError("empty", "no bytes")
    image = _open(data)
    _check_size(image, len(data), max_pixels)
    if image.format in _JPEG:
        return _decode_jpeg(data, image, scale_for)
    pixels = _decode_with_pillow(image)
    return _decoded(pixels, image.size, _orientation(image))


def decode_cutout(data: bytes) -> npt.NDArray[np.uint8]:
    """Return a PNG file with transparency as uint8 [H, W, 4], RGB and alpha.

    Raises:
        DecodeError: it is no such file.
    """
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            return np.asarray(image.convert("RGBA"), np.uint8)
    except (OSError, ValueError) as error:
        raise DecodeError("not_an_image", f"is no PNG file: {error}") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # damaged headers make Pillow raise nearly anything
        raise _refusal(data) from error


def may_be_picture(head: bytes) -> bool:
    """Return whether a file that begins like this can be a picture."""
    if any(re.match(pattern, head, re.DOTALL) for pattern in _STARTS):
        return True
    try:
        _open(head)
    except DecodeError:
        return False
    return True


def _refusal(data: bytes) -> DecodeError:
    """Tell a damaged picture from something else."""
    for pattern, kind in _STARTS.items():
        if re.match(pattern, data, re.DOTALL):
            return DecodeError("corrupt", f"starts as {kind}, and its header cannot be read")
    if re.match(rb".{4}ftyp(heic|heix|hevc|heif|mif1|msf1)", data, re.DOTALL):
        return DecodeError("unsupported", "a HEIC photo; save it as JPEG, PNG or AVIF")
    if data[4:8] == b"ftyp":
        return DecodeError("not_an_image", "a video or audio file; give it as a path of its own")
    return DecodeError(
        "not_an_image", f"no {', '.join(FORMATS)} starts with the bytes {data[:8].hex(' ')}"
    )


def _check_size(image: Image.Image, n_bytes: int, max_pixels: int) -> None:
    n_pixels = image.width * image.height
    size = f"{image.width} x {image.height}"
    if n_pixels > max_pixels:
        raise DecodeError(
            "too_large", f"{size} is {n_pixels:,} pixels, more than the limit of {max_pixels:,}"
        )
    if n_pixels == 0:
        raise DecodeError("corrupt", f"the header says {size}")
    if image.format in _JPEG and n_pixels > n_bytes * _MAX_JPEG_PIXELS_PER_BYTE:
        raise DecodeError("corrupt", f"{n_bytes} bytes cannot hold a JPEG of {size}")


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation; a PNG must have been loaded, since asking would load it."""
    try:
        orientation = int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # damaged EXIF is no reason to refuse a picture
        return 1
    return orientation if 1 <= orientation <= 8 else 1


def _decode_jpeg(
    data: bytes, image: Image.Image, scale_for: Callable[[int, int], float]
) -> Decoded:
    """Decode with libjpeg-turbo what it can, at the scale that is enough; the rest with Pillow."""
    orientation = _orientation(image)
    upright = image.size if orientation <= 4 else image.size[::-1]
    scale = scale_for(*upright)
    least: dict[str, Any] = {}
    if scale <= 0.5:
        least = {
            "min_height": math.ceil(image.height * scale),
            "min_width": math.ceil(image.width * scale),
        }
    if image.mode in ("RGB", "L"):
        try:
            pixels = simplejpeg.decode_jpeg(data, "RGB", **least)
            return _decoded(pixels, image.size, orientation)
        except ValueError:
            pass  # damaged, or harmless rubbish between segments: Pillow tells these apart
    return _decoded(_decode_with_pillow(image), image.size, orientation)


def _decoded(pixels: Pixels, size: tuple[int, int], orientation: int) -> Decoded:
    width, height = size if orientation <= 4 else size[::-1]
    return Decoded(_upright(pixels, orientation), width, height)


def _decode_with_pillow(image: Image.Image) -> Pixels:
    try:
        image.load()
        return _to_rgb(image)
    except DecodeError:
        raise
    except Exception as error:  # damaged data makes Pillow's readers raise nearly anything
        raise DecodeError("corrupt", f"{image.format}: {error or type(error).__name__}") from error


def _to_rgb(image: Image.Image) -> Pixels:
    """Return any of Pillow's modes as uint8 [H, W, 3]."""
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        return _grey_to_rgb(_sixteen_bits(image))
    if mode == "F":
        raise DecodeError("unsupported", f"{image.format} with 32-bit float samples")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGB", rgba.size, (255, 255, 255))
        white.paste(rgba, mask=rgba.getchannel("A"))
        return np.asarray(white)
    return np.asarray(image.convert("RGB"))


def _sixteen_bits(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Return the upper eight bits of each 16-bit sample."""
    samples = np.asarray(image)
    if samples.min(initial=0) < 0 or samples.max(initial=0) > 0xFFFF:
        raise DecodeError("unsupported", f"{image.format} with samples of more than 16 bits")
    return (samples >> 8).astype(np.uint8)


def _grey_to_rgb(grey: npt.NDArray[np.uint8]) -> Pixels:
    return np.repeat(grey[:, :, None], 3, axis=2)


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    """Turn and mirror stored pixels as their EXIF orientation asks."""
    if orientation == 1:
        return pixels
    if orientation > 4:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
