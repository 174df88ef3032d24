"""Delivery: chunks go to the sinks in order and once, also after a restart."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from sightflow.engine.chunks import ChunkResult
from sightflow.engine.delivery import Delivery, Progress, RunTimes, finish
from sightflow.errors import JobError, LedgerError
from sightflow.pipeline import Pipeline
from sightflow.protocols import ResultSink
from sightflow.records.ledger import Ledger
from sightflow.sinks.results import JsonLines, Parquet
from sightflow.sources.directory import Directory


def a_chunk(number: int, *, n_rejected: int = 0) -> ChunkResult:
    """Return a result with one row and some rejected ones."""
    row = {"uri": f"{number}.jpg", "source_id": "s", "sequence": number, "event_time_ms": 0}
    rejected = {"uri": "x", "step": "decode", "reason": "empty", "message": f"in {number}"}
    rows = [{**row, "width": 4, "height": 3}]
    return ChunkResult(number, 1 + n_rejected, rows, [rejected] * n_rejected)


def sinks_in(folder: Path) -> dict[str, ResultSink]:
    files = JsonLines(str(folder / "j.jsonl")), Parquet(str(folder / "p.parquet"))
    return {f"sink{number}": sink for number, sink in enumerate(files)}


def pipeline_of(sinks: dict[str, ResultSink]) -> Pipeline:
    pipeline = Pipeline(Directory("photos"))
    for name, sink in sinks.items():
        pipeline = pipeline.write(name, sink)
    return pipeline


def complete(folder: Path, place: Progress, n_claimed: int) -> dict[str, bytes]:
    """Finish and return all files but the summaries, which hold times."""
    finish(pipeline_of(sinks_in(folder)), place, n_claimed, RunTimes(time.time(), "inline", 1))
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if not path.name.endswith(".summary.json")
    }


def behind(delivery: Delivery, chunk: ChunkResult) -> Progress:
    """Deliver a chunk and return the place behind it."""
    delivery.deliver(chunk)
    return delivery.checkpoint()


def test_a_place_moves_with_each_chunk(tmp_path: Path) -> None:
    delivery = Delivery({"a": JsonLines(str(tmp_path / "a.jsonl"))}, Progress())
    first = behind(delivery, a_chunk(0))
    second = behind(delivery, a_chunk(1, n_rejected=2))
    delivery.close()
    assert (first.next_chunk, second.next_chunk) == (1, 2)
    assert first.ledger == Ledger(read=1, recognised=1)
    assert second.ledger == Ledger(read=4, recognised=2, rejected=2)
    assert delivery.place == second


@pytest.mark.parametrize("number", [0, 2, 7])
def test_a_chunk_that_is_not_next_is_refused(tmp_path: Path, number: int) -> None:
    delivery = Delivery({"a": JsonLines(str(tmp_path / "a.jsonl"))}, Progress())
    place = behind(delivery, a_chunk(0))
    with pytest.raises(ValueError, match=f"chunk 1 is next; got {number}"):
        delivery.deliver(a_chunk(number))
    assert delivery.place == place
    delivery.close()


def test_the_first_result_has_a_time_and_rejected_images_are_none(tmp_path: Path) -> None:
    delivery = Delivery({}, Progress())
    only_rejected = ChunkResult(0, 1, [], a_chunk(0, n_rejected=1).rejected)
    assert behind(delivery, only_rejected).first_result_at is None
    before = time.time()
    first = behind(delivery, a_chunk(1)).first_result_at
    assert first is not None
    assert before <= first <= time.time()
    assert behind(delivery, a_chunk(2)).first_result_at == first


@pytest.mark.parametrize(
    "place",
    [
        Progress(),
        Progress(
            3,
            {"a": (10, 20), "b": (5, 0)},
            Ledger(read=4, recognised=3, rejected=1),
            1_700_000_000.25,
        ),
        Progress(1, {}),
    ],
)
def test_a_place_survives_as_bytes(place: Progress) -> None:
    assert Progress.decode(place.encode()) == place


@pytest.mark.parametrize("n_before", [0, 1, 2])
@pytest.mark.parametrize("n_lost", [0, 1, 2])
def test_a_delivery_that_goes_on_gives_the_files_of_an_undisturbed_one(
    tmp_path: Path, n_before: int, n_lost: int
) -> None:
    chunks = [a_chunk(number, n_rejected=number % 2) for number in range(4)]
    undisturbed = Delivery(sinks_in(tmp_path / "undisturbed"), Progress())
    for chunk in chunks:
        undisturbed.deliver(chunk)
    undisturbed.checkpoint()
    undisturbed.close()

    failing = Delivery(sinks_in(tmp_path / "restarted"), Progress())
    kept = failing.place
    for chunk in chunks[:n_before]:
        kept = behind(failing, chunk)
    for chunk in chunks[n_before : n_before + n_lost]:
        failing.deliver(chunk)  # written after the checkpoint
    failing.close()
    restarted = Delivery(sinks_in(tmp_path / "restarted"), Progress.decode(kept.encode()))
    for chunk in chunks[n_before:]:
        restarted.deliver(chunk)
    restarted.checkpoint()
    restarted.close()

    expected = complete(tmp_path / "undisturbed", undisturbed.place, 6)
    assert complete(tmp_path / "restarted", restarted.place, 6) == expected
    assert len(expected["j.jsonl"].splitlines()) == 4
    assert len(expected["j.rejected.jsonl"].splitlines()) == 2


def test_a_delivery_may_go_on_twice_and_write_no_row_between(tmp_path: Path) -> None:
    sink = JsonLines(str(tmp_path / "j.jsonl"))
    delivery = Delivery({"sink0": sink}, Progress())
    kept = behind(delivery, a_chunk(0))
    delivery.deliver(a_chunk(1))  # lost
    delivery.close()
    delivery = Delivery({"sink0": sink}, kept)
    kept = behind(delivery, ChunkResult(1, 1, [], a_chunk(1, n_rejected=1).rejected))
    delivery.close()
    delivery = Delivery({"sink0": sink}, kept)
    place = behind(delivery, a_chunk(2))
    delivery.close()
    finish(pipeline_of({"a": sink}), place, 3, RunTimes(time.time(), "inline", 1))
    rows = [json.loads(line) for line in (tmp_path / "j.jsonl").read_text().splitlines()]
    assert [row["uri"] for row in rows] == ["0.jpg", "2.jpg"]


def test_a_sink_that_is_new_begins_empty_and_the_others_go_on_by_their_names(
    tmp_path: Path,
) -> None:
    one, two = (JsonLines(str(tmp_path / f"{name}.jsonl")) for name in ("one", "two"))
    delivery = Delivery({"one": one, "gone": JsonLines(str(tmp_path / "gone.jsonl"))}, Progress())
    kept = behind(delivery, a_chunk(0))
    delivery.close()
    delivery = Delivery({"two": two, "one": one}, Progress.decode(kept.encode()))
    place = behind(delivery, a_chunk(1))
    delivery.close()
    assert sorted(place.positions) == ["one", "two"]
    finish(pipeline_of({"one": one, "two": two}), place, 2, RunTimes(time.time(), "inline", 1))
    lines = [(tmp_path / f"{name}.jsonl").read_text() for name in ("one", "two")]
    assert [text.count("\n") for text in lines] == [2, 1]


def delivered(folder: Path, *chunks: ChunkResult) -> tuple[Pipeline, Progress]:
    sinks = sinks_in(folder)
    delivery = Delivery(sinks, Progress())
    for chunk in chunks:
        delivery.deliver(chunk)
    place = delivery.checkpoint()
    delivery.close()
    return pipeline_of(sinks), place


def finished(pipeline: Pipeline, place: Progress, n_claimed: int) -> Any:
    return finish(pipeline, place, n_claimed, RunTimes(time.time() - 2, "flink", 3))


def test_finishing_makes_the_output_of_every_sink_appear(tmp_path: Path) -> None:
    pipeline, place = delivered(tmp_path, a_chunk(0, n_rejected=1))
    summary = finished(pipeline, place, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "j.jsonl",
        "j.rejected.jsonl",
        "j.summary.json",
        "p.parquet",
        "p.rejected.jsonl",
        "p.summary.json",
    ]
    assert summary.ledger == Ledger(read=2, recognised=1, rejected=1)
    assert (summary.runner, summary.workers) == ("flink", 3)
    assert 1 < summary.first_result_s <= summary.seconds < 10
    written = json.loads((tmp_path / "j.summary.json").read_text())
    assert written["read"] == 2
    assert written.keys() == summary.as_dict().keys()


def test_a_run_without_results_has_no_time_of_the_first(tmp_path: Path) -> None:
    pipeline, place = delivered(tmp_path)
    assert finished(pipeline, place, 0).first_result_s is None
    assert (tmp_path / "j.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("chunk", "n_claimed", "message"),
    [
        (ChunkResult(0, 2, [{"a": 1}], []), 2, "read 2 = recognised 1"),
        (ChunkResult(0, 1, [{"a": 1}], []), 2, "the source lists 2 images; 1 were read"),
    ],
)
def test_no_output_appears_when_an_image_was_lost(
    tmp_path: Path, chunk: ChunkResult, n_claimed: int, message: str
) -> None:
    pipeline, place = delivered(tmp_path, chunk)
    with pytest.raises(LedgerError, match=message):
        finished(pipeline, place, n_claimed)
    assert [path for path in tmp_path.iterdir() if not path.name.startswith(".")] == []


def test_a_place_of_another_version_is_refused() -> None:
    data = Progress().encode().replace(b'"version":5', b'"version":99')
    with pytest.raises(JobError, match=r"must be of version 5; got 99; start the run anew"):
        Progress.decode(data)


def test_the_end_of_a_stream_completes_the_place_once_all_is_delivered() -> None:
    delivery = Delivery({}, Progress(), ordered=False)
    end = ChunkResult(2, 0, n_images=2)

    assert not behind(delivery, ChunkResult(1, 1, [], [])).is_complete()
    assert not behind(delivery, end).is_complete(), "chunk 0 is on its way"
    assert behind(delivery, ChunkResult(0, 1, [], [])).is_complete()
    assert delivery.place.ledger.read == 2


def test_skipped_images_are_in_the_ledger(tmp_path: Path) -> None:
    delivery = Delivery({}, Progress())
    delivery.deliver(ChunkResult(0, 3, n_skipped=3))
    delivery.deliver(ChunkResult(1, 1, [{"a": 1}]))
    place = behind(delivery, ChunkResult(2, 0, n_images=4))
    summary = finish(pipeline_of({}), place, None, RunTimes(0.0, "inline", 1))
    assert summary.ledger == Ledger(read=4, recognised=1, skipped=3)


def test_in_order_every_chunk_waits_for_its_turn() -> None:
    delivery = Delivery({}, Progress())

    assert [delivery.takes(number) for number in (0, 1)] == [True, False]
    assert Delivery({}, Progress(), ordered=False).takes(1)
