"""The same object has the same id: through misses, crossings, other labels, and checkpoints."""

import os
from dataclasses import replace

import numpy as np
import pytest

from sightflow import Directory, Pipeline, Track
from sightflow.engine.chunks import ChunkResult, Recognised
from sightflow.engine.folds import KeyedChain, open_keyed
from sightflow.errors import JobError, PipelineError
from sightflow.ops.motion import Noise
from sightflow.records import Detections, Faces, ImageRecord
from sightflow.testing import a_context, a_record, an_origin

FRAME_MS = 100

Found = tuple[float, float] | tuple[float, float, float] | tuple[float, float, float, str]
"""x and y of a centre, score, label; every object is 40 x 80 pixels."""


def image(number: int, *found: Found) -> ImageRecord:
    full = [(*one, 0.9, "person")[: 2 + 2] if len(one) == 2 else one for one in found]
    full = [one if len(one) == 4 else (*one, "person") for one in full]
    boxes = np.array([[x - 20, y - 40, x + 20, y + 40] for x, y, *_ in full], np.float32)
    labels = tuple(one[3] for one in full)
    detections = Detections(
        boxes.reshape(-1, 4),
        np.array([one[2] for one in full], np.float32),
        np.array([len(label) for label in labels], np.int32),
        labels,
    )
    origin = an_origin(source_id="cam", sequence=number, event_time_ms=number * FRAME_MS)
    return a_record(origin=origin, width=640, height=480, detections=detections)


def opened(step: Track | None = None) -> KeyedChain:
    return open_keyed(Pipeline(Directory("x")).apply("track", step or Track()), a_context())


def run(images: list[ImageRecord], step: Track | None = None, *, restore: bool = False):
    """Return the results image by image, and of the end; `restore` goes through a checkpoint."""
    chain = opened(step)
    memory, results = chain.initial(), list[ChunkResult]()
    for index, record in enumerate([*images, None]):
        if restore:
            memory = chain.decode(chain.encode(memory))
        outcomes = () if record is None else (record,)
        chunk = Recognised(index, outcomes, "cam", index, has_ended=record is None)
        memory, result = chain.take(memory, chunk)
        results.append(result)
    return results


def ids(results: list[ChunkResult]) -> list[list[int]]:
    return [[t["track_id"] for t in row["tracks"]] for result in results for row in result.rows]


def events(results: list[ChunkResult]) -> list[tuple]:
    return [(e["kind"], e["track_id"], e["sequence"]) for r in results for e in r.events]


def walk(n: int, *, start: int = 0, x: float = 100, y: float = 100, step: float = 5) -> list:
    return [image(start + t, (x + step * t, y)) for t in range(n)]


def test_an_object_gets_its_id_with_the_second_detection_and_keeps_it() -> None:
    assert ids(run(walk(6))) == [[], *[[1]] * 5]


def test_an_object_may_have_to_be_seen_more_often_before_it_has_an_id() -> None:
    images = [*walk(2), image(2), *walk(5, start=3)]
    assert ids(run(images, Track(min_hits=3))) == [[]] * 5 + [[1]] * 3


def test_a_track_tells_where_how_fast_how_old_and_how_often() -> None:
    (track,) = run(walk(30))[29].rows[0]["tracks"]
    assert track["box_xyxy"] == pytest.approx([225, 60, 265, 140], abs=1)
    assert track["velocity_xy"] == pytest.approx([50, 0], abs=1)
    assert (track["age_ms"], track["n_hits"], track["label"]) == (2_900, 30, "person")
    assert track["score"] == 0.9


def test_the_velocity_of_a_steady_object_is_its_way_in_a_second() -> None:
    (track,) = run(walk(150))[149].rows[0]["tracks"]  # 5 pixels in 100 ms
    assert track["velocity_xy"] == pytest.approx([50, 0], abs=0.02)


def test_ages_and_durations_are_counted_from_the_first_detection_whenever_that_was() -> None:
    results = run(walk(5, start=1_000))
    ages = [t["age_ms"] for result in results for row in result.rows for t in row["tracks"]]
    assert ages == [100, 200, 300, 400]
    assert [e["duration_ms"] for r in results for e in r.events if e["kind"] == "left"] == [400]


def test_what_was_seen_too_seldom_for_an_id_does_not_leave() -> None:
    assert events(run([image(0, (100, 100)), image(100)])) == []
    assert events(run([image(0, (100, 100))])) == []


def test_every_event_names_its_step() -> None:
    gone_and_there = [*walk(5), *(image(t) for t in range(5, 30)), *walk(3, start=30)]
    found = [event for result in run(gone_and_there) for event in result.events]
    assert [event["kind"] for event in found] == ["appeared", "left", "appeared", "left"]
    assert {event["step"] for event in found} == {"track"}


