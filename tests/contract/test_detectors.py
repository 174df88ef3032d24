"""Every registered detector of drift keeps its promises; one of yours is found the same way."""

import pickle
from dataclasses import is_dataclass

import numpy as np
import pytest

from sightflow.configuration import read_pipeline, to_yaml
from sightflow.errors import MetricsError
from sightflow.kinds import known_kinds, resolve_kind
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.watch import Drift
from sightflow.metrics.drift import Detector, DriftDetector
from sightflow.pipeline import Pipeline
from sightflow.sources.directory import Directory

AT_LEAST = 2
KINDS = pytest.mark.parametrize("kind", known_kinds("detectors"))


def opened(kind: str, state=None) -> Detector:
    return resolve_kind("detectors", kind)().open(state)


def errors(*parts: tuple[float, int], seed: int = 0) -> list[float]:
    """Return 0s and 1s: for each part its share of 1s, and its length."""
    rng = np.random.default_rng(seed)
    return [float(value) for share, n in parts for value in rng.random(n) < share]


def alarms(detector: Detector, values: list[float]) -> list[int]:
    return [i for i, value in enumerate(values) if detector.update(value)]


def test_the_detectors_were_found() -> None:
    assert len(known_kinds("detectors")) >= AT_LEAST


@KINDS
def test_it_is_frozen_data_with_a_name_of_its_own(kind: str) -> None:
    how = resolve_kind("detectors", kind)()
    assert isinstance(how, DriftDetector)
    assert is_dataclass(how)
    assert type(how).__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(how)) == how
    names = [resolve_kind("detectors", other).detector for other in known_kinds("detectors")]
    assert names.count(how.detector) == 1


@KINDS
def test_a_large_change_is_told_and_before_it_nothing(kind: str) -> None:
    found = alarms(opened(kind), errors((0.1, 2_000), (0.9, 1_000)))
    assert found, "the change was not noticed"
    assert 2_000 <= found[0] < 2_200


@KINDS
def test_a_restart_changes_nothing(kind: str) -> None:
    values = errors((0.1, 700), (0.9, 300), (0.2, 300))
    undisturbed, restarted = opened(kind), opened(kind)
    for value in values:
        restarted = opened(kind, restarted.state())
        assert undisturbed.update(value) == restarted.update(value)
        assert (undisturbed.n, undisturbed.mean) == (restarted.n, restarted.mean)


@KINDS
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_finite_number_is_refused(kind: str, value: float) -> None:
    with pytest.raises(MetricsError, match="values are finite numbers; got"):
        opened(kind).update(value)


@KINDS
def test_it_survives_the_way_through_yaml(kind: str, tmp_path) -> None:
    drift = Drift(("error",), (resolve_kind("detectors", kind)(),))
    step = Evaluate(("a", "b"), drift=drift)
    pipeline = Pipeline(Directory("photos")).apply("step", step)
    (tmp_path / "job.yaml").write_text(to_yaml(pipeline))
    assert read_pipeline(tmp_path / "job.yaml")[0] == pipeline
