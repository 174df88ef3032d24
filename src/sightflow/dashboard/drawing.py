"""A result drawn into its picture, small enough for a page."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from sightflow.ops.draw import Pixels, enlarged
from sightflow.records import Row
from sightflow.records.findings import FINDINGS
from sightflow.sinks.annotations import Annotator, Tally

__all__ = ["as_data_uri", "draw_row"]

_SIZE = (360, 270)
_QUALITY = 75


def draw_row(
    pixels: Pixels,
    row: Row,
    *,
    size: tuple[int, int] = _SIZE,
    min_score: float = 0.0,
    captions: bool = True,
) -> bytes:
    """Return a picture with what was found in it, as a small JPEG.

    Args:
        pixels: uint8 [H, W, 3] RGB, the whole picture in any scale.
        row: the result of the picture; boxes are in pixels of its `width`.
        size: width and height that the JPEG has at most; a tiny picture is enlarged first.
        min_score: objects that score less are left out, in [0, 1].
        captions: whether classes of the whole picture are written into it.
    """
    image = Image.fromarray(enlarged(pixels)[0])
    image.thumbnail(size)
    small = np.array(image)
    found = _scaled(row, small.shape[1] / row["width"])
    if not captions:
        found["classification"] = None
    annotator = Annotator((), Tally({}), min_score=min_score, trail_ms=0, hiding=None)
    annotator.draw(small, found)
    buffer = io.BytesIO()
    Image.fromarray(small).save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    return buffer.getvalue()


def as_data_uri(jpeg: bytes) -> str:
    """Return a JPEG as a `data:` URI, which a page holds within itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _scaled(row: Row, scale: float) -> dict[str, Any]:
    """Return a row with its boxes in pixels of a scaled picture."""
    return {
        name: [_scaled_item(item, scale) for item in value] if name in FINDINGS and value else value
        for name, value in row.items()
    }


def _scaled_item(item: Mapping[str, Any], scale: float) -> Mapping[str, Any]:
    box = item.get("box_xyxy")
    return item if box is None else {**item, "box_xyxy": [scale * edge for edge in box]}
