"""The campaigns of `benchmarks/`, in short: what they count and measure is there and right."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.kafka import Broker

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.flink


def measured(name: str, out: Path, *options: str) -> dict[str, Any]:
    """Return the report of a benchmark."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), *options, "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    report: dict[str, Any] = json.loads(out.read_text())
    return report


@pytest.mark.parametrize(("stream", "kind"), [("kafka", "taskmanager"), ("folder", "jobmanager")])
def test_every_image_is_in_the_output_once_though_a_part_of_the_cluster_is_killed(
    stream: str, kind: str, tmp_path: Path, broker: Broker
) -> None:
    what = ("--stream", stream, "--kind", kind, "--kills", "1", "--orphans-after-s", "0")
    told = measured("survival.py", tmp_path / "report.json", *what)["streams"][stream][kind]
    assert told["kills"] == 1
    assert told["once"] == told["images"] > 10
    assert (told["missing"], told["more_than_once"], told["orphans"]) == (0, 0, [])
    assert told["ledger_agrees"]


def test_kafka_is_measured(tmp_path: Path, broker: Broker) -> None:
    report = measured("kafka.py", tmp_path / "report.json", "--images", "60", "--seconds", "2")
    assert set(report["throughput"]["beside_plain"]) == {"plain", "exactly-once", "at-least-once"}
    assert report["throughput"]["images"] == 60
    assert report["latency"]["exactly-once"]["latency_ms"]["p50"] > 0
