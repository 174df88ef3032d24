"""Results are added up row by row."""

from typing import Any

from sightflow.dashboard.report.findings import Findings

Row = dict[str, Any]
CLOCK_MS = 1_795_714_643_000


def a_row(number: int = 0, source_id: str = "photos", **found: Any) -> Row:
    where = {"uri": f"{source_id}/{number}.jpg", "source_id": source_id, "sequence": number}
    return {**where, "event_time_ms": CLOCK_MS + number * 1_000, "width": 40, "height": 30, **found}


def classified(*pairs: tuple[str, float]) -> list[Row]:
    return [{"label": label, "class_id": 0, "score": score} for label, score in pairs]


def an_object(label: str, score: float = 0.5, **more: Any) -> Row:
    return {"label": label, "class_id": 0, "score": score, "box_xyxy": [0, 0, 9, 9], **more}


def added(*rows: Row, n_samples: int = 6) -> Findings:
    findings = Findings(n_samples)
    for row in rows:
        findings.add(row)
    return findings


def test_an_image_counts_as_its_best_class() -> None:
    findings = added(
        a_row(0, classification=classified(("cat", 0.75), ("dog", 0.25))),
        a_row(1, classification=classified(("cat", 0.25))),
        a_row(2, classification=classified(("dog", 1.0))),
        a_row(3, classification=[]),
    )
    (kind,) = findings.kinds
    assert (kind.n_images, kind.n_empty, kind.n) == (4, 1, 3)
    assert [(c.name, c.n_images, c.mean_score) for c in kind.classes] == [
        ("cat", 2, 0.5), ("dog", 1, 1.0),
    ]  # fmt: skip
    cat, dog = kind.classes
    # In twentieths: 0.75 is in the 16th, 0.25 in the 6th; 1.0 is in the last.
    assert [i for i, n in enumerate(cat.bins) if n] == [5, 15]
    assert dog.bins[19] == 1


def test_objects_are_counted_in_images_and_in_all() -> None:
    findings = added(
        a_row(0, detections=[an_object("car"), an_object("car"), an_object("bus")]),
        a_row(1, detections=[an_object("car")]),
    )
    (kind,) = findings.kinds
    assert [(c.name, c.n_images, c.n) for c in kind.classes] == [("car", 2, 3), ("bus", 1, 1)]


def test_what_is_followed_is_counted_by_its_numbers_and_not_again_as_detections() -> None:
    rows = [
        a_row(
            i, "gate.mp4", detections=[an_object("car")] * 3, tracks=[an_object("car", track_id=7)]
        )
        for i in range(5)
    ]
    other = a_row(0, "yard.mp4", detections=[], tracks=[an_object("car", track_id=7)])
    (kind,) = added(*rows, other).kinds
    assert kind.name == "tracks"
    (car,) = kind.classes
    assert (car.n, car.ids) == (6, {("gate.mp4", 7), ("yard.mp4", 7)})


def test_lights_count_as_what_they_show_and_faces_as_whose_they_are() -> None:
    light = an_object("traffic light", state={"label": "red", "score": 0.9})
    faces = [
        {"score": 0.9, "person_id": "ann", "similarity": 0.75},
        {"score": 0.9, "similarity": 0.25},
        {"score": 0.9},
    ]
    objects, people = added(a_row(detections=[light], faces=faces)).kinds
    assert [c.name for c in objects.classes] == ["traffic light: red"]
    assert {c.name: c.mean_score for c in people.classes} == {
        "ann": 0.75, "unknown": 0.25, "face": 0.9,
    }  # fmt: skip


def test_times_of_videos_and_of_clocks_are_apart() -> None:
    of_video = {**a_row(0, "gate.mp4"), "event_time_ms": 40}
    within, clock = added(a_row(0), of_video).times.grids
    assert (within.first_ms, within.last_ms) == (40, 40)
    assert (clock.first_ms, clock.last_ms) == (CLOCK_MS, CLOCK_MS)


def test_few_images_are_counted_in_few_bins_of_time() -> None:
    # 30 images in 29 s: 12 bins at most, so bins of 5 s, of which there are 6.
    findings = added(*[{**a_row(0), "event_time_ms": 1_000 * i} for i in range(30)])
    assert len(findings.times.grids[0].bins) > 12
    findings.settle()
    assert findings.times.grids[0].width_ms == 5_000
    assert findings.over_time[0] == dict.fromkeys(range(6), 5)


def test_samples_are_bounded_the_same_each_time_and_without_what_is_not_shown() -> None:
    face = {"score": 0.5, "box_xyxy": [0, 0, 9, 9], "embedding": [0.0] * 192, "landmarks_xy": []}
    rows = [a_row(i, faces=[face], measures=[]) for i in range(100)]
    first, again = (added(*rows, n_samples=4).kinds[0].classes[0].samples for _ in range(2))
    assert len(first) == 4
    assert first == again
    assert first[0]["faces"] == [{"score": 0.5, "box_xyxy": [0, 0, 9, 9]}]
    assert "measures" not in first[0]
    assert max(row["sequence"] for row in first) > 3  # not just the first ones


def test_the_least_sure_images_are_kept_the_lowest_score_first() -> None:
    scores = [0.9, 0.1, 0.5] + [0.95] * 20
    rows = [a_row(i, classification=classified(("cat", s))) for i, s in enumerate(scores)]
    unsure = added(*rows).unsure
    assert [row["sequence"] for row in unsure[:3]] == [1, 2, 0]
    assert len(unsure) == 12
    assert added(*rows, n_samples=0).unsure == []


def test_sources_models_and_measures_are_counted() -> None:
    uses = [{"step": s, "model": "m", "model_version": "2"} for s in ("detect", "classify")]
    measures = [{"name": "sharpness", "value": v} for v in (1.0, 3.0)]
    findings = added(a_row(0, steps=uses, measures=measures), a_row(3, **uses[0]))
    source = findings.sources["photos"]
    assert (source.n, source.last_ms - source.first_ms) == (2, 3_000)
    assert findings.models == {("detect", "m", "2"): 2, ("classify", "m", "2"): 1}
    sharpness = findings.measured["sharpness"]
    assert (sharpness.n, sharpness.least, sharpness.total, sharpness.most) == (2, 1.0, 4.0, 3.0)


def test_a_similarity_below_0_is_in_the_lowest_bin() -> None:
    face = {"person_id": None, "similarity": -0.3, "score": 0.9, "box_xyxy": [0, 0, 9, 9]}
    (kind,) = added(a_row(0, faces=[face])).kinds
    (unknown,) = kind.classes
    assert [i for i, n in enumerate(unknown.bins) if n] == [0]
