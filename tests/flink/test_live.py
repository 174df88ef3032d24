"""A camera through the command and Flink: followed until Ctrl-C, and over a lost connection."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.rtsp_server import Camera

from sightflow.records import RESULT_SCHEMA

pytestmark = pytest.mark.flink


def test_a_camera_is_followed_until_ctrl_c_and_over_a_lost_connection(tmp_path):
    out = tmp_path / "tracks.jsonl"
    command = [str(Path(sys.executable).parent / "sightflow"), "track"]
    with Camera() as camera:
        process = subprocess.Popen(
            [*command, camera.url(), "--out", str(out), "--events", str(tmp_path / "events.jsonl")],
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        _wait_for_lines(tmp_path, 20)
        camera.unplug()
        time.sleep(0.3)
        camera.plug_in()
        _wait_for_lines(tmp_path, _lines(tmp_path) + 20)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all, Java too
        _, stderr = process.communicate(timeout=60)

    assert process.returncode == 0, stderr
    assert "connecting again" in stderr, "it is told that the camera is gone"
    assert "pictures come again" in stderr
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    summary = json.loads((tmp_path / "tracks.summary.json").read_text())
    assert len(rows) == summary["recognised"] >= 40
    assert summary["read"] == sum(summary[k] for k in ("recognised", "rejected", "skipped"))
    numbers = [row["sequence"] for row in rows]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] < summary["read"]
    assert all(row["tracks"] is not None for row in rows)
    assert {row["source_id"] for row in rows} == {camera.url()}
    assert set(rows[0]) <= set(RESULT_SCHEMA.names)


def test_a_camera_that_is_not_there_is_told_and_waited_for(tmp_path, free_port):
    command = [str(Path(sys.executable).parent / "sightflow"), "track"]
    url = f"rtsp://127.0.0.1:{free_port}/live"
    process = subprocess.Popen(
        [*command, url, "--out", str(tmp_path / "tracks.jsonl")],
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    rest = process.communicate(timeout=60)[1]

    assert "no pictures" in first
    assert url in first
    assert "nothing was read" in rest
    assert process.returncode == 0
    assert (tmp_path / "tracks.jsonl").read_bytes() == b""


def _lines(folder: Path) -> int:
    staged = folder / ".tracks.jsonl.partial"
    return staged.read_bytes().count(b"\n") if staged.exists() else 0


def _wait_for_lines(folder: Path, n_lines: int) -> None:
    deadline = time.monotonic() + 60
    while _lines(folder) < n_lines:
        assert time.monotonic() < deadline, os.listdir(folder)
        time.sleep(0.05)
