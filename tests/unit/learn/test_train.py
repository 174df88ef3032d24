"""A network is tested with each image and then learns from it; nothing of it is lost."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sightflow.errors import JobError, PipelineError
from sightflow.learn.head import Head
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.samples import Replay
from sightflow.learn.train import Train
from sightflow.learn.training import Training
from sightflow.ops.augment import Augment
from sightflow.protocols import Context, Place, SourceFacts
from sightflow.protocols.context import NoMetrics
from sightflow.records import Event, ImageRecord, Outcome, Rejected
from sightflow.testing import a_context, a_record, an_origin

TRAIN = Train(("cat", "dog"), batch_size=4, optimiser=Optimiser(rate=0.05), report_every=1)


def image(i: int, label: str | None = "", held_out: bool = False) -> ImageRecord:
    """Return image i of a stream of cats and dogs; their features tell them apart."""
    class_id = i % 2
    features = np.random.default_rng(i).normal(class_id * 2, 1, 6).astype(np.float32)
    name = TRAIN.labels[class_id] if label == "" else label
    origin = an_origin(uri=f"{i}", sequence=i, event_time_ms=i, label=name, held_out=held_out)
    return a_record(origin=origin, features=features)


def images(n: int, start: int = 0) -> list[ImageRecord]:
    return [image(i) for i in range(start, start + n)]


def teach(
    training: Training, records: Sequence[ImageRecord], number: int = 0
) -> tuple[list[Outcome], list[Event]]:
    places = [(number, row) for row in range(len(records))]
    outcomes, events = training.take(records, places)
    return outcomes, [event for _, event in events]


def opened(
    how: Train = TRAIN, snapshot: bytes | None = None, context: Context | None = None
) -> Training:
    return how.open_learner(context or a_context("train"), snapshot)


def test_each_image_is_classified_before_anything_is_learned_from_it() -> None:
    outcomes, _ = teach(opened(), images(8))
    assert [o.classification.scores.tolist() for o in outcomes] == [[0.5, 0.5]] * 8


def test_what_was_learned_shows_in_the_next_images() -> None:
    training = opened()
    for number in range(30):
        outcomes, _ = teach(training, images(8, 8 * number), number)
    assert sum(o.classification.labels[0] == o.origin.label for o in outcomes) >= 7


def test_each_result_says_after_which_step_it_was_made() -> None:
    training = opened()
    teach(training, images(9))
    (outcome,), _ = teach(training, [image(9)])
    (use,) = outcome.models
    assert (use.step, use.model, use.version) == ("train", "Head", "step-2")


def test_it_learns_batch_by_batch_and_tells_so() -> None:
    training = opened()
    _, first = teach(training, images(3))
    _, second = teach(training, images(6, 3))
    assert first == []
    assert [event.figures["step"] for event in second] == [1, 2]
    assert [event.sequence for event in second] == [3, 7], "the image that filled the batch"
    assert [event.figures["n_samples"] for event in second] == [4, 8]


def test_what_it_tells_of_a_step_are_its_loss_its_rate_and_what_was_learned() -> None:
    optimiser = Optimiser(rate=1.0, schedule="cosine", n_steps=4)
    _, events = teach(opened(replace(TRAIN, optimiser=optimiser)), images(8))
    first, second = (dict(event.figures) for event in events)
    assert first == {
        "step": 1,
        "n_samples": 4,
        "loss": pytest.approx(np.log(2), abs=1e-6),
        "rate": 1.0,
        "n_unknown": 0,
    }
    assert second["rate"] == pytest.approx((1 + np.cos(np.pi / 4)) / 2)


def test_the_last_images_are_learned_from_though_they_are_fewer() -> None:
    training = opened()
    teach(training, images(6))
    (event,) = training.end()
    assert (event.figures["step"], event.figures["n_samples"]) == (2, 6)


def test_images_that_are_held_out_or_have_no_label_are_classified_only() -> None:
    training = opened()
    records = [image(i, held_out=True) for i in range(4)] + [image(i, None) for i in range(4)]
    outcomes, events = teach(training, records)
    assert all(outcome.classification is not None for outcome in outcomes)
    assert events == []


class Seen:
    """A network that notes what it is shown."""

    takes = "prepared"

    def __init__(self) -> None:
        self.classified = list[np.ndarray]()
        self.learned = list[np.ndarray]()

    def open(self, n_classes: int, shape: tuple, optimiser: Optimiser, seed: int) -> "Seen":
        return self

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        self.classified.append(inputs)
        return np.full((len(inputs), 2), 0.5, np.float32)

    def learn(self, inputs: np.ndarray, class_ids: np.ndarray, step: int) -> float:
        self.learned.append(inputs)
        return 1.0


def test_it_learns_from_changed_images_each_step_by_draws_of_its_own() -> None:
    augment, network = Augment(brightness=0.5), Seen()
    how = replace(TRAIN, network=network, augment=augment, seed=3)
    grey = np.full((4, 4, 3), 100, np.uint8)
    teach(opened(how), [replace(record, prepared=grey) for record in images(8)])
    assert (network.classified[0] == 100).all(), "what is classified is not changed"
    for step, inputs in enumerate(network.learned):
        rng = np.random.default_rng([3, step, 2])
        assert (inputs == augment.apply(np.stack([grey] * 4), rng)).all()
    assert len(network.learned) == 2


class Kept(NoMetrics):
    """Metrics that are kept."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self.levels = list[tuple[str, float]]()

    def count(self, name: str, n: int = 1, /) -> None:
        self.counts[name] += n

    def measure(self, name: str, value: float, /) -> None:
        self.levels.append((name, value))


