"""What is to be done is worked out once, for both runners."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.streams import Offered

from sightflow import Directory, Pipeline, RunSettings
from sightflow.engine.plan import chunks_of, informed, is_by_source, last_ones
from sightflow.errors import PipelineError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.train import Train
from sightflow.sources.labelled import Labelled
from sightflow.sources.late import Late
from sightflow.tasks.detect import Detect
from sightflow.tasks.track import Track
from sightflow.testing import draw_scene, encode_image


@pytest.fixture
def photos(tmp_path: Path) -> Labelled:
    for label, n in (("ants", 3), ("bees", 2)):
        for i in range(n):
            path = tmp_path / label / f"{i}.jpg"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(encode_image(draw_scene(32, 24)))
    return Labelled(Directory(str(tmp_path)))


def steps_of(pipeline: Pipeline) -> list:
    return [step.operator for step in informed(pipeline).learning]


def test_classes_and_steps_that_are_left_out_are_those_of_the_source(photos: Labelled) -> None:
    train = Train(batch_size=1, optimiser=Optimiser(schedule="cosine"))
    for source in (photos, Late(photos, n_images=2)):
        (found,) = steps_of(Pipeline(source).apply("train", train))
        assert (found.labels, found.optimiser.n_steps) == (("ants", "bees"), 5)


def test_a_test_has_the_classes_of_the_training_before_it(photos: Labelled) -> None:
    pipeline = Pipeline(photos).apply("train", Train(("bees", "ants", "cows")))
    _, test = steps_of(pipeline.apply("test", Evaluate()))
    assert test.labels == ("bees", "ants", "cows")


def test_a_step_whose_classes_are_given_does_not_hide_what_the_source_lists(photos) -> None:
    train = Train(batch_size=1, optimiser=Optimiser(schedule="cosine"))
    pipeline = Pipeline(photos).apply("first", Train(("ants", "bees"))).apply("second", train)
    _, second = steps_of(pipeline)
    assert second.optimiser.n_steps == 5


def test_of_a_stream_nothing_is_known() -> None:
    (train,) = steps_of(Pipeline(Offered(3)).apply("train", Train()))
    assert train.labels == ()


def test_what_lacks_nothing_does_not_list_the_source() -> None:
    missing = Labelled(Directory("nowhere"))
    (train,) = steps_of(Pipeline(missing).apply("train", Train(("a", "b"))))
    assert train.labels == ("a", "b")


def test_chunks_are_of_one_stream_where_steps_remember_streams() -> None:
    pipeline = Pipeline(Directory("photos"))
    tracked = pipeline.apply("detect", Detect()).apply("track", Track())
    learned = pipeline.apply("train", Train(("a", "b")))
    assert [is_by_source(p) for p in (pipeline, tracked, learned)] == [False, True, False]
    streams = [replace(p, source=Offered(1)) for p in (pipeline, tracked, learned)]
    assert [is_by_source(p) for p in streams] == [True, True, False]


def test_the_last_chunk_of_each_stream_is_known(photos: Labelled) -> None:
    pipeline = Pipeline(photos).apply("detect", Detect()).apply("track", Track())
    chunks = list(chunks_of(pipeline, RunSettings(batch_size=2)))
    assert [chunk.n_images for chunk in chunks] == [2, 2, 1]
    assert last_ones(chunks) == {2}
    assert list(chunks_of(Pipeline(Offered(3)), RunSettings())) == []


def test_fewer_chunks_than_trainers_are_refused(photos: Labelled) -> None:
    pipeline = Pipeline(photos).apply("train", Train(("ants", "bees"), trainers=6))
    with pytest.raises(PipelineError, match=r"6 trainers need as many chunks .* has 5"):
        list(chunks_of(pipeline, RunSettings(batch_size=1)))
