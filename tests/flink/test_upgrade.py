"""A job that was stopped goes on with another pipeline, and what it knew is found by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.flink.kills import keeping
from tests.flink.test_keyed import WORKERS, cameras
from tests.pictures import fill_folder
from tests.steps import Count, FindBlocks, Slow
from tests.streams import Offered
from tests.tables import LookUp, Words, add_words

from sightflow import (
    CountLine,
    Directory,
    JsonEvents,
    JsonLines,
    Pipeline,
    RunSettings,
    Track,
    Zone,
    run,
)
from sightflow.engine.plan import Work
from sightflow.errors import OutputExistsError, PipelineError
from sightflow.flink.rundir import run_directory
from sightflow.sinks.dataset import Dataset

pytestmark = pytest.mark.flink

LINE = CountLine((150, 0), (150, 240), anchor="center")
AREA = Zone(corners=((0, 0), (400, 0), (400, 400), (0, 400)))


class StoppedError(Exception):
    """Somebody stops the job."""


def run_until(n_read: int, pipeline: Pipeline, state: Path, **options: Any) -> None:
    """Run a pipeline and stop it behind a checkpoint at which so many images were read."""
    settings = RunSettings(**{"workers": WORKERS, **keeping(state), **options})
    seen = set[Path]()

    def stop(ledger: Any, n_images: int | None) -> None:
        there = set(state.glob("checkpoints/*/chk-*/_metadata"))
        if ledger.read < n_read:
            seen.update(there)
        elif there - seen:
            raise StoppedError

    with pytest.raises(StoppedError):
        run(pipeline, settings, on_progress=stop)


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_tracks_go_on_behind_another_detector_and_new_steps_begin(tmp_path):
    source, state = cameras(tmp_path), tmp_path / "state"
    tracks, events = JsonLines(str(tmp_path / "t.jsonl")), JsonEvents(str(tmp_path / "e.jsonl"))
    before = (
        Pipeline(source)
        .apply("find", FindBlocks())
        .apply("slow", Slow(0.01))
        .apply("track", Track(max_age_ms=500))
        .apply("gate", LINE)
        .write("gone", JsonEvents(str(tmp_path / "gone.jsonl")))
        .write("tracks", tracks)
    )
    now = (
        Pipeline(source)
        .apply("find again", FindBlocks())
        .apply("track", Track(max_age_ms=700))
        .apply("area", AREA)
        .write("tracks", tracks)
        .write("events", events)
    )
    run_until(100, before, state)

    with pytest.raises(PipelineError, match=r"state of another pipeline: .*`max_age_ms` of step"):
        run(now, RunSettings(**keeping(state)))
    with pytest.raises(PipelineError, match=r"--drop-state gate --drop-state gone"):
        run(now, RunSettings(upgrade=True, **keeping(state)))
    allowed = RunSettings(workers=3, upgrade=True, drop_state=("gate", "gone"), **keeping(state))
    summary = run(now, allowed)

    inline = Pipeline(source).apply("find", FindBlocks()).apply("track", Track(max_age_ms=500))
    inline = inline.write("tracks", JsonLines(str(tmp_path / "inline.jsonl")))
    run(inline, RunSettings(runner="inline"))
    told = [(row["uri"], row["sequence"], row["tracks"]) for row in rows(tmp_path / "t.jsonl")]
    expected = [
        (row["uri"], row["sequence"], row["tracks"]) for row in rows(tmp_path / "inline.jsonl")
    ]
    assert told == expected
    assert summary.ledger.read == len(expected)
    kinds = {(event["step"], event["kind"]) for event in rows(tmp_path / "e.jsonl")}
    assert ("area", "entered") in kinds
    assert "gate" not in {step for step, _ in kinds}
    assert not state.exists()


def test_a_stream_gets_its_first_step_with_a_state_and_loses_it_again(tmp_path):
    state, out = tmp_path / "state", JsonLines(str(tmp_path / "out.jsonl"))
    plain = Pipeline(Offered(700, interval_s=0.01)).apply("slow", Slow(0.001)).write("out", out)
    counted = plain.apply("count", Count(max_out_of_order_ms=5))
    run_until(50, plain, state)
    run_until(250, counted, state, upgrade=True)
    allowed = RunSettings(workers=3, upgrade=True, drop_state=("count",), **keeping(state))
    assert run(plain, allowed).ledger.read == 700

    found = rows(tmp_path / "out.jsonl")
    assert [row["sequence"] for row in found] == list(range(700)), "each once and in order"
    numbered = [row for row in found if row.get("model_version")]
    versions = [int(row["model_version"]) for row in numbered]
    assert versions == list(range(1, len(versions) + 1))
    assert numbered[0]["sequence"] >= 10, "some came before there was a step with a state"
    assert len(versions) >= 10
    assert not found[-1].get("model_version")


def test_another_table_is_read_from_its_beginning(tmp_path):
    state, photos = tmp_path / "state", fill_folder(tmp_path / "photos", 300)
    old, new = tmp_path / "old", tmp_path / "new"
    add_words(old, a="x", b="y")
    add_words(new, c="z")
    out = JsonLines(str(tmp_path / "out.jsonl"))

    def looking_up(words: Path) -> Pipeline:
        source = Directory(str(photos), pattern="*.jpg")
        step = LookUp(Words(str(words)), delay_s=0.01)
        return Pipeline(source).apply("look up", step).write("out", out)

    run_until(60, looking_up(old), state, batch_size=4)
    run(looking_up(new), RunSettings(batch_size=4, upgrade=True, **keeping(state)))

    known = [row["measures"][0]["value"] for row in rows(tmp_path / "out.jsonl")]
    assert len(known) == 300
    assert (known[0], known[-1]) == (2.0, 1.0)
    assert known == sorted(known, reverse=True)


def test_a_new_sink_whose_folder_holds_something_is_refused(tmp_path):
    state = tmp_path / "state"
    (tmp_path / "full" / "results").mkdir(parents=True)
    (tmp_path / "full" / "results" / "part-00000000.parquet").touch()
    before = Pipeline(Offered(10)).write("a", Dataset(str(tmp_path / "a")))
    settings = RunSettings(state_dir=str(state))
    with run_directory(before, settings) as directory:
        directory.note(Work(), started=0.0)
        checkpoint = directory.files.checkpoints / "job" / "chk-1"
        checkpoint.mkdir(parents=True)
        (checkpoint / "_metadata").touch()
    now = before.write("b", Dataset(str(tmp_path / "full")))
    settings = RunSettings(state_dir=str(state), upgrade=True)
    refused = pytest.raises(OutputExistsError, match="full: exists already")
    with refused, run_directory(now, settings):
        pass