def test_steps_are_counted_and_the_loss_is_measured_while_it_runs() -> None:
    metrics = Kept()
    _, events = teach(opened(context=replace(a_context("train"), metrics=metrics)), images(8))
    assert metrics.counts == {"steps": 2}
    assert metrics.levels == [("loss", event.figures["loss"]) for event in events]


def test_of_equal_scores_the_first_classes_are_the_best() -> None:
    labels = tuple(f"{i:02d}" for i in range(60))
    (found,), _ = teach(opened(replace(TRAIN, labels=labels)), [image(0, "59")])
    assert found.classification.labels == labels[: TRAIN.top_k]


def test_an_image_with_a_label_that_is_no_class_is_rejected() -> None:
    (first, second), _ = teach(opened(), [image(0, "cow"), image(1)])
    assert isinstance(first, Rejected)
    assert first.origin == image(0, "cow").origin
    assert (first.reason, first.step) == ("unknown_label", "train")
    assert first.message == "its label 'cow' is none of ['cat', 'dog']"
    assert isinstance(second, ImageRecord)


def test_old_images_are_learned_again_between_new_ones() -> None:
    training = opened(replace(TRAIN, replay=Replay(batches=3, size=10)))
    _, events = teach(training, images(8))
    assert [event.figures["step"] for event in events] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert events[-1].figures["n_samples"] == 8


@pytest.mark.parametrize("replay", [None, Replay(batches=2, size=6)])
@pytest.mark.parametrize("cut", [1, 5, 13])
def test_it_goes_on_from_a_snapshot_to_the_last_bit(replay: Replay | None, cut: int) -> None:
    how = replace(TRAIN, replay=replay)
    undisturbed, stopped = opened(how), opened(how)
    for number in range(20):
        teach(undisturbed, images(3, 3 * number), number)
        if number < cut:
            teach(stopped, images(3, 3 * number), number)
    again = opened(how, stopped.snapshot())
    for number in range(cut, 20):
        teach(again, images(3, 3 * number), number)
    assert again.snapshot() == undisturbed.snapshot()
    assert again.end() == undisturbed.end()


def test_a_snapshot_says_where_images_were_listed_and_reads_them_again() -> None:
    asked = list[Place]()

    def recall(places: Sequence[Place]) -> list[Outcome]:
        asked.extend(places)
        return [image(8 * number + row) for number, row in places]

    how = replace(TRAIN, replay=Replay(batches=1, size=100), kept_bytes=0)
    context = replace(a_context("train"), recall=recall)
    training = opened(how, context=context)
    for number in range(5):
        teach(training, images(8, 8 * number), number)
    snapshot = training.snapshot()
    assert len(snapshot) < len(opened(how).snapshot()) + 2_500
    again = opened(how, snapshot, context)
    assert sorted(asked) == [(number, row) for number in range(5) for row in range(8)]
    teach(again, images(8, 40), 5)
    teach(training, images(8, 40), 5)
    assert again.snapshot() == training.snapshot()


def test_an_image_whose_label_came_later_is_read_again_from_where_it_was_listed() -> None:
    asked = list[Place]()

    def recall(places: Sequence[Place]) -> list[Outcome]:
        asked.extend(places)
        return [image(row) for _, row in places]

    context = replace(a_context("train"), recall=recall)
    training = opened(replace(TRAIN, kept_bytes=0), context=context)
    training.take_labels(images(3), [(7, row) for row in range(3)])
    opened(replace(TRAIN, kept_bytes=0), training.snapshot(), context)
    assert asked == [(7, 0), (7, 1), (7, 2)]


def test_what_waits_is_learned_from_before_a_test_also_where_labels_come_later() -> None:
    training = opened()
    records = [*images(3), image(3, held_out=True)]
    ((row, event),) = training.take_labels(records, [(0, row) for row in range(4)])
    assert (row, event.kind, event.figures["n_samples"]) == (3, "trained", 3)


def test_after_a_restart_events_name_the_last_image_whatever_its_source_is_called() -> None:
    origin = replace(image(0).origin, source_id=os.fsdecode(b"caf\xe9"), event_time_ms=77)
    training = opened()
    teach(training, [replace(image(0), origin=origin), replace(image(1), origin=origin)])
    (event,) = opened(snapshot=training.snapshot()).end()
    assert (event.source_id, event.sequence, event.event_time_ms) == (origin.source_id, 0, 77)


