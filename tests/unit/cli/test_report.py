"""One command writes the page of whatever a run has left."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sightflow.cli import cli
from sightflow.errors import OutputExistsError, SourceError

WHERE = {"source_id": "s", "sequence": 0, "event_time_ms": 0}
ROW = {
    "uri": "cat/a.jpg",
    **WHERE,
    "classification": [{"label": "cat", "class_id": 0, "score": 0.5}],
}


def call(*words: Any) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)])


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def test_the_page_lies_beside_the_results_and_says_where(tmp_path: Path) -> None:
    results = write(tmp_path / "results.jsonl", ROW)
    result = call(results)
    assert result.exit_code == 0
    page = tmp_path / "results.report.html"
    assert result.stderr == f"wrote {page}\n"
    assert "<h1>results.jsonl</h1>" in page.read_text("utf-8")


def test_a_page_that_is_there_stays_unless_it_must_not(tmp_path: Path) -> None:
    results = write(tmp_path / "results.jsonl", ROW)
    page = tmp_path / "mine.html"
    page.write_text("old")
    result = call(results, "--out", page)
    assert isinstance(result.exception, OutputExistsError)
    assert page.read_text() == "old"
    assert call(results, "--out", page, "--overwrite", "--quiet", "--title", "Gates").stderr == ""
    assert "<h1>Gates</h1>" in page.read_text("utf-8")


def test_labels_and_events_are_taken_from_where_the_call_says(tmp_path: Path) -> None:
    results = write(tmp_path / "results.jsonl", ROW)
    event = {"kind": "appeared", "step": "track", **WHERE, "label": "cat"}
    events = write(tmp_path / "elsewhere" / "e.jsonl", event)
    call(results, "--labels", "folders", "--events", events)
    page = (tmp_path / "results.report.html").read_text("utf-8")
    assert "top-1 accuracy" in page
    assert "An object is followed from now on." in page


def test_pictures_may_be_left_out(tmp_path: Path) -> None:
    results = write(tmp_path / "results.jsonl", ROW)
    call(results, "--pictures", 0)
    assert "no picture" not in (tmp_path / "results.report.html").read_text("utf-8")


TRAINED = {
    "kind": "trained", "step": "train", **WHERE,
    "figures": {"step": 2, "n_samples": 16, "loss": 0.5, "rate": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("name", ["", "events.jsonl"])
def test_a_training_has_the_page_of_trainings(name: str, tmp_path: Path) -> None:
    write(tmp_path / "t" / "events.jsonl", TRAINED)
    page = tmp_path / "page.html"
    assert call(tmp_path / "t" / name, "--out", page).exit_code == 0
    assert "Learned from 16 images in 2 steps." in page.read_text("utf-8")


def test_labels_do_not_go_with_a_training(tmp_path: Path) -> None:
    write(tmp_path / "events.jsonl", TRAINED)
    result = call(tmp_path, "--labels", "folders")
    assert result.exit_code == 2
    assert "--labels is for results; events of learning have their labels" in result.stderr


def test_a_folder_has_its_page_within(tmp_path: Path) -> None:
    write(tmp_path / "results.jsonl", ROW)
    assert call(tmp_path).exit_code == 0
    assert (tmp_path / f"{tmp_path.name}.report.html").exists()


def test_what_is_no_result_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    result = call(write(tmp_path / "results.jsonl", {"a": 1}))
    assert isinstance(result.exception, SourceError)
    assert "row 1 must be what a run has written, with event_time_ms, " in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["results.jsonl"]


def test_the_page_of_a_training_does_not_take_the_place_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "scenes-training" / "events.jsonl", TRAINED)
    own = tmp_path / "scenes-training" / "report.html"
    own.write_text("its own")
    assert call(tmp_path / "scenes-training").exit_code == 0
    assert own.read_text() == "its own"
    assert own.with_name("scenes-training.report.html").exists()


def test_results_without_a_row_have_no_report(tmp_path: Path) -> None:
    result = call(write(tmp_path / "results.jsonl"))
    assert isinstance(result.exception, SourceError)
    assert "results.jsonl: has no rows; there is nothing to report" in str(result.exception)
    assert not (tmp_path / "results.report.html").exists()


def test_a_page_ends_in_html(tmp_path: Path) -> None:
    result = call(write(tmp_path / "results.jsonl", ROW), "--out", tmp_path / "a.pdf")
    assert result.exit_code == 2
    assert "a.pdf: the ending must be .html" in result.stderr


def test_events_of_another_run_are_left_out_and_told(tmp_path: Path) -> None:
    event = {"kind": "appeared", "step": "track", **WHERE, "source_id": "other", "label": "cat"}
    of_none = {**event, "kind": "published", "source_id": ""}
    events = write(tmp_path / "events.jsonl", event, of_none)
    call(write(tmp_path / "results.jsonl", ROW))
    page = (tmp_path / "results.report.html").read_text("utf-8")
    assert 'id="events"' not in page
    assert f"{events} is of another run: it has no event of a source of these results" in page
