"""A live stream stays live: no more of it is on the way than the workers need."""

import threading

import pytest
from tests.pictures import draw_video
from tests.steps import Old
from tests.streams import Offered

from sightflow import JsonLines, Live, Pipeline, RunSettings, run
from sightflow.flink.credits import Rationed, credits_of
from sightflow.testing import a_context


def test_a_stream_waits_while_too_much_of_it_is_on_the_way(tmp_path):
    away = credits_of(tmp_path)
    stream = Rationed(Offered(5).open_stream(a_context(), None), away, 2)
    for _ in range(2):
        assert stream.poll(0.0) is not None
        away.take()
    assert stream.poll(0.01) is None

    threading.Timer(0.05, away.give).start()
    assert stream.poll(10.0) is not None


def test_a_restart_begins_with_nothing_on_the_way(tmp_path):
    away = credits_of(tmp_path)
    away.take()
    away.reset()
    away.give()
    assert away.wait(1, 0.0)
    away.take()
    assert not away.wait(1, 0.0)


def test_jobs_do_not_share_credits_and_leave_none_behind(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    away = credits_of(one)
    away.take()
    assert credits_of(one) is away
    assert credits_of(other).wait(1, 0.0)
    one.rmdir()
    credits_of(other)
    one.mkdir()
    assert credits_of(one) is not away


@pytest.mark.flink
def test_what_a_slow_machine_recognises_is_recent(tmp_path):
    video = draw_video(tmp_path / "clip.mp4", 100)
    pipeline = (
        Pipeline(Live(str(video)))
        .apply("old", Old(max_age_s=1.0, delay_s=0.25))
        .write("out", JsonLines(str(tmp_path / "out.jsonl")))
    )
    ledger = run(pipeline, RunSettings(workers=2)).ledger
    assert ledger.read == 100
    assert ledger.rejected == 0
    assert ledger.skipped >= 50
    assert ledger.recognised >= 15
