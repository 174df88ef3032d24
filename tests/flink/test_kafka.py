"""Pictures from Kafka and results to it, by Flink's own connector, on a real broker."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.flink.kills import keeping, kill_java
from tests.kafka import Broker
from tests.pictures import fill_folder
from tests.steps import Bright, Count, FindBlocks, Slow
from tests.streams import Offered
from tests.tables import LookUp, Words, add_words

from sightflow import Directory, JsonLines, Pipeline, RunSettings, Track, run
from sightflow.engine.delivery import Progress
from sightflow.engine.plan import Work
from sightflow.errors import JobError
from sightflow.flink.rundir import run_directory
from sightflow.sinks.kafka import KafkaEvents
from sightflow.sources.kafka import KafkaImages
from sightflow.testing import encode_image

pytestmark = pytest.mark.flink

N_IMAGES, N_CAMERAS, START_MS = 120, 3, 1_700_000_000_000


def pictures(n_images: int = N_IMAGES, first: int = 0) -> Iterator[dict[str, Any]]:
    """Yield records of pictures, of cameras by turns; two are no pictures."""
    for number in range(first, first + n_images):
        camera = number % N_CAMERAS
        pixels = np.full((24, 32, 3), number % 256, np.uint8)
        pixels[4:12, 4 + number % 8 : 14 + number % 8] = (250, 0, 0)
        value = {7: b"no picture", 8: b""}.get(number, encode_image(pixels))
        yield {
            "value": value,
            "key": f"camera {camera}".encode(),
            "partition": camera % 2,
            "timestamp": START_MS + 40 * number,
            "headers": [("number", str(number).encode())],
        }


def topics_of(broker: Broker) -> tuple[KafkaImages, KafkaEvents]:
    images, out = broker.create(2, name="images"), broker.create(2, name="results")
    gone = broker.create(name="gone")
    source = KafkaImages(images, broker.servers, stop="latest")
    return source, KafkaEvents(broker.servers, out, rejected_topic=gone)


def found(broker: Broker, topic: str | None) -> list[dict[str, Any]]:
    assert topic is not None
    return [json.loads(message.value()) for message in broker.read(topic)]


def numbers(broker: Broker, sink: KafkaEvents) -> list[int]:
    """Return the numbers of the images whose results are there for all to see."""
    return sorted(int(row["metadata"]["number"]) for row in found(broker, sink.topic))


def by_camera(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    cameras = sorted({row["source_id"] for row in rows})
    return {camera: [row for row in rows if row["source_id"] == camera] for camera in cameras}


def test_results_and_dead_letters_are_those_of_the_inline_runner(broker):
    source, sink = topics_of(broker)
    broker.produce(str(source.topics), pictures())
    told = dict[str, Any]()
    for runner in ("inline", "flink"):
        out, gone = broker.create(2), broker.create()
        pipeline = Pipeline(source).apply("blocks", FindBlocks()).apply("track", Track())
        pipeline = pipeline.write("out", replace(sink, topic=out, rejected_topic=gone))
        summary = run(pipeline, RunSettings(runner=runner, checkpoint_interval_ms=500))
        ledger = summary.ledger
        assert (ledger.read, ledger.recognised, ledger.rejected) == (N_IMAGES, N_IMAGES - 2, 2)
        rejected = sorted((row["uri"], row["reason"]) for row in found(broker, gone))
        told[runner] = by_camera(found(broker, out)), rejected
    assert told["flink"] == told["inline"]
    cameras, rejected = told["flink"]
    assert [len(rows) for rows in cameras.values()] == [40, 39, 39]
    assert sorted(reason for _, reason in rejected) == ["empty", "not_an_image"]


def test_each_result_is_there_once_when_java_is_killed(broker, tmp_path):
    source, sink = topics_of(broker)
    broker.produce(str(source.topics), pictures())
    pipeline = Pipeline(source).apply("slow", Slow(0.1)).apply("bright", Bright())
    pipeline = pipeline.write("out", sink)
    settings = RunSettings(**keeping(tmp_path / "state"))

    def kill_in_the_middle() -> None:
        deadline = time.monotonic() + 60
        while len(numbers(broker, sink)) < 20 and time.monotonic() < deadline:
            time.sleep(0.1)
        kill_java()

    killer = threading.Thread(target=kill_in_the_middle)
    killer.start()
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, settings)
    killer.join()
    assert 20 <= len(numbers(broker, sink)) < N_IMAGES - 2

    summary = run(pipeline, settings)

    assert numbers(broker, sink) == [n for n in range(N_IMAGES) if n not in (7, 8)]
    assert summary.ledger.read == N_IMAGES


def test_a_broker_that_dies_is_waited_for(broker, tmp_path):
    source, sink = topics_of(broker)
    broker.produce(str(source.topics), pictures())
    pipeline = Pipeline(source).apply("slow", Slow(0.05)).write("out", sink)
    seen = threading.Event()

    def restart() -> None:
        assert seen.wait(60)
        broker.kill()
        time.sleep(1)
        broker.start()

    restarting = threading.Thread(target=restart)
    restarting.start()
    settings = RunSettings(checkpoint_interval_ms=300, restart_attempts=20)

    def look(ledger: Any, n_images: int | None) -> None:
        if ledger.read > 20:
            seen.set()

    summary = run(pipeline, settings, on_progress=look)
    restarting.join()

    assert numbers(broker, sink) == [n for n in range(N_IMAGES) if n not in (7, 8)]
    assert summary.ledger.read == N_IMAGES


def test_a_stream_without_end_is_stopped_and_begins_where_its_group_stands(broker):
    source, sink = topics_of(broker)
    source = replace(source, stop=None, start="committed", group="walkers")
    pipeline = Pipeline(source).apply("bright", Bright()).write("out", sink)
    for first in (0, N_IMAGES):
        broker.produce(str(source.topics), pictures(first=first))
        stop = partial(has_sent, broker, sink, first + N_IMAGES - 2)
        summary = run(pipeline, RunSettings(checkpoint_interval_ms=200), stop=stop)
        assert summary.has_ended
        assert summary.ledger.read == N_IMAGES
    assert numbers(broker, sink) == [n for n in range(2 * N_IMAGES) if n not in (7, 8)]


def has_sent(broker: Broker, sink: KafkaEvents, n_results: int) -> bool:
    return len(found(broker, sink.topic)) >= n_results


def test_a_stream_that_is_stopped_with_a_state_ends_no_track(broker, tmp_path):
    source, sink = topics_of(broker)
    source = replace(source, stop=None)
    pipeline = Pipeline(source).apply("blocks", FindBlocks()).apply("track", Track())
    pipeline = pipeline.write("out", sink)
    state = tmp_path / "state"
    ids = list[set[int]]()
    for first in (0, N_IMAGES):
        broker.produce(str(source.topics), pictures(first=first))
        n_all = N_IMAGES - 2 + first
        summary = run(
            pipeline,
            RunSettings(**keeping(state)),
            stop=partial(has_sent, broker, sink, n_all),
        )
        assert not summary.has_ended
        rows = found(broker, sink.topic)[-10:]
        ids.append({track["track_id"] for row in rows for track in row["tracks"]})
    assert summary.ledger.read == 2 * N_IMAGES
    assert ids[0] == ids[1] != set()


def test_images_that_are_too_old_are_skipped_and_counted(broker, tmp_path):
    source, _ = topics_of(broker)
    now_ms = int(time.time() * 1000)
    old = [{**record, "timestamp": now_ms - 3_600_000} for record in pictures(10, first=20)]
    new = [{**record, "timestamp": now_ms} for record in pictures(10, first=40)]
    broker.produce(str(source.topics), [*old, *new])
    lines = tmp_path / "out.jsonl"
    pipeline = Pipeline(replace(source, max_age_ms=600_000)).apply("bright", Bright())
    summary = run(pipeline.write("out", JsonLines(str(lines))), RunSettings())
    assert (summary.ledger.read, summary.ledger.skipped) == (20, 10)
    rows = [json.loads(line) for line in Path(lines).read_text().splitlines()]
    assert sorted(int(row["metadata"]["number"]) for row in rows) == list(range(40, 50))


def within(seconds: float) -> Any:
    """Return what ends a run that goes on for too long."""
    deadline = time.monotonic() + seconds

    def look(ledger: Any, n_images: int | None) -> None:
        assert time.monotonic() < deadline, f"it goes on, {ledger}"

    return look


def test_a_stream_that_python_reads_ends_once_all_its_messages_are_there(broker, tmp_path):
    _, sink = topics_of(broker)
    pipeline = (
        Pipeline(Offered(40))
        .apply("count", Count())
        .write("lines", JsonLines(str(tmp_path / "lines.jsonl")))
        .write("out", sink)
    )
    summary = run(pipeline, RunSettings(checkpoint_interval_ms=500), on_progress=within(60))
    assert summary.has_ended
    lines = (tmp_path / "lines.jsonl").read_text().splitlines()
    assert sorted(row["sequence"] for row in found(broker, sink.topic)) == list(range(40))
    assert len(lines) == 40


@pytest.mark.parametrize("listed", [False, True])
def test_a_job_with_a_table_ends_when_all_is_read(listed, broker, tmp_path):
    source, sink = topics_of(broker)
    broker.produce(str(source.topics), pictures(20, first=20))
    add_words(tmp_path / "words.jsonl", cat="Katze")
    images = Directory(str(fill_folder(tmp_path / "photos", 20))) if listed else source
    pipeline = Pipeline(images).apply("look", LookUp(Words(str(tmp_path / "words.jsonl"))))
    settings = RunSettings(checkpoint_interval_ms=500)
    summary = run(pipeline.write("out", sink), settings, on_progress=within(60))
    assert summary.has_ended
    assert len(found(broker, sink.topic)) == summary.ledger.recognised >= 20


def test_a_run_is_not_over_before_its_last_messages_are_sent_for_good(broker, tmp_path):
    source, sink = topics_of(broker)
    pipeline = Pipeline(source).write("out", sink)
    settings = RunSettings(state_dir=str(tmp_path / "state"))
    with run_directory(pipeline, settings) as directory:
        directory.note(Work(), started=0.0)
        told = Progress(next_chunk=7, n_chunks=7, n_images=7)
        directory.files.progress.write_bytes(told.encode())
        assert not directory.is_complete
        directory.note_settled()
        assert directory.is_complete
