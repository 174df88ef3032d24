"""Is a training that dies again and again the one that nobody disturbed, to the last bit?

    make bench-faults ARGS="DATA"
    make bench-faults ARGS="DATA --kills 20 --seed 1"
    make bench-faults ARGS="DATA --kills 2 --weights-mib 98 --out FILE"

DATA is a folder with `gtsrb/train.zip`; it is not part of the project. A small convolutional
network (dropout, batch norms, averaged weights, replay memory, augmentation) learns from some of it
in two passes and publishes versions. In each run two things happen at random moments: a worker
fails, after which Flink goes on from its last checkpoint; and Java with its TaskManager
is killed with SIGKILL, after which the call is repeated with another number of workers. At the
end the sha256 of all published versions, and all results and events, must be those of the
undisturbed run.

With `--weights-mib` a head with that much of weights learns instead: its state is four times as
large, and how large the last checkpoint was is told.

Needs PyTorch: make setup-train.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from bench import HERE, machine, write_report
from endurance import state_bytes
from sightflow import Directory, JsonEvents, JsonLines, Pipeline, RunSettings, run
from sightflow.errors import JobError
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.head import Head
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.samples import Replay
from sightflow.learn.torch_networks import ConvNet
from sightflow.learn.train import Train
from sightflow.models import Registry
from sightflow.ops.augment import Augment
from sightflow.protocols import Context, Process
from sightflow.records import ImageRecord
from sightflow.records.ledger import Ledger
from sightflow.sources.labelled import Labelled
from sightflow.sources.passes import Passes

CLASSES = ("00", "07", "14", "21", "35")
N_FEATURES = 1_280
"""Of the network that ships."""


def convolutions() -> Train:
    """Return the training of a small network."""
    return Train(
        CLASSES,
        network=ConvNet(width=8, dropout=0.2),
        batch_size=16,
        replay=Replay(batches=4, size=300),
        augment=Augment(rotation_deg=10, shift=0.1, brightness=0.2),
        report_every=10,
    )


def large_head(mib: int) -> Train:
    """Return the training of a head with so much of weights, on features."""
    hidden = (mib << 20) // 4 // (N_FEATURES + len(CLASSES) + 1)
    return Train(CLASSES, network=Head(hidden=hidden), batch_size=64, report_every=10)


@dataclass(frozen=True)
class Trip:
    """Fails once, at an image."""

    name: str
    flag: str

    def check(self) -> None:
        """Accept everything."""

    def scale_for(self, width: int, height: int) -> float:
        """Return 1."""
        return 1.0

    def open(self, context: Context) -> Process:
        """Return a function that fails once."""

        def process(records: Sequence[ImageRecord]) -> Sequence[ImageRecord]:
            here = any(record.origin.name == self.name for record in records)
            if here and not Path(self.flag).exists():
                Path(self.flag).touch()
                raise ConnectionError("the failure of this benchmark")
            return records

        return process


def source_of(data: Path) -> Passes:
    """Return two passes over the images of the classes."""
    paths = tuple(f"zip://train/{label}::{data / 'gtsrb' / 'train.zip'}" for label in CLASSES)
    return Passes(Labelled(Directory(paths)), hold_out=0.1, n_passes=2, test_every=1)


def training(source: Passes, how: Train, folder: Path, trip: str) -> Pipeline:
    """Return the pipeline; a worker fails at the image `trip`."""
    train = replace(
        how,
        optimiser=Optimiser(rate=0.002, averaging=0.98),
        publish=Publish(str(folder / "models"), "signs", every_steps=100),
    )
    return (
        Pipeline(source, name="faults")
        .apply("trip", Trip(trip, str(folder / "tripped")))
        .apply("train", train)
        .apply("evaluate", Evaluate(CLASSES, every=100))
        .write("results", JsonLines(str(folder / "results.jsonl")))
        .write("events", JsonEvents(str(folder / "events.jsonl")))
    )


def digest(folder: Path) -> dict[str, str]:
    """Return sums of what came of it: weights, models, results and events."""
    versions = Registry(str(folder / "models")).versions("signs")
    found = {f"version {v.number}": v.sha256["weights.safetensors"] for v in versions}
    found |= {f"model {v.number}": v.sha256["model.onnx"] for v in versions}
    for name in ("results.jsonl", "events.jsonl"):
        data = (folder / name).read_bytes().replace(str(folder).encode(), b"")
        found[name] = hashlib.sha256(data).hexdigest()
    return found


def kill_java(after_s: float, is_over: threading.Event) -> threading.Thread:
    """Kill Java once a job has run for so long, if it is not over then."""

    def wait_and_kill() -> None:
        if is_over.wait(after_s):
            return
        for process in psutil.Process().children(recursive=True):
            if "java" in process.name():
                os.kill(process.pid, signal.SIGKILL)

    thread = threading.Thread(target=wait_and_kill)
    thread.start()
    return thread


def go_on(pipeline: Pipeline, settings: RunSettings) -> float | None:
    """Repeat the call; return after how many seconds the first result was there."""
    started = time.monotonic()
    first_at = list[float]()

    def note(ledger: Ledger, n_images: int | None) -> None:
        if ledger.read and not first_at:
            first_at.append(round(time.monotonic() - started, 2))

    run(pipeline, settings, on_progress=note)
    return first_at[0] if first_at else None


def disturbed(
    source: Passes,
    how: Train,
    folder: Path,
    rng: random.Random,
    seconds: float,
    names: Sequence[str],
) -> dict[str, Any]:
    """Run with a failure and a kill at random moments; return what happened."""
    trip, kill_after = rng.choice(names), rng.uniform(0.2, 0.9) * seconds
    pipeline = training(source, how, folder, trip)
    state = folder / "state"

    def settings(workers: int) -> RunSettings:
        return RunSettings(
            workers=workers,
            batch_size=8,
            checkpoint_interval_ms=500,
            restart_attempts=3,
            state_dir=str(state),
        )

    workers = [rng.choice((1, 2, 3)) for _ in range(2)]
    is_over = threading.Event()
    killer = kill_java(kill_after, is_over)
    killed, again_after_s, state_kib = False, None, None
    try:
        run(pipeline, settings(workers[0]))
        is_over.set()
    except JobError as error:
        if "is gone" not in str(error):
            raise
        killed, state_kib = True, state_bytes(state).get("state_kib")
        again_after_s = go_on(pipeline, settings(workers[1]))
    killer.join()
    return {
        "failed_at": trip,
        "worker_failed": (folder / "tripped").exists(),
        "killed_after_s": round(kill_after, 2),
        "java_killed": killed,
        "again_after_s": again_after_s,
        "state_kib": state_kib,
        "workers": workers,
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights-mib", type=int, help="a head with so much of weights")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "faults-training.json")
    arguments = parser.parse_args()
    source, rng = source_of(arguments.data), random.Random(arguments.seed)
    how = large_head(mib) if (mib := arguments.weights_mib) else convolutions()
    names = [claim.origin.name for claim in source.claims()]
    report: dict[str, Any] = {"machine": machine(), "images": len(names), "runs": []}
    report["weights_mib"] = mib
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("warm-up", "undisturbed"):  # the first loads PyTorch and starts Java
            folder = Path(scratch, name)
            folder.mkdir()
            started = time.monotonic()
            run(training(source, how, folder, ""), RunSettings(batch_size=8, workers=2))
            seconds = time.monotonic() - started
        expected = digest(folder)
        report |= {"undisturbed_s": round(seconds, 1), "sums": expected}
        print(f"undisturbed: {seconds:.1f} s, {len(expected)} sums", flush=True)
        n_kills = number = 0
        while n_kills < arguments.kills:
            folder = Path(scratch, f"run{number}")
            folder.mkdir()
            row = disturbed(source, how, folder, rng, seconds, names)
            found = digest(folder)
            row["identical"] = found == expected
            row["differing"] = [name for name in expected if found.get(name) != expected[name]]
            n_kills += row["worker_failed"] + row["java_killed"]
            number += 1
            report["runs"].append(row)
            report |= {
                "kills": n_kills,
                "all_identical": all(r["identical"] for r in report["runs"]),
            }
            write_report(arguments.out, report)
            print(json.dumps(row), flush=True)
    print(f"{n_kills} kills in {number} runs; all identical: {report['all_identical']}")
    sys.exit(0 if report["all_identical"] else 1)


if __name__ == "__main__":
    main()
