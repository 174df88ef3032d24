"""Drift: an alarm soon after a change, hardly any without one, and none forgotten by a restart."""

import random
from math import inf, nan

import pytest

from sightflow.errors import MetricsError, PipelineError
from sightflow.metrics.drift import Adwin, Detector, PageHinkley

HOW = [Adwin(), PageHinkley(threshold=20)]
EACH = pytest.mark.parametrize("how", HOW, ids=lambda how: type(how).__name__)
TOLERANT = PageHinkley(delta=0.05)
SEEDS = range(20)


def errors(seed: int, *parts: tuple[float, int]) -> list[float]:
    """Return errors, 0 or 1: of each part its rate, and how many there are."""
    rng = random.Random(seed)
    return [float(rng.random() < rate) for rate, n in parts for _ in range(n)]


def alarms(detector: Detector, values: list[float]) -> list[int]:
    return [i for i, value in enumerate(values) if detector.update(value)]


def test_adwin_gives_hardly_any_false_alarms() -> None:
    found = [alarms(Adwin().open(), errors(seed, (0.2, 10_000))) for seed in SEEDS]
    assert sum(map(len, found)) <= 2


def test_page_hinkley_gives_no_false_alarms_where_small_deviations_are_tolerated() -> None:
    found = [alarms(TOLERANT.open(), errors(seed, (0.2, 10_000))) for seed in SEEDS]
    assert sum(map(len, found)) == 0


@pytest.mark.parametrize("seed", SEEDS)
def test_adwin_finds_a_change_within_100_values(seed: int) -> None:
    found = alarms(Adwin().open(), errors(seed, (0.2, 2_000), (0.6, 500)))
    after = [i for i in found if i >= 2_000]
    assert after[0] < 2_100


@pytest.mark.parametrize("seed", SEEDS)
def test_page_hinkley_finds_a_change_when_the_sum_is_above_the_threshold(seed: int) -> None:
    # A value is 0.4 above the mean, of which 0.05 are tolerated: 50 / 0.35 = 143 values.
    found = alarms(TOLERANT.open(), errors(seed, (0.2, 2_000), (0.6, 500)))
    assert 2_100 < found[0] < 2_200


def test_adwin_finds_a_fall_as_well_and_lets_go_of_the_old_values_in_two_steps() -> None:
    assert alarms(Adwin().open(), [0.8] * 1_000 + [0.2] * 100) == [1_023, 1_055]


@pytest.mark.parametrize(("mode", "rise", "fall"), [("both", 1, 1), ("up", 1, 0), ("down", 0, 1)])
def test_page_hinkley_looks_for_the_change_it_is_told(mode, rise: int, fall: int) -> None:
    low, high = [0.2] * 200, [0.8] * 60
    how = PageHinkley(threshold=20, mode=mode)
    assert len(alarms(how.open(), low + high)) == rise
    assert len(alarms(how.open(), [1 - v for v in low + high])) == fall


def test_the_window_of_adwin_grows_until_there_is_a_change_and_then_has_the_new_values() -> None:
    detector = Adwin().open()
    alarms(detector, errors(3, (0.1, 4_000)))
    assert (detector.n, round(detector.mean, 1)) == (4_000, 0.1)
    alarms(detector, errors(4, (0.9, 1_000)))
    assert detector.n <= 1_020
    assert detector.mean == pytest.approx(0.9, abs=0.03)


def test_page_hinkley_begins_anew_after_an_alarm() -> None:
    detector = PageHinkley(threshold=2).open()
    (first,) = alarms(detector, [0.0] * 100 + [1.0] * 3)
    assert (first, detector.n, detector.mean) == (102, 0, 0.0)


def test_adwin_is_as_the_paper_has_it_for_a_window_of_single_values() -> None:
    # 16 zeros and 16 ones, in buckets of up to 4 values: the variance of the window is 0.25, and
    # ln(2 ln(32) / 0.002) = 8.15. Cut in the middle, the distance 1 is above
    # sqrt(2 * 8.15 * 0.25 / 6) + 2 / 3 * 8.15 / 6 = 1.73 with 12 of 16 values counted: no change.
    assert alarms(Adwin().open(), [0.0] * 16 + [1.0] * 16) == []
    # 32 and 32: ln(2 ln(64) / 0.002) = 8.33; 1 / 28 + 1 / 28 = 1 / 14;
    # sqrt(2 * 8.33 * 0.25 / 14) + 2 / 3 * 8.33 / 14 = 0.94 is below 1.
    assert alarms(Adwin().open(), [0.0] * 32 + [1.0] * 32) == [63]


@EACH
@pytest.mark.parametrize("seed", range(5))
def test_a_restart_after_any_value_changes_nothing(how, seed: int) -> None:
    values = errors(seed, (0.2, 700), (0.7, 400), (0.1, 300))
    undisturbed, found, detector = how.open(), [], how.open()
    for i, value in enumerate(values):
        detector = how.open(detector.state())
        if detector.update(value):
            found.append(i)
    assert found == alarms(undisturbed, values)
    assert detector.state() == undisturbed.state()
    assert len(found) >= 2


def test_the_state_of_adwin_grows_with_the_logarithm() -> None:
    detector = Adwin().open()
    alarms(detector, [0.5] * 20_000)
    assert detector.n == 20_000
    assert sum(map(len, detector.state())) <= 4 + 2 * 5 * 14


@EACH
def test_the_same_value_always_is_no_change(how) -> None:
    assert alarms(how.open(), [0.1] * 5_000) == []


@EACH
@pytest.mark.parametrize("value", [nan, inf])
def test_a_value_that_is_no_number_is_refused(how, value: float) -> None:
    with pytest.raises(MetricsError, match=f"values are finite numbers; got {value}"):
        how.open().update(value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Adwin, {"delta": 0}, r"Adwin: `delta` is in \(0, 1\); got 0"),
        (Adwin, {"clock": 0}, "Adwin: `clock` is a whole number from 1; got 0"),
        (PageHinkley, {"min_instances": 0}, "`min_instances` is a whole number from 1; got 0"),
        (PageHinkley, {"alpha": 1.5}, r"`alpha` is in \(0, 1\]; got 1.5"),
        (PageHinkley, {"threshold": 0}, "`threshold` is above 0; got 0"),
        (PageHinkley, {"mode": "left"}, "`mode` is one of both, up, down; got 'left'"),
    ],
)
def test_options_that_cannot_be_are_refused(kind, options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        kind(**options)
