"""Results are held against labels that are told by a file, by folders, or by themselves."""

import json
from pathlib import Path
from typing import Any

import pytest

from sightflow.dashboard.truth import Judged, label_reader
from sightflow.errors import SourceError

Row = dict[str, Any]


def a_row(uri: str, *found: tuple[str, float], number: int = 0, **more: Any) -> Row:
    items = [{"label": label, "class_id": 0, "score": score} for label, score in found]
    where = {"uri": uri, "source_id": "photos", "sequence": number}
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


@pytest.mark.parametrize("column", ["path", "uri", "name"])
def test_a_table_tells_labels_by_the_ends_of_paths(column: str, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text(f"{column},label\na/1.jpg,cat\nb/1.jpg,dog\n")
    label_of = label_reader(str(tmp_path / "l.csv"))
    rows = [a_row(uri) for uri in ("/data/a/1.jpg", "s3://x/b/1.jpg", "/data/c/1.jpg")]
    assert [label_of(row) for row in rows] == ["cat", "dog", None]


def test_lines_tell_labels_by_path_or_by_stream_and_number(tmp_path: Path) -> None:
    lines = [
        {"uri": "a/1.jpg", "label": "cat"},
        {"source_id": "photos", "sequence": 7, "label": "dog"},
        {"path": "a/3.jpg", "label": None},
    ]
    (tmp_path / "l.jsonl").write_text("\n".join(map(json.dumps, lines)))
    label_of = label_reader(str(tmp_path / "l.jsonl"))
    rows = [a_row("a/1.jpg"), a_row("a/2.jpg", number=7), a_row("a/3.jpg")]
    assert [label_of(row) for row in rows] == ["cat", "dog", None]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("l.csv", "a,b\n", r"l\.csv: needs the columns 'path' and 'label'; it has \['a', 'b'\]"),
        ("l.jsonl", '{"label": "cat"}', r"l\.jsonl, line 1: needs `label`, and one of path, uri"),
        ("l.jsonl", "\nnonsense", r"l\.jsonl, line 1: needs `label`"),
        ("l.txt", "", r"l\.txt: labels are in a \.csv or \.jsonl file, or `folders`"),
    ],
)
def test_a_file_without_labels_is_named(name: str, text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=words):
        label_reader(str(tmp_path / name))


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl"])
def test_a_file_that_is_gone_is_named(name: str) -> None:
    with pytest.raises(SourceError, match=f"{name}: cannot be read"):
        label_reader(name)


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
