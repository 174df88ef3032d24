"""How soon is a change of the world noticed, how does a network recover, and do late labels cost?

    make bench-drift ARGS="DATA"

DATA is a folder with `gtsrb`: `train.zip`, a folder for each class, and `test.zip`; it is not part
of the project. A small convolutional network with a replay memory learns from one pass over the
images. Half-way the labels of all classes are exchanged, or the camera gets dark, or blurred. Runs
in which nothing changes, each in an order of its own, count false alarms. The last two runs have
labels at once, and 1,000 images late.

Needs PyTorch: make setup-train.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from bench import HERE, line_plot, machine, write_report
from sightflow import Directory, JsonEvents, Pipeline, RunSettings, run
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.samples import Replay
from sightflow.learn.torch_networks import ConvNet
from sightflow.learn.train import Train
from sightflow.ops.augment import Augment
from sightflow.protocols import Context, Process, Read, Source
from sightflow.records import Claim, ImageRecord
from sightflow.sources.labelled import Labelled
from sightflow.sources.late import Late
from sightflow.sources.passes import Passes

EVERY = 100
LATE = 1_000


@dataclass(frozen=True)
class Exchanged:
    """A source whose labels mean something else from an image on."""

    source: Source
    labels: tuple[str, ...]
    since: int

    def claims(self) -> Iterator[Claim]:
        """List the images; from `since` on each class has the label of the next one."""
        turned = dict(zip(self.labels, self.labels[1:] + self.labels[:1], strict=True))
        for number, claim in enumerate(self.source.claims()):
            if number >= self.since and not claim.origin.held_out:
                label = turned[str(claim.origin.label)]
                claim = replace(claim, origin=replace(claim.origin, label=label))
            yield claim

    def open(self, context: Context) -> Read:
        """Return the function of the source itself."""
        return self.source.open(context)


@dataclass(frozen=True)
class Camera:
    """Pictures of a camera that gets dark or out of focus at an image of its stream."""

    kind: str
    since: int

    def check(self) -> None:
        """Accept everything."""

    def scale_for(self, width: int, height: int) -> float:
        """Return 1."""
        return 1.0

    def open(self, context: Context) -> Process:
        """Return the function that spoils pictures."""

        def spoilt(record: ImageRecord) -> ImageRecord:
            if record.origin.sequence < self.since or record.origin.held_out:
                return record
            pixels = record.pixels
            if self.kind == "dark":
                noise = np.random.default_rng(record.origin.sequence).normal(0, 4, pixels.shape)
                pixels = np.clip(pixels * 0.08 + noise, 0, 255).astype(np.uint8)
            else:
                pixels = cv2.GaussianBlur(pixels, (0, 0), 3.0)
            return replace(record, pixels=pixels)

        return lambda records: [spoilt(record) for record in records]


def learner(labels: tuple[str, ...], seed: int) -> Train:
    """Return the network and how it learns."""
    return Train(
        labels,
        network=ConvNet(),
        optimiser=Optimiser(rate=0.001, averaging=0.99),
        replay=Replay(batches=4, size=3_000),
        augment=Augment(rotation_deg=10, shift=0.1, scale=0.1, brightness=0.2, contrast=0.2),
        seed=seed,
    )


def measure(
    source: Source, train: Train, folder: Path, *before: Camera
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run; return the events `evaluated` and `drifted`, and those of tests."""
    events = folder / "events.jsonl"
    pipeline = Pipeline(source, name="drift")
    for step in before:
        pipeline = pipeline.apply("camera", step)
    pipeline = (
        pipeline.apply("train", train)
        .apply("evaluate", Evaluate(train.labels, window=300, every=EVERY))
        .write("events", JsonEvents(str(events), overwrite=True))
    )
    run(pipeline, RunSettings(batch_size=16))
    told = [json.loads(line) for line in events.read_text().splitlines()]
    return [e for e in told if e["kind"] in ("evaluated", "drifted")], [
        e for e in told if e["kind"] == "tested"
    ]


