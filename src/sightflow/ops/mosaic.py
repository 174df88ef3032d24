"""Images put together of others, with their objects, so that a detector sees more arrangements."""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from sightflow.ops.moving import Objects, keep_visible, move_objects

__all__ = ["mosaic", "paste", "worsen"]

_NEAREST, _FARTHEST = 0.35, 0.65
"""Where the four images of a mosaic may meet, as a part of the side."""
_ZOOM = 1.5
"""By how much they are larger or smaller than their quarter at most."""

Pixels = npt.NDArray[np.uint8]


def mosaic(
    images: Sequence[Pixels], objects: Sequence[Objects], rng: np.random.Generator
) -> tuple[Pixels, Objects]:
    """Return four images of one size as one of that size: each shows a part of itself.

    Args:
        images: four, uint8 [H, W, 3].
        objects: of each, float32 [N, 5].
        rng: draws where they meet, and the part that each shows.
    """
    height, width = images[0].shape[:2]
    whole, kept = np.empty_like(images[0]), list[Objects]()
    middle_x, middle_y = np.rint(rng.uniform(_NEAREST, _FARTHEST, 2) * (width, height)).astype(int)
    columns, rows = (0, middle_x, width), (0, middle_y, height)
    for i, (image, own) in enumerate(zip(images, objects, strict=True)):
        left, right = columns[i % 2 : i % 2 + 2]
        top, bottom = rows[i // 2 : i // 2 + 2]
        move = _part_move(width, height, right - left, bottom - top, rng)
        part = cv2.warpAffine(
            image,
            move,
            (int(right - left), int(bottom - top)),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        ).astype(np.uint8, copy=False)
        moved = keep_visible(part, move_objects(own, move))
        whole[top:bottom, left:right] = part
        moved[:, :4] += np.array([left, top, left, top], np.float32)
        kept.append(moved)
    return whole, np.concatenate(kept)


def _part_move(
    width: int, height: int, part_width: int, part_height: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the move [2, 3] that shows a part of an image in a part of another."""
    zoom = max(part_width / width, part_height / height) * _ZOOM ** rng.uniform(-1, 1)
    slack = np.array([part_width - width * zoom, part_height - height * zoom])
    shift = slack * rng.random(2) + (zoom - 1) / 2
    return np.array([[zoom, 0, shift[0]], [0, zoom, shift[1]]])


def paste(
    image: Pixels,
    objects: Objects,
    cutout: Pixels,
    class_id: int,
    *,
    side: float,
    rng: np.random.Generator,
) -> Objects:
    """Paste a cut-out where no object is, in place; return the objects with it.

    Args:
        image: uint8 [H, W, 3].
        objects: float32 [N, 5].
        cutout: uint8 [h, w, 4], with the channels of the image and alpha.
        class_id: what it is.
        side: pixels of its longer side in the image.
        rng: draws the place. Where an object is there, nothing is pasted.
    """
    scale = side / max(cutout.shape[:2])
    width, height = (max(1, round(n * scale)) for n in cutout.shape[1::-1])
    free_x, free_y = image.shape[1] - width, image.shape[0] - height
    x, y = (rng.random(2) * (free_x, free_y)).astype(int)
    box = np.array([x, y, x + width, y + height], np.float32)
    apart = (objects[:, :2] >= box[2:]).any(axis=1) | (objects[:, 2:4] <= box[:2]).any(axis=1)
    if min(free_x, free_y) < 0 or not apart.all():
        return objects
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(cutout, (width, height), interpolation=how).astype(np.float32)
    alpha = cv2.GaussianBlur(small[..., 3], (0, 0), _EDGE_BLUR)[..., None] / 255
    place = image[y : y + height, x : x + width]
    place[:] = np.rint(alpha * small[..., :3] + (1 - alpha) * place)
    return np.concatenate([objects, np.array([[*box, class_id]], np.float32)])


_EDGE_BLUR = 0.6


def worsen(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Return an image as a worse camera would give it: blurred, compressed, or noisy."""
    kind, amount = rng.random(2).tolist()
    if kind < 0.4:
        return cv2.GaussianBlur(image, (0, 0), 0.4 + 1.1 * amount).astype(np.uint8, copy=False)
    if kind < 0.8:
        quality = [cv2.IMWRITE_JPEG_QUALITY, round(25 + 55 * amount)]
        packed = cv2.imencode(".jpg", image, quality)[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)
    noise = rng.normal(0, 2 + 10 * amount, image.shape)
    worse: Pixels = np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)
    return worse
