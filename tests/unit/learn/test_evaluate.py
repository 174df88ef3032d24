"""What was classified is held against the labels: figures, mistakes, drift, tests held out."""

import random
from dataclasses import replace

import numpy as np
import pytest

from sightflow import Directory, Pipeline
from sightflow.configuration import read_pipeline, to_yaml
from sightflow.errors import JobError, PipelineError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.watch import Drift
from sightflow.metrics.drift import Adwin, PageHinkley
from sightflow.records import Classification, Event, ImageRecord, event_row
from sightflow.testing import a_context, a_record, an_origin

LABELS = ("cat", "dog", "mouse")
PIXEL = np.zeros((1, 1, 3), np.uint8)


def image(number: int, label: str | None, *found: tuple[str, float], **changes) -> ImageRecord:
    """Return an image with what was classified in it, best first."""
    names = tuple(name for name, _ in found)
    scores = np.array([score for _, score in found], np.float32)
    class_ids = np.array([len(name) for name in names], np.int32)  # of a model with other labels
    origin = an_origin(
        uri=f"{number}.jpg",
        sequence=number,
        event_time_ms=number * 10,
        label=label,
        held_out=changes.pop("held_out", False),
    )
    said = Classification(names, class_ids, scores)
    return a_record(PIXEL, origin=origin, classification=said, **changes)


def run(images: list[ImageRecord], step: Evaluate, *, batch: int = 7, restore: bool = False):
    """Return all events; `restore` goes through a snapshot between batches."""
    learner, events = step.open_learner(a_context("test"), None), list[Event]()
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        if restore:
            learner = step.open_learner(a_context("test"), learner.snapshot())
        outcomes, told = learner.take(part, [(0, start + i) for i in range(len(part))])
        assert outcomes == part
        events.extend(event for _, event in told)
    return [*events, *learner.end()]


def figures(events: list[Event], kind: str) -> list[dict[str, float]]:
    return [dict(event.figures or {}) for event in events if event.kind == kind]


def right(number: int, label: str = "cat", **changes) -> ImageRecord:
    return image(number, label, (label, 0.75), **changes)


def wrong(number: int, label: str = "cat", said: str = "dog", score: float = 0.75, **changes):
    return image(number, label, (said, score), (label, 0.125), **changes)


def drawn(n: int, seed: int = 0) -> list[ImageRecord]:
    """Return images of all sorts: without a label, with one that is unknown, held out, drifting."""
    rng, images = random.Random(seed), []
    for number in range(n):
        label = rng.choice([*LABELS, *LABELS, *LABELS, "horse", None])
        names = rng.sample([*LABELS, "horse"], rng.randint(0, 4))
        if number < 0.6 * n and label in names:
            names.sort(key=lambda name, label=label: name != label)
        best = rng.random()
        found = [(name, best / (2**place)) for place, name in enumerate(names)]
        features = np.array([rng.gauss(1 if number < 0.5 * n else 4, 1), 2], np.float32)
        held_out = number % 300 > 250
        images.append(image(number, label, *found, features=features, held_out=held_out))
    return images


def test_the_figures_come_every_so_many_labelled_images() -> None:
    images = [right(0), image(1, None, ("dog", 0.5)), wrong(2), right(3), right(4), wrong(5)]
    events = [e for e in run(images, Evaluate(LABELS, every=2)) if e.kind == "evaluated"]
    assert [(e.step, e.sequence, e.event_time_ms) for e in events] == [
        ("test", 2, 20),
        ("test", 4, 40),
        ("test", 5, 50),
    ]
    assert [e.figures["n"] for e in events] == [2, 4, 5]
    assert [e.figures["accuracy"] for e in events] == [1 / 2, 3 / 4, 3 / 5]