def test_it_is_found_again_where_its_motion_led_it() -> None:
    behind_a_tree = [image(t) for t in range(10, 18)]
    images = [*walk(10), *behind_a_tree, *walk(5, start=18, x=190)]
    assert ids(run(images)) == [[], *[[1]] * 9, *[[]] * 8, *[[1]] * 5]


def test_after_the_longest_absence_it_is_another_object() -> None:
    images = [*walk(5, step=0), *(image(t) for t in range(5, 26)), *walk(5, start=26, step=0)]
    results = run(images)
    assert [i for found in ids(results) for i in found] == [1, 1, 1, 1, 2, 2, 2, 2]
    assert events(results) == [
        ("appeared", 1, 1),
        ("left", 1, 25),
        ("appeared", 2, 27),
        ("left", 2, 30),
    ]


def test_ids_are_never_given_again() -> None:
    images = []
    for n in range(4):
        images += walk(2, start=n * 30, step=0)
    assert [found for found in ids(run(images)) if found] == [[1], [2], [3], [4]]


def test_two_that_cross_keep_their_ids() -> None:
    images = [image(t, (100 + 10 * t, 100), (400 - 10 * t, 130)) for t in range(31)]
    results = run(images)
    last = {t["track_id"]: t["box_xyxy"][0] for t in results[30].rows[0]["tracks"]}
    assert last == {1: pytest.approx(380, abs=6), 2: pytest.approx(80, abs=6)}


def test_a_poor_detection_continues_an_object_but_starts_none() -> None:
    poor = [image(t, (100, 100, 0.3), (400, 300, 0.3)) for t in range(5, 10)]
    assert ids(run([*walk(5, step=0), *poor])) == [[], *[[1]] * 9]


def test_a_detection_below_the_low_score_is_left_out() -> None:
    images = [*walk(5, step=0), image(5, (100, 100, 0.1))]
    assert ids(run(images))[5] == []


def test_sort_takes_good_detections_only() -> None:
    images = [*walk(5, step=0), image(5, (100, 100, 0.3)), image(6, (100, 100))]
    assert ids(run(images, Track(method="sort", min_iou=0.3))) == [[], *[[1]] * 4, [], [1]]


def test_the_label_is_what_most_detections_say() -> None:
    labels = ["person", "bicycle", "person", "person", "bicycle"]
    images = [image(t, (100, 100, 0.9, label)) for t, label in enumerate(labels)]
    results = run(images)
    assert ids(results)[2:] == [[1]] * 3
    assert [r.rows[0]["tracks"][0]["label"] for r in results[2:5]] == ["person"] * 3


def test_an_object_prefers_a_detection_of_its_class() -> None:
    images = [image(t, (100, 100, 0.9, "person"), (110, 100, 0.9, "dog")) for t in range(6)]
    results = run(images)
    labels = [{t["track_id"]: t["label"] for t in r.rows[0]["tracks"]} for r in results[2:6]]
    assert labels == [{1: "person", 2: "dog"}] * 4


def test_only_wanted_labels_are_followed() -> None:
    images = [image(t, (100, 100), (300, 100, 0.9, "car")) for t in range(4)]
    (track,) = run(images, Track(labels=("car",)))[3].rows[0]["tracks"]
    assert (track["label"], track["track_id"]) == ("car", 1)


def test_a_box_reaches_beyond_the_edge_as_the_object_does() -> None:
    (track,) = run(walk(5, x=5, step=0))[4].rows[0]["tracks"]
    assert track["box_xyxy"][0] == pytest.approx(-15)


def test_beside_much_better_detections_a_middling_one_starts_no_object() -> None:
    def at(score: float) -> list[ImageRecord]:
        return [image(t, (100, 100, score), (400, 300, 0.55)) for t in range(4)]

    assert ids(run(at(0.99)))[3] == [1]
    assert ids(run(at(0.7)))[3] == [1, 2]
    assert ids(run(at(0.99), Track(relative_score=0.0)))[3] == [1, 2]


def test_a_second_after_a_much_better_one_a_middling_detection_starts_no_object() -> None:
    later = [image(t, (400, 300, 0.55)) for t in range(10, 14)]  # below 0.7 * 0.99 / 2^(1/60)
    assert ids(run([image(0, (100, 100, 0.99)), *later])) == [[]] * 5


def test_a_detection_of_exactly_the_high_score_starts_an_object() -> None:
    assert ids(run([image(t, (100, 100, 0.5)) for t in range(3)])) == [[], [1], [1]]


def test_a_middling_detection_is_good_again_when_better_ones_are_long_ago() -> None:
    later = [image(t, (400, 300, 0.55)) for t in range(1_000, 1_004)]
    assert ids(run([image(0, (100, 100, 0.99)), *later]))[4] == [1]


