"""Average precision is that of pycocotools; counts and small cases are worked out by hand."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightflow.errors import MetricsError
from sightflow.metrics.detection import DetectionMetrics, DetectionScores
from sightflow.metrics.matching import match_boxes, overlaps
from sightflow.records import Detections, LabelledObject

LABELS = "car", "dog", "cup", "emu"
Box = tuple[float, float, float, float]
Image = tuple[Detections, tuple[LabelledObject, ...]]
SQUARE = 0.0, 0.0, 10.0, 10.0


def found(*rows: tuple[str, float, Box]) -> Detections:
    """Return detections, given as (label, score, box)."""
    return Detections(
        np.array([box for *_, box in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.zeros(len(rows), np.int32),
        tuple(label for label, *_ in rows),
    )


def an_object(label: str = "car", box: Box = SQUARE, *, ignored: bool = False) -> LabelledObject:
    return LabelledObject(label, box, ignored)


def metrics_of(images: Sequence[Image], **options: float) -> DetectionMetrics:
    metrics = DetectionMetrics(LABELS, **{"min_score": 0.5, "min_iou": 0.5, **options})
    for detections, objects in images:
        metrics.update(detections, objects)
    return metrics


def scores_of(*images: Image, **options: float) -> DetectionScores:
    return metrics_of(images, **options).compute()


def drawn(n: int, seed: int) -> list[Image]:
    """Return images with objects, crowds, boxes near them and boxes of nothing; some are empty."""
    rng, images = np.random.default_rng(seed), list[Image]()
    for _ in range(n):
        n_true, n_false = rng.integers(0, 12, 2) * rng.integers(0, 2, 2)
        corners = rng.integers(0, 60, (n_true, 2))
        truth = np.concatenate([corners, corners + rng.integers(12, 40, (n_true, 2))], axis=1)
        labels = rng.choice(LABELS[:3], n_true).tolist()
        crowds = (rng.random(n_true) < 0.2).tolist()
        boxes = [truth + rng.integers(-4, 5, truth.shape), truth + rng.integers(-2, 3, truth.shape)]
        lost = rng.integers(0, 60, (n_false, 2))
        boxes.append(np.concatenate([lost, lost + 20], axis=1))
        names = [*labels, *labels, *rng.choice(LABELS, n_false).tolist()]
        scores = np.round(rng.random(len(names)), 1)  # many are equal
        rows = sorted(zip(names, scores, np.concatenate(boxes).tolist(), strict=True),
                      key=lambda row: -row[1])  # fmt: skip
        objects = zip(labels, truth.tolist(), crowds, strict=True)
        images.append((found(*rows), tuple(LabelledObject(a, tuple(b), c) for a, b, c in objects)))
    return images


def official(images: Sequence[Image]) -> COCOeval:
    """Return what pycocotools finds."""

    def sides(box: Sequence[float]) -> list[float]:
        return [box[0], box[1], box[2] - box[0], box[3] - box[1]]

    truth, results = list[dict[str, object]](), list[dict[str, object]]()
    for number, (detections, objects) in enumerate(images):
        for one in objects:
            box = sides(one.box_xyxy)
            truth.append({
                "id": len(truth) + 1, "image_id": number, "iscrowd": int(one.ignored), "bbox": box,
                "category_id": LABELS.index(one.label), "area": box[2] * box[3],
            })  # fmt: skip
        columns = detections.labels, detections.scores.tolist(), detections.boxes_xyxy.tolist()
        for label, score, corners in zip(*columns, strict=True):
            results.append({
                "image_id": number, "category_id": LABELS.index(label), "score": score,
                "bbox": sides(corners),
            })  # fmt: skip
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number} for number in range(len(images))],
        "categories": [{"id": i, "name": label} for i, label in enumerate(LABELS)],
        "annotations": truth,
        "info": {},
    }
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_pycocotools(seed: int) -> None:
    images = drawn(60, seed)
    scores, expected = scores_of(*images), official(images)
    assert (scores.map, scores.map_50) == pytest.approx(tuple(expected.stats[:2]), abs=1e-9)
    by_class = expected.eval["precision"][:, :, :, 0, -1].mean(axis=1).T  # -1: without objects
    assert scores.ap == pytest.approx(np.maximum(by_class, 0), abs=1e-9)
    assert 0.1 < scores.map < scores.map_50 < 0.9


def test_of_many_detections_in_an_image_a_hundred_of_a_class_count() -> None:
    boxes = [(float(i), 0.0, float(i + 1), 1.0) for i in range(150)]
    rows = [("car", 1 - i / 200, boxes[149 - i]) for i in range(150)]
    images = [(found(*rows), tuple(an_object(box=box) for box in boxes))]
    assert scores_of(*images).map == pytest.approx(official(images).stats[0], abs=1e-9)
    assert scores_of(*images, min_score=0.0).n_hits.tolist() == [100, 0, 0, 0]


def test_precision_and_recall_are_those_of_detections_with_the_score() -> None:
    far = 50.0, 50.0, 60.0, 60.0
    image = (
        found(("car", 0.9, SQUARE), ("car", 0.6, far), ("dog", 0.5, far), ("dog", 0.4, SQUARE)),
        (an_object(), an_object("dog"), an_object("dog", far)),
    )
    scores = scores_of(image)
    assert scores.n_objects.tolist() == [1, 2, 0, 0]
    assert (scores.n_hits.tolist(), scores.n_false.tolist()) == ([1, 1, 0, 0], [1, 0, 0, 0])
    assert scores.precision.tolist() == [0.5, 1, 0, 0]
    assert scores.recall.tolist() == [1, 0.5, 0, 0]
    assert scores.f1.tolist() == pytest.approx([2 / 3, 2 / 3, 0, 0])
    assert scores.figures() == {
        "n": 1,
        "n_objects": 3,
        "n_false": 1,
        "n_unknown": 0,
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "map_50": 1.0,
        "map": 1.0,
    }


def test_the_overlap_that_is_asked_for_may_be_any() -> None:
    image = found(("car", 0.9, (0, 0, 10, 4))), (an_object(),)
    n_hits = [int(scores_of(image, min_iou=iou).n_hits.sum()) for iou in (0.3, 0.4, 0.41, 1.0)]
    assert n_hits == [1, 1, 0, 0]
    same = found(("car", 0.9, SQUARE)), (an_object(),)
    assert scores_of(same, min_iou=1.0).n_hits.tolist() == [1, 0, 0, 0]


def test_an_object_is_found_once_and_by_the_best_score() -> None:
    image = found(("car", 0.9, (0, 0, 10, 8)), ("car", 0.8, SQUARE)), (an_object(),)
    scores = scores_of(image)
    assert (int(scores.n_hits.sum()), int(scores.n_false.sum())) == (1, 1)
    # At IoU 0.85 and above only the second one fits: the best precision is a half at all recalls.
    assert scores.ap[0].tolist() == pytest.approx([1] * 7 + [0.5] * 3)


def test_average_precision_is_the_mean_of_the_best_precision_at_101_recalls() -> None:
    far = 50.0, 50.0, 60.0, 60.0
    image = (
        found(("car", 0.9, SQUARE), ("car", 0.8, (90, 90, 95, 95)), ("car", 0.7, far)),
        (an_object(), an_object(box=far)),
    )
    # Recall 0 to 0.50 (51 of them) has precision 1, the other 50 have 2/3.
    assert scores_of(image).map_50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_what_is_in_a_crowd_is_neither_right_nor_wrong() -> None:
    inside = 1.0, 1.0, 3.0, 3.0
    rows = ("car", 0.9, inside), ("car", 0.8, inside), ("car", 0.7, (50, 50, 60, 60))
    scores = scores_of((found(*rows), (an_object(ignored=True),)))
    counts = scores.n_objects, scores.n_hits, scores.n_false
    assert [int(column.sum()) for column in counts] == [0, 0, 1]


def test_an_object_is_preferred_to_a_crowd_around_it() -> None:
    image = found(("car", 0.9, (0, 0, 10, 6))), (an_object(ignored=True), an_object())
    scores = scores_of(image)
    assert (int(scores.n_hits.sum()), scores.map_50) == (1, 1.0)


def test_other_labels_are_left_out_and_objects_of_them_counted() -> None:
    objects = an_object("yak"), an_object("yak", ignored=True), an_object()
    scores = scores_of((found(("yak", 0.9, SQUARE)), objects))
    assert (scores.n_unknown, scores.n_objects.tolist()) == (1, [1, 0, 0, 0])
    assert scores.occurs.tolist() == [True, False, False, False]


def test_an_image_without_anything_counts_as_an_image() -> None:
    scores = scores_of((found(), ()))
    assert (scores.n, scores.map, scores.figures()["f1"]) == (1, 0.0, 0.0)


def test_detections_need_not_be_sorted() -> None:
    rows = ("car", 0.6, (50.0, 50.0, 60.0, 60.0)), ("car", 0.9, SQUARE)
    assert scores_of((found(*rows), (an_object(),))).map == 1.0


def same(one: DetectionMetrics, other: DetectionMetrics) -> bool:
    """Return whether two metrics remember the same, to the last bit."""
    states = one.state(), other.state()
    return all(np.array_equal(states[0][name], states[1][name]) for name in states[0] | states[1])


def test_parts_that_are_merged_are_as_all_images_together() -> None:
    images = drawn(40, 7)
    first, second = metrics_of(images[:15]), metrics_of(images[15:])
    first.merge(second)
    assert same(first, metrics_of(images))
    assert first.compute().figures() == scores_of(*images).figures()
    assert same(second, metrics_of(images[15:]))


def test_metrics_of_other_labels_or_overlaps_are_not_merged() -> None:
    others = (
        DetectionMetrics(("car",), min_score=0.5, min_iou=0.5),
        DetectionMetrics(LABELS, min_score=0.5, min_iou=0.6),
    )
    for other in others:
        with pytest.raises(MetricsError, match="have the same labels and `min_iou`; got"):
            metrics_of([]).merge(other)


def test_a_state_is_gone_on_from() -> None:
    images = drawn(40, 8)
    restored = metrics_of([])
    restored.restore(metrics_of(images[:20]).state())
    for image in images[20:]:
        restored.update(*image)
    assert same(restored, metrics_of(images))


def test_a_detection_takes_12_bytes() -> None:
    metrics = metrics_of(drawn(40, 9))
    n = sum(len(detections) for detections, _ in drawn(40, 9))
    assert len(metrics.state()["rows"]) == 12 * n


def test_reset_forgets() -> None:
    metrics = metrics_of(drawn(5, 1))
    metrics.reset()
    assert same(metrics, metrics_of([]))


def test_overlaps_are_shares_of_the_union_and_in_a_crowd_of_the_found_box() -> None:
    boxes, empty = np.array([SQUARE, (0, 0, 0, 5)]), np.zeros((0, 4))
    truth, crowds = np.array([(5.0, 0.0, 15.0, 10.0)] * 2), np.array([False, True])
    assert overlaps(boxes, truth, crowds).tolist() == [[pytest.approx(1 / 3), 0.5], [0, 0]]
    assert overlaps(empty, truth, crowds).shape == (0, 2)


def test_without_a_truth_nothing_matches() -> None:
    matched, in_crowd = match_boxes(
        np.array([SQUARE]), np.zeros((0, 4)), np.zeros(0, bool), np.array([0.5])
    )
    assert (matched.tolist(), in_crowd.tolist()) == ([[False]], [[False]])
