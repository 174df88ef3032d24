"""What a run shows of itself: bounded, true, and in nobody's way."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import until

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.showing import Showing, showing_in, shown_pictures
from sightflow.engine.viewfiles import ViewFiles
from sightflow.pipeline import Pipeline
from sightflow.records.ledger import Ledger
from sightflow.sources.directory import Directory
from sightflow.testing import a_record


@pytest.fixture
def showing(tmp_path: Path) -> Iterator[Showing]:
    shown = Showing(tmp_path)
    yield shown
    shown.end()


def a_row(sequence: int = 0, **more: Any) -> dict[str, Any]:
    place = {"uri": f"{sequence}.jpg", "source_id": "s", "sequence": sequence}
    return {**place, "event_time_ms": 1000 * sequence, "width": 4, "height": 3, **more}


def a_result(*rows: dict[str, Any], **more: Any) -> ChunkResult:
    return ChunkResult(0, len(rows), rows, **more)


def an_event(kind: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "step": "x", "source_id": "s", "sequence": 0, "event_time_ms": 0, **more}


def facts_of(showing: Showing, *results: ChunkResult, ledger: Ledger | None = None) -> Any:
    """Return what is written of these results."""
    showing.begin(Ledger())
    for result in results:
        showing.deliver(result, ledger or Ledger())
    showing.end()
    return json.loads(showing_file(showing).read_bytes())


def showing_file(showing: Showing) -> Path:
    return showing._files.facts


def test_the_ledger_and_the_reasons_of_rejected_images_are_told(showing: Showing) -> None:
    broken = {"uri": "x.jpg", "step": "decode", "reason": "corrupt", "message": "cut short"}
    empty = {**broken, "uri": "y.jpg", "reason": "empty"}
    ledger = Ledger(read=3, rejected=3)
    facts = facts_of(showing, a_result(rejected=[broken, empty, broken]), ledger=ledger)
    assert facts["ledger"] == {"read": 3, "recognised": 0, "rejected": 3, "skipped": 0}
    assert facts["reasons"] == [
        {"step": "decode", "reason": "corrupt", "n": 2},
        {"step": "decode", "reason": "empty", "n": 1},
    ]
    assert [row["uri"] for row in facts["rejected"]] == ["x.jpg", "y.jpg", "x.jpg"]


def test_it_is_written_while_the_run_goes_on(showing: Showing, tmp_path: Path) -> None:
    showing.begin(Ledger())
    showing.deliver(a_result(a_row()), Ledger(read=1, recognised=1))
    facts = until(lambda: ViewFiles(tmp_path).facts.exists() and _facts(tmp_path))
    assert facts["is_open"]
    assert facts["ledger"]["read"] == 1
    showing.end()
    assert not _facts(tmp_path)["is_open"]


def _facts(folder: Path) -> Any:
    return json.loads((folder / "facts.json").read_bytes())


def test_the_newest_rows_come_first_and_are_bounded(showing: Showing) -> None:
    facts = facts_of(showing, *(a_result(a_row(number)) for number in range(100)))
    assert [row["sequence"] for row in facts["recognitions"]] == list(range(99, 69, -1))


def test_objects_are_counted_in_each_image_and_tracks_once(showing: Showing) -> None:
    car = {"label": "car", "track_id": 1}
    seen = [a_row(number, detections=[car]) for number in range(3)]
    assert facts_of(showing, a_result(*seen))["counts"]["labels"][0]["total"] == 3
    followed = [a_row(number, tracks=[car, {**car, "track_id": number + 2}]) for number in range(3)]
    counts = facts_of(showing, a_result(*followed))["counts"]
    assert counts["what"] == "tracks"
    assert counts["labels"] == [{"label": "car", "n": [2, 1, 1], "total": 4}]


def test_a_new_version_of_a_model_is_told_once(showing: Showing) -> None:
    def used(version: str) -> dict[str, Any]:
        return a_row(step="classify", model="scenes", model_version=version)

    facts = facts_of(showing, a_result(used("1"), used("1"), used("2"), used("2")))
    assert [(use["model"], use["version"]) for use in facts["models"]] == [
        ("scenes", "2"),
        ("scenes", "1"),
    ]


def test_of_several_models_each_step_is_told(showing: Showing) -> None:
    uses = [
        {"step": name, "model": f"m-{name}", "model_version": "1"} for name in ("detect", "embed")
    ]
    facts = facts_of(showing, a_result(a_row(steps=uses, **uses[-1])))
    assert {use["step"] for use in facts["models"]} == {"detect", "embed"}


def test_events_of_the_stream_are_told_and_those_of_learning_apart(showing: Showing) -> None:
    kinds = "trained", "entered", "evaluated", "drifted", "scored", "published"
    facts = facts_of(showing, a_result(events=[an_event(kind) for kind in kinds]))
    assert [event["kind"] for event in facts["events"]] == ["published", "drifted", "entered"]
    assert [event["kind"] for event in facts["course"]] == [
        "trained",
        "evaluated",
        "drifted",
        "published",
    ]


def test_the_latency_is_that_of_the_latest_images(showing: Showing) -> None:
    now = time.time()
    slow = [a_result(a_row(), read_at=now - 60)] * 10
    quick = [a_result(*[a_row()] * 4, read_at=now - 2)] * 250
    latency = facts_of(showing, *slow, *quick)["latency"]
    assert latency["n"] == 1_000, "images, not chunks"
    assert 2_000 <= latency["p50_ms"] <= latency["p99_ms"] < 30_000


def test_without_an_image_there_is_no_latency_and_no_speed(showing: Showing) -> None:
    facts = facts_of(showing)
    assert facts["latency"] is None
    assert facts["speed"]["now"] is None


def test_the_speed_is_that_of_the_last_seconds(
    showing: Showing, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    facts = _begun(showing)
    for second in range(30):
        now[0] += 1
        facts.add(a_result(), Ledger(read=100 * min(second, 14) + 100))
        told = facts.as_dict()["speed"]
        if second == 14:
            assert told["now"] == 100.0
    assert told["now"] == 0.0
    assert told["images_per_s"] == [100.0] * 15 + [0.0] * 15


def _begun(showing: Showing) -> Any:
    showing.begin(Ledger())
    return showing._facts


def test_counts_begin_anew_when_the_job_does_and_the_ledger_does_not(showing: Showing) -> None:
    showing.begin(Ledger())
    showing.deliver(a_result(a_row(classification=[{"label": "cat"}])), Ledger(1, 1))
    showing.begin(Ledger(read=1, recognised=1))
    showing.end()
    facts = json.loads(showing_file(showing).read_bytes())
    assert facts["n_begun"] == 2
    assert facts["counts"]["labels"] == []
    assert facts["ledger"]["read"] == 1


def test_a_folder_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    showing = Showing(tmp_path)
    showing.begin(Ledger())
    until((tmp_path / "facts.json").exists)
    (tmp_path / "facts.json").unlink()
    (tmp_path / "facts.json").mkdir()
    until(lambda: caplog.records)
    time.sleep(0.6)
    showing.deliver(a_result(a_row()), Ledger(1, 1))
    showing.end()
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the live page stands still"
    ]


def test_all_workers_of_a_process_show_in_one_place(tmp_path: Path) -> None:
    ViewFiles(tmp_path).prepare()
    assert showing_in(None) is None
    assert showing_in(str(tmp_path)) is showing_in(str(tmp_path))


def test_the_next_run_in_a_folder_begins_with_nothing(tmp_path: Path) -> None:
    files = ViewFiles(tmp_path)
    files.prepare()
    before = showing_in(str(tmp_path))
    files.write({"read": 1})
    files.write_picture(0, 100, b"jpeg")
    files.prepare()
    assert showing_in(str(tmp_path)) is not before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_embeddings_are_not_shown_and_of_many_objects_some(showing: Showing) -> None:
    face = {"score": 0.5, "embedding": [1.0], "person_id": None}
    facts = facts_of(showing, a_result(a_row(faces=[face] * 70)))
    (row,) = facts["recognitions"]
    assert row["faces"] == [{"score": 0.5, "person_id": None}] * 50
    assert facts["counts"]["labels"][0]["total"] == 70


def test_times_within_a_video_are_counted_apart_from_those_of_the_clock(showing: Showing) -> None:
    cat = [{"label": "cat"}]
    old = a_row(event_time_ms=1_795_000_000_000, classification=cat)
    facts = facts_of(showing, a_result(old, a_row(2, classification=cat)))
    assert facts["counts"]["starts_ms"] == [2000]
    assert facts["counts"]["bucket_ms"] == 1000


def test_what_goes_wrong_with_pictures_is_told_once_and_stops_no_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ViewFiles(tmp_path).prepare()
    (see,) = shown_pictures(Pipeline(Directory("photos")), str(tmp_path))

    def fail(*arguments: Any, **more: Any) -> None:
        raise ValueError("no such picture")

    monkeypatch.setattr("sightflow.engine.viewfinder.thumbnail", fail)
    for _ in range(3):
        see(a_record())
    assert [record.message for record in caplog.records] == ["the live page has no more pictures"]
