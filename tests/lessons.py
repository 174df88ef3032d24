"""Pictures to learn from: dark and bright ones, in folders named after what they are."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.networks import Thumbnails

from sightflow import Directory, Pipeline
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.samples import Replay
from sightflow.learn.train import Train
from sightflow.models import Registry
from sightflow.ops.augment import Augment
from sightflow.protocols import Operator, Source
from sightflow.sinks.events import JsonEvents
from sightflow.sinks.results import JsonLines
from sightflow.sources.labelled import Labelled
from sightflow.sources.passes import Passes
from sightflow.testing import encode_image

__all__ = ["draw_lessons", "learned", "lessons", "taught"]


def draw_lessons(folder: Path, n_images: int, *, n_broken: int = 0, seed: int = 0) -> Path:
    """Write pictures of 40 x 30 into `folder/dark` and `folder/light`; some cannot be read."""
    rng = np.random.default_rng(seed)
    for i in range(n_images):
        label = ("dark", "light")[i % 2]
        path = folder / label / f"{i:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        middle = 110 if label == "dark" else 146
        pixels = np.clip(rng.normal(middle, 60, (30, 40, 3)), 0, 255).astype(np.uint8)
        data = encode_image(pixels, "PNG")
        path.write_bytes(data[:60] if i < n_broken else data)
    return folder


def lessons(folder: Path, n_images: int, n_passes: int = 2) -> Passes:
    """Return passes over drawn pictures, with a test after each."""
    train = draw_lessons(folder / "train", n_images, n_broken=3)
    test = draw_lessons(folder / "test", 10, seed=1)
    return Passes(
        Labelled(Directory(str(train))),
        Labelled(Directory(str(test))),
        n_passes=n_passes,
        test_every=1,
    )


TRAIN = Train(
    ("dark", "light"),
    network=Thumbnails(),
    optimiser=Optimiser(rate=0.01, averaging=0.9),
    batch_size=6,
    replay=Replay(batches=2, size=40),
    augment=Augment(rotation_deg=10, shift=0.1, brightness=0.1, flip=True),
    kept_bytes=0,
    report_every=1,
)


def taught(
    source: Source, folder: Path, name: str = "out", *before: Operator, trainers: int = 1
) -> Pipeline:
    """Return a pipeline that learns, with files for results and events."""
    pipeline = Pipeline(source)
    for i, step in enumerate(before):
        pipeline = pipeline.apply(f"before{i}", step)
    every_steps = 20 if trainers == 1 else None
    publish = Publish(str(folder / "registry"), "light", every_steps=every_steps)
    train = replace(TRAIN, publish=publish, trainers=trainers, average_every=3)
    pipeline = pipeline.apply("train", train)
    if trainers == 1:
        pipeline = pipeline.apply("evaluate", Evaluate(TRAIN.labels, window=30, every=40))
    return pipeline.write("results", JsonLines(str(folder / f"{name}.jsonl"))).write(
        "events", JsonEvents(str(folder / f"{name}.events"))
    )


def learned(folder: Path, name: str = "out") -> list[bytes]:
    """Return all that came of it: results, events, and the sums of the published versions."""
    versions = Registry(str(folder / "registry")).versions("light")
    files = [(folder / f"{name}.{ending}").read_bytes() for ending in ("jsonl", "events")]
    sums = [repr((v.number, v.sha256, v.facts.step, v.facts.metrics)).encode() for v in versions]
    return [data.replace(str(folder / "registry").encode(), b"") for data in (*files, *sums)]
