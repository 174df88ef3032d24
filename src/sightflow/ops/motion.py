"""Boxes in motion: a Kalman filter of constant velocity for centre and size, all boxes at once.

The four coordinates of a box (centre x, centre y, width, height) move on their own, so that the
covariance of each is 2 x 2 and the whole filter is a few lines on arrays. Time is in seconds,
whatever the frame rate is, and every noise is a part of the box's height: what moves near the
camera moves faster in pixels.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sightflow.ops.boxes import cxcywh_to_xyxy
from sightflow.options import check_number

__all__ = ["Motion", "Noise", "correct", "motion_of", "predict"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Noise:
    """How boxes move, and how exactly they are measured; everything in heights of the box."""

    acceleration: float = 0.15
    """Change of the centre's velocity in one second, standard deviation."""
    growth: float = 0.02
    """Change in one second of how fast the size changes."""
    position: float = 0.04
    """Error of a measured centre."""
    size: float = 0.15
    """Error of a measured width or height."""
    first_velocity: float = 2.0
    """Velocity of the centre, a second, of an object that was seen once."""
    first_growth: float = 0.05
    """The same for its size."""

    def __post_init__(self) -> None:
        """Refuse what is no standard deviation."""
        check_number(self, *vars(self), within="(0, inf)")


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """What is believed of N boxes."""

    means: Floats
    """float64 [N, 4, 2]: centre x, centre y, width, height; each with its change a second."""
    covariances: Floats
    """float64 [N, 4, 3]: variance of the value, covariance, variance of the change."""

    @property
    def boxes_xyxy(self) -> npt.NDArray[np.float32]:
        """float32 [N, 4]; width and height are at least a pixel."""
        boxes = self.means[:, :, 0].astype(np.float32)
        boxes[:, 2:] = np.maximum(boxes[:, 2:], 1.0)
        return cxcywh_to_xyxy(boxes)

    @property
    def velocities_xy(self) -> npt.NDArray[np.float32]:
        """float32 [N, 2] of the centre, in pixels a second."""
        return self.means[:, :2, 1].astype(np.float32)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> "Motion":
        """Return the boxes of these rows."""
        return Motion(self.means[rows], self.covariances[rows])

    def join(self, other: "Motion") -> "Motion":
        """Return these boxes and then the others."""
        return Motion(
            np.concatenate([self.means, other.means]),
            np.concatenate([self.covariances, other.covariances]),
        )


def motion_of(boxes_xyxy: npt.NDArray[np.float32], noise: Noise) -> Motion:
    """Return what is believed of boxes that were seen once: they rest, but nobody knows.

    Args:
        boxes_xyxy: float32 [N, 4] in pixels.
        noise: how they move.
    """
    values = _cxcywh(boxes_xyxy)
    means = np.stack([values, np.zeros_like(values)], axis=2)
    errors = _per_coordinate(values, noise.position, noise.size)
    speeds = _per_coordinate(values, noise.first_velocity, noise.first_growth)
    return Motion(means, np.stack([errors**2, np.zeros_like(errors), speeds**2], axis=2))


def predict(motion: Motion, seconds: float, noise: Noise) -> Motion:
    """Return what is believed after some time without a measurement.

    Source:
        Constant velocity with white noise as acceleration; Bar-Shalom, Li, Kirubarajan, "Estimation
        with Applications to Tracking and Navigation", 2001, section 6.2.2.
    """
    means = motion.means.copy()
    means[:, :, 0] += means[:, :, 1] * seconds
    value, mixed, change = np.moveaxis(motion.covariances, 2, 0)
    power = _per_coordinate(motion.means[:, :, 0], noise.acceleration, noise.growth) ** 2
    return Motion(
        means,
        np.stack(
            [
                value + seconds * (2 * mixed + seconds * change) + power * seconds**3 / 3,
                mixed + seconds * change + power * seconds**2 / 2,
                change + power * seconds,
            ],
            axis=2,
        ),
    )


def correct(motion: Motion, boxes_xyxy: npt.NDArray[np.float32], noise: Noise) -> Motion:
    """Return what is believed after a measurement of every box.

    Args:
        motion: N boxes, at the time of the measurement.
        boxes_xyxy: float32 [N, 4] in pixels, row i is of box i.
        noise: how exact they are.
    """
    measured = _cxcywh(boxes_xyxy)
    value, mixed, change = np.moveaxis(motion.covariances, 2, 0)
    errors = _per_coordinate(motion.means[:, :, 0], noise.position, noise.size) ** 2
    gain, gain_of_change = value / (value + errors), mixed / (value + errors)
    surprise = measured - motion.means[:, :, 0]
    means = motion.means + np.stack([gain * surprise, gain_of_change * surprise], axis=2)
    return Motion(
        means,
        np.stack([(1 - gain) * value, (1 - gain) * mixed, change - gain_of_change * mixed], axis=2),
    )


def _cxcywh(boxes_xyxy: npt.NDArray[np.float32]) -> Floats:
    corners = boxes_xyxy.astype(np.float64)
    size = corners[:, 2:] - corners[:, :2]
    return np.concatenate([corners[:, :2] + size / 2, size], axis=1)


def _per_coordinate(cxcywh: Floats, of_centre: float, of_size: float) -> Floats:
    """Return noise in pixels, [N, 4], from noise in heights."""
    heights = np.maximum(cxcywh[:, 3:], 1.0)
    noise: Floats = heights * np.array([of_centre, of_centre, of_size, of_size])
    return noise
