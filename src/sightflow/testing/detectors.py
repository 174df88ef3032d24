"""What holds for every detector of drift."""

from collections.abc import Iterable

import numpy as np

from sightflow.errors import MetricsError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.watch import Drift
from sightflow.metrics.drift import DriftDetector
from sightflow.pipeline import Pipeline
from sightflow.sources.directory import Directory
from sightflow.testing.descriptions import check_description, sent

__all__ = ["check_detector"]


def check_detector(how: DriftDetector) -> int:
    """Raise AssertionError unless a detector keeps the promises of `metrics.drift`.

    It sees an error of 10 % that becomes 90 % after 2 000 images.

    Returns:
        How many images after the change it told it.
    """
    assert isinstance(how, DriftDetector), f"{how!r} needs `detector`, its name, and `open`"
    check_description(how, _in_pipeline)
    found = [i for i, (is_alarm, _, _) in enumerate(_alarms(how, restarts=False)) if is_alarm]
    assert found, f"{how!r} must notice a large change"
    assert found[0] >= _N_BEFORE, f"{how!r} gave an alarm before the change, at {found[0]}"
    undisturbed, restarted = (_alarms(how, restarts=restarts) for restarts in (False, True))
    for i, (one, other) in enumerate(zip(undisturbed, restarted, strict=True)):
        assert one == other, f"a restart must not change what {how!r} tells; it did at {i}"
    for value in (float("nan"), float("inf")):
        try:
            how.open().update(value)
        except MetricsError:
            continue
        raise AssertionError(f"{how!r} must refuse {value} with a MetricsError")
    return found[0] - _N_BEFORE


_N_BEFORE, _N_AFTER = 2_000, 1_000


def _in_pipeline(how: DriftDetector) -> Pipeline:
    step = Evaluate(("a", "b"), drift=Drift(("error",), (how,)))
    return Pipeline(Directory("photos")).apply("test", step)


def _alarms(how: DriftDetector, *, restarts: bool) -> Iterable[tuple[bool, int, float]]:
    """Yield for each image whether there was an alarm, and what is known then.

    Restarts come between all images.
    """
    rng = np.random.default_rng(0)
    shares = np.repeat([0.1, 0.9], [_N_BEFORE, _N_AFTER])
    detector = how.open()
    for value in (rng.random(len(shares)) < shares).astype(float).tolist():
        if restarts:
            detector = sent(how).open(detector.state())
        yield detector.update(value), detector.n, detector.mean
