"""A folder is watched through Flink while files arrive and Java is killed: each file once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.flink.kills import in_the_middle, keeping, kill_java
from tests.s3_server import BUCKET, store
from tests.steps import Bright, Count, Slow

from sightflow import JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError
from sightflow.sources.newest import Newest
from sightflow.sources.watched import Watched
from sightflow.testing import draw_scene, encode_image

pytestmark = pytest.mark.flink

N_FILES = 500
PICTURE = encode_image(draw_scene(48, 32))


class Writer(threading.Thread):
    """Fills a folder as cameras do: renamed into it, written into it, one broken."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder
        self.written: list[str] = []

    def run(self) -> None:
        for number in range(N_FILES):
            path = self._folder / ("gate" if number % 3 else ".") / f"{number:04d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            data = PICTURE[:500] if number == 77 else PICTURE
            if number % 2:
                path.with_suffix(".part").write_bytes(data)
                path.with_suffix(".part").rename(path)
            else:
                path.write_bytes(data)
            time.sleep(0.012)


@pytest.mark.parametrize("policy", ["wait", "skip", "newest"])
def test_each_file_once_although_java_is_killed_while_files_arrive(policy, tmp_path):
    folder, state = tmp_path / "in", tmp_path / "state"
    folder.mkdir()
    options = {"every_s": 0.05, "settle_ms": 200.0, "idle_s": 2.0, "by_folder": True}
    source = Watched(str(folder), when_behind="skip" if policy == "skip" else "wait", **options)
    pipeline = Pipeline(Newest(source) if policy == "newest" else source)
    if policy != "wait":
        pipeline = pipeline.apply("slow", Slow(0.03))
    out = tmp_path / "out.jsonl"
    pipeline = pipeline.apply("bright", Bright()).apply("count", Count())
    pipeline = pipeline.write("out", JsonLines(str(out)))

    writer = Writer(folder)
    writer.start()
    killer = in_the_middle(state, kill_java)
    with pytest.raises(JobError, match="is gone"):
        run(pipeline, RunSettings(**keeping(state)))
    killer.join()
    ledger = run(pipeline, RunSettings(workers=3, **keeping(state))).ledger
    writer.join()

    rows = [json.loads(line) for line in out.read_text().splitlines()]
    told = out.with_suffix(".rejected.jsonl").read_text()
    rejected = [json.loads(line) for line in told.splitlines()]
    names = [Path(row["uri"]).name for row in rows + rejected]
    assert ledger.read == N_FILES == ledger.recognised + ledger.rejected + ledger.skipped
    assert len(set(names)) == len(names) == ledger.recognised + ledger.rejected
    for source_id in {row["source_id"] for row in rows}:
        numbers = [row["sequence"] for row in rows if row["source_id"] == source_id]
        assert numbers == sorted(set(numbers))
    if policy == "wait":
        assert sorted(names) == [f"{i:04d}.jpg" for i in range(N_FILES)]
        assert [row["reason"] for row in rejected] == ["corrupt"]
    else:
        assert ledger.skipped > 0


def test_a_bucket_is_watched_over_a_restart(tmp_path):
    """Through the command, which finds the store and its keys in its environment."""
    out, state = tmp_path / "out.jsonl", tmp_path / "state"
    (tmp_path / "job.yaml").write_text(
        f"source: {{kind: Watched, path: 's3://{BUCKET}/in', every_s: 0.2, idle_s: 3}}\n"
        f"steps: [{{name: bright, kind: 'tests.steps:Bright'}}]\n"
        f"sinks: [{{name: out, kind: JsonLines, path: {out}}}]\n"
        f"run: {{checkpoint_interval_ms: 100, state_dir: {state}, workers: 2}}\n"
    )
    command = [str(Path(sys.executable).parent / "sightflow"), "run", str(tmp_path / "job.yaml")]
    root = Path(__file__).resolve().parents[2]
    with store() as bucket:
        environment = {**os.environ, "PYTHONPATH": str(root)}
        for i in range(60):
            bucket.put(f"in/{i:03d}.jpg", PICTURE)

        def fill() -> None:
            for i in range(60, 240):
                bucket.put(f"in/{i:03d}.jpg", PICTURE)
                time.sleep(0.02)

        process = subprocess.Popen(command, env=environment, start_new_session=True)
        writer = threading.Thread(target=fill)
        writer.start()
        in_the_middle(state, lambda: os.killpg(process.pid, signal.SIGKILL)).join()
        assert process.wait(60) == -signal.SIGKILL
        writer.join()
        subprocess.run(command, env=environment, check=True, timeout=120)

    rows = [json.loads(line) for line in out.read_text().splitlines()]
    names = [Path(row["uri"]).name for row in rows]
    assert sorted(names) == [f"{i:03d}.jpg" for i in range(240)]
    assert {row["uri"].rpartition("/")[0] for row in rows} == {f"s3://{BUCKET}/in"}
