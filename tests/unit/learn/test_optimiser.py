"""Rates of learning and averages of weights, step by step."""

import pytest

from sightflow.errors import PipelineError
from sightflow.learn.optimiser import Optimiser


@pytest.mark.parametrize("n_steps", [None, 10])
def test_a_constant_rate_stays(n_steps: int | None) -> None:
    how = Optimiser(rate=0.5, n_steps=n_steps)
    assert {how.rate_at(step) for step in (0, 1, 10**6)} == {0.5}


def test_a_cosine_falls_to_nothing_and_stays_there() -> None:
    rates = [Optimiser(rate=1.0, schedule="cosine", n_steps=4).rate_at(step) for step in range(6)]
    assert rates == pytest.approx([1, 0.853553, 0.5, 0.146447, 0, 0], abs=1e-6)


def test_one_cycle_rises_to_the_rate_and_falls() -> None:
    cycle = Optimiser(rate=1.0, schedule="one_cycle", n_steps=100, warmup=0.2)
    assert cycle.rate_at(0) == pytest.approx(1 / 25)
    assert cycle.rate_at(10) == pytest.approx((1 + 1 / 25) / 2)
    assert cycle.rate_at(20) == pytest.approx(1)
    assert cycle.rate_at(60) == pytest.approx(0.5, abs=1e-4)
    assert cycle.rate_at(100) == cycle.rate_at(1_000) == pytest.approx(1 / 25 / 1e4)


def test_a_young_average_forgets_faster() -> None:
    stays = [Optimiser(averaging=0.9).averaging_at(step) for step in (0, 9, 80, 10**6)]
    assert stays == pytest.approx([0.1, 10 / 19, 0.9, 0.9])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0}, "`rate` is above 0; got 0"),
        ({"rate": float("inf")}, "`rate` is above 0; got inf"),
        ({"warmup": 0}, r"`warmup` is in \(0, 1\); got 0"),
        ({"momentum": -0.1}, r"`momentum` is in \[0, 1\); got -0.1"),
        ({"weight_decay": float("inf")}, "`weight_decay` is from 0; got inf"),
        ({"n_steps": 0}, "`n_steps` is a whole number from 1; got 0"),
        ({"warmup": 1}, r"`warmup` is in \(0, 1\); got 1"),
        ({"momentum": 1}, r"`momentum` is in \[0, 1\); got 1"),
        ({"averaging": -0.1}, r"`averaging` is in \[0, 1\); got -0.1"),
        ({"weight_decay": -1}, "`weight_decay` is from 0; got -1"),
    ],
)
def test_what_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=f"^Optimiser: {message}$"):
        Optimiser(**options)


def test_options_at_their_bounds_are_taken() -> None:
    Optimiser(n_steps=1, momentum=0, averaging=0, weight_decay=0)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_without_a_number_of_steps_a_schedule_has_one_rate(schedule) -> None:
    assert {Optimiser(rate=0.5, schedule=schedule).rate_at(step) for step in (0, 9)} == {0.5}