def test_the_figures_are_those_of_the_metrics() -> None:
    (found,) = figures(run([right(0), wrong(1)], Evaluate(LABELS)), "evaluated")
    assert found == {
        "n": 2,
        "accuracy": 0.5,
        "top_k_accuracy": 1.0,
        "log_loss": pytest.approx((-np.log(0.75) - np.log(0.125)) / 2),
        "calibration_error": pytest.approx(0.25),
        "macro_f1": pytest.approx(1 / 3),
        "n_unknown": 0,
        **{f"window_{name}": found[name] for name in ("n", "accuracy", "top_k_accuracy")},
        **{f"window_{name}": found[name] for name in ("log_loss", "calibration_error")},
    }


def test_the_window_has_the_last_images() -> None:
    images = [*map(wrong, range(6)), *map(right, range(6, 9)), wrong(9)]
    (found,) = figures(run(images, Evaluate(LABELS, window=4)), "evaluated")
    assert (found["accuracy"], found["window_accuracy"], found["window_n"]) == (0.3, 0.75, 4)


def test_the_window_may_be_of_event_time() -> None:
    images = [*map(wrong, range(8)), *map(right, range(8, 10))]
    step = Evaluate(LABELS, window=None, window_ms=40)
    (found,) = figures(run(images, step), "evaluated")
    assert (found["window_n"], found["window_accuracy"]) == (4, 0.5)


def test_without_a_window_there_are_no_figures_of_one() -> None:
    (found,) = figures(run([right(0)], Evaluate(LABELS, window=None)), "evaluated")
    assert [name for name in found if name.startswith("window")] == []


def test_images_with_another_label_are_counted_and_not_tested() -> None:
    images = [right(0), image(1, "horse", ("cat", 0.5)), right(2), image(3, "cow", ("cat", 0.5))]
    found = figures(run(images, Evaluate(LABELS, every=2)), "evaluated")
    assert [(one["n"], one["n_unknown"]) for one in found] == [(2, 1)]
    (only,) = figures(run(images[1:2], Evaluate(LABELS)), "evaluated")
    assert only == {"n": 0, "n_unknown": 1, "window_n": 0}


def test_images_without_a_label_tell_nothing() -> None:
    assert run([image(0, None, ("cat", 0.5))], Evaluate(LABELS)) == []


def test_each_run_of_held_out_images_is_a_test_of_its_own() -> None:
    images = [right(0), wrong(1, held_out=True), right(2, held_out=True), right(3)]
    images += [image(4, None, ("cat", 0.5), held_out=True), right(5, held_out=True)]
    events = run(images, Evaluate(LABELS))
    tests = [(e.sequence, e.figures) for e in events if e.kind == "tested"]
    assert [(at, f["test"], f["n"], f["accuracy"]) for at, f in tests] == [
        (2, 1, 2, 0.5),
        (5, 2, 1, 1.0),
    ]
    (online,) = figures(events, "evaluated")
    assert (online["n"], online["accuracy"]) == (2, 1.0)


def test_a_test_is_told_with_the_image_that_ends_it() -> None:
    learner = Evaluate(LABELS).open_learner(a_context(), None)
    images = [right(0, held_out=True), right(1), right(2)]
    ((row, event),) = learner.take(images, [(0, 0), (0, 1), (0, 2)])[1]
    assert (row, event.kind, event.sequence) == (1, "tested", 0)


def test_at_the_end_there_are_figures_of_each_class() -> None:
    images = [right(0), right(1), wrong(2), right(3, "dog")]
    found = [e for e in run(images, Evaluate(LABELS)) if e.kind == "scored"]
    assert [(e.label, e.class_id, e.figures) for e in found] == [
        (
            "cat",
            0,
            {"precision": 1.0, "recall": 2 / 3, "f1": pytest.approx(0.8), "n": 3, "held_out": 0},
        ),
        (
            "dog",
            1,
            {"precision": 0.5, "recall": 1, "f1": pytest.approx(2 / 3), "n": 1, "held_out": 0},
        ),
    ]


def test_at_the_end_each_cell_of_the_confusion_matrix_is_told() -> None:
    images = [right(0), wrong(1), wrong(2), wrong(3, "mouse", "horse")]
    found = [e for e in run(images, Evaluate(LABELS)) if e.kind == "confused"]
    assert [(e.label, e.predicted, e.figures["n"]) for e in found] == [
        ("cat", "cat", 1),
        ("cat", "dog", 2),
        ("mouse", None, 1),
    ]


