"""Runs whose results appear while they go on."""

import json
import time
from pathlib import Path

import pytest
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.pictures import fill_folder
from tests.steps import Bright, FailOnce, FindBlocks, Slow
from tests.streams import Offered

from sightflow import Directory, JsonLines, Pipeline, RunSettings, Track, run
from sightflow.errors import JobError
from sightflow.sinks.dataset import Dataset

pytestmark = pytest.mark.flink

N_IMAGES = 400


def recognised(folder: Path, *, n_images: int = N_IMAGES, interval_s: float = 0.01) -> Pipeline:
    source = Offered(n_images, interval_s=interval_s, broken=(7,))
    pipeline = Pipeline(source).apply("bright", Bright())
    return pipeline.write("out", Dataset(str(folder / "out"), format="jsonl"))


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines()


def shown(folder: Path) -> list[int]:
    """Return the numbers of the images whose results anybody can see."""
    parts = sorted((folder / "out" / "results").glob("part-*.jsonl"))
    return [json.loads(line)["sequence"] for part in parts for line in lines_of(part)]


def test_results_appear_while_the_run_goes_on(tmp_path):
    seen = list[int]()

    def look(ledger, n_images):
        seen.append(len(shown(tmp_path)))

    settings = RunSettings(checkpoint_interval_ms=200)
    run(recognised(tmp_path), settings, on_progress=look)

    assert len(set(seen)) > 5, "they appear in parts"
    assert shown(tmp_path) == [n for n in range(N_IMAGES) if n != 7]
    (gone,) = (tmp_path / "out" / "rejected").iterdir()
    assert json.loads(gone.read_text())["step"] == "decode"
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["read"] == N_IMAGES


def test_each_result_appears_once_when_java_is_killed(tmp_path):
    state = tmp_path / "state"
    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(recognised(tmp_path), RunSettings(**keeping(state)))
    killer.join()
    assert 0 < len(shown(tmp_path)) < N_IMAGES - 1

    run(recognised(tmp_path), RunSettings(**keeping(state)))

    assert shown(tmp_path) == [n for n in range(N_IMAGES) if n != 7]
    assert not state.exists()


def test_each_result_appears_once_when_a_step_fails(tmp_path):
    photos = fill_folder(tmp_path / "photos", 120)
    pipeline = (
        Pipeline(Directory(str(photos)))
        .apply("slow", Slow(0.01))
        .apply("fail", FailOnce("0090.jpg", str(tmp_path / "failed")))
        .apply("blocks", FindBlocks())
        .apply("track", Track())
        .write("out", Dataset(str(tmp_path / "out"), format="jsonl"))
        .write("lines", JsonLines(str(tmp_path / "lines.jsonl")))
    )
    run(pipeline, RunSettings(checkpoint_interval_ms=100, restart_attempts=1))

    assert (tmp_path / "failed").exists()
    lines = [json.loads(line)["sequence"] for line in lines_of(tmp_path / "lines.jsonl")]
    assert shown(tmp_path) == lines
    assert len(list((tmp_path / "out" / "results").iterdir())) > 1, "in parts"


def test_a_run_that_is_stopped_goes_on_with_the_next_call(tmp_path):
    state = tmp_path / "state"

    def stop() -> bool:
        return len(shown(tmp_path)) > 100

    first = run(recognised(tmp_path), RunSettings(**keeping(state)), stop=stop)

    assert not first.has_ended
    assert 100 < first.ledger.read < N_IMAGES
    n_shown = len(shown(tmp_path))
    assert n_shown == first.ledger.recognised, "what was counted has appeared"

    second = run(recognised(tmp_path), RunSettings(**keeping(state)))

    assert second.has_ended
    assert second.ledger.read == N_IMAGES
    assert shown(tmp_path) == [n for n in range(N_IMAGES) if n != 7]
    assert not state.exists()


def test_a_run_without_a_state_ends_where_it_is_stopped(tmp_path):
    started = time.monotonic()

    def stop() -> bool:
        return len(shown(tmp_path)) > 50

    pipeline = recognised(tmp_path, n_images=10_000)
    summary = run(pipeline, RunSettings(checkpoint_interval_ms=100), stop=stop)

    assert summary.has_ended
    assert shown(tmp_path) == [n for n in range(summary.ledger.read) if n != 7]
    assert time.monotonic() - started < 60
