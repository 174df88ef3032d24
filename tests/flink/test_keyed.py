"""Tracks survive what happens to a job: a failure, its death, another parallelism."""

import json
import shutil
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.pictures import draw_video, fill_folder
from tests.steps import Count, FailOnce, FindBlocks, Slow
from tests.streams import Offered

from sightflow import (
    CountLine,
    Directory,
    JsonEvents,
    JsonLines,
    Pipeline,
    RunSettings,
    Track,
    Video,
    run,
)
from sightflow.engine.plan import Work
from sightflow.errors import JobError, OutputExistsError, PipelineError
from sightflow.flink.rundir import run_directory
from sightflow.records.ledger import Summary

pytestmark = pytest.mark.flink

N_FRAMES = 110
WORKERS = 2


def cameras(folder: Path) -> Video:
    """Return four videos of a block that moves, a frame longer each."""
    paths = [str(draw_video(folder / f"{n}.mp4", N_FRAMES + n)) for n in range(4)]
    return Video(tuple(paths), segment_frames=8)


def tracked(source: Any, folder: Path, *between: Any) -> Pipeline:
    pipeline = Pipeline(source).apply("find", FindBlocks())
    for i, step in enumerate(between):
        pipeline = pipeline.apply(f"between{i}", step)
    return (
        pipeline.apply("track", Track(max_age_ms=500))
        .apply("gate", CountLine((150, 0), (150, 240), anchor="center", window_ms=1_000))
        .write("tracks", JsonLines(str(folder / "tracks.jsonl")))
        .write("events", JsonEvents(str(folder / "events.jsonl")))
    )