def test_events_tell_what_appears_and_what_leaves_and_how_long_it_was_seen() -> None:
    results = run([*walk(5, step=0), *(image(t) for t in range(5, 30))])
    appeared, left = (event for result in results for event in result.events)
    assert appeared == {
        "kind": "appeared",
        "step": "track",
        "source_id": "cam",
        "sequence": 1,
        "event_time_ms": 100,
        "track_id": 1,
        "class_id": 6,
        "label": "person",
        "box_xyxy": (80.0, 60.0, 120.0, 140.0),
    }
    assert (left["kind"], left["sequence"], left["duration_ms"]) == ("left", 25, 400)


def test_what_is_still_there_leaves_when_the_stream_ends() -> None:
    assert events(run(walk(4))) == [("appeared", 1, 1), ("left", 1, 3)]


def test_an_image_without_objects_has_no_tracks() -> None:
    assert run([image(0)])[0].rows[0]["tracks"] == []


def test_images_of_one_time_are_no_trouble() -> None:
    images = [replace(one, origin=replace(one.origin, event_time_ms=0)) for one in walk(5, step=0)]
    assert ids(run(images)) == [[], *[[1]] * 4]


def test_every_image_may_be_followed_by_a_restart() -> None:
    rng = np.random.default_rng(3)
    spots = rng.uniform(50, 400, (8, 2))
    images = []
    for t in range(60):
        spots = spots + rng.normal(0, 6, spots.shape)
        scores = rng.uniform(0.1, 1, len(spots))
        labels = rng.choice(["cat", "dog", "mouse"], len(spots))
        kept = rng.random(len(spots)) > 0.2
        columns = zip(spots[kept].tolist(), scores[kept], labels[kept], strict=True)
        images.append(image(t, *((x, y, float(s), str(lb)) for (x, y), s, lb in columns)))
    undisturbed = run(images)
    assert run(images, restore=True) == undisturbed
    assert max(max(found, default=0) for found in ids(undisturbed)) >= 5


def test_the_state_has_a_bound_that_does_not_grow_with_time() -> None:
    chain = opened()
    memory, sizes = chain.initial(), []
    for index in range(2_000):
        chunk = Recognised(index, (image(index, (100 + index % 7, 100)),), "cam", index)
        memory, _ = chain.take(memory, chunk)
        sizes.append(len(chain.encode(memory)))
    assert max(sizes[1_000:]) <= max(sizes[10:100]) + 16


