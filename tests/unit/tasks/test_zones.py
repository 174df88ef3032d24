"""Lines and zones: each object counts once, whatever it does at the border."""

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.engine.chunks import Recognised
from sightflow.engine.folds import open_keyed
from sightflow.errors import PipelineError
from sightflow.records import ImageRecord, Tracks
from sightflow.tasks.zones import CountLine, Zone
from sightflow.testing import a_context, a_record, an_origin

FRAME_MS = 100
LINE = CountLine((0, 100), (200, 100))
SQUARE = Zone(((100, 100), (200, 100), (200, 200), (100, 200)))


def image(number: int, objects: dict[int, tuple], *, source_id: str = "cam") -> ImageRecord:
    """Return an image of objects, {id: (x, y of the feet, label)}; each is 20 x 40 pixels."""
    full = [(i, *place, "person")[:4] for i, place in objects.items()]
    n = len(full)
    boxes = np.array([[x - 10, y - 40, x + 10, y] for _, x, y, _ in full], np.float32)
    labels = tuple(label for *_, label in full)
    tracks = Tracks(
        np.array([i for i, *_ in full], np.int64),
        boxes.reshape(-1, 4),
        np.full(n, 0.9, np.float32),
        np.array([len(label) for label in labels], np.int32),
        labels,
        np.zeros((n, 2), np.float32),
        np.zeros(n, np.int64),
        np.ones(n, np.int32),
    )
    origin = an_origin(source_id=source_id, sequence=number, event_time_ms=number * FRAME_MS)
    return a_record(origin=origin, width=640, height=480, tracks=tracks)


def happened(step, images: list[ImageRecord], *, end: bool = True) -> list[dict]:
    """Return the events of a step, through a checkpoint behind every image."""
    chain = open_keyed(Pipeline(Directory("x")).apply("gate", step), a_context())
    memory, events = chain.initial(), []
    for index, record in enumerate([*images, None] if end else images):
        memory = chain.decode(chain.encode(memory))
        outcomes = () if record is None else (record,)
        chunk = Recognised(index, outcomes, "cam", index, has_ended=record is None)
        memory, result = chain.take(memory, chunk)
        events.extend(result.events)
    return events


def path(*ys: float, x: float = 50) -> list[ImageRecord]:
    return [image(t, {1: (x, y)}) for t, y in enumerate(ys)]


def shown(events: list[dict], *fields: str) -> list[tuple]:
    return [tuple(event.get(field) for field in fields) for event in events]


def test_an_object_that_goes_down_crosses_a_line_to_the_right_inwards() -> None:
    (event,) = happened(LINE, path(80, 90, 110, 120))
    assert event == {
        "kind": "crossed",
        "step": "gate",
        "zone": "gate",
        "source_id": "cam",
        "sequence": 2,
        "event_time_ms": 200,
        "track_id": 1,
        "class_id": 6,
        "label": "person",
        "box_xyxy": (40.0, 70.0, 60.0, 110.0),
        "direction": "in",
    }


def test_there_and_back_is_in_and_out() -> None:
    events = happened(LINE, path(80, 120, 80))
    assert shown(events, "direction", "sequence") == [("in", 1), ("out", 2)]


def test_who_trembles_on_the_line_counts_once() -> None:
    events = happened(LINE, path(90, 101, 99, 101, 99, 101, 103, 99, 101, 99, 97))
    assert shown(events, "direction", "sequence") == [("in", 6), ("out", 10)]
    assert len(happened(LINE, path(90, 101, 99, 101.5, 98.5, 101, 99, 110))) == 1


def test_who_passes_beside_the_line_does_not_cross_it() -> None:
    assert happened(LINE, path(80, 120, x=250)) == []


def test_who_comes_round_the_end_of_the_line_and_returns_across_it_went_out() -> None:
    places = [(250, 80), (250, 120), (50, 120), (50, 80)]
    images = [image(t, {1: place}) for t, place in enumerate(places)]
    assert shown(happened(LINE, images), "direction", "sequence") == [("out", 3)]


def test_a_jump_from_far_to_far_crosses_where_its_way_leads() -> None:
    images = [image(0, {1: (-300, 0), 2: (50, 50)}), image(1, {1: (-100, 200), 2: (90, 350)})]
    assert shown(happened(LINE, images), "track_id") == [(2,)]


def test_the_centre_may_stand_for_an_object() -> None:
    step = CountLine((0, 100), (200, 100), anchor="center")
    assert shown(happened(step, path(110, 118, 124)), "sequence") == [(2,)]


def test_entering_and_leaving_a_zone_tells_how_long_it_was() -> None:
    events = happened(SQUARE, path(90, 110, 150, 190, 210, 220, x=150))
    assert shown(events, "kind", "sequence", "duration_ms") == [
        ("entered", 1, None),
        ("exited", 4, 300),
    ]


def test_who_appears_inside_has_entered() -> None:
    events = happened(SQUARE, path(150, 150, x=150))
    assert shown(events, "kind", "sequence") == [("entered", 0)], "and has not gone out"


