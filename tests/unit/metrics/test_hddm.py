"""HDDM tells when the mean has left its best stretch behind."""

from math import log, sqrt

import pytest

from sightflow.errors import PipelineError
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
