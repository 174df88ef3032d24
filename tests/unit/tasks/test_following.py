"""A running step takes the version of its model that serves, between two batches."""

import logging
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.classifiers import save_colour_classifier

from sightflow.errors import RegistryError
from sightflow.models import DataRange, Facts, Registry, find_model
from sightflow.protocols import Process
from sightflow.tasks import following
from sightflow.tasks.classify import Classify
from sightflow.testing import a_context, a_record


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch) -> None:
    monkeypatch.setattr(following, "_LOOK_EVERY_S", 0.02)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Return a registry with three versions of a model; the first serves."""
    model = find_model(save_colour_classifier(tmp_path / "colours.onnx"))
    found = Registry(str(tmp_path / "models"))
    for step in (1, 2, 3):
        facts = Facts("run", step, step, DataRange(0, 0, step))
        onnx = Path(model.path).read_bytes()
        found.publish("colours", onnx=onnx, weights=b"w", card=model.card, facts=facts)
    found.promote("colours", 1, reason="first")
    return found


def opened(registry: Registry, resources: ExitStack) -> Process:
    step = Classify(model=find_model(f"{registry.url}/colours"), follow=True)
    step.check()
    return step.open(replace(a_context(), resources=resources))


def version_of(process: Process) -> str:
    (outcome,) = process([a_record(np.full((8, 8, 3), 90, np.uint8))])
    return outcome.models[0].version


def wait_for(process: Process, version: str) -> None:
    deadline = time.monotonic() + 20
    while version_of(process) != version:
        assert time.monotonic() < deadline, f"version {version} has not taken over"
        time.sleep(0.01)


def test_the_version_that_serves_takes_over(registry: Registry) -> None:
    with ExitStack() as resources:
        process = opened(registry, resources)
        assert version_of(process) == "1"
        registry.promote("colours", 3, reason="better")
        wait_for(process, "3")
        registry.rollback("colours")
        wait_for(process, "1")


def test_a_version_that_is_not_what_was_published_changes_nothing(
    registry: Registry, caplog
) -> None:
    with ExitStack() as resources, caplog.at_level(logging.WARNING, "sightflow"):
        process = opened(registry, resources)
        (file,) = Path(registry.url).glob("colours/versions/*2/model.onnx")
        file.chmod(0o644)
        file.write_bytes(file.read_bytes() + b"x")
        registry.promote("colours", 2, reason="by mistake")
        deadline = time.monotonic() + 20
        while "sha256 must be" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert version_of(process) == "1"
        assert caplog.text.count("sha256 must be") == 1, "it is told once"
        registry.promote("colours", 3, reason="mended")
        wait_for(process, "3")


def test_a_version_for_another_task_changes_nothing(registry: Registry, caplog) -> None:
    model = find_model(f"{registry.url}/colours@1")
    facts = Facts("run", 9, 9, DataRange(0, 0, 9))
    card = replace(model.card, task="detect", version=None, sha256=None)
    onnx = Path(model.path).read_bytes()
    registry.publish("colours", onnx=onnx, weights=b"w", card=card, facts=facts)
    with ExitStack() as resources, caplog.at_level(logging.WARNING, "sightflow"):
        process = opened(registry, resources)
        registry.promote("colours", 4, reason="by mistake")
        deadline = time.monotonic() + 20
        while "this step needs one for 'classify'" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert version_of(process) == "1"


def test_a_registry_that_is_gone_for_a_while_changes_nothing(registry: Registry) -> None:
    pointer = Path(registry.url, "colours", "serving.json")
    with ExitStack() as resources:
        process = opened(registry, resources)
        text = pointer.read_text()
        pointer.write_text("{")
        time.sleep(0.1)
        assert version_of(process) == "1"
        pointer.write_text(text)
        registry.promote("colours", 2, reason="better")
        wait_for(process, "2")


def test_nothing_watches_any_more_when_the_step_is_closed(registry: Registry) -> None:
    import threading

    with ExitStack() as resources:
        opened(registry, resources)
        assert [t for t in threading.enumerate() if t.name == "sightflow-follow"]
    assert not [t for t in threading.enumerate() if t.name == "sightflow-follow"]


def test_a_model_that_is_not_published_cannot_be_followed() -> None:
    with pytest.raises(RegistryError, match="Classify: `follow` needs a published model, REGISTRY"):
        Classify(follow=True).check()


def test_a_followed_model_is_the_same_pipeline_whatever_serves(registry: Registry) -> None:
    from sightflow import Directory, Pipeline
    from sightflow.engine.upgrade import Description

    def described(version: int, *, follows: bool) -> Description:
        model = find_model(f"{registry.url}/colours@{version}")
        step = Classify(model=model, follow=follows)
        return Description.of(Pipeline(Directory("photos")).apply("classify", step))

    assert described(1, follows=True) == described(2, follows=True)
    assert described(1, follows=False) != described(2, follows=False)