def test_at_the_end_the_reliability_of_scores_is_told() -> None:
    (found,) = figures(run([right(0), wrong(1)], Evaluate(LABELS)), "calibrated")
    assert found == {
        "min_score": 11 / 15,
        "max_score": 12 / 15,
        "n": 2,
        "accuracy": 0.5,
        "score": 0.75,
        "held_out": 0,
    }


def test_the_worst_mistakes_come_first_and_of_equal_ones_the_first() -> None:
    scores = [0.5, 0.9, 0.7, 0.9, 0.3]
    images = [right(9), *(wrong(i, score=score) for i, score in enumerate(scores))]
    found = [e for e in run(images, Evaluate(LABELS, n_mistakes=3)) if e.kind == "mistaken"]
    assert [(e.uri, e.label, e.predicted, e.sequence) for e in found] == [
        ("1.jpg", "cat", "dog", 1),
        ("3.jpg", "cat", "dog", 3),
        ("2.jpg", "cat", "dog", 2),
    ]
    assert found[0].figures == {"score": 0.9, "score_of_label": 0.125, "held_out": 0}


def test_mistakes_may_be_left_out() -> None:
    assert figures(run([wrong(0)], Evaluate(LABELS, n_mistakes=0)), "mistaken") == []


def test_the_details_are_also_told_of_the_last_test() -> None:
    images = [wrong(0, held_out=True), right(1), wrong(2, "mouse", held_out=True)]
    events = [e for e in run(images, Evaluate(LABELS)) if (e.figures or {}).get("held_out") == 1]
    assert {e.kind for e in events} == {"scored", "confused", "calibrated", "mistaken"}
    assert [e.label for e in events if e.kind == "mistaken"] == ["mouse"]


def test_an_image_without_any_class_is_a_mistake() -> None:
    events = run([image(0, "cat")], Evaluate(LABELS))
    (mistake,) = (e for e in events if e.kind == "mistaken")
    assert mistake.predicted is None
    assert mistake.figures == {"score": 0, "score_of_label": 0, "held_out": 0}


def test_names_that_are_no_utf_8_are_no_trouble() -> None:
    one = wrong(0)
    odd = an_origin(uri="a\udcff.jpg", source_id="b\udcff", label="cat")
    record = a_record(PIXEL, origin=odd, classification=one.classification)
    events = run([record, record], Evaluate(LABELS, every=1), batch=1, restore=True)
    assert [e.uri for e in events if e.kind == "mistaken"] == [r"a\xff.jpg"] * 2
    assert {event_row(e)["source_id"] for e in events} == {r"b\xff"}


def test_a_rise_of_the_error_is_drift_and_tells_both_means() -> None:
    rng = random.Random(0)
    images = [(wrong if rng.random() < 0.1 else right)(i) for i in range(600)]
    images += [(wrong if rng.random() < 0.8 else right)(i) for i in range(600, 800)]
    events = [e for e in run(images, Evaluate(LABELS)) if e.kind == "drifted"]
    assert 600 < events[0].sequence < 660
    assert events[0].figures["adwin"] == 1
    assert events[0].figures["n"] == events[0].sequence + 1
    assert events[0].figures["error_before"] < 0.2
    assert events[0].figures["error_after"] > 0.3


def test_a_fall_of_the_error_is_none() -> None:
    images = [*map(wrong, range(500)), *map(right, range(500, 1_000))]
    assert figures(run(images, Evaluate(LABELS)), "drifted") == []


def test_the_confidence_is_watched_where_there_is_no_label() -> None:
    images = [image(i, None, ("cat", 0.9 if i < 400 else 0.5)) for i in range(500)]
    found = figures(run(images, Evaluate(LABELS)), "drifted")
    assert found[0]["confidence_before"] == pytest.approx(0.9, abs=0.05)
    assert found[0]["confidence_after"] < 0.9