def summary(events: Sequence[dict[str, Any]], since: int | None) -> dict[str, Any]:
    """Return the alarms and the accuracy around a change."""
    alarms, curve, n = [], [], 0
    for event in events:
        figures = event["figures"]
        if event["kind"] == "evaluated":
            n = int(figures["n"])
            curve.append([n, figures["window_accuracy"]])
        else:
            alarms.append({"at": event["sequence"], **figures})
    if since is None:
        return {"curve": curve, "alarms": alarms}
    before = [accuracy for n, accuracy in curve if n <= since][-1]
    after = [(n, accuracy) for n, accuracy in curve if n > since]
    recovered = [n - since for n, accuracy in after if accuracy >= 0.9 * before and n > since + 300]
    late = [alarm["at"] - since for alarm in alarms if alarm["at"] >= since]
    return {
        "curve": curve,
        "alarms": alarms,
        "alarm_after_images": late[0] if late else None,
        "alarms_before": sum(alarm["at"] < since for alarm in alarms),
        "accuracy_before": before,
        "lowest_after": min(accuracy for _, accuracy in after),
        "nine_tenths_again_after_images": recovered[0] if recovered else None,
        "accuracy_at_the_end": after[-1][1],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--stationary", type=int, default=3, help="runs without a change [3]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "drift.json")
    arguments = parser.parse_args()
    images = Labelled(Directory(str(arguments.data / "gtsrb" / "train.zip")))
    tests = Labelled(Directory(str(arguments.data / "gtsrb" / "test.zip")))
    labels = tuple(sorted({str(claim.origin.label) for claim in images.claims()}))
    half = sum(1 for _ in images.claims()) // 2
    report: dict[str, Any] = {"machine": machine(), "change_at": half, "runs": {}}

    def note(name: str, found: dict[str, Any]) -> None:
        report["runs"][name] = found
        write_report(arguments.out, report)
        print(name, json.dumps({k: v for k, v in found.items() if k != "curve"}), flush=True)

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        changed = Exchanged(Passes(images), labels, half)
        note("labels exchanged", summary(measure(changed, learner(labels, 0), folder)[0], half))
        for kind in ("dark", "blur"):
            events, _ = measure(Passes(images), learner(labels, 0), folder, Camera(kind, half))
            note(kind, summary(events, half))
        for seed in range(arguments.stationary):
            events, _ = measure(Passes(images, seed=seed), learner(labels, seed), folder)
            note(f"stationary {seed}", summary(events, None))
        for name, source in (("at once", Passes(images, tests)), ("late", delayed(images, tests))):
            events, (test,) = measure(source, learner(labels, 0), folder)
            found = {**summary(events, None), "test_accuracy": test["figures"]["accuracy"]}
            note(f"labels {name}", found)
    with line_plot(arguments.out.with_suffix(".png"), "A change half-way", size=(9, 4)) as ax:
        for name, found in report["runs"].items():
            curve = np.array(found["curve"])
            ax.plot(curve[:, 0], 100 * curve[:, 1], label=name, linewidth=1)
        ax.axvline(half, color="grey", linewidth=1)
        ax.set_xlabel("labelled images")
        ax.set_ylabel("right in the last 300, %")


def delayed(images: Source, tests: Source) -> "Behind":
    """Return one pass with late labels, and then the tests."""
    return Behind(Late(Passes(images), LATE), tests)


@dataclass(frozen=True)
class Behind:
    """A source, and behind it images that are held out."""

    first: Source
    tests: Source

    def claims(self) -> Iterator[Claim]:
        """List both."""
        for claim in self.first.claims():
            yield replace(claim, source=(0, *claim.source))
        for claim in self.tests.claims():
            origin = replace(claim.origin, held_out=True, name=f"test/{claim.origin.name}")
            yield replace(claim, origin=origin, source=(1, *claim.source))

    def open(self, context: Context) -> Read:
        """Return a function that redeems a claim at the source it came from."""
        from sightflow.sources.union import open_all

        return open_all((self.first, self.tests), context)


if __name__ == "__main__":
    main()
