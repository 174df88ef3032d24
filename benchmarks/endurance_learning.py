"""Do state and memory stay flat while a network learns for long?

    make bench-endurance_learning ARGS="DATA"
    make bench-endurance_learning ARGS="DATA --passes 10"

DATA is a folder with `gtsrb/train.zip`, a folder for each class; it is not part of the project. A
small convolutional network with a replay memory learns from pass after pass, with a checkpoint a
second. Once a second: the resident memory of each process, and the size of the newest checkpoint.

Needs PyTorch: make setup-train.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench import HERE, machine, write_report
from endurance import state_bytes
from memory import ROLES, growth, plot, watch

JOB = """
from sightflow import Directory, JsonEvents, Pipeline, RunSettings, run
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.samples import Replay
from sightflow.learn.torch_networks import ConvNet
from sightflow.learn.train import Train
from sightflow.sources.labelled import Labelled
from sightflow.sources.passes import Passes
images = Labelled(Directory({data!r}))
pipeline = (
    Pipeline(Passes(images, n_passes={passes}))
    .apply("train", Train(network=ConvNet(width=12), replay=Replay(batches=1, size=3_000)))
    .apply("evaluate", Evaluate())
    .write("events", JsonEvents({events!r}))
)
run(pipeline, RunSettings(state_dir={state!r}, checkpoint_interval_ms=1_000, batch_size=32))
"""


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--passes", type=int, default=100, help="over the images [100]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "endurance-learning.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        state, events = Path(scratch, "state"), Path(scratch, "events.jsonl")
        places = {
            "data": str(arguments.data / "gtsrb" / "train.zip"),
            "passes": arguments.passes,
            "events": str(events),
            "state": str(state),
        }
        code = JOB.format(**places)
        samples = watch([sys.executable, "-c", code], lambda: state_bytes(state))
        told = [json.loads(line) for line in events.read_text().splitlines()]
    last = [event["figures"] for event in told if event["kind"] == "trained"][-1]
    report = {
        "machine": machine(),
        "passes": arguments.passes,
        "seconds": round(samples[-1]["s"]),
        "steps": last["step"],
        "n_samples": last["n_samples"],
        "memory": {role: growth(samples, role) for role in (*ROLES, "state_kib")},
    }
    print(json.dumps(report, indent=2))
    write_report(arguments.out, {**report, "samples": samples})
    title = f"Learning from {last['n_samples']:,.0f} images"
    plot(arguments.out.with_suffix(".png"), samples, title, state=True)


if __name__ == "__main__":
    main()
