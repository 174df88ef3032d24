"""What differs in two results: kinds, lines, the greatest differences, who is right."""

import json
from pathlib import Path
from typing import Any

import pytest

from sightflow.dashboard.truth import label_reader
from sightflow.errors import PipelineError
from sightflow.metrics.agreement import Comparer, ImageAgreement
from sightflow.replay.differences import Compared, Course, Greatest, Verdict, compared
from sightflow.replay.report import compare_runs
from sightflow.replay.survey import survey
from sightflow.sources.recorded import Recorded

Row = dict[str, Any]


def a_row(number: int, *said: tuple[str, float], uri: str = "", **more: Any) -> Row:
    place = {"uri": uri or f"{number}.jpg", "source_id": "photos", "sequence": number}
    found = [{"label": label, "class_id": 0, "score": score} for label, score in said]
    size = {"event_time_ms": 0, "width": 4, "height": 3}
    return {**place, **size, "classification": found, **more}


def written(path: Path, rows: list[Row], rejected: tuple[str, ...] = ()) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [{"uri": uri, "step": "read", "reason": "empty", "message": ""} for uri in rejected]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.with_suffix(".rejected.jsonl").write_text(text)
    return str(path)


CAT, DOG = ("cat", 0.75), ("dog", 0.5)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Recorded, str]:
    """Return results: 0 is the same, 1 differs, 2 is rejected by B, x by A, y by both."""
    a = [a_row(0, CAT), a_row(1, CAT, label="dog"), a_row(2, DOG)]
    x = a_row(0, DOG, uri="x.jpg", source_id="x.jpg")
    first = written(tmp_path / "a.jsonl", a, ("x.jpg", "y.jpg"))
    second = written(tmp_path / "b.jsonl", [a_row(0, CAT), a_row(1, DOG), x], ("2.jpg", "y.jpg"))
    return Recorded(first), second


def test_each_image_is_the_same_or_differs_or_is_in_one_only(two: tuple[Recorded, str]) -> None:
    found = list(compared(*two, Comparer()))
    assert [(one.row["uri"], one.kind) for one in found] == [
        ("0.jpg", "same"),
        ("1.jpg", "differed"),
        ("2.jpg", "only_a"),
        ("x.jpg", "only_b"),
    ]
    assert [one.rejected and one.rejected["reason"] for one in found[2:]] == ["empty", "empty"]


def test_the_figures_add_up_to_all_images(two: tuple[Recorded, str]) -> None:
    recorded, results = two
    figures = compare_runs(recorded, survey(recorded), results).as_dict()
    assert (figures["n"], figures["same"], figures["differed"]) == (2, 1, 1)
    assert (figures["only_a"], figures["only_b"], figures["rejected_by_both"]) == (1, 1, 1)
    assert figures["agreement"] == 0.5
    assert figures["labels"] == {
        "both": 0,
        "only_a": 0,
        "only_b": 1,
        "neither": 0,
        "n": 1,
        "p_value": 1.0,
    }


def test_each_image_that_is_not_the_same_is_a_line(
    two: tuple[Recorded, str], tmp_path: Path
) -> None:
    recorded, results = two
    compare_runs(recorded, survey(recorded), results, diff=str(tmp_path / "d.jsonl"))
    differed, only_a, only_b = map(json.loads, (tmp_path / "d.jsonl").read_text().splitlines())
    assert (differed["kind"], differed["difference"], differed["label"]) == (
        "differed",
        0.75,
        "dog",
    )
    assert differed["counts"] == {"relabelled": 1}
    assert differed["changes"] == [
        {
            "kind": "relabelled",
            "a": {"label": "cat", "score": 0.75},
            "b": {"label": "dog", "score": 0.5},
        }
    ]
    assert differed["a"]["classification"][0]["label"] == "cat"
    assert (only_a["kind"], only_a["b"], only_a["rejected"]["reason"]) == ("only_a", None, "empty")
    assert (only_b["kind"], only_b["a"]) == ("only_b", None)


def test_labels_of_a_file_tell_who_is_right(two: tuple[Recorded, str], tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\n0.jpg,cat\n1.jpg,cat\n")
    recorded, results = two
    label_of = label_reader(str(tmp_path / "labels.csv"))
    replayed = compare_runs(recorded, survey(recorded), results, label_of=label_of)
    verdict = replayed.difference.verdict
    assert verdict == Verdict(both=1, only_a=1)


def test_a_file_that_has_changed_is_told(tmp_path: Path) -> None:
    first = Recorded(written(tmp_path / "a.jsonl", [a_row(0, CAT)]))
    second = written(tmp_path / "b.jsonl", [a_row(0, CAT, width=5)])
    replayed = compare_runs(first, survey(first), second)
    assert replayed.as_dict()["resized"] == 1
    assert ("of another size now", "1: the files have changed") in list(replayed.rows())


def test_results_of_different_kinds_cannot_be_compared(tmp_path: Path) -> None:
    first = Recorded(written(tmp_path / "a.jsonl", [a_row(0, CAT)]))
    other = {name: value for name, value in a_row(0).items() if name != "classification"}
    second = written(tmp_path / "b.jsonl", [{**other, "detections": []}])
    with pytest.raises(PipelineError, match="A has classification, B has detections"):
        compare_runs(first, survey(first), second)


def differing(number: int, weight: float, uri: str = "", time_ms: int = 0) -> Compared:
    row = a_row(number, ("cat", weight), uri=uri, event_time_ms=time_ms)
    return Compared(row, row, Comparer().compare(row, a_row(number)))


def test_the_greatest_differences_come_first_and_equal_ones_in_their_order() -> None:
    greatest = Greatest(3)
    for number, weight in enumerate([0.1, 0.5, 0.25, 0.5, 0.9] + [0.01] * 50):
        greatest.add(differing(number, weight))
    assert [one.row["sequence"] for one in greatest.images()] == [4, 1, 3]


def test_of_a_video_one_frame_of_each_scene_is_enough() -> None:
    greatest = Greatest(5)
    for number, (weight, time_ms) in enumerate([(0.5, 0), (0.75, 40), (0.25, 2500), (0.1, 3900)]):
        greatest.add(differing(number, weight, "a.mp4", time_ms))
    assert [one.row["sequence"] for one in greatest.images()] == [1, 2]


def test_no_samples_are_kept_where_none_are_wanted() -> None:
    greatest = Greatest(0)
    greatest.add(differing(0, 0.5))
    assert greatest.images() == []


def test_the_course_has_equal_parts_of_the_input() -> None:
    course = Course()
    for number in range(129):
        course.add(is_same=number % 4 == 0)
    # Of 128 images two are in each of 64 parts; the next one makes that four in each of 32.
    assert course.parts == [(4, 1)] * 32 + [(1, 1)]


def test_the_course_of_few_images_has_a_part_for_each() -> None:
    course = Course()
    for is_same in (True, False):
        course.add(is_same=is_same)
    assert course.parts == [(1, 1), (1, 0)]


def test_who_is_right_is_counted_by_the_best_class() -> None:
    verdict = Verdict()
    for a, b in [(CAT, CAT), (CAT, DOG), (DOG, CAT), (DOG, DOG), (CAT, DOG)]:
        verdict.add("cat", a_row(0, a), a_row(0, b))
    verdict.add("cat", a_row(0), a_row(0))
    assert verdict == Verdict(both=1, only_a=2, only_b=1, neither=2)
    assert (verdict.n, verdict.p_value) == (6, 1.0)


def test_two_results_without_anything_to_compare_are_the_same() -> None:
    assert ImageAgreement((), ()).is_same