def test_features_are_watched_in_their_own_unit() -> None:
    rng = np.random.default_rng(0)
    values = [*rng.normal(30, 2, 500), *rng.normal(36, 2, 200)]
    images = [
        image(i, None, ("cat", 0.5), features=np.array([value, 0], np.float32))
        for i, value in enumerate(values)
    ]
    step = Evaluate(LABELS, drift=Drift(("features_norm",)))
    assert step.takes == ("features",)
    events = [e for e in run(images, step) if e.kind == "drifted"]
    assert 500 < events[0].sequence < 550
    assert events[0].figures["features_norm_before"] == pytest.approx(30, abs=1)
    assert events[-1].figures["features_norm_after"] == pytest.approx(36, abs=1.5)


def test_page_hinkley_may_watch_too() -> None:
    images = [*map(right, range(300)), *map(wrong, range(300, 400))]
    drift = Drift(("error",), (PageHinkley(threshold=10),))
    (found,) = figures(run(images, Evaluate(LABELS, drift=drift)), "drifted")
    assert (found["page_hinkley"], "error_after" in found) == (1, False)


def test_held_out_images_are_not_watched() -> None:
    images = [wrong(i, held_out=i >= 500) if i >= 500 else right(i) for i in range(1_000)]
    assert figures(run(images, Evaluate(LABELS)), "drifted") == []


WATCHED = Drift(("error", "confidence", "features_mean"), (Adwin(delta=0.1), PageHinkley()))
FULL = Evaluate(LABELS, window=100, window_ms=700, every=40, top_k=2, drift=WATCHED, n_mistakes=9)


def test_the_events_do_not_depend_on_how_the_images_are_divided() -> None:
    images = drawn(1_500)
    expected = run(images, FULL, batch=1_500)
    assert [run(images, FULL, batch=batch) for batch in (1, 7, 64)] == [expected] * 3
    kinds = {"evaluated", "tested", "drifted", "scored", "confused", "calibrated", "mistaken"}
    assert {event.kind for event in expected} == kinds


@pytest.mark.parametrize("batch", [1, 13])
def test_every_image_may_be_followed_by_a_restart(batch: int) -> None:
    images = drawn(450, seed=1)
    assert run(images, FULL, batch=batch, restore=True) == run(images, FULL, batch=batch)


def test_the_snapshot_has_a_bound() -> None:
    learner, sizes = FULL.open_learner(a_context(), None), []
    images = drawn(1_500)
    for _ in range(4):
        learner.take(images, [(0, 0)] * len(images))
        sizes.append(len(learner.snapshot()))
    assert max(sizes[1:]) < sizes[0] + 400


def test_a_snapshot_of_another_version_is_refused() -> None:
    data = FULL.open_learner(a_context(), None).snapshot()
    with pytest.raises(JobError, match="checkpoint's test must be of version 3; got 9; start"):
        FULL.open_learner(a_context(), data[:1] + b"\x09" + data[2:])


@pytest.mark.parametrize("other", [Evaluate(LABELS[:2]), Evaluate(LABELS, top_k=3)])
def test_a_snapshot_of_other_options_is_refused(other: Evaluate) -> None:
    data = Evaluate(LABELS).open_learner(a_context(), None).snapshot()
    with pytest.raises(JobError, match="keep its options, or start the run anew"):
        other.open_learner(a_context(), data)


def test_an_image_without_a_classification_is_an_error() -> None:
    record = a_record(PIXEL, origin=an_origin(label="cat"))
    with pytest.raises(PipelineError, match="step 'test' tests what an earlier step classified"):
        run([record], Evaluate(LABELS))


def test_an_image_without_the_array_that_is_watched_is_an_error() -> None:
    step = Evaluate(LABELS, drift=Drift(("prepared_mean",)))
    with pytest.raises(PipelineError, match="watches 'prepared_mean'; an image came without"):
        run([right(0)], step)