def output(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("tracks.jsonl", "events.jsonl")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Video, list[bytes]]:
    """Return the source, and what comes of it inline."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = cameras(folder)
    run(tracked(source, folder), RunSettings(runner="inline"))
    tracks, events = output(folder)
    assert tracks.count(b'"track_id":1') >= 4 * (N_FRAMES - 2)
    assert events.count(b'"kind":"crossed"') == 4
    return source, [tracks, events]


def test_after_a_failure_tracks_and_ids_are_those_of_an_undisturbed_run(undisturbed, tmp_path):
    source, expected = undisturbed
    flag = tmp_path / "failed"
    failing = FailOnce("2.mp4/00000050", str(flag), delay_s=0.005)
    settings = RunSettings(workers=WORKERS, checkpoint_interval_ms=100, restart_attempts=1)

    run(tracked(source, tmp_path, failing), settings)

    assert flag.exists(), "the step has failed"
    assert output(tmp_path) == expected


@pytest.mark.parametrize("workers", [1, 3])
def test_a_job_that_was_killed_goes_on_with_any_number_of_workers(undisturbed, workers, tmp_path):
    source, expected = undisturbed
    state = tmp_path / "state"
    pipeline = tracked(source, tmp_path, Slow(0.01))

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=WORKERS, **keeping(state)))
    killer.join()
    assert not (tmp_path / "tracks.jsonl").exists()

    first_ledger = []
    summary = run(
        pipeline,
        RunSettings(workers=workers, **keeping(state)),
        on_progress=lambda ledger, n_images: first_ledger.append(ledger.read),
    )

    assert next(n for n in first_ledger if n) >= 50, "it went on from a checkpoint"
    assert summary.ledger.read == 4 * N_FRAMES + 6
    assert output(tmp_path) == expected
    assert not state.exists()


def test_a_job_goes_on_from_a_savepoint_with_more_workers(undisturbed, tmp_path, free_port):
    source, expected = undisturbed
    state = tmp_path / "state"
    pipeline = tracked(source, tmp_path, Slow(0.01))
    rest = f"http://127.0.0.1:{free_port}"

    def stop_with_savepoint() -> None:
        (job,) = _get(f"{rest}/jobs")["jobs"]
        _post(f"{rest}/jobs/{job['id']}/stop", {"drain": False})

    stopper = in_the_middle(state, stop_with_savepoint)
    settings = RunSettings(workers=WORKERS, web_ui_port=free_port, **keeping(state))
    with pytest.raises(JobError, match="ended before all was delivered"):
        run(pipeline, settings)
    stopper.join()
    (savepoint,) = (state / "savepoints").iterdir()
    for checkpoint in state.glob("checkpoints/*/chk-*/_metadata"):
        checkpoint.unlink()
    assert (savepoint / "_metadata").exists()

    run(pipeline, RunSettings(workers=4, **keeping(state)))

    assert output(tmp_path) == expected


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def _post(url: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def test_the_state_of_another_pipeline_is_refused(undisturbed, tmp_path):
    source, _ = undisturbed
    state = tmp_path / "state"
    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError):
        run(tracked(source, tmp_path, Slow(0.01)), RunSettings(**keeping(state)))
    killer.join()
    with pytest.raises(PipelineError, match="holds the state of another pipeline"):
        run(tracked(source, tmp_path), RunSettings(**keeping(state)))


@dataclass(frozen=True)
class FailingSink(JsonLines):
    """Its disk is full once, when all is done."""

    flag: str = ""

    def commit(self, summary: Summary) -> None:
        if not Path(self.flag).exists():
            Path(self.flag).touch()
            raise OSError("the disk is full")
        super().commit(summary)


@pytest.mark.parametrize("kind", ["stream", "claims"])
def test_output_that_could_not_appear_appears_when_the_run_is_repeated(kind, tmp_path):
    offered = Offered(20) if kind == "stream" else Directory(str(fill_folder(tmp_path / "p", 20)))
    failing = FailingSink(str(tmp_path / "late.jsonl"), flag=str(tmp_path / "flag"))
    pipeline = (
        Pipeline(offered)
        .apply("count", Count())
        .write("events", JsonEvents(str(tmp_path / "events.jsonl")))
        .write("late", failing)
    )
    settings = RunSettings(**keeping(tmp_path / "state"))

    with pytest.raises(OSError, match="the disk is full"):
        run(pipeline, settings)
    assert (tmp_path / "events.jsonl").exists()
    assert not (tmp_path / "late.jsonl").exists()

    summary = run(pipeline, settings)

    lines = (tmp_path / "late.jsonl").read_bytes().splitlines()
    assert len(lines) == summary.ledger.recognised == (20 if kind == "stream" else 21)
    assert not (tmp_path / "state").exists()


def test_a_stream_with_memory_that_was_killed_goes_on(tmp_path):
    state = tmp_path / "state"
    pipeline = Pipeline(Offered(400, interval_s=0.01)).apply("count", Count())

    def described(name: str) -> Pipeline:
        out = JsonLines(str(tmp_path / f"{name}.jsonl"))
        return pipeline.write("out", out).write("e", JsonEvents(str(tmp_path / f"{name}.events")))

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="is gone"):
        run(described("killed"), RunSettings(**keeping(state)))
    killer.join()
    run(described("killed"), RunSettings(workers=3, **keeping(state)))
    run(described("inline"), RunSettings(runner="inline"))

    for ending in ("jsonl", "events"):
        killed, inline = ((tmp_path / f"{n}.{ending}").read_bytes() for n in ("killed", "inline"))
        assert killed == inline
        assert inline


def test_a_folder_that_another_run_uses_is_refused_and_left_alone(tmp_path):
    state = tmp_path / "state"
    first = Pipeline(Offered(300, interval_s=0.01)).write("a", JsonLines(str(tmp_path / "a.jsonl")))
    second = Pipeline(Offered(5)).write("b", JsonLines(str(tmp_path / "b.jsonl")))
    refused = []

    def try_second(ledger, n_images):
        if ledger.read > 20 and not refused:
            with pytest.raises(OutputExistsError, match="another run uses it") as error:
                run(second, RunSettings(**keeping(state)))
            refused.append(error)

    assert run(first, RunSettings(**keeping(state)), on_progress=try_second).ledger.read == 300
    assert refused


def test_a_run_that_was_killed_before_its_first_checkpoint_starts_anew(tmp_path):
    state = tmp_path / "state"
    pipeline = Pipeline(Offered(5)).write("a", JsonLines(str(tmp_path / "a.jsonl")))
    with run_directory(pipeline, RunSettings(state_dir=str(state))) as directory:
        directory.note(Work(), 0.0)
        shutil.copytree(state, tmp_path / "killed")
    shutil.copytree(tmp_path / "killed", state)
    assert run(pipeline, RunSettings(**keeping(state))).ledger.read == 5


def test_a_folder_of_other_things_is_refused_and_kept(tmp_path):
    (tmp_path / "holiday.jpg").touch()
    pipeline = Pipeline(Directory(str(tmp_path)))
    with pytest.raises(OutputExistsError, match="holds something that is no state of a run"):
        run(pipeline, RunSettings(state_dir=str(tmp_path)))
    assert (tmp_path / "holiday.jpg").exists()
