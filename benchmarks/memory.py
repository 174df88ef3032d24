"""Does memory stay flat at full load? Resident memory of each process, once a second.

    make bench-memory                              30 minutes, or so
    make bench-memory ARGS="--images 10000"
    make bench-memory ARGS="--stream"

With `--stream` the pictures are offered as bytes, all at once, to a job that cannot keep up: what
waits must not pile up. The workers live inside the Java process, so there are two: driver and Java.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bench import HERE, line_plot, link_pictures, machine, made_pictures, write_report

ROLES = ("driver", "java")

STREAM = """
import math
from open_loop import OpenLoop
from sightflow import Classify, JsonLines, Pipeline, run
pipeline = Pipeline(OpenLoop({pictures!r}, {images}, math.inf)).apply("classify", Classify())
run(pipeline.write("results", JsonLines({results!r})))
"""


def watch(command: list[str], more: Callable[[], dict[str, Any]] = dict) -> list[dict[str, Any]]:
    """Run a command and return the resident memory of its processes, in MiB, once a second.

    Beside it stands what `more` returns.
    """
    process = subprocess.Popen(command, cwd=HERE)
    driver = psutil.Process(process.pid)
    started = time.monotonic()
    samples = []
    while process.poll() is None:
        sample: dict[str, Any] = {"s": round(time.monotonic() - started, 1), **more()}
        for member in (driver, *driver.children()):
            try:
                role = "driver" if member == driver else member.name()
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


def plot(path: Path, samples: list[dict[str, Any]], title: str, *, state: bool = False) -> None:
    """Draw the resident memory over time, and the size of the state if samples have it."""
    units = {**dict.fromkeys(ROLES, "MiB"), **({"state_kib": "KiB"} if state else {})}
    with line_plot(path, title, size=(9, 3.5)) as ax:
        for name, unit in units.items():
            seen = [sample for sample in samples if name in sample]
            label = f"{name.removesuffix('_kib')}, {unit}" if state else name
            ax.plot([s["s"] / 60 for s in seen], [s[name] for s in seen], label=label, linewidth=1)
        ax.set_ylim(bottom=0)
        ax.set_xlabel("minutes")
        ax.set_ylabel("resident memory, MiB; state, KiB" if state else "resident memory, MiB")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, help="folder of .jpg files [made ones]")
    parser.add_argument("--images", type=int, default=210_000, help="[210000]")
    parser.add_argument("--stream", action="store_true", help="offer them as a stream")
    parser.add_argument("--out", type=Path, help="[results/memory.json or memory-stream.json]")
    arguments = parser.parse_args()
    name = "memory-stream" if arguments.stream else "memory"
    out = arguments.out or HERE / "results" / f"{name}.json"
    with tempfile.TemporaryDirectory() as scratch:
        folder, results = Path(scratch, "photos"), Path(scratch, "results.jsonl")
        if arguments.stream:
            pictures = str((arguments.pictures or made_pictures()).resolve())
            values = {"pictures": pictures, "images": arguments.images, "results": str(results)}
            command = [sys.executable, "-c", STREAM.format(**values)]
        else:
            link_pictures(arguments.pictures, folder, arguments.images)
            sightflow = str(Path(sys.executable).parent / "sightflow")
            command = [sightflow, "classify", str(folder), "--out", str(results), "--quiet"]
        samples = watch(command)
        summary = json.loads(results.with_suffix(".summary.json").read_text())
    report = {
        "machine": machine(),
        "summary": summary,
        "memory": {role: growth(samples, role) for role in ROLES},
    }
    print(json.dumps(report, indent=2))
    write_report(out, {**report, "samples": samples})
    plot(out.with_suffix(".png"), samples, f"Memory over {summary['read']:,} pictures")


if __name__ == "__main__":
    main()
