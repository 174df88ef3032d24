"""Learning steps take all images in the order of the chunks, and are restored together."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from tests.streams import Offered

from sightflow import Directory, Pipeline
from sightflow.engine.chunks import Recognised, chunked
from sightflow.engine.learning import LearningChain
from sightflow.errors import JobError, PipelineError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.train import Train
from sightflow.records import Classification, Event, ImageRecord, Label, Rejected
from sightflow.sources.joined import Joined
from sightflow.sources.jsonlabels import JsonLabels
from sightflow.sources.late import Late
from sightflow.tasks.track import Track
from sightflow.testing import a_claim, a_context, a_record, an_origin


@dataclass(frozen=True)
class Tally:
    """Counts images, and rejects every n-th."""

    rejects: int = 1_000
    preparation: ClassVar[None] = None
    takes: ClassVar[tuple[str, ...]] = ()

    def check(self) -> None:
        """Accept anything."""

    def open_learner(self, context, snapshot):
        return _Tally(self, context.step, 0 if snapshot is None else int(snapshot))


class _Tally:
    def __init__(self, how: Tally, step: str, n: int) -> None:
        self.how, self.step, self.n = how, step, n
        self.chunks = []

    def take(self, records, places):
        outcomes, events = [], []
        for row, (record, place) in enumerate(zip(records, places, strict=True)):
            self.n += 1
            events.append((row, Event(f"{self.step}-{self.n}", self.step, "", *place)))
            rejected = self.n % self.how.rejects == 0
            outcomes.append(Rejected(record.origin, self.step, "tired", "") if rejected else record)
        return outcomes, events

    def take_labels(self, records, places):
        told = zip(records, places, strict=True)
        return [(i, Event(r.origin.label, self.step, "", *p)) for i, (r, p) in enumerate(told)]

    def end_chunk(self, index):
        self.chunks.append(index)

    def end(self):
        return [Event("end", self.step, "", self.n, 0)]

    def snapshot(self) -> bytes:
        return str(self.n).encode()


def a_chain(*steps: Tally) -> LearningChain:
    pipeline = Pipeline(Directory("photos"))
    for i, step in enumerate(steps):
        pipeline = pipeline.apply(f"t{i}", step)
    return LearningChain(pipeline, a_context())


def chunk(number: int, n_images: int = 2, *, has_ended: bool = False) -> Recognised:
    records = [a_record(origin=an_origin(sequence=i)) for i in range(n_images)]
    return Recognised(number, records, "", number, has_ended=has_ended)


def test_events_come_in_the_order_of_the_images_and_then_of_the_steps() -> None:
    chain = a_chain(Tally(), Tally())
    _, result = chain.take(chain.initial(""), chunk(4))
    assert [event["kind"] for event in result.events] == ["t0-1", "t1-1", "t0-2", "t1-2"]
    places = [(event["sequence"], event["event_time_ms"]) for event in result.events]
    assert places == [(4, 0), (4, 0), (4, 1), (4, 1)]


def test_what_a_step_rejects_the_next_does_not_see() -> None:
    chain = a_chain(Tally(rejects=2), Tally())
    lessons, result = chain.take(chain.initial(""), chunk(0, 4))
    assert [row["sequence"] for row in result.rows] == [0, 2]
    assert [row["reason"] for row in result.rejected] == ["tired", "tired"]
    assert [learner.n for learner in lessons.learners] == [4, 2]
    seen = [e["event_time_ms"] for e in result.events if e["step"] == "t1"]
    assert seen == [0, 2], "places are those of the whole chunk"


def test_at_the_end_each_step_has_a_last_word() -> None:
    chain = a_chain(Tally(), Tally())
    lessons, _ = chain.take(chain.initial(""), chunk(0))
    _, result = chain.take(lessons, chunk(1, has_ended=True))
    assert [e["step"] for e in result.events if e["kind"] == "end"] == ["t0", "t1"]


def test_lessons_are_restored_as_they_were() -> None:
    chain = a_chain(Tally(), Tally(rejects=2))
    lessons, _ = chain.take(chain.initial(""), chunk(0, 3))
    again = chain.decode(chain.encode(lessons))
    assert again.next_index == lessons.next_index == 1
    assert [learner.n for learner in again.learners] == [3, 3]
    assert again.learners[0] is not lessons.learners[0]


def test_lessons_of_other_steps_are_refused() -> None:
    chain = a_chain(Tally(), Tally())
    data = chain.encode(chain.initial(""))
    with pytest.raises(JobError, match=r"t0 \(Tally\), t1 \(Tally\); the pipeline has t0 \(Tally"):
        a_chain(Tally()).decode(data)


def test_a_learning_step_that_is_new_begins_where_the_others_go_on() -> None:
    chain = a_chain(Tally())
    lessons, _ = chain.take(chain.initial(""), chunk(0, 3))
    again = a_chain(Tally(), Tally()).decode(chain.encode(lessons))
    assert [learner.n for learner in again.learners] == [3, 0]


def test_lessons_of_another_version_are_refused() -> None:
    chain = a_chain(Tally())
    data = chain.encode(chain.initial(""))
    with pytest.raises(JobError, match="lessons must be of version 4; got 9; start the run anew"):
        chain.decode(data[:1] + b"\x09" + data[2:])


def test_steps_for_each_stream_and_for_all_cannot_be_in_one_pipeline() -> None:
    pipeline = Pipeline(Directory("photos")).apply("track", Track())
    with pytest.raises(PipelineError, match="'train' and 'track': one takes each stream on its"):
        pipeline.apply("train", Train(("a", "b")))


def test_a_learning_step_brings_what_prepares_its_input() -> None:
    pipeline = Pipeline(Directory("photos")).apply("train", Train(("a", "b")))
    assert [(step.name, type(step.operator).__name__) for step in pipeline.pixel_steps] == [
        ("train", "Features")
    ]
    assert pipeline.travelling == ("features",)
    assert [model.card.name for model in pipeline.models] == ["efficientnet_lite0"]
    assert replace(pipeline, learning=()).travelling == ()


def test_labels_that_come_later_are_taken_with_their_images_by_all_steps() -> None:
    chain = a_chain(Tally(), Tally())
    images = [a_record(origin=an_origin(sequence=i, awaits_label=True)) for i in range(3)]
    lessons, result = chain.take(chain.initial(""), Recognised(0, images))
    assert len(result.events) == 6
    lessons = chain.decode(chain.encode(lessons))
    labels = (Label("photos", 2, "cat"), Label("photos", 0, "dog"))
    _, result = chain.take(lessons, Recognised(1, (), "", 1, labels=labels))
    assert result.n_read == 0
    assert [(e["kind"], e["step"], e["event_time_ms"]) for e in result.events] == [
        ("cat", "t0", 2),
        ("cat", "t1", 2),
        ("dog", "t0", 0),
        ("dog", "t1", 0),
    ]


def test_labels_are_taken_behind_the_images_of_their_chunk() -> None:
    chain = a_chain(Tally())
    image = a_record(origin=an_origin(awaits_label=True))
    _, result = chain.take(
        chain.initial(""), Recognised(0, [image], labels=(Label("photos", 0, "cat"),))
    )
    assert [event["kind"] for event in result.events] == ["t0-1", "cat"]


def test_the_end_tells_what_became_of_labels() -> None:
    chain = a_chain(Tally())
    image = a_record(origin=an_origin(awaits_label=True))
    _, result = chain.take(chain.initial(""), Recognised(0, [image], has_ended=True))
    assert [event["kind"] for event in result.events] == ["t0-1", "joined", "end"]
    assert result.events[1]["figures"]["n_waiting"] == 1


def test_labels_that_come_later_need_a_step_that_takes_them() -> None:
    source = Late(Directory("photos"), n_images=1)
    with pytest.raises(PipelineError, match="Late tells labels later, which learning steps such"):
        Pipeline(source).check()


def test_several_trainers_and_labels_that_come_later_are_refused() -> None:
    claim = replace(a_claim(), labels=(Label("photos", 0, "cat"),))
    with pytest.raises(PipelineError, match="2 trainers share the images, and labels that come"):
        list(chunked([claim], 4, n_trainers=2))


@dataclass(frozen=True)
class Parrot:
    """Says of each image the label that it has learned last; at first `cat`."""

    preparation: ClassVar[None] = None
    takes: ClassVar[tuple[str, ...]] = ("features",)

    def check(self) -> None:
        """Accept anything."""

    def open_learner(self, context, snapshot):
        return _Parrot("cat" if snapshot is None else snapshot.decode())


class _Parrot:
    def __init__(self, word: str) -> None:
        self.word = word

    def take(self, records, places):
        said = Classification((self.word,), np.zeros(1, np.int32), np.ones(1, np.float32))
        return [replace(record, classification=said) for record in records], []

    def take_labels(self, records, places):
        for record in records:
            assert record.features.tolist() == [record.origin.sequence]
            self.word = record.origin.label
        return []

    def end_chunk(self, index):
        """Do nothing."""

    def end(self):
        return []

    def snapshot(self) -> bytes:
        return self.word.encode()


def waiting(sequence: int) -> ImageRecord:
    origin = an_origin(sequence=sequence, awaits_label=True)
    return a_record(origin=origin, features=np.full(1, sequence, np.float32))


@pytest.mark.parametrize("restarts", [False, True])
def test_an_image_is_tested_by_what_was_said_when_it_came_and_not_when_its_label_did(
    restarts: bool,
) -> None:
    pipeline = Pipeline(Directory("photos")).apply("parrot", Parrot())
    pipeline = pipeline.apply("test", Evaluate(("cat", "dog"), every=1, drift=None))
    chain = LearningChain(pipeline, a_context())
    lessons, told = chain.initial(""), []
    for number, (images, labels) in enumerate(
        [
            ([waiting(0), waiting(1)], []),  # both are said to be cats
            ([], [Label("photos", 0, "dog")]),  # wrong; from now on all are dogs
            ([waiting(2)], []),
            ([], [Label("photos", 1, "cat"), Label("photos", 2, "dog")]),  # both right
        ]
    ):
        if restarts:
            lessons = chain.decode(chain.encode(lessons))
        chunk = Recognised(number, images, "", number, labels=tuple(labels))
        lessons, result = chain.take(lessons, chunk)
        told += [event["figures"]["accuracy"] for event in result.events]
    assert told == [0, 1 / 2, 2 / 3]


def test_what_waits_of_a_stream_has_the_limits_of_its_source(tmp_path) -> None:
    source = Joined(Offered(9), JsonLabels(str(tmp_path / "labels")), max_waiting=2)
    chain = LearningChain(Pipeline(source).apply("parrot", Parrot()), a_context())
    chunk = Recognised(0, [waiting(i) for i in range(5)], has_ended=True)
    _, result = chain.take(chain.initial(""), chunk)
    figures = result.events[0]["figures"]
    assert (figures["n_let_go"], figures["n_waiting"]) == (3, 2)
