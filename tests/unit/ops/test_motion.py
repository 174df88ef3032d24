"""Boxes in motion: what is believed follows what is measured, in seconds and in heights."""

import numpy as np
import pytest

from sightflow.errors import PipelineError
from sightflow.ops.motion import Motion, Noise, correct, motion_of, predict

NOISE = Noise()


def box(x: float, y: float, width: float = 20, height: float = 40) -> np.ndarray:
    """Return one box by its centre."""
    return np.array([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]], np.float32)


def followed(boxes: list[np.ndarray], seconds: float) -> Motion:
    motion = motion_of(boxes[0], NOISE)
    for measured in boxes[1:]:
        motion = correct(predict(motion, seconds, NOISE), measured, NOISE)
    return motion


def test_a_box_seen_once_is_where_it_was_seen_and_rests() -> None:
    motion = predict(motion_of(box(100, 50), NOISE), 5.0, NOISE)
    assert motion.boxes_xyxy.tolist() == box(100, 50).tolist()
    assert motion.velocities_xy.tolist() == [[0, 0]]


def test_a_steady_motion_is_learnt_and_foretold() -> None:
    motion = followed([box(100 + 3 * t, 50 - t) for t in range(30)], 0.1)
    assert motion.velocities_xy[0] == pytest.approx([30, -10], abs=0.5)
    ahead = predict(motion, 1.0, NOISE).boxes_xyxy
    assert ahead[0] == pytest.approx(box(100 + 87 + 30, 50 - 29 - 10)[0], abs=1.0)


def test_the_frame_rate_does_not_matter_for_what_is_not_measured() -> None:
    motion = followed([box(100 + 3 * t, 50) for t in range(10)], 0.1)
    at_once = predict(motion, 0.6, NOISE)
    in_steps = predict(predict(predict(motion, 0.2, NOISE), 0.2, NOISE), 0.2, NOISE)
    assert np.allclose(at_once.means, in_steps.means)
    assert np.allclose(at_once.covariances, in_steps.covariances)


def test_what_is_twice_as_large_moves_twice_as_far() -> None:
    small = followed([box(100 + 3 * t, 50) for t in range(5)], 0.1)
    large = followed([box(200 + 6 * t, 100, 40, 80) for t in range(5)], 0.1)
    assert np.allclose(large.means, 2 * small.means)
    assert np.allclose(large.covariances, 4 * small.covariances)


def test_a_measurement_of_a_belief_as_good_as_itself_counts_for_half() -> None:
    motion = correct(motion_of(box(100, 50), NOISE), box(110, 50), NOISE)
    assert motion.means[0, 0, 0] == pytest.approx(105)
    assert motion.covariances[0, 0, 0] == pytest.approx((NOISE.position * 40) ** 2 / 2)


def test_with_time_a_belief_gets_uncertain_and_with_measurements_certain() -> None:
    motion = motion_of(box(100, 50), NOISE)
    later = predict(motion, 1.0, NOISE)
    assert (later.covariances[..., 0] > motion.covariances[..., 0]).all()
    assert (
        correct(later, box(100, 50), NOISE).covariances[..., 0] < later.covariances[..., 0]
    ).all()


def test_no_box_vanishes_however_fast_it_shrinks() -> None:
    shrinking = followed([box(100, 50, 20, 60 - 10 * t) for t in range(5)], 0.1)
    far = predict(shrinking, 60.0, NOISE).boxes_xyxy[0]
    assert far[3] - far[1] >= 1


def test_boxes_do_not_mix() -> None:
    both = motion_of(np.concatenate([box(0, 0), box(50, 60)]), NOISE)
    assert both.take(np.array([1])).boxes_xyxy.tolist() == box(50, 60).tolist()
    assert both.take(np.array([0])).join(both.take(np.array([1]))).means.tolist() == (
        both.means.tolist()
    )


def test_a_measurement_and_a_wait_change_a_belief_as_the_formulas_say() -> None:
    # Of the centre's x: variance 3, covariance 2, variance of the velocity 5; the height is 40, so
    # a measurement has the variance (0.025 * 40)^2 = 1 and a second adds (0.05 * 40)^2 = 4.
    noise = Noise(position=0.025, acceleration=0.05)
    means = np.array([[[100, 10], [50, 0], [20, 0], [40, 0]]], np.float64)
    motion = Motion(means, np.tile([3.0, 2.0, 5.0], (1, 4, 1)))

    measured = correct(motion, box(104, 50), noise)
    assert measured.means[0, 0] == pytest.approx([100 + 4 * 3 / 4, 10 + 4 * 2 / 4])
    assert measured.covariances[0, 0] == pytest.approx([3 / 4, 2 / 4, 5 - 2 * 2 / 4])

    later = predict(motion, 2.0, noise)
    assert later.means[0, 0] == pytest.approx([120, 10])
    assert later.covariances[0, 0] == pytest.approx(
        [3 + 2 * (2 * 2 + 2 * 5) + 4 * 8 / 3, 2 + 2 * 5 + 4 * 4 / 2, 5 + 4 * 2]
    )


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_noise_that_cannot_be_is_refused(value: float) -> None:
    with pytest.raises(PipelineError, match=f"^Noise: `growth` is above 0; got {value}$"):
        Noise(growth=value)