def test_where_time_stands_still_the_state_has_a_bound_all_the_same() -> None:
    chain = opened(Track(min_hits=1))
    memory = chain.initial()
    for index in range(1_300):
        spot = (50.0 + 60 * (index % 600), 100.0 + 200 * (index // 600))
        one = image(index, spot)
        one = replace(one, origin=replace(one.origin, event_time_ms=0))
        memory, _ = chain.take(memory, Recognised(index, (one,), "cam", index))
    assert len(memory.states[0].tracker.objects) <= 1_001


def test_an_image_from_before_1970_is_no_trouble() -> None:
    images = [image(t, (100, 100)) for t in range(4)]
    moved = [
        replace(one, origin=replace(one.origin, event_time_ms=one.origin.event_time_ms - 10**12))
        for one in images
    ]
    assert ids(run(moved)) == ids(run(images))


def test_with_no_least_overlap_boxes_that_do_not_meet_are_not_one_object() -> None:
    images = [image(t, (100 if t % 2 else 600, 100)) for t in range(6)]
    assert ids(run(images, Track(min_iou=0.0))) == [[]] * 6


def test_noise_that_cannot_be_is_refused() -> None:
    with pytest.raises(PipelineError, match="Noise: `position` is above 0; got 0"):
        Noise(position=0)


def test_a_state_of_another_version_is_refused() -> None:
    from sightflow.tasks import tracker_state

    data = tracker_state.encode_stream(tracker_state.TrackedStream())
    message = "^the checkpoint's tracks must be of version 2; got 9; start the run anew$"
    with pytest.raises(JobError, match=message):
        tracker_state.decode_stream(data[:1] + b"\x09" + data[2:])


def test_a_stream_whose_name_is_no_utf_8_comes_back() -> None:
    from sightflow.tasks.tracker_state import TrackedStream, decode_stream, encode_stream

    stream = TrackedStream(source_id=os.fsdecode(b"caf\xe9"), labels={3: "dog"}, sequence=7)
    back = decode_stream(encode_stream(stream))
    assert (back.source_id, back.labels, back.sequence) == (stream.source_id, {3: "dog"}, 7)


def faces_of(record: ImageRecord) -> ImageRecord:
    """Return an image whose detections are faces."""
    found = record.detections
    assert found is not None
    points = np.zeros((len(found), 5, 2), np.float32)
    faces = Faces(found.boxes_xyxy, found.scores, points)
    return replace(record, detections=None, faces=faces)


def test_faces_are_told_which_track_they_have() -> None:
    images = [
        faces_of(image(t, (300, 100 + t, 0.9), (100 + t, 100, 0.8), (500, 400, 0.2)))
        for t in range(3)
    ]
    results = run(images, Track(of="faces"))

    faces = [row["faces"] for result in results for row in result.rows]
    assert [[face.get("track_id") for face in some] for some in faces] == [
        [None, None, None],
        [1, 2, None],
        [1, 2, None],
    ]
    for row in (row for result in results[1:] for row in result.rows):
        shown = {face.get("track_id"): face["box_xyxy"] for face in row["faces"]}
        assert {t["track_id"]: t["box_xyxy"] for t in row["tracks"]}.keys() == {1, 2}
        assert {(t["label"], t["class_id"]) for t in row["tracks"]} == {("face", 0)}
        for track in row["tracks"]:
            assert track["box_xyxy"] == pytest.approx(shown[track["track_id"]], abs=1)


def test_objects_are_told_which_track_they_have_also_where_some_are_left_out() -> None:
    images = [
        image(t, (300, 100, 0.9, "dog"), (100 + t, 100, 0.8, "cat"), (500, 400, 0.2, "cat"))
        for t in range(2)
    ]
    for step, expected in ((Track(), [1, 2, None]), (Track(labels=("cat",)), [None, 1, None])):
        *_, row = (row for result in run(images, step) for row in result.rows)
        assert [found["track_id"] for found in row["detections"]] == expected


def test_where_objects_are_followed_faces_are_left_as_they_are() -> None:
    with_faces = [replace(record, faces=faces_of(record).faces) for record in walk(3)]
    rows = [row for result in run(with_faces) for row in result.rows]
    assert [len(row["tracks"]) for row in rows] == [0, 1, 1]
    assert not any("track_id" in face for row in rows for face in row["faces"])


def test_where_faces_are_followed_objects_are_not() -> None:
    both = [replace(record, faces=faces_of(image(0)).faces) for record in walk(3)]
    assert ids(run(both, Track(of="faces"))) == [[], [], []]


@pytest.mark.parametrize(("of", "maker"), [("detections", "Detect"), ("faces", "DetectFaces")])
def test_the_error_names_the_step_that_finds_what_is_followed(of, maker: str) -> None:
    fold = Track(of=of).open_fold(a_context("follow"))
    with pytest.raises(PipelineError, match=f"^step 'follow' follows .* add one, such as {maker}$"):
        fold.step(fold.initial(), a_record())


def test_without_detections_the_error_says_what_is_missing() -> None:
    with pytest.raises(PipelineError, match="step 'track' follows what an earlier step detected"):
        run([replace(image(0), detections=None)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"high_score": 1.1}, r"`high_score` is in \[0, 1\]; got 1.1"),
        ({"min_iou": -0.1}, r"`min_iou` is in \[0, 1\]; got -0.1"),
        ({"relative_score": -0.1}, r"`relative_score` is in \[0, 1\]; got -0.1"),
        ({"low_score": -0.1}, r"`low_score` is in \[0, 1\]; got -0.1"),
        ({"min_low_iou": 1.1}, r"`min_low_iou` is in \[0, 1\]; got 1.1"),
        ({"low_score": 0.6}, "`low_score` is at most `high_score`; got 0.6 and 0.5"),
        ({"max_age_ms": -1}, "`max_age_ms` is a whole number from 0; got -1"),
        ({"max_age_ms": float("inf")}, "`max_age_ms` is a whole number from 0; got inf"),
        ({"min_hits": 0}, "`min_hits` is a whole number from 1; got 0"),
        ({"max_out_of_order_ms": -5}, "`max_out_of_order_ms` is a whole number from 0; got -5"),
        ({"grown_by": float("nan")}, "`grown_by` is from 0; got nan"),
        ({"grown_by": float("inf")}, "`grown_by` is from 0; got inf"),
        ({"method": "ocsort"}, "`method` is one of byte, sort; got 'ocsort'"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Track(**options).check()


@pytest.mark.parametrize(
    "options",
    [
        {"method": "sort"},
        {"high_score": 1.0, "relative_score": 1.0, "min_iou": 1.0, "min_low_iou": 1.0},
        {"low_score": 0.0, "relative_score": 0.0, "min_iou": 0.0, "min_low_iou": 0.0},
        {"low_score": 0.5, "high_score": 0.5},
        {"grown_by": 0.0},
        {"max_age_ms": 0, "max_out_of_order_ms": 0, "min_hits": 1},
    ],
    ids=str,
)
def test_options_at_their_bounds_are_taken(options) -> None:
    Track(**options).check()