def test_a_pipeline_that_classifies_nothing_is_refused() -> None:
    pipeline = Pipeline(Directory("photos")).apply("test", Evaluate(LABELS))
    with pytest.raises(PipelineError, match="Evaluate needs classification"):
        pipeline.check()


@pytest.mark.parametrize(
    "step",
    [
        Evaluate(LABELS),
        FULL,
        Evaluate(LABELS, drift=None, window=None),
        Evaluate(LABELS, drift=Drift(("error",), (PageHinkley(mode="up"),))),
    ],
)
def test_it_survives_the_way_through_yaml(step: Evaluate, tmp_path) -> None:
    pipeline = Pipeline(Directory("photos")).apply("test", step)
    (tmp_path / "job.yaml").write_text(to_yaml(pipeline))
    assert read_pipeline(tmp_path / "job.yaml")[0] == pipeline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"every": 0}, "`every` is a whole number from 1; got 0"),
        ({"top_k": 0}, "`top_k` is a whole number from 1; got 0"),
        ({"window": 0}, "`window` is a whole number from 1; got 0"),
        ({"window_ms": -1}, "`window_ms` is a whole number from 1; got -1"),
        ({"n_mistakes": -1}, "`n_mistakes` is a whole number from 0; got -1"),
        ({"labels": ("cat", "cat")}, r"`labels` are two or more different words; got \['cat', "),
    ],
)
def test_options_that_cannot_be_are_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Evaluate(**{"labels": LABELS, **options}).check()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"values": ("loss",)}, r"`values` are different ones of error, .*; got \['loss'\]"),
        ({"values": ()}, r"`values` are different ones of error, .*; got \[\]"),
        ({"detectors": ()}, r"`detectors` are one or more different ones; got \[\]"),
        ({"detectors": (Adwin(), Adwin(delta=0.1))}, r"ones; got \['adwin', 'adwin'\]"),
    ],
)
def test_a_watch_that_cannot_be_is_refused(options, message) -> None:
    with pytest.raises(PipelineError, match=message):
        Drift(**options)


def joined(number: int, said: str, label: str, **origin: object) -> ImageRecord:
    """Return an image whose label came later, with what was said of it when it came."""
    record = image(number, label, (said, 0.75))
    return replace(record, origin=replace(record.origin, **origin))


def waiting(number: int, said: str, **origin: object) -> ImageRecord:
    record = image(number, None, (said, 0.75))
    return replace(record, origin=replace(record.origin, awaits_label=True, **origin))


def test_an_image_is_tested_by_what_was_said_before_its_label_came() -> None:
    evaluation = Evaluate(("cat", "dog"), every=1, drift=None).open_learner(a_context("test"), None)
    outcomes, events = evaluation.take([first := waiting(0, "dog")], [(0, 0)])
    assert (outcomes, events) == ([first], [])
    ((_, event),) = evaluation.take_labels([joined(0, "dog", "cat")], [(0, 0)])
    assert event.figures["accuracy"] == 0


def test_a_later_label_shows_an_error_to_the_watch_and_nothing_else_again() -> None:
    how = Evaluate(("cat", "dog"), drift=Drift(("error", "confidence")))
    evaluation = how.open_learner(a_context("test"), None)
    watched = evaluation._watch.values
    evaluation.take([waiting(0, "dog")], [(0, 0)])
    assert [value.state().n for value in watched] == [0, 1]
    evaluation.take_labels([joined(0, "dog", "cat")], [(0, 0)])
    assert [value.state().n for value in watched] == [1, 1]


def test_images_without_labels_do_not_end_a_test_whose_labels_come_later() -> None:
    evaluation = Evaluate(("cat", "dog"), drift=None).open_learner(a_context("test"), None)
    for i in range(4):
        evaluation.take([waiting(i, "cat", held_out=i % 2 == 0)], [(0, i)])
        if i % 2 == 0:
            evaluation.take_labels([joined(i, "cat", "cat", held_out=True)], [(0, i)])
    tested = [event.figures for event in evaluation.end() if event.kind == "tested"]
    assert [(figures["test"], figures["n"]) for figures in tested] == [(1, 2)]
