"""Several trainers average their weights through files, and go on after a restart."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.engine.chunks import Recognised, chunked
from sightflow.engine.learning import LearningChain
from sightflow.errors import JobError, PipelineError
from sightflow.learn import averaging
from sightflow.learn.averaging import Averager, mean_of
from sightflow.learn.contest import Verdict
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish, Share
from sightflow.learn.train import Train
from sightflow.models import Registry
from sightflow.protocols import Trainer
from sightflow.records import ImageRecord
from sightflow.sources.labelled import Labelled
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
    places = [Trainer(number, 2, ends_last=number == 1) for number in range(2)]
    return [Averager(folder, "train", place, every) for place in places]


def rounds(averagers: list[Averager], networks: list[Weights], numbers: range, *by: float) -> None:
    """Let each network learn by so much in each round of one chunk, and average."""
    for number in numbers:
        for averager, network, much in zip(averagers, networks, by, strict=True):
            network.learn(much)
            averager.end_chunk(number, network)


def test_each_goes_on_with_the_mean_of_the_round_before_and_what_it_learned_in_this(tmp_path):
    averagers, networks = two(tmp_path, every=1), [Weights(1.0), Weights(3.0)]
    rounds(averagers, networks, range(1), 0.0, 0.0)
    assert [n.values[0] for n in networks] == [1, 3], "after the first round there is no mean yet"
    rounds(averagers, networks, range(1, 2), 0.5, 0.25)
    assert [n.values for n in networks] == [(2.5, 1.5), (2.25, 3.25)], "the mean of 1 and 3 was 2"


def test_trainers_that_learn_nothing_agree_and_stay(tmp_path) -> None:
    averagers, networks = two(tmp_path, every=1), [Weights(0.0), Weights(2.0)]
    rounds(averagers, networks, range(20), 0.0, 0.0)
    assert [n.values[0] for n in networks] == [1, 1]


def test_what_all_have_learned_adds_up_to_its_mean(tmp_path) -> None:
    averagers, networks = two(tmp_path, every=1), [Weights(0.0), Weights(0.0)]
    rounds(averagers, networks, range(100), 1.0, 3.0)
    first, second = (n.values[0] for n in networks)
    assert abs(first - second) == pytest.approx(2.0), "they differ by what one round teaches"
    assert (first + second) / 2 == pytest.approx(200.0)


def test_a_round_has_so_many_chunks(tmp_path) -> None:
    averagers, networks = two(tmp_path, every=3), [Weights(0.0), Weights(2.0)]
    rounds(averagers, networks, range(5), 0.0, 0.0)
    assert [n.values[0] for n in networks] == [0, 2]
    rounds(averagers, networks, range(5, 6), 0.0, 0.0)
    assert [n.values[0] for n in networks] == [1, 1]


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
    message = (
        r"^step 'train': the file train-round-000001-1\.safetensors of trainer 1 is not there "
        "after 0 s; a larger `average_every` lets trainers be further apart$"
    )
    with pytest.raises(JobError, match=message):
        first.end_chunk(1, Weights(0.0))


def test_one_without_images_yet_holds_nobody_up_and_joins_later(tmp_path) -> None:
    first, second = two(tmp_path, every=1)
    a, b = Weights(4.0), Weights(0.0)
    for index in range(3):
        first.end_chunk(index, a)
        second.end_chunk(index, None)
    assert a.values[0] == 4
    for index in range(3, 6):
        first.end_chunk(index, a)
        second.end_chunk(index, b)
    assert a.values[0] == b.values[0]


def test_after_a_restart_all_goes_on_as_before(tmp_path) -> None:
    before, networks = two(tmp_path / "before", every=1), [Weights(0.0), Weights(2.0)]
    rounds(before, networks, range(3), 1.0, 2.0)
    after, copies = two(tmp_path / "after", every=1), [Weights(0.0), Weights(0.0)]
    for averager, kept, copy, network in zip(after, before, copies, networks, strict=True):
        averager.restore(*kept.state())
        copy.restore(network.tensors())
    rounds(before, networks, range(3, 9), 1.0, 2.0)
    rounds(after, copies, range(3, 9), 1.0, 2.0)
    assert [n.values for n in copies] == [n.values for n in networks]


def test_old_rounds_are_removed(tmp_path) -> None:
    averagers, networks = two(tmp_path, every=1), [Weights(0.0), Weights(2.0)]
    rounds(averagers, networks, range(20), 0.0, 0.0)
    assert len(list(tmp_path.iterdir())) <= 2 * 3
    written, _ = averagers[0].state()
    assert len(written) == 2


def test_the_one_that_ends_last_has_the_mean_of_all(tmp_path) -> None:
    share = Share(3, 12, 0, 9, 0.5, Verdict(4, 0.5, None))
    first, second = two(tmp_path)
    a, b = Weights(1.0), Weights(3.0)
    assert first.finish(a, share) == []
    assert second.finish(b, share) == [share, share]
    assert (a.values, b.values) == ((1, 1), (2, 2))


def test_the_mean_is_exact_where_a_sum_in_32_bits_is_not() -> None:
    values = [{"a": np.array([value], np.float32)} for value in (2**24, 1, 1)]
    (mean,) = mean_of(values)["a"].tolist()
    assert mean == 5_592_406  # (2^24 + 2) / 3; in float32 2^24 + 1 is 2^24


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
    last = 23 % n_trainers  # chunks are dealt out by turns
    context = replace(a_context(), shared=folder / "run", run_id="r", last_trainer=last)
    chain = LearningChain(pipeline, context)
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
    assert version.facts.metrics["stream_accuracy"] > 0.8


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


def test_fewer_chunks_than_trainers_are_refused() -> None:
    pipeline = Pipeline(Directory("photos")).apply("train", Train(("a", "b"), trainers=8))
    with pytest.raises(PipelineError, match="8 trainers need as many chunks of images; the source"):
        pipeline.check_work(3)
    pipeline.check_work(8)


def test_a_step_that_works_in_one_place_cannot_be_beside_several_trainers() -> None:
    pipeline = (
        Pipeline(Labelled(Directory("photos")))
        .apply("train", Train(("a", "b"), trainers=2))
        .apply("evaluate", Evaluate(("a", "b")))
    )
    with pytest.raises(PipelineError, match="'evaluate' cannot work in 2 places as another step"):
        pipeline.check()
