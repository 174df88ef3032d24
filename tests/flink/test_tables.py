"""Tables on Flink: all workers know them, and they are after a restart what they were before."""

import json
import threading
import time

import pytest
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.pictures import fill_folder
from tests.steps import FailOnce
from tests.tables import LookUp, Words, add_words

from sightflow import Directory, JsonEvents, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError

pytestmark = pytest.mark.flink

N_IMAGES = 300


@pytest.fixture
def photos(tmp_path):
    return fill_folder(tmp_path / "photos", N_IMAGES)


def a_pipeline(photos, words, out, *steps, delay_s=0.0):
    pipeline = Pipeline(Directory(str(photos), pattern="*.jpg"))
    for i, step in enumerate(steps):
        pipeline = pipeline.apply(f"step {i}", step)
    return (
        pipeline.apply("look up", LookUp(Words(str(words)), delay_s))
        .write("results", JsonLines(str(out / "results.jsonl")))
        .write("events", JsonEvents(str(out / "events.jsonl")))
    )


def known(out):
    """Return for each image, in order, the version of the table and how many words it had."""
    rows = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    return [(int(row["model_version"]), row["measures"][0]["value"]) for row in rows]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_image_is_looked_at_before_the_table_is_complete(photos, workers, tmp_path):
    words = tmp_path / "words"
    add_words(words, **{f"k{i}": "word" for i in range(2_000)})
    add_words(words, k7=None)

    run(a_pipeline(photos, words, tmp_path), RunSettings(workers=workers))

    assert set(known(tmp_path)) == {(words.stat().st_size, 1_999)}
    assert (tmp_path / "events.jsonl").read_text() == "", "what was there at first is no news"


def test_workers_without_work_take_nothing_from_those_with_some(tmp_path):
    """They end at once, again and again before others have begun."""
    words = tmp_path / "words"
    add_words(words, a="x")
    photos = fill_folder(tmp_path / "one", 1)
    for i in range(5):
        out = tmp_path / str(i)
        out.mkdir()
        run(a_pipeline(photos, words, out), RunSettings(workers=4))
        assert [n for _, n in known(out)] == [1]


def test_a_table_that_fails_ends_the_job_soon_although_workers_wait_for_it(photos, tmp_path):
    started = time.monotonic()
    with pytest.raises(JobError, match="nowhere"):
        run(a_pipeline(photos, tmp_path / "nowhere", tmp_path), RunSettings(restart_attempts=0))
    assert time.monotonic() - started < 60


def when_read(n_images, act):
    """Return a callback that does something once when so many images are done."""
    done = threading.Event()

    def on_progress(ledger, _):
        if ledger.read >= n_images and not done.is_set():
            done.set()
            act()

    return on_progress


def test_all_workers_learn_of_a_change_while_they_work(photos, tmp_path):
    words = tmp_path / "words"
    gone = "abcdefg"
    add_words(words, **dict.fromkeys(gone, "x"), z="y")
    before = words.stat().st_size

    run(
        a_pipeline(photos, words, tmp_path, delay_s=0.01),
        RunSettings(workers=2, batch_size=4),
        on_progress=when_read(40, lambda: add_words(words, **dict.fromkeys(gone))),
    )

    found = known(tmp_path)
    assert found[0] == (before, 8)
    assert found[-1] == found[-2] == (words.stat().st_size, 1)
    versions = [version for version, _ in found]
    assert all(n == 8 for version, n in found if version == before)
    assert {1} == {n for version, n in found if version == max(versions)}
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [event["reason"] for event in events] == list(gone), "each once, in order"


def test_after_a_failure_the_table_is_that_of_the_checkpoint(photos, tmp_path):
    words = tmp_path / "words"
    add_words(words, a="x", b="y")
    name = sorted(path.name for path in photos.glob("*.jpg"))[200]
    failing = FailOnce(name, str(tmp_path / "failed"), delay_s=0.005)

    run(
        a_pipeline(photos, words, tmp_path, failing),
        RunSettings(workers=2, checkpoint_interval_ms=100, restart_attempts=1, batch_size=4),
        on_progress=when_read(40, lambda: add_words(words, c="z", a=None)),
    )

    assert (tmp_path / "failed").exists()
    found = known(tmp_path)
    assert found[-1] == (words.stat().st_size, 2)
    assert len(found) == N_IMAGES


@pytest.mark.parametrize("workers", [1, 3])
def test_a_job_that_was_killed_knows_what_it_knew(photos, workers, tmp_path):
    """The lines that were read are blank when it goes on: it has them from its checkpoint."""
    words, state = tmp_path / "words", tmp_path / "state"
    add_words(words, a="x", b="y", c="z", d="w")
    add_words(words, b=None)
    pipeline = a_pipeline(photos, words, tmp_path, delay_s=0.01)

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, batch_size=4, **keeping(state)))
    killer.join()
    size = words.stat().st_size
    words.write_bytes(b" " * (size - 1) + b"\n")
    add_words(words, e="v")

    run(pipeline, RunSettings(workers=workers, batch_size=4, **keeping(state)))

    found = known(tmp_path)
    assert found[0] == (size, 3)
    assert found[-1] == (words.stat().st_size, 4)
    assert {n for _, n in found} == {3, 4}
