"""Several trainers average their weights through files, and go on after a restart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.chunks import Recognised, chunked
from sightflow.errors import JobError, PipelineError
from sightflow.learn import averaging
from sightflow.learn.averaging import Averager, mean_of
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.train import Train
from sightflow.lessons import LearningChain
from sightflow.models import Registry
from sightflow.records import ImageRecord
from sightflow.testing import a_claim, a_context, a_record, an_origin

N_FEATURES = 1_280


class Weights:
    """A network of two numbers, of which trainers share one."""

    def __init__(self, a: float) -> None:
        self.now = {"a": np.array([a], np.float32), "own": np.array([a], np.float32)}

    def shared(self) -> list[str]:
        return ["a"]

    def tensors(self) -> dict[str, np.ndarray]:
        return dict(self.now)

    def restore(self, tensors) -> None:
        self.now = dict(tensors)

    def learn(self, by: float) -> None:
        self.now = {name: value + np.float32(by) for name, value in self.now.items()}

    @property
    def values(self) -> tuple[float, float]:
        return float(self.now["a"][0]), float(self.now["own"][0])


def two(folder: Path, every: int = 2) -> list[Averager]:
    return [Averager(folder, "train", number, 2, every) for number in range(2)]


def test_each_goes_on_with_the_mean_of_the_round_before_and_what_it_learned_since(tmp_path) -> None:
    first, second = two(tmp_path)
    a, b = Weights(1.0), Weights(3.0)
    for index in range(2):
        first.end_chunk(index, a)
        second.end_chunk(index, b)
    assert (a.values, b.values) == ((1, 1), (3, 3)), "after the first round there is no mean yet"
    a.learn(0.5)
    b.learn(0.25)
    for index in (2, 3):
        first.end_chunk(index, a)
        second.end_chunk(index, b)
    assert a.values == (2 + 0.5, 1.5), "the mean of 1 and 3, and what was learned"
    assert b.values == (2 + 0.25, 3.25)


def test_one_does_not_wait_for_another_that_is_less_than_a_round_behind(tmp_path) -> None:
    first, second = two(tmp_path, every=1)
    a, b = Weights(0.0), Weights(2.0)
    first.end_chunk(0, a)
    second.end_chunk(0, b)
    first.end_chunk(1, a)  # the second has not come to this round
    assert a.values[0] == 1


def test_one_that_is_too_far_behind_is_an_error(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(averaging, "_TIMEOUT_S", 0.05)
    first, _ = two(tmp_path, every=1)
    first.end_chunk(0, Weights(0.0))
    with pytest.raises(JobError, match=r"trainer 1 has not ended round 1 within 0 s; a larger `av"):
        first.end_chunk(1, Weights(0.0))


def test_after_a_restart_the_files_of_its_last_rounds_are_there_again(tmp_path) -> None:
    first, second = two(tmp_path / "before", every=1)
    a, b = Weights(0.0), Weights(2.0)
    for index in range(3):
        first.end_chunk(index, a)
        second.end_chunk(index, b)
    again = two(tmp_path / "after", every=1)
    for averager, kept in zip(again, (first, second), strict=True):
        averager.restore(kept.state())
    c, d = Weights(0.0), Weights(0.0)
    c.restore(a.tensors())
    d.restore(b.tensors())
    for averager, network in ((first, a), (second, b), (again[0], c), (again[1], d)):
        network.learn(1.0)
        averager.end_chunk(3, network)
    assert (c.values, d.values) == (a.values, b.values)


def test_old_rounds_are_removed(tmp_path) -> None:
    first, second = two(tmp_path, every=1)
    a, b = Weights(0.0), Weights(2.0)
    for index in range(20):
        first.end_chunk(index, a)
        second.end_chunk(index, b)
    assert len(list(tmp_path.iterdir())) <= 2 * 3
    assert len(first.state()) == 2


def test_the_mean_of_whole_numbers_is_the_first() -> None:
    one, other = ({"n": np.array([n]), "w": np.array([w], np.float32)} for n, w in ((1, 1), (5, 2)))
    mean = mean_of([one, other])
    assert (mean["n"][0], mean["w"][0], mean["w"].dtype) == (1, 1.5, np.float32)


def image(i: int) -> ImageRecord:
    class_id = i // 2 % 2
    features = np.random.default_rng(i).normal(class_id / 2, 1, N_FEATURES).astype(np.float32)
    origin = an_origin(uri=f"{i}", sequence=i, event_time_ms=i, label=("cat", "dog")[class_id])
    return a_record(origin=origin, features=features)


def trained_by(n_trainers: int, folder: Path, *, restarts: bool = False) -> Registry:
    """Let trainers learn by turns; return the registry with what they published."""
    train = Train(
        ("cat", "dog"),
        batch_size=4,
        optimiser=Optimiser(rate=0.01),
        trainers=n_trainers,
        average_every=2,
        publish=Publish(str(folder / "models"), "pets"),
    )
    pipeline = Pipeline(Directory("photos")).apply("train", train)
    chain = LearningChain(pipeline, replace(a_context(), shared=folder / "run", run_id="r"))
    lessons = {}
    for number in range(24):
        name = str(number % n_trainers)
        memory = lessons.get(name) or chain.initial(name)
        if restarts:
            memory = chain.decode(chain.encode(memory))
        images = [image(8 * number + row) for row in range(8)]
        is_last = number >= 24 - n_trainers
        chunk = Recognised(number, images, name, number // n_trainers, has_ended=is_last)
        lessons[name], _ = chain.take(memory, chunk)
    return Registry(str(folder / "models"))


def test_together_they_publish_one_version_that_knows_what_all_have_learned(tmp_path) -> None:
    (version,) = trained_by(3, tmp_path).versions("pets")
    assert (version.facts.step, version.facts.n_samples) == (3 * 16, 24 * 8)
    assert version.facts.data.n_images == 24 * 8
    assert version.facts.metrics["accuracy"] > 0.8


def test_a_restart_of_all_changes_no_bit(tmp_path) -> None:
    found = []
    for name, restarts in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        (version,) = trained_by(2, tmp_path / name, restarts=restarts).versions("pets")
        found.append(version.sha256)
    assert found[0] == found[1]


def test_chunks_are_dealt_out_by_turns() -> None:
    chunks = list(chunked([a_claim()] * 10, 2, n_trainers=2))
    assert [(c.source_id, c.index) for c in chunks] == [
        ("0", 0),
        ("1", 0),
        ("0", 1),
        ("1", 1),
        ("0", 2),
    ]


def test_versions_on_the_way_are_for_one_trainer_only(tmp_path) -> None:
    publish = Publish(str(tmp_path), "pets", every_steps=5)
    with pytest.raises(PipelineError, match="several `trainers` publish one version, at the end"):
        Train(("a", "b"), trainers=2, publish=publish).check()
