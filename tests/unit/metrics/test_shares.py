"""Shares and their intervals; the intervals are those of the formula, worked out by hand."""

import pytest

from sightflow.metrics.shares import Share


def test_a_share_is_so_many_of_so_many() -> None:
    assert Share(3, 4).value == 0.75


@pytest.mark.parametrize(
    ("n_hits", "n", "interval"),
    [
        (8, 10, (0.4902, 0.9433)),  # (8 + 1.9207 -+ 1.96 * sqrt(1.6 + 0.9604)) / 13.8415
        (2, 10, (0.0567, 0.5098)),  # the same seen from the other side
        (0, 10, (0.0, 0.2775)),  # 3.8415 / 13.8415
        (10, 10, (0.7225, 1.0)),  # 10 / 13.8415
        (500, 1000, (0.4691, 0.5309)),
    ],
)
def test_the_interval_is_wilsons(n_hits: int, n: int, interval: tuple[float, float]) -> None:
    assert Share(n_hits, n).interval == pytest.approx(interval, abs=5e-5)


@pytest.mark.parametrize("n", [1, 3, 7, 10, 49, 1_000])
def test_the_interval_of_none_begins_at_0_and_that_of_all_ends_at_1(n: int) -> None:
    assert Share(0, n).interval[0] == 0
    assert Share(n, n).interval[1] == 1


def test_of_nothing_the_share_is_0_and_may_be_anything() -> None:
    assert (Share(0, 0).value, Share(0, 0).interval) == (0, (0, 1))
