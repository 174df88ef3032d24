"""A run goes on with another pipeline where its state allows it, and says why where it does not."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.steps import Bright, Count, Slow
from tests.streams import Offered

from sightflow import (
    AnnotatedImages,
    CountLine,
    Directory,
    JsonEvents,
    JsonLines,
    Pipeline,
    Track,
    Video,
    Zone,
)
from sightflow.engine.chunks import Recognised
from sightflow.engine.folds import open_keyed
from sightflow.engine.learning import LearningChain
from sightflow.engine.upgrade import Description, History, differences
from sightflow.errors import JobError, PipelineError
from sightflow.learn.evaluate import Evaluate
from sightflow.pipeline import KeyedStep
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sources.kafka import KafkaImages
from sightflow.sources.kafkacontrol import KafkaControl
from sightflow.sources.live import Live
from sightflow.sources.newest import Newest
from sightflow.sources.watched import Watched
from sightflow.testing import a_context, a_record, an_origin

GATE = CountLine((0, 0), (0, 9))
AREA = Zone(corners=((0, 0), (9, 0), (0, 9)))


STREAM = Offered(9)


def a_pipeline(source: Any = STREAM, **parts: Any) -> Pipeline:
    """Return a pipeline of steps, and of sinks, which have a path."""
    pipeline = Pipeline(source)
    for name, part in parts.items():
        add = pipeline.write if hasattr(part, "outputs") else pipeline.apply
        pipeline = add(name, part)
    return pipeline


def going_on(before: Pipeline, now: Pipeline, *drop: str) -> History:
    old = Description.of(before)
    return History("run", old.remembers).going_on(old, Description.of(now), drop)


OUT = JsonLines("out.jsonl")
SOME = {"dim": Bright(), "track": Track(), "gate": GATE, "out": OUT}

ALLOWED = {
    "a stateless step is new": {**SOME, "dim": Bright(), "slow": Slow(0.1)} | {"track": Track()},
    "a stateless step is gone": {n: p for n, p in SOME.items() if n != "dim"},
    "a stateless step has another kind": {**SOME, "dim": Slow(0.1)},
    "a threshold of a stateless step": {**SOME, "dim": Bright(reject_below=0.2)},
    "a threshold of a keyed step": {**SOME, "track": Track(max_age_ms=9)},
    "the line is elsewhere": {**SOME, "gate": CountLine((5, 0), (5, 9))},
    "a keyed step is new": {**SOME, "area": AREA},
    "another order of keyed steps": {n: SOME[n] for n in ("dim", "gate", "track", "out")},
    "a sink is new": {**SOME, "events": JsonEvents("events.jsonl")},
    "a sink of images is new": {**SOME, "pictures": AnnotatedImages("boxed")},
}


def in_order(parts: dict[str, Any]) -> dict[str, Any]:
    """Return parts with those without a state first."""
    return dict(sorted(parts.items(), key=lambda part: hasattr(part[1], "open_fold")))


@pytest.mark.parametrize("change", ALLOWED)
def test_it_goes_on_where_all_state_is_found(change: str) -> None:
    before, now = a_pipeline(**SOME), a_pipeline(**in_order(ALLOWED[change]))
    assert going_on(before, now) == History("run", "keyed step")
    assert differences(Description.of(before), Description.of(now))


def test_whether_a_sink_replaces_what_was_there_before_is_no_change() -> None:
    overwriting = {**SOME, "out": JsonLines("out.jsonl", overwrite=True)}
    before, now = (Description.of(a_pipeline(**parts)) for parts in (SOME, overwriting))
    assert before == now


REFUSED = {
    "a keyed step is gone": (
        {"track": Track(), "out": OUT},
        r"step 'gate' \(CountLine\) is gone: .* new are none; .* \(--drop-state gate\)",
    ),
    "a keyed step has another name": (
        {"follow": Track(), "gate": GATE, "out": OUT},
        r"step 'track' \(Track\) is gone: .* new are step 'follow' \(Track\)",
    ),
    "a keyed step has another kind": (
        {"track": Track(), "gate": AREA, "out": OUT},
        r"step 'gate' \(Zone\) was CountLine: .* \(--drop-state gate\)",
    ),
    "a keyed step is a stateless one": (
        {"gate": Bright(), "track": Track(), "out": OUT},
        r"step 'gate' \(Bright\) was CountLine",
    ),
    "a sink is gone": (
        {"track": Track(), "gate": GATE},
        r"sink 'out' \(JsonLines\) is gone: what it remembers or wrote so far would be lost",
    ),
    "a sink writes another file": (
        {"track": Track(), "gate": GATE, "out": JsonLines("other.jsonl")},
        r"sink 'out' \(JsonLines\) writes another file: .* \(--drop-state out\)",
    ),
}


@pytest.mark.parametrize("change", REFUSED)
def test_state_is_lost_only_where_that_is_allowed_by_name(change: str) -> None:
    parts, message = REFUSED[change]
    before, now = a_pipeline(**SOME), a_pipeline(**parts)
    with pytest.raises(PipelineError, match=message):
        going_on(before, now)
    with pytest.raises(PipelineError, match=message):
        going_on(before, now, "another")
    (dropped,) = going_on(before, now, "track", "gate", "out").dropped
    assert dropped in ("track", "gate", "out")


def test_two_that_lose_their_state_are_both_named() -> None:
    message = r"\(--drop-state track --drop-state gate\)"
    with pytest.raises(PipelineError, match=message):
        going_on(a_pipeline(**SOME), a_pipeline(out=OUT))


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (Offered(9), Live("rtsp://camera"), r"a place in its source: the source \(Live\) was Offe"),
        (Offered(9), Offered(10), r"`n_images` of the source \(Offered\) is another"),
        (Directory("a"), Directory("b"), r"`paths` of the source \(Directory\) is another"),
        (Directory("a"), Offered(9), r"the source \(Offered\) was Directory"),
        (Live("rtsp://a"), Live("rtsp://b"), r"`url` of the source \(Live\) is another"),
    ],
)
def test_where_a_run_stands_is_a_place_in_its_source(before: Any, now: Any, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        going_on(a_pipeline(before), a_pipeline(now))


def test_how_a_camera_is_followed_may_change_and_its_password_is_no_part_of_it() -> None:
    before = a_pipeline(Live("rtsp://me:old@camera/live"))
    assert Description.of(before) == Description.of(a_pipeline(Live("rtsp://me:new@camera/live")))
    slower = a_pipeline(Live("rtsp://camera/live", max_fps=5, read_timeout_s=3))
    assert going_on(a_pipeline(Live("rtsp://camera/live")), slower) == History("run")


def test_digests_of_options_do_not_tell_them() -> None:
    described = Description.of(a_pipeline(Live("rtsp://me:secret@camera", options={"key": "abc"})))
    assert "secret" not in repr(described)
    assert "abc" not in repr(described)


def test_the_first_keyed_step_of_a_stream_begins_in_the_middle() -> None:
    assert going_on(a_pipeline(), a_pipeline(count=Count())) == History("run", "keyed step")


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        (a_pipeline(Video("a")), a_pipeline(Video("a"), count=Count()), "listed without regard"),
        (a_pipeline(), a_pipeline(evaluate=Evaluate()), "'evaluate' learns from all images, and"),
        (a_pipeline(count=Count()), a_pipeline(evaluate=Evaluate()), "has the state of a keyed"),
    ],
)
def test_steps_with_a_state_that_cannot_begin_in_the_middle_are_refused(
    before: Pipeline, now: Pipeline, message: str
) -> None:
    with pytest.raises(PipelineError, match=message):
        going_on(before, now, "count")


def test_without_steps_with_a_state_images_that_wait_there_still_come_out() -> None:
    before, now = a_pipeline(count=Count(max_out_of_order_ms=1_000)), a_pipeline()
    chain = open_keyed(before, a_context())
    images = [a_record(origin=an_origin(sequence=t, event_time_ms=t)) for t in (1, 2, 3)]
    memory, first = chain.take(chain.initial(), Recognised(0, images[:2]))
    assert not first.rows

    history = going_on(before, now, "count")
    continued = history.continued(now)
    assert continued.has_state
    chain = open_keyed(continued, a_context(), history)
    _, second = chain.take(chain.decode(chain.encode(memory_of(chain, memory))), chunk(images[2]))
    assert [row["sequence"] for row in second.rows] == [1, 2, 3]


def chunk(image: Any) -> Recognised:
    return Recognised(1, [image], index=1)


def memory_of(chain: Any, memory: Any) -> Any:
    """Return a memory as the chain of the pipeline before has written it."""
    return replace(memory, states=chain.initial().states)


def test_what_learned_before_is_let_go_and_images_pass() -> None:
    before = a_pipeline(evaluate=Evaluate())
    history = going_on(before, a_pipeline(), "evaluate")
    kept = LearningChain(before, a_context()).encode(LearningChain(before, a_context()).initial(""))
    chain = LearningChain(history.continued(a_pipeline()), a_context(), history)
    _, result = chain.take(chain.decode(kept), Recognised(0, [a_record()]))
    assert len(result.rows) == 1


@dataclass(frozen=True)
class CountOnly(Count):
    """Another kind with a state of the same form."""


def test_a_checkpoint_is_taken_by_name_whatever_the_order() -> None:
    before = open_keyed(a_pipeline(a=Count(), b=Count()), a_context())
    memory, _ = before.take(before.initial(), Recognised(0, [a_record()]))
    now = open_keyed(a_pipeline(new=Count(), b=Count(), a=Count()), a_context())
    states = now.decode(before.encode(memory)).states
    assert [count for count, _, _ in states] == [0, 1, 1]


def test_state_of_another_kind_is_refused_also_in_the_worker() -> None:
    before = open_keyed(a_pipeline(a=Count()), a_context())
    now = open_keyed(a_pipeline(a=CountOnly()), a_context())
    message = r"steps a \(Count\); the pipeline has a \(CountOnly\); keep their names and kinds"
    with pytest.raises(JobError, match=message):
        now.decode(before.encode(before.initial()))


def test_a_name_that_was_dropped_begins_anew_also_in_a_stream_that_was_silent() -> None:
    first, without = a_pipeline(a=Count(), b=Count()), a_pipeline(a=Count())
    chain = open_keyed(first, a_context())
    memory, _ = chain.take(chain.initial(), Recognised(0, [a_record()]))
    silent = chain.encode(memory)

    history = History("run", "keyed step")
    for before, now in ((first, without), (without, first)):
        history = history.going_on(Description.of(before), Description.of(now), ["b"])
    chain = open_keyed(first, a_context(), history)
    memory = chain.decode(silent)
    assert [count for count, _, _ in memory.states] == [1, 0]
    memory, _ = chain.take(memory, Recognised(1, [a_record(origin=an_origin(sequence=1))]))
    assert [count for count, _, _ in chain.decode(chain.encode(memory)).states] == [2, 1]


def test_a_state_with_every_change_named_reads_as_a_sentence() -> None:
    before = a_pipeline(dim=Bright(), track=Track(), out=OUT)
    now = a_pipeline(dim=Bright(reject_below=0.5), slow=Slow(0.1), track=Track(), more=OUT)
    assert differences(Description.of(before), Description.of(now)) == [
        "sink 'out' (JsonLines) is gone",
        "step 'slow' (Slow) is new",
        "sink 'more' (JsonLines) is new",
        "`reject_below` of step 'dim' (Bright) is another",
    ]


def test_steps_that_remain_are_continued_as_they_are() -> None:
    pipeline = a_pipeline(count=Count())
    assert History("run", "keyed step").continued(pipeline) is pipeline
    assert pipeline.keyed == (KeyedStep("count", Count()),)


KAFKA = {
    "source": lambda **options: Pipeline(KafkaImages("cams", **options)),
    "sink": lambda **options: Pipeline(STREAM).write("out", KafkaEvents(topic="found", **options)),
    "control": lambda **options: Pipeline(STREAM).controlled_by(
        KafkaControl(topic="said", **options)
    ),
}


@pytest.mark.parametrize("part", list(KAFKA))
def test_other_brokers_and_another_password_are_no_other_pipeline(part: str) -> None:
    before = KAFKA[part](servers="a:9092", properties={"sasl.password": "old"})
    now = KAFKA[part](servers="b:9092,c:9092", properties={"sasl.password": "new"})
    assert Description.of(before) == Description.of(now)


def test_another_topic_is_another_pipeline() -> None:
    before = Pipeline(STREAM).write("out", KafkaEvents("a:9092", topic="found"))
    now = Pipeline(STREAM).write("out", KafkaEvents("a:9092", topic="lost"))
    with pytest.raises(PipelineError, match=r"sink 'out' \(KafkaEvents\) writes another file"):
        going_on(before, now)


def test_another_end_is_another_source() -> None:
    before, now = (Pipeline(KafkaImages("cams", "a:9092", stop=stop)) for stop in (None, "latest"))
    with pytest.raises(PipelineError, match=r"`stop` of the source \(KafkaImages\) is another"):
        going_on(before, now)


def test_how_a_folder_is_watched_may_change_inside_another_source_too() -> None:
    before = Pipeline(Newest(Watched("in", every_s=1.0)))
    now = Pipeline(Newest(Watched("in", every_s=2.0), max_age_ms=9))
    assert going_on(before, now).dropped == ()
    assert differences(Description.of(before), Description.of(now)) == [
        "`max_age_ms` of the source (Newest) is another",
        "`source.every_s` of the source (Newest) is another",
    ]


@pytest.mark.parametrize("source", [Watched("out"), Live("rtsp://camera/1"), Newest(Watched("in"))])
def test_another_source_inside_is_another_source(source: Any) -> None:
    with pytest.raises(PipelineError, match=r"a place in its source: `source.* is another"):
        going_on(Pipeline(Newest(Watched("in"))), Pipeline(Newest(source)))
