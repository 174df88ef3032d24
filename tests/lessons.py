"""Pictures to learn from: dark and bright ones, in folders named after what they are."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.networks import Thumbnails
from tests.steps import Bright

from sightflow import Directory, Pipeline
from sightflow.learn.evaluate import Evaluate
from sightflow.learn.evaluate_objects import EvaluateObjects
from sightflow.learn.optimiser import Optimiser
from sightflow.learn.publish import Publish
from sightflow.learn.samples import Replay
from sightflow.learn.train import Train
from sightflow.models import Registry
from sightflow.ops.augment import Augment
from sightflow.protocols import Operator, Source
from sightflow.sinks.events import JsonEvents
from sightflow.sinks.results import JsonLines
from sightflow.sources.annotated import Annotated
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


def annotated(folder: Path) -> Annotated:
    """Return drawn pictures with their labels, and with an object that fills most of each."""
    images, annotations = list[dict[str, object]](), list[dict[str, object]]()
    for i, path in enumerate(sorted(folder.rglob("*.png"))):
        images.append({"id": i, "file_name": f"{path.parent.name}/{path.name}"})
        box = [0, 0, 40 - i % 9, 30 - i % 7]
        annotations.append({"image_id": i, "category_id": 1, "bbox": box})
    told = {"images": images, "annotations": annotations}
    told["categories"] = [{"id": 1, "name": "image"}]
    (folder / "objects.json").write_text(json.dumps(told))
    pictures = Directory(str(folder), pattern="*.png")
    return Annotated(Labelled(pictures), str(folder / "objects.json"))


def lessons(folder: Path, n_images: int, n_passes: int = 2) -> Passes:
    """Return passes over drawn pictures, with a test after each."""
    train = draw_lessons(folder / "train", n_images, n_broken=3)
    test = draw_lessons(folder / "test", 10, seed=1)
    return Passes(
        annotated(train),
        annotated(test),
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
    for i, step in enumerate((Bright(), *before)):
        pipeline = pipeline.apply(f"before{i}", step)
    every_steps = 20 if trainers == 1 else None
    publish = Publish(str(folder / "registry"), "light", every_steps=every_steps)
    train = replace(TRAIN, publish=publish, trainers=trainers, average_every=3)
    pipeline = pipeline.apply("train", train)
    if trainers == 1:
        pipeline = pipeline.apply("evaluate", Evaluate(TRAIN.labels, window=30, every=40))
        objects = EvaluateObjects(("image",), min_iou=0.8, min_score=0.45, every=40)
        pipeline = pipeline.apply("evaluate objects", objects)
    return pipeline.write("results", JsonLines(str(folder / f"{name}.jsonl"))).write(
        "events", JsonEvents(str(folder / f"{name}.events"))
    )


def learned(folder: Path, name: str = "out") -> list[bytes]:
    """Return all that came of it: results, events, and the sums of the published versions."""
    versions = Registry(str(folder / "registry")).versions("light")
    files = [(folder / f"{name}.{ending}").read_bytes() for ending in ("jsonl", "events")]
    sums = [repr((v.number, v.sha256, v.facts.step, v.facts.metrics)).encode() for v in versions]
    return [data.replace(str(folder / "registry").encode(), b"") for data in (*files, *sums)]
