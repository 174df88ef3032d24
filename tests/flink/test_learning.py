"""A training survives what happens to its job: to the last bit, as if nothing had happened."""

import json
from dataclasses import replace

import pytest
from tests.detectors import mean_maps
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.lessons import learned, lessons, taught
from tests.pytorch import needs_torch
from tests.steps import FailOnce, Slow
from tests.streams import Offered, labelled_later

from sightflow import Pipeline, RunSettings, run
from sightflow.errors import JobError
from sightflow.learn.compose import Compose
from sightflow.learn.detection_head import DetectionHead
from sightflow.learn.publish import Publish
from sightflow.learn.train import Train
from sightflow.models import Registry
from sightflow.sinks.events import JsonEvents
from sightflow.sinks.results import JsonLines
from sightflow.sources.passes import Passes

pytestmark = pytest.mark.flink

N_IMAGES = 120


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[Passes, list[bytes]]:
    """Return the source, and what comes of it inline."""
    folder = tmp_path_factory.mktemp("undisturbed")
    source = lessons(folder / "pictures", N_IMAGES)
    run(taught(source, folder), RunSettings(runner="inline"))
    expected = learned(folder)
    events = [json.loads(line) for line in expected[1].splitlines()]
    losses = [event["figures"]["loss"] for event in events if event["kind"] == "trained"]
    assert len(losses) >= 3 * 2 * (N_IMAGES - 3) // 6
    assert losses[-1] < losses[0] / 2, "it has learned"
    assert len(expected) >= 2 + 5, "versions were published"
    maps = [event["figures"]["map"] for event in events if "map" in event["figures"]]
    assert len(maps) >= 2 * (N_IMAGES - 3) // 40 + 2, "objects were tested"
    assert 0 < max(maps) < 1
    assert {"evaluated", "tested", "mistaken"} <= {event["kind"] for event in events}
    return source, expected


def test_after_a_failure_it_learns_on_as_if_nothing_had_happened(undisturbed, tmp_path):
    source, expected = undisturbed
    flag = tmp_path / "failed"
    failing = FailOnce("pass-1/dark/0050.png", str(flag), delay_s=0.005)
    settings = RunSettings(workers=2, checkpoint_interval_ms=100, restart_attempts=1)

    run(taught(source, tmp_path, "out", failing), settings)

    assert flag.exists(), "the step has failed"
    assert learned(tmp_path) == expected


@needs_torch
def test_a_detector_learns_on_after_a_failure_as_if_nothing_had_happened(tmp_path):
    source = lessons(tmp_path / "pictures", 30)
    head = DetectionHead(mean_maps(tmp_path), width=8, depth=1, bins=8)
    train = Train(
        ("image",), network=head, batch_size=6, compose=Compose(worse=0.5), report_every=1
    )

    def taught_by(folder, *before):
        pipeline = Pipeline(source)
        for step in before:
            pipeline = pipeline.apply("before", step)
        publish = Publish(str(folder / "models"), "image")
        return (
            pipeline.apply("train", replace(train, publish=publish))
            .write("results", JsonLines(str(folder / "out.jsonl")))
            .write("events", JsonEvents(str(folder / "out.events")))
        )

    inline, flink = tmp_path / "inline", tmp_path / "flink"
    run(taught_by(inline), RunSettings(runner="inline"))
    failing = FailOnce("pass-1/dark/0010.png", str(tmp_path / "failed"), delay_s=0.005)
    settings = RunSettings(workers=2, checkpoint_interval_ms=100, restart_attempts=1)
    run(taught_by(flink, failing), settings)

    assert (tmp_path / "failed").exists(), "the step has failed"
    assert (flink / "out.jsonl").read_bytes() == (inline / "out.jsonl").read_bytes()
    one, two = (Registry(str(folder / "models")).versions("image") for folder in (inline, flink))
    assert [version.sha256 for version in one] == [version.sha256 for version in two]
    events = [json.loads(line) for line in (flink / "out.events").read_text().splitlines()]
    losses = [event["figures"]["loss"] for event in events if event["kind"] == "trained"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_training_that_was_killed_goes_on_with_any_number_of_workers(
    undisturbed, workers, tmp_path
):
    source, expected = undisturbed
    state = tmp_path / "state"
    pipeline = taught(source, tmp_path, "out", Slow(0.01))

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, **keeping(state)))
    killer.join()

    first_ledger = []
    run(
        pipeline,
        RunSettings(workers=workers, **keeping(state)),
        on_progress=lambda ledger, n_images: first_ledger.append(ledger.read),
    )

    assert next(n for n in first_ledger if n) >= 50, "it went on from a checkpoint"
    assert learned(tmp_path) == expected


def test_events_are_told_while_it_learns(undisturbed, tmp_path):
    source, (_, expected, *_) = undisturbed
    told = []
    run(taught(source, tmp_path), RunSettings(workers=2), on_event=told.append)
    assert [event["kind"] for event in told] == [
        json.loads(line)["kind"] for line in expected.splitlines()
    ]


def test_trainers_that_average_learn_the_same_as_inline_also_when_they_are_killed(tmp_path):
    source = lessons(tmp_path / "pictures", N_IMAGES)
    folders = [tmp_path / name for name in ("inline", "flink")]
    for folder in folders:
        folder.mkdir()
    run(taught(source, folders[0], trainers=3), RunSettings(runner="inline"))
    state = tmp_path / "state"
    pipeline = taught(source, folders[1], "out", Slow(0.01), trainers=3)

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, **keeping(state)))
    killer.join()
    run(pipeline, RunSettings(workers=1, **keeping(state)))

    inline, flink = (learned(folder) for folder in folders)
    assert flink[:2] == inline[:2], "what was said of each image, and what was told"
    versions = [Registry(str(folder / "registry")).versions("light") for folder in folders]
    assert [len(found) for found in versions] == [1, 1]
    assert versions[0][0].sha256 == versions[1][0].sha256
    n_samples = versions[0][0].facts.n_samples
    assert 0 <= 2 * (N_IMAGES - 3) - n_samples <= 3, "the last image alone is no batch"


def test_images_that_wait_for_their_labels_survive_a_kill(tmp_path):
    (tmp_path / "inline").mkdir()
    (tmp_path / "flink").mkdir()
    images = Offered(300)
    source = labelled_later(images, tmp_path / "labels", ("dark", "light"), n_later=60)
    run(taught(source, tmp_path / "inline"), RunSettings(runner="inline"))
    state = tmp_path / "state"
    pipeline = taught(source, tmp_path / "flink", "out", Slow(0.01))

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, **keeping(state)))
    killer.join()
    summary = run(pipeline, RunSettings(workers=1, **keeping(state)))

    assert summary.ledger.read == 300
    assert learned(tmp_path / "flink") == learned(tmp_path / "inline")
