"""Keyed steps take the images of a stream in the order of their time, and remember it exactly."""

import pytest
from tests.steps import Bright, Count

from sightflow import AnnotatedImages, Directory, Pipeline
from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.folds import KeyedChain, Memory, open_keyed
from sightflow.errors import JobError, PipelineError
from sightflow.records import ImageRecord, Outcome, Rejected
from sightflow.testing import a_context, a_record, an_origin


def a_chain(*steps: Count) -> KeyedChain:
    pipeline = Pipeline(Directory("photos"))
    for i, step in enumerate(steps):
        pipeline = pipeline.apply(f"count{i}", step)
    return open_keyed(pipeline, a_context())


def image(time_ms: int, sequence: int | None = None) -> ImageRecord:
    number = time_ms if sequence is None else sequence
    return a_record(origin=an_origin(uri=f"{time_ms}", sequence=number, event_time_ms=time_ms))


def take(
    chain: KeyedChain, memory: Memory, *images: Outcome, has_ended: bool = False
) -> tuple[Memory, ChunkResult]:
    chunk = Recognised(0, images, "s", memory.next_index, has_ended=has_ended)
    return chain.take(memory, chunk)


def times(result: ChunkResult) -> list[int]:
    return [row["event_time_ms"] for row in result.rows]


def test_each_image_meets_the_state_that_those_before_it_left() -> None:
    chain = a_chain(Count())
    memory, first = take(chain, chain.initial(), image(1), image(2))
    memory, second = take(chain, memory, image(3))
    assert [row["model_version"] for row in (*first.rows, *second.rows)] == ["1", "2", "3"]
    assert memory.next_index == 2


def test_a_step_sees_what_the_one_before_it_added() -> None:
    chain = a_chain(Count(), Count())
    _, result = take(chain, chain.initial(), image(1))
    assert [use["step"] for use in result.rows[0]["steps"]] == ["count0", "count1"]


def test_images_out_of_order_are_put_in_order_within_the_bound() -> None:
    chain = a_chain(Count(max_out_of_order_ms=10))
    memory, first = take(chain, chain.initial(), image(20), image(10), image(31))
    assert times(first) == [10, 20]
    assert (first.n_read, len(memory.waiting)) == (3, 1)
    memory, second = take(chain, memory, image(28), has_ended=True)
    assert times(second) == [28, 31]
    assert [row["model_version"] for row in second.rows] == ["3", "4"]


def test_a_late_image_is_rejected_and_changes_nothing() -> None:
    chain = a_chain(Count(max_out_of_order_ms=10))
    memory, _ = take(chain, chain.initial(), image(20), image(100))
    after, result = take(chain, memory, image(15))
    assert result.rejected == [
        {
            "uri": "15",
            "step": "count0",
            "reason": "late",
            "message": "its time is 5 ms before that of an image that is done with; "
            "`max_out_of_order_ms` is 10, or its stream came twice",
        }
    ]
    assert after.states == memory.states
    assert result.n_read == 1


def test_images_of_one_time_are_ordered_by_their_number() -> None:
    chain = a_chain(Count())
    _, result = take(chain, chain.initial(), image(5, 0), image(5, 1), image(5, 1), image(5, 0))
    assert [row["sequence"] for row in result.rows] == [0, 1]
    assert [row["reason"] for row in result.rejected] == ["late", "late"]


def test_a_rejected_image_passes_at_once() -> None:
    chain = a_chain(Count(max_out_of_order_ms=1_000))
    _, result = take(chain, chain.initial(), image(1), Rejected(an_origin(), "a", "empty", ""))
    assert (len(result.rows), len(result.rejected), result.n_read) == (0, 1, 2)


def test_events_tell_of_images_and_of_the_end() -> None:
    chain = a_chain(Count())
    memory, first = take(chain, chain.initial(), *(image(i) for i in range(12)))
    _, last = take(chain, memory, has_ended=True)
    assert [(e["kind"], e["sequence"]) for e in (*first.events, *last.events)] == [
        ("tenth", 10),
        ("over", 12),
    ]


def test_a_memory_from_a_checkpoint_goes_on_as_if_nothing_had_happened() -> None:
    chain = a_chain(Count(max_out_of_order_ms=10), Count())
    arrived = [image(t) for t in (5, 1, 30, 22, 41, 35, 60, 44)]
    undisturbed = restored = chain.initial()
    for one in arrived:
        undisturbed, expected = take(chain, undisturbed, one)
        restored, got = take(chain, chain.decode(chain.encode(restored)), one)
        assert got == expected
        assert chain.encode(restored) == chain.encode(undisturbed)


def test_a_checkpoint_of_other_steps_is_refused() -> None:
    chain = a_chain(Count(), Count())
    kept = chain.encode(chain.initial())
    with pytest.raises(
        JobError, match=r"of the steps count0 \(Count\), count1 \(Count\); the pipeline"
    ):
        a_chain(Count()).decode(kept)


def test_a_stateless_step_behind_a_keyed_one_is_refused() -> None:
    pipeline = Pipeline(Directory("photos")).apply("count", Count())
    with pytest.raises(PipelineError, match=r"'bright' needs the pixels.*before 'count'"):
        pipeline.apply("bright", Bright())


def test_a_sink_for_pixels_behind_a_keyed_step_is_refused(tmp_path) -> None:
    pipeline = Pipeline(Directory("photos")).apply("count", Count())
    sink = AnnotatedImages(str(tmp_path / "drawn"))
    with pytest.raises(PipelineError, match="'drawn': AnnotatedImages writes beside the pixels"):
        pipeline.write("drawn", sink).check()


def test_a_class_is_no_keyed_step() -> None:
    with pytest.raises(PipelineError, match="needs an object with `open_learner` or"):
        Pipeline(Directory("photos")).apply("count", Count)  # type: ignore[arg-type]
