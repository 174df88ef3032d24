"""Drift: an alarm soon after a change, hardly any without one, and none forgotten by a restart."""

import itertools
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


def spread(seed: int, *parts: tuple[float, int]) -> list[float]:
    """Return values in [0, 1]; of each part its mean, and how many there are."""
    rng = random.Random(seed)
    return [min(1.0, max(0.0, rng.gauss(mean, 0.15))) for mean, n in parts for _ in range(n)]


@pytest.mark.parametrize("how", [Adwin(clock=1, max_buckets=2), Adwin(clock=1, delta=0.2)])
def test_adwin_knows_mean_and_variance_of_the_values_in_its_window(how: Adwin) -> None:
    detector, values = how.open(), spread(1, (0.2, 200), (0.7, 150), (0.3, 200))
    lengths = []
    for i, value in enumerate(values):
        assert detector.update(value) in (True, False)
        window = values[i + 1 - detector.n : i + 1]
        (tick, n, total, squares), *_ = detector.state()
        assert (tick, n) == (i + 1, len(window))
        assert total == pytest.approx(sum(window))
        assert squares == pytest.approx(sum((v - total / n) ** 2 for v in window))
        lengths.append(len(window))
    assert sum(after < before for before, after in itertools.pairwise(lengths)) >= 2


@pytest.mark.parametrize(
    ("how", "seed", "rivers"),
    [
        (Adwin(), 2, [127, 159]),
        (Adwin(clock=1, max_buckets=2, min_window_length=3, grace_period=4), 1, [139]),
        (Adwin(clock=1, delta=0.2), 1, [107, 108, 109, 112, 114, 121, 154, 187, 188, 192, 225]),
        (Adwin(clock=1, delta=0.2), 2, [103, 104, 105, 107, 113, 143, 191, 199]),
    ],
)
def test_adwin_gives_the_alarms_of_river(how: Adwin, seed: int, rivers: list[int]) -> None:
    """As `river.drift.adwin_c.AdaptiveWindowing` of river 0.23.0 gives them."""
    values = spread(seed, (0.2, 90), (0.6, 70), (0.3, 90), (0.35, 60))
    assert alarms(how.open(), values) == rivers


def test_adwin_may_be_left_with_a_single_value() -> None:
    detector = Adwin(delta=0.9, clock=1, min_window_length=1, grace_period=1).open()
    assert alarms(detector, [0.0, 16.0]) == [1]
    assert (detector.n, detector.mean) == (1, 16.0)
    later = Adwin(delta=0.9, clock=1, min_window_length=1, grace_period=2).open()
    assert alarms(later, [0.0, 16.0]) == [], "a check needs more values than the grace period"


@pytest.mark.parametrize("change", [4.0, -4.0], ids=["rise", "fall"])
def test_page_hinkley_alarms_when_the_sum_is_above_the_threshold_and_values_are_enough(
    change: float,
) -> None:
    # The mean of 0 and 4 is 2, so the sum of deviations is 2 after two values.
    def found(**options: float) -> list[int]:
        how = PageHinkley(
            **{"min_instances": 1, "delta": 0, "alpha": 1, "threshold": 1.9, **options}
        )
        return alarms(how.open(), [0.0, change])

    assert found() == [1]
    assert found(threshold=2.0) == []
    assert found(min_instances=2) == [1]
    assert found(min_instances=3) == []
    assert found(delta=0.1) == [], "0.1 of the deviation is tolerated"
    assert found(alpha=0.5) == [1], "a sum that began with 0"


def test_page_hinkley_knows_how_many_values_there_were_and_their_mean() -> None:
    detector = PageHinkley().open()
    alarms(detector, [0.5, 1.0, 3.0])
    assert (detector.n, detector.mean) == (3, 1.5)


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
    message = f"^{type(how).__name__}: values are finite numbers; got {value}$"
    with pytest.raises(MetricsError, match=message):
        how.open().update(value)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (Adwin, {"delta": 0}, r"`delta` is in \(0, 1\); got 0"),
        (Adwin, {"delta": 1}, r"`delta` is in \(0, 1\); got 1"),
        (Adwin, {"clock": 0}, "`clock` is a whole number from 1; got 0"),
        (Adwin, {"max_buckets": 0}, "`max_buckets` is a whole number from 1; got 0"),
        (Adwin, {"min_window_length": 0}, "`min_window_length` is a whole number from 1; got 0"),
        (Adwin, {"grace_period": 0}, "`grace_period` is a whole number from 1; got 0"),
        (PageHinkley, {"min_instances": 0}, "`min_instances` is a whole number from 1; got 0"),
        (PageHinkley, {"alpha": 0}, r"`alpha` is in \(0, 1\]; got 0"),
        (PageHinkley, {"alpha": 1.5}, r"`alpha` is in \(0, 1\]; got 1.5"),
        (
            PageHinkley,
            {"threshold": 0},
            "`threshold` is above 0; got 0",
        ),
        (
            PageHinkley,
            {"delta": -1},
            "`delta` is from 0; got -1",
        ),
        (PageHinkley, {"mode": "left"}, "`mode` is one of both, up, down; got 'left'"),
    ],
)
def test_options_that_cannot_be_are_refused(kind, options, message) -> None:
    with pytest.raises(PipelineError, match=f"^{kind.__name__}: {message}$"):
        kind(**options)


def test_options_at_their_bounds_are_taken() -> None:
    Adwin(clock=1, max_buckets=1, min_window_length=1, grace_period=1)
    PageHinkley(min_instances=1, delta=0, threshold=0.5, alpha=1)