def test_who_is_not_seen_any_more_has_left_when_he_was_last_seen() -> None:
    images = [*path(90, 110, 150, x=150), *(image(t, {}) for t in range(3, 30))]
    events = happened(SQUARE, images)
    assert shown(events, "kind", "sequence", "duration_ms") == [
        ("entered", 1, None),
        ("exited", 23, 100),
    ]


def test_a_short_absence_does_not_end_a_stay() -> None:
    hidden = [image(t, {}) for t in range(3, 20)]
    events = happened(SQUARE, [*path(90, 110, 150, x=150), *hidden, image(20, {1: (150, 210)})])
    assert shown(events, "kind", "duration_ms") == [("entered", None), ("exited", 1_900)]


def test_a_window_counts_each_object_once_and_tells_who_is_inside() -> None:
    step = Zone(SQUARE.corners, window_ms=1_000)
    there_and_back = [90, 110, 90, 110, 90, 110, 110, 110, 110, 110]
    images = [
        image(t, {1: (150, y), 2: (120, 150, "dog"), 3: (900, 900, "dog")})
        for t, y in enumerate([*there_and_back, 90, 90])
    ]
    counted = [event for event in happened(step, images) if event["kind"] == "counted"]
    fields = (
        "window_start_ms",
        "event_time_ms",
        "label",
        "n_in",
        "n_out",
        "n_inside",
        "duration_ms",
    )
    assert shown(counted, *fields) == [
        (0, 1_000, "dog", 1, 0, 1, None),
        (0, 1_000, "person", 1, 1, 1, 100),
        (0, 1_000, None, 2, 1, 2, 100),
        (1_000, 2_000, "dog", 0, 0, 1, None),
        (1_000, 2_000, "person", 0, 1, 0, 500),
        (1_000, 2_000, None, 0, 1, 1, 500),
    ]


def test_who_is_inside_when_the_stream_ends_is_counted_as_inside() -> None:
    events = happened(Zone(SQUARE.corners, window_ms=1_000), path(90, 150, 150, x=150))
    assert shown(events, "kind", "label", "n_in", "n_out", "n_inside") == [
        ("entered", "person", None, None, None),
        ("counted", "person", 1, 0, 1),
        ("counted", None, 1, 0, 1),
    ]


def test_windows_of_a_line_have_no_inside() -> None:
    step = CountLine((0, 100), (200, 100), window_ms=200)
    events = happened(step, path(80, 120, 80, 70), end=False)
    assert shown(events, "kind", "label", "n_in", "n_out", "n_inside") == [
        ("crossed", "person", None, None, None),
        ("counted", "person", 1, 0, None),
        ("counted", None, 1, 0, None),
        ("crossed", "person", None, None, None),
    ]


def test_windows_without_images_are_not_told() -> None:
    step = CountLine((0, 100), (200, 100), window_ms=1_000)
    images = [image(0, {}), image(55, {})]
    assert shown(happened(step, images, end=False), "window_start_ms", "n_in") == [(0, 0)]


def test_a_step_may_be_for_one_stream_only() -> None:
    step = CountLine((0, 100), (200, 100), source_id="door")
    assert happened(step, path(80, 120)) == []
    images = [image(t, {1: (50, y)}, source_id="door") for t, y in enumerate((80, 120))]
    assert len(happened(step, images)) == 1


@pytest.mark.parametrize("step", [LINE, SQUARE])
def test_the_state_holds_only_who_is_there(step) -> None:
    chain = open_keyed(Pipeline(Directory("x")).apply("gate", step), a_context())
    memory, sizes = chain.initial(), []
    for t in range(3_000):
        record = image(t, {t // 10: (150, 80 + 10 * (t % 10))})
        memory, _ = chain.take(memory, Recognised(t, (record,), "cam", t))
        sizes.append(len(chain.encode(memory)))
    assert max(sizes[2_000:]) <= max(sizes[:1_000]) + 64


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (CountLine((1, 2), (1, 2)), r"`start` and `end` are two points; got \(1, 2\) and \(1, 2\)"),
        (CountLine((0, float("nan")), (1, 2)), "`start` and `end` are two points"),
        (Zone(((0, 0), (1, 1), (2, 2))), "`corners` are three or more points around an area"),
        (Zone(((0, 0), (1, 1))), "`corners` are three or more points"),
        (Zone(SQUARE.corners, margin=-1), "Zone: `margin` is from 0; got -1"),
        (Zone(SQUARE.corners, anchor="top"), "Zone: `anchor` is one of bottom, center; got 'top'"),  # type: ignore[arg-type]
        (CountLine((0, 0), (1, 1), window_ms=0), "`window_ms` is a whole number from 1; got 0"),
    ],
)
def test_what_cannot_be_is_refused(step, message) -> None:
    with pytest.raises(PipelineError, match=message):
        step.check()


def test_without_tracks_the_error_says_what_is_missing() -> None:
    with pytest.raises(PipelineError, match="step 'gate' counts what is tracked; apply Track"):
        happened(LINE, [a_record()])