def test_an_image_that_is_gone_when_it_is_read_again_is_an_error() -> None:
    gone = Rejected(an_origin(uri="7"), "read", "unreadable", "no such file")
    context = replace(a_context("train"), recall=lambda places: [gone for _ in places])
    how = replace(TRAIN, kept_bytes=0)
    training = opened(how, context=context)
    teach(training, images(1))
    with pytest.raises(JobError, match="7: was learned from and cannot be read again: no such"):
        opened(how, training.snapshot(), context)


def test_what_is_small_is_in_the_snapshot_and_not_read_again() -> None:
    context = replace(a_context("train"), recall=lambda places: pytest.fail("it is read again"))
    training = opened(context=context)
    teach(training, images(3))
    assert opened(snapshot=training.snapshot(), context=context).snapshot() == training.snapshot()


def test_a_training_that_diverges_says_where_and_what_to_do() -> None:
    how = replace(TRAIN, optimiser=Optimiser(rule="sgd", rate=1e30))
    with (
        pytest.raises(JobError, match=r"the loss is nan at step .* at a rate of 1e.30; a lower `o"),
        np.errstate(all="ignore"),
    ):
        teach(opened(how), images(40))


def test_what_is_left_out_is_taken_from_the_source() -> None:
    how = Train(
        batch_size=10, optimiser=Optimiser(schedule="cosine"), replay=Replay(batches=4), trainers=2
    )
    assert how.lacks_facts
    full = how.with_facts(SourceFacts(("a", "b"), 1_000))
    assert (full.labels, full.optimiser.n_steps) == (("a", "b"), 250)
    assert not full.lacks_facts
    assert replace(how, labels=("x", "y")).with_facts(SourceFacts(("a", "b"), 9)).labels == (
        "x",
        "y",
    )
    assert how.with_facts(SourceFacts()) == how, "a stream tells nothing"


def test_a_snapshot_of_other_classes_is_refused() -> None:
    snapshot = opened().snapshot()
    with pytest.raises(JobError, match=r"for \['cat', 'dog'\]; this one is for"):
        opened(replace(TRAIN, labels=("cat", "cow")), snapshot)


def test_a_snapshot_of_another_network_is_refused_with_the_step_and_what_to_do() -> None:
    training = opened()
    teach(training, images(8))
    other = replace(TRAIN, network=Head(hidden=3))
    with pytest.raises(JobError, match=r"step 'train': the checkpoint has a head .* run anew"):
        opened(other, training.snapshot())


def test_several_trainers_need_a_folder_that_all_see() -> None:
    with pytest.raises(JobError, match=r"step 'train': several trainers need a folder"):
        opened(replace(TRAIN, trainers=2))


def test_inputs_of_two_shapes_are_refused() -> None:
    other = replace(image(1), features=np.zeros(7, np.float32))
    with pytest.raises(JobError, match=r"features of one shape, \[6\]; got \[7\]"):
        teach(opened(), [image(0), other])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("cat",)}, r"`labels` are two or more different words; got \['cat'\]"),
        ({"labels": ("a", "a")}, "`labels` are two or more different words"),
        ({"labels": ("a", "\udcff")}, r"`labels` are printable; got '\\udcff'"),
        ({"optimiser": Optimiser(schedule="cosine")}, "the schedule 'cosine' needs `optimiser.n_"),
        ({"batch_size": 0}, "`batch_size` is a whole number from 1; got 0"),
        ({"augment": Augment(flip=True)}, "`augment` changes pixels; Head learns from features"),
    ],
)
def test_what_cannot_work_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PipelineError, match=f"Train: {message}"):
        replace(TRAIN, **options).check()


def test_it_learns_from_an_image_when_its_label_comes_and_counts_labels_it_does_not_know() -> None:
    training = opened(replace(TRAIN, report_every=1))
    waiting = [
        replace(record, origin=replace(record.origin, label=None, awaits_label=True))
        for record in map(image, range(TRAIN.batch_size))
    ]
    places = [(0, row) for row in range(len(waiting))]
    found, events = training.take(waiting, places)
    assert all(record.classification is not None for record in found)
    assert events == []
    labelled = [replace(r, origin=replace(r.origin, label="cat")) for r in found]
    unknown = replace(found[0], origin=replace(found[0].origin, label="cow"))
    ((row, event),) = training.take_labels([unknown, *labelled], [(0, 0), *places])
    assert (row, event.kind) == (TRAIN.batch_size, "trained")
    assert (event.figures["n_samples"], event.figures["n_unknown"]) == (TRAIN.batch_size, 1)
    again = opened(replace(TRAIN, report_every=1), training.snapshot())
    assert again.snapshot() == training.snapshot()


def test_labels_that_are_no_class_are_told_at_the_end() -> None:
    training = opened()
    waiting = replace(image(0), origin=replace(image(0).origin, label="cow"))
    training.take_labels([waiting] * 3, [(0, 0)] * 3)
    (event,) = training.end()
    assert (event.kind, event.figures["n_unknown"], event.figures["step"]) == ("trained", 3, 0)
