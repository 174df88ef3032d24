"""What is set and which cameras there are is in checkpoints, and changes while a job runs."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.rtsp_server import Camera
from tests.steps import Bright, Count
from tests.streams import Offered

from sightflow import JsonEvents, JsonLines, Live, Pipeline, RunSettings, Track, run
from sightflow.errors import JobError
from sightflow.sinks.events import JsonRejected
from sightflow.sources.cameras import Cameras
from sightflow.sources.jsoncontrol import JsonControl, add_message

pytestmark = pytest.mark.flink


def told(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_bytes().splitlines()]


def written(pipeline: Pipeline, folder: Path) -> Pipeline:
    return (
        pipeline.write("results", JsonLines(str(folder / "results.jsonl")))
        .write("events", JsonEvents(str(folder / "events.jsonl")))
        .write("rejected", JsonRejected(str(folder / "dead.jsonl")))
        .controlled_by(JsonControl(str(folder / "control.jsonl")))
    )


def send(folder: Path, **message: Any) -> None:
    add_message(folder / "control.jsonl", json.dumps(message).encode())


def stamps(row: dict[str, Any], step: str) -> list[str]:
    uses = row.get("steps", [row])
    found = [use for use in uses if use.get("model") == "settings" and use["step"] == step]
    return [use["model_version"] for use in found]


def test_what_is_set_after_a_kill_is_that_of_the_checkpoint_and_what_came_since(tmp_path):
    """The lines that were read are blank when it goes on: it has them from its checkpoint."""
    state, control = tmp_path / "state", tmp_path / "control.jsonl"
    send(tmp_path, set="bright.reject_below", value=0.1)
    add_message(control, b"no message")
    pipeline = Pipeline(Offered(400, interval_s=0.01)).apply("bright", Bright())
    pipeline = written(pipeline.apply("track", Track(max_age_ms=500)), tmp_path)

    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="the Java process that ran the job is gone"):
        run(pipeline, RunSettings(workers=2, **keeping(state)))
    killer.join()
    size = control.stat().st_size
    control.write_bytes(b" " * (size - 1) + b"\n")
    send(tmp_path, set="track.max_age_ms", value=900)
    run(pipeline, RunSettings(workers=3, **keeping(state)))

    rows, events = told(tmp_path, "results"), told(tmp_path, "events")
    dark = [n for n in range(400) if n % 256 < 26]  # brightness below 26 / 255
    assert [row["sequence"] for row in rows] == [n for n in range(400) if n not in dark]
    assert [row["reason"] for row in told(tmp_path, "dead")] == ["dark"] * len(dark)
    assert {tuple(stamps(row, "bright")) for row in rows} == {("1",)}
    followed = [stamps(row, "track") for row in rows]
    assert followed[0] == []
    assert followed[-1] == ["3"]
    assert followed == sorted(followed), "from the image on at which it was heard"
    news = [(e["kind"], e["figures"]["version"]) for e in events if "figures" in e]
    assert news == [("settings_changed", 1), ("settings_refused", 2), ("settings_changed", 3)]


def patience(seconds: float) -> Callable[[], bool]:
    """Return what ends a stream that would go on for ever because something is wrong."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def test_cameras_come_and_go_while_a_job_runs_and_over_a_kill(tmp_path):
    state, control = tmp_path / "state", tmp_path / "control.jsonl"
    with Camera(fps=25) as a, Camera(fps=25) as b:
        source = Cameras((Live(a.url(), source_id="a"),))
        pipeline = written(Pipeline(source).apply("count", Count()), tmp_path)

        def add_and_kill(ledger: Any, n_images: int | None) -> None:
            if ledger.read > 10 and not control.exists():
                send(tmp_path, camera="b", url=b.url())
            if len(b.sent) > 30 and list(state.glob("checkpoints/*/chk-*/_metadata")):
                kill_java()

        settings, too_long = RunSettings(workers=2, **keeping(state)), patience(120)
        with pytest.raises(JobError, match="is gone"):
            run(pipeline, settings, on_progress=add_and_kill, stop=too_long)
        n_before, removed_at = len(b.sent), list[float]()

        def remove(ledger: Any, n_images: int | None) -> None:
            if len(b.sent) > n_before + 30 and not removed_at:
                send(tmp_path, remove_camera="a")
                removed_at.append(time.monotonic())

        too_long = patience(120)

        def is_over() -> bool:
            return too_long() or (bool(removed_at) and time.monotonic() > removed_at[0] + 2.5)

        settings = RunSettings(workers=1, **keeping(state))
        summary = run(pipeline, settings, on_progress=remove, stop=is_over)

    rows, events = told(tmp_path, "results"), told(tmp_path, "events")
    ledger = summary.ledger
    assert ledger.read == ledger.recognised + ledger.rejected + ledger.skipped
    for name in ("a", "b"):
        mine = [row for row in rows if row["source_id"] == name]
        assert [int(row["model_version"]) for row in mine] == list(range(1, len(mine) + 1))
        numbers = [row["sequence"] for row in mine]
        assert numbers == sorted(set(numbers)), "they go on over the kill"
        assert len(mine) > 20
    last_of_a = max(i for i, row in enumerate(rows) if row["source_id"] == "a")
    assert sum(row["source_id"] == "b" for row in rows[last_of_a:]) >= 5
    ends = [event["source_id"] for event in events if event["kind"] == "over"]
    assert ends == ["a", "b"], "each once, the one that was removed first"
    kinds = [(e["source_id"], e["reason"]) for e in events if e["kind"] == "settings_changed"]
    assert kinds[0][0] == "b"
    assert kinds[-1] == ("a", "camera a removed")
