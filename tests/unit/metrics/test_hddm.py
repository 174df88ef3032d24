"""HDDM tells when the mean has left its best stretch behind."""

from math import log, sqrt

import numpy as np
import pytest

from sightflow.errors import MetricsError, PipelineError
from sightflow.metrics.hddm import Hddm, HddmDetector


def alarms(detector: HddmDetector, values: list[float]) -> list[int]:
    return [i for i, value in enumerate(values) if detector.update(value)]


def first_alarm(n_before: int, delta: float) -> int:
    """Return after how many 1s behind so many 0s the mean is too far from 0."""
    for n in range(1, 1_000):
        mean, share = n / (n_before + n), n / n_before / (n_before + n)
        if mean >= sqrt(share / 2 * log(2 / delta)):
            return n
    raise AssertionError("never")


@pytest.mark.parametrize("n_before", [100, 1_000])
def test_a_sudden_rise_is_told_as_the_bound_says(n_before: int) -> None:
    values = [0.0] * n_before + [1.0] * 50
    expected = n_before + first_alarm(n_before, 0.001) - 1
    assert alarms(Hddm().open(), values)[0] == expected


@pytest.mark.parametrize(("mode", "rise", "fall"), [("both", 1, 1), ("up", 1, 0), ("down", 0, 1)])
def test_it_looks_for_the_change_it_is_told(mode, rise: int, fall: int) -> None:
    up = [0.0] * 100 + [1.0] * 20
    down = [1.0] * 100 + [0.0] * 20
    found = [bool(alarms(Hddm(mode=mode).open(), values)) for values in (up, down)]
    assert found == [bool(rise), bool(fall)]


def test_after_an_alarm_it_begins_anew() -> None:
    detector = Hddm().open()
    (first, *_) = alarms(detector, [0.0] * 100 + [1.0] * 9)
    assert detector.n == 109 - first - 1
    assert detector.mean == (1.0 if detector.n else 0.0)


def averages(values: list[float], delta: float) -> int | None:
    """Return the first alarm of HDDM_A, as its paper has it, with all means at hand."""

    def bound(n: int) -> float:
        return sqrt(log(1 / delta) / (2 * n))

    def has_left(n_best: int, mean_best: float, sign: int) -> bool:
        share = (n - n_best) / (n_best * n)
        return n > n_best and sign * (mean - mean_best) >= sqrt(share / 2 * log(2 / delta))

    low = high = (0, 0.0)
    for n in range(1, len(values) + 1):
        mean = sum(values[:n]) / n
        if not low[0] or mean + bound(n) <= low[1] + bound(low[0]):
            low = n, mean
        if not high[0] or mean - bound(n) >= high[1] - bound(high[0]):
            high = n, mean
        if has_left(*low, 1) or has_left(*high, -1):
            return n - 1
    return None


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("delta", [0.001, 0.05])
def test_alarms_are_those_of_the_paper(seed: int, delta: float) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.uniform(0.1, 0.9, 2)
    values = [float(rng.random() < p) for p in np.repeat([before, after], 150)]

    expected = averages(values, delta)

    found = alarms(Hddm(delta=delta).open(), values)
    assert (found[0] if found else None) == expected


@pytest.mark.parametrize("n_first", [1, 60, 103])
def test_it_goes_on_from_its_state(n_first: int) -> None:
    values = [0.25, 0.0] * 50 + [1.0, 0.75] * 10 + [0.0] * 60
    whole, first = Hddm().open(), Hddm().open()
    expected = [whole.update(value) for value in values]

    found = [first.update(value) for value in values[:n_first]]
    kept = first.state()
    found += [first.update(value) for value in values[n_first : n_first + 1]]
    later = Hddm().open(kept)
    found[n_first:] = [later.update(value) for value in values[n_first:]]

    assert sum(expected) >= 2, "a rise and a fall"
    assert found == expected
    assert later.state() == whole.state()


def test_a_new_one_has_seen_nothing() -> None:
    detector = Hddm().open()
    assert (detector.n, detector.mean) == (0, 0.0)
    assert detector.state() == [[0.0, 0.0]] * 3


def test_what_is_no_number_is_refused_by_its_name() -> None:
    with pytest.raises(MetricsError, match=r"^Hddm"):
        Hddm().open().update(float("nan"))


def test_a_smaller_delta_waits_longer() -> None:
    values = [0.0] * 100 + [1.0] * 100
    sure, quick = (alarms(Hddm(delta=delta).open(), values)[0] for delta in (1e-9, 0.1))
    assert sure > quick


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delta": 0}, r"Hddm: `delta` is in \(0, 1\); got 0"),
        ({"mode": "left"}, "Hddm: `mode` is one of both, up, down; got 'left'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        Hddm(**options)
