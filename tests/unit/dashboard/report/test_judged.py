"""Results are held against labels that are told by folders, or by themselves."""

from typing import Any

import pytest

from sightflow.dashboard.report.judged import Judged
from sightflow.dashboard.truth import label_reader

Row = dict[str, Any]


def a_row(uri: str, *found: tuple[str, float], **more: Any) -> Row:
    items = [{"label": label, "class_id": 0, "score": score} for label, score in found]
    where = {"uri": uri, "source_id": "photos", "sequence": 0}
    return {**where, "event_time_ms": 0, "classification": items, **more}


def judged(*rows: Row, labels: str | None = "folders") -> Judged:
    found = Judged(label_reader(labels))
    for row in rows:
        found.add(row)
    return found


def test_the_folder_of_a_picture_is_its_label() -> None:
    found = judged(
        a_row("a/cat/1.jpg", ("cat", 0.75), ("dog", 0.25)),
        a_row("a/cat/2.jpg", ("dog", 0.5), ("cat", 0.5)),
        a_row("a/dog/3.jpg", ("cat", 0.5)),
        a_row("a/dog/4.jpg"),
    )
    tally = found.tally()
    assert (tally.n, tally.accuracy, tally.top_k_accuracy) == (4, 0.25, 0.5)
    assert found.top_k == 2


def test_labels_in_the_results_need_no_file() -> None:
    rows = [a_row("1.jpg", ("cat", 1.0), label="cat"), a_row("2.jpg", ("cat", 1.0))]
    found = judged(*rows, labels=None)
    assert (found.n, found.n_without, found.tally().accuracy) == (1, 1, 1.0)


def test_classes_pairs_and_scores_are_told_as_a_test_tells_them() -> None:
    found = judged(
        a_row("cat/1.jpg", ("cat", 0.75)), a_row("cat/2.jpg", ("dog", 0.75)),
        a_row("dog/3.jpg", ("dog", 0.75)), a_row("dog/4.jpg", ("bird", 0.75)),
    )  # fmt: skip
    details = found.details()
    cat, dog = (event["figures"] for event in details.scored)
    assert cat == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "n": 2}
    assert dog == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2}
    pairs = [(e["label"], e.get("predicted"), e["figures"]["n"]) for e in details.confused]
    assert pairs == [("cat", "cat", 1), ("cat", "dog", 1), ("dog", "dog", 1), ("dog", None, 1)]
    (calibrated,) = details.calibrated
    assert calibrated["figures"]["n"] == 4
    assert calibrated["figures"]["accuracy"] == 0.5
    assert calibrated["figures"]["score"] == 0.75
    assert found.macro_f1 == pytest.approx((2 / 3 + 0.5) / 2)


def test_the_surest_mistakes_come_first_and_are_few() -> None:
    rows = [a_row(f"cat/{i}.jpg", ("dog", i / 100), ("cat", 0.0)) for i in range(100)]
    wrong = judged(*rows, a_row("cat/right.jpg", ("cat", 1.0))).mistakes()
    assert [row["score"] for row in wrong[:2]] == [0.99, 0.98]
    assert (len(wrong), wrong[0]["told"], wrong[0]["own_score"]) == (48, "cat", 0.0)


def test_labels_that_no_result_names_are_told_since_they_may_be_spelled_otherwise() -> None:
    found = judged(a_row("Cat/1.jpg", ("cat", 1.0)), a_row("dog/2.jpg", ("cat", 0.5), ("dog", 0.5)))
    assert found.unknown == ["Cat"]


def test_an_image_that_nothing_classified_is_counted_apart() -> None:
    row = {"uri": "cat/1.jpg", "source_id": "photos", "sequence": 0, "event_time_ms": 0}
    found = judged({**row, "detections": []})
    assert (found.n, found.n_unclassified) == (0, 1)
