"""What a light shows is said once, by a vote, and told to have ended with its images."""

import numpy as np
import pytest

from sightflow.errors import JobError, PipelineError
from sightflow.records import Detections, ImageRecord, ObjectClasses
from sightflow.tasks.announce import Announce, WatchedStream
from sightflow.testing import a_context, a_record, an_origin

FRAME_MS = 100
IDS = {"red": 0, "green": 1, "stop": 14}

Seen = tuple[int | None, str | None]
"""Track and what one image says; None: not followed, not looked at."""


def image(number: int, *seen: Seen, score: float = 0.8, of: str = "states") -> ImageRecord:
    n = len(seen)
    boxes = np.array([[10 * i, 0, 10 * i + 8, number] for i in range(n)], np.float32)
    labels = tuple(label for _, label in seen)
    classes = ObjectClasses(
        labels,
        tuple(None if label is None else IDS.get(label) for label in labels),
        np.full(n, score, np.float32),
    )
    found = Detections(
        boxes.reshape(n, 4),
        np.full(n, 0.9, np.float32),
        np.zeros(n, np.int32),
        ("traffic light",) * n,
        tuple(track_id for track_id, _ in seen),
        **{of: classes},
    )
    origin = an_origin(source_id="cam", sequence=number, event_time_ms=number * FRAME_MS)
    return a_record(origin=origin, width=640, height=480, detections=found)


def run(images, step=None, *, end=True, restore=False):
    """Return events as (kind, label, sequence, first sequence), and what each image shows."""
    fold = (step or Announce("states")).open_fold(a_context("say"))
    state, events, shown = fold.initial(), [], []
    for record in images:
        if restore:
            state = fold.decode(fold.encode(state))
        state, outcome, told = fold.step(state, record)
        events += told
        found = outcome.detections
        shown.append((found.signs if found.states is None else found.states).labels)
    return [*events, *(fold.end(state) if end else ())], shown


def brief(events):
    return [
        (event.kind, event.label, event.sequence, event.figures["first_sequence"])
        for event in events
    ]


def lit(*labels, start=0):
    return [image(start + n, (1, label)) for n, label in enumerate(labels)]


def test_it_is_said_once_when_enough_images_say_it_and_ends_with_the_stream():
    events, shown = run(lit(*["red"] * 6))

    assert brief(events) == [("announced", "red", 2, 0), ("ended", "red", 5, 0)]
    assert shown == [("red",)] * 6
    announced, ended = events
    assert (announced.step, announced.source_id, announced.track_id) == ("say", "cam", 1)
    assert (announced.class_id, announced.event_time_ms) == (0, 200)
    assert announced.box_xyxy == (0, 0, 8, 2)
    assert announced.figures["score"] == pytest.approx(0.8)
    assert (announced.figures["n_votes"], ended.figures["n_votes"]) == (3, 6)
    assert (announced.duration_ms, ended.duration_ms) == (None, 500)


def test_a_single_bad_image_changes_nothing_and_shows_what_is_said():
    events, shown = run(lit("red", "red", "red", "green", "unknown", "red", "red"))

    assert brief(events) == [("announced", "red", 2, 0), ("ended", "red", 6, 0)]
    assert shown[3:5] == [("red",), ("red",)]
    assert events[-1].figures["n_votes"] == 5


def test_a_light_that_changes_ends_one_and_announces_the_other():
    events, shown = run(lit(*["red"] * 5, *["green"] * 6))

    assert brief(events) == [
        ("announced", "red", 2, 0),
        ("ended", "red", 7, 0),
        ("announced", "green", 8, 5),
        ("ended", "green", 10, 5),
    ]
    assert [label for (label,) in shown] == ["red"] * 8 + ["green"] * 3


def test_more_than_half_of_the_images_must_say_it():
    events, _ = run(lit(*["red", "green", "unknown"] * 4))
    assert events == []
    events, _ = run(lit("red", "green", "green", "red", "red"))
    assert [event.label for event in events] == ["red", "red"], "three of five"


def test_what_is_unknown_votes_against_and_is_never_announced():
    events, _ = run(lit(*["unknown"] * 9))
    assert events == []
    events, _ = run(lit("red", "unknown", "red", "unknown", "unknown", "red"))
    assert events == []


def test_images_of_long_ago_do_not_vote():
    images = [image(12 * n, (1, "red")) for n in range(6)]  # 1.2 s apart
    assert run(images, Announce("states", memory_ms=1_000))[0] == []
    assert len(run(images, Announce("states", memory_ms=2_500))[0]) == 2


def test_an_object_that_is_gone_for_long_has_ended():
    images = [*lit(*["red"] * 4), *(image(n) for n in range(4, 30)), *lit("red", start=30)]
    events, _ = run(images, Announce("states", max_age_ms=500))
    assert brief(events) == [("announced", "red", 2, 0), ("ended", "red", 3, 0)]


def test_each_track_has_a_vote_of_its_own_and_others_have_none():
    images = [image(n, (1, "red"), (2, "green"), (None, "red"), (3, None)) for n in range(4)]
    events, shown = run(images)
    assert brief(events) == [
        ("announced", "red", 2, 0),
        ("announced", "green", 2, 0),
        ("ended", "red", 3, 0),
        ("ended", "green", 3, 0),
    ]
    assert [event.track_id for event in events] == [1, 2, 1, 2]
    assert shown[-1] == ("red", "green", "red", None)


def test_signs_are_said_as_lights_are():
    images = [image(n, (7, "stop"), of="signs") for n in range(3)]
    events, _ = run(images, Announce("signs"))
    assert [(event.label, event.class_id) for event in events] == [("stop", 14)] * 2


def test_every_image_may_be_followed_by_a_restart():
    images = lit(*["red"] * 5, "unknown", *["green"] * 6)
    assert run(images) == run(images, restore=True)


def test_the_state_has_a_bound_that_does_not_grow_with_time():
    fold = Announce("states").open_fold(a_context("say"))
    state, sizes = fold.initial(), []
    for n in range(400):
        state, _, _ = fold.step(state, image(n, (1 + n // 4, "red")))
        sizes.append(len(fold.encode(state)))
    assert max(sizes[200:]) < 1.1 * max(sizes[:200])


def test_a_state_of_another_form_is_refused():
    fold = Announce("states").open_fold(a_context("say"))
    assert fold.initial() == WatchedStream()
    with pytest.raises(JobError, match="the checkpoint's announced objects"):
        fold.decode(b"{}")


@pytest.mark.parametrize(
    ("of", "maker"), [("states", "ClassifyTrafficLight"), ("signs", "ClassifySi")]
)
def test_what_is_missing_is_told(of, maker):
    fold = Announce(of).open_fold(a_context("say"))
    for record in (a_record(), image(0, (1, "red"), of="signs" if of == "states" else "states")):
        with pytest.raises(PipelineError, match=f"^step 'say' says .* put {maker}"):
            fold.step(fold.initial(), record)


def test_what_it_needs_depends_on_what_it_says():
    assert Announce("signs").needs == ("detections.signs", "detections.track_ids")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "lights"}, "Announce: `of` is one of states, signs; got 'lights'"),
        ({"n_looks": 0}, "Announce: `n_looks` is a whole number from 1; got 0"),
        ({"min_votes": 8}, "Announce: `min_votes` is at most `n_looks`; got 8 and 7"),
        ({"memory_ms": 0}, "Announce: `memory_ms` is a whole number from 1; got 0"),
        ({"max_age_ms": -1}, "Announce: `max_age_ms` is a whole number from 0; got -1"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(PipelineError, match=message):
        Announce(**{"of": "states", **options}).check()
