"""Does memory stay flat over many pictures? Resident memory of each process, once a second.

    python benchmarks/memory.py PICTURES [--images 10000] [--out RESULT.json]

PICTURES is a folder; its files are linked again and again until there are enough. The workers live
inside the Java process (thread mode), so there are two processes: driver and Java.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from bench import link_pictures


def watch(command: list[str]) -> list[dict[str, Any]]:
    """Run a command and return the resident memory of its processes, in MiB, once a second."""
    process = subprocess.Popen(command)
    driver = psutil.Process(process.pid)
    started = time.monotonic()
    samples = []
    while process.poll() is None:
        sample: dict[str, Any] = {"s": round(time.monotonic() - started, 1)}
        for role, member in [("driver", driver), *(("java", c) for c in driver.children())]:
            try:
                sample[role] = round(member.memory_info().rss / 2**20, 1)
            except psutil.NoSuchProcess:
                continue
        samples.append(sample)
        time.sleep(1)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return samples


def growth(samples: list[dict[str, Any]], role: str) -> dict[str, float]:
    """Compare the second quarter of a run, after warm-up, with its last quarter."""
    values = [sample[role] for sample in samples if role in sample]
    quarter = len(values) // 4
    early, late = values[quarter : 2 * quarter], values[-quarter:-1]
    return {
        "second_quarter_mib": round(sum(early) / len(early), 1),
        "last_quarter_mib": round(sum(late) / len(late), 1),
        "peak_mib": max(values),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder, results = Path(scratch, "photos"), Path(scratch, "results.jsonl")
        link_pictures(arguments.pictures, folder, arguments.images)
        sightflow = str(Path(sys.executable).parent / "sightflow")
        samples = watch([sightflow, "classify", str(folder), "--out", str(results)])
        summary = json.loads(results.with_suffix(".summary.json").read_text())
    report = {
        "summary": summary,
        "memory": {role: growth(samples, role) for role in ("driver", "java")},
        "machine": {"cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
    }
    print(json.dumps(report, indent=2))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps({**report, "samples": samples}) + "\n")


if __name__ == "__main__":
    main()
