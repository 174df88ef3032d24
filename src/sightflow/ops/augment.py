"""Changed copies of training images, so that a network does not learn them by heart."""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from sightflow.errors import PipelineError

__all__ = ["Augment"]

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Augment:
    """By how much images are changed at most, each by its own draw."""

    rotation_deg: float = 0.0
    shift: float = 0.0
    """Part of the side."""
    scale: float = 0.0
    """Part of the size."""
    brightness: float = 0.0
    """Part of 255."""
    contrast: float = 0.0
    """Part of the contrast."""
    flip: bool = False
    """Whether half of them are mirrored left to right."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("rotation_deg", "shift", "scale", "brightness", "contrast"):
            value, most = getattr(self, name), 180.0 if name == "rotation_deg" else 1.0
            if not 0 <= value <= most:
                raise PipelineError(f"Augment: `{name}` is in [0, {most:g}]; got {value}")

    def apply(self, images: Pixels, rng: np.random.Generator) -> Pixels:
        """Return changed images, uint8 [B, H, W, 3]; the draws are those of `rng`."""
        height, width = images.shape[1:3]
        draws = rng.uniform(-1, 1, (len(images), 6))
        mirrored = rng.random(len(images)) < (0.5 if self.flip else 0.0)
        changed = np.empty_like(images)
        for i, (turn, x, y, size, light, contrast) in enumerate(draws.tolist()):
            middle = (width - 1) / 2, (height - 1) / 2
            angle, zoom = turn * self.rotation_deg, 1 + size * self.scale
            move = np.array(cv2.getRotationMatrix2D(middle, angle, zoom), np.float64)
            move[:, 2] += x * self.shift * width, y * self.shift * height
            image = images[i, :, ::-1] if mirrored[i] else images[i]
            cv2.warpAffine(
                np.ascontiguousarray(image),
                move,
                (width, height),
                dst=changed[i],
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            gain = 1 + contrast * self.contrast
            offset = 255 * light * self.brightness + 127.5 * (1 - gain)
            if gain != 1 or offset:
                cv2.convertScaleAbs(
                    np.maximum(changed[i].astype(np.float32) * gain + offset, 0),
                    dst=changed[i],
                )
        return changed
