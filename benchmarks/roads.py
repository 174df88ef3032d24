"""How well are signs and lights found in whole frames, and how fast beside a bare loop?

    make bench-roads ARGS="DATA"

DATA has `road_signs`, photos as tools/README.md says, of which those that are held out count, and
`clips`, videos of roads. Found in photos is what `Drive` with the models that ship finds, at its
own least score; stop signs are signs of which it says so, and lights count whatever they show. The
detector that knows COCO's classes, alone, stands beside it. Average precision is that of what a
step gives. Light states are what
`ClassifyTrafficLight` says of lights in photos, given their boxes. Videos are looked at by
`sightflow drive VIDEO` on embedded Flink, and by a bare loop: the same models and the same tracker
in this process, all cores for the models, without order, ledger, checkpoints and output.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import HERE, machine, write_report
from frames import batches_of
from sightflow.metrics.detection import DetectionMetrics
from sightflow.models import zoo
from sightflow.ops.decode import decode
from sightflow.protocols import Context, Inference
from sightflow.records import Detections, ImageRecord, LabelledObject, Origin
from sightflow.settings import n_cores
from sightflow.sources.annotated import Annotated
from sightflow.sources.directory import Directory
from sightflow.tasks.announce import Announce
from sightflow.tasks.detect import Detect
from sightflow.tasks.drive import Drive
from sightflow.tasks.track import Track

CLIPS = ("solidWhiteRight.mp4", "car-detection.mp4")
BATCH = 4
SIGN, LIGHT, STOP = "traffic sign", "traffic light", "stop sign"
OF_PHOTOS = {"speedlimit": SIGN, "crosswalk": SIGN, "stop": SIGN, "trafficlight": LIGHT}


def context() -> Context:
    """Return a context with all cores for a model."""
    return Context("bare", Inference(device="cpu", n_threads=n_cores()))


def held_out(photos: Path, folder: Path) -> list[ImageRecord]:
    """Return the photos that no network has learned from, with what is in them."""
    words = [sys.executable, "-m", "tools.roads", "frames", str(photos.resolve()), str(folder)]
    subprocess.run([*words, "--drawn", "0"], cwd=HERE.parent, check=True)
    source = Annotated(Directory(f"{folder}/frames/test"), f"{folder}/frames/test.json")
    records, how = [], context()
    read = source.open(how)
    for claim in source.claims():
        (image,) = read(claim)
        pixels = decode(image.data).pixels
        records.append(ImageRecord(image.origin, pixels.shape[1], pixels.shape[0], pixels))
    return records


def found_by(
    step: Detect | Drive,
    photos: Sequence[ImageRecord],
    named: Callable[[Detections], tuple[str, ...]],
    truth_of: dict[str, str],
) -> dict[str, dict[str, float]]:
    """Return precision, recall and average precision of what a step finds, in percent, by class.

    Args:
        step: looks at the photos.
        photos: with what is in them.
        named: returns the classes of what was found.
        truth_of: the class of each label of the photos.
    """
    how, labels = context(), tuple(dict.fromkeys(truth_of.values()))
    metrics = DetectionMetrics(labels, min_score=step.min_score, min_iou=0.5)
    with how.resources:
        process = step.open(how)
        for photo in photos:
            (outcome,) = process([photo])
            assert isinstance(outcome, ImageRecord)
            assert outcome.detections is not None
            found = replace(outcome.detections, labels=named(outcome.detections))
            objects = [
                LabelledObject(truth_of[one.label], one.box_xyxy)
                for one in photo.origin.objects or ()
                if one.label in truth_of
            ]
            metrics.update(found, objects)
    scores = metrics.compute()
    columns = scores.n_objects, scores.precision, scores.recall, scores.ap[:, 0]
    return {
        label: {
            "n": int(n),
            "precision": round(100 * float(precision), 1),
            "recall": round(100 * float(recall), 1),
            "ap_50": round(100 * float(ap), 1),
        }
        for label, n, precision, recall, ap in zip(labels, *columns, strict=True)
    }


def meanings(found: Detections) -> tuple[str, ...]:
    """Return what signs mean, in place of their label."""
    said = found.signs.labels if found.signs else (None,) * len(found)
    return tuple(sign or label for sign, label in zip(said, found.labels, strict=True))


def light_states(photos: Path) -> dict[str, Any]:
    """Return how often the shipped model says what lights in photos show, given their boxes."""
    words = [sys.executable, "-m", "tools.roads", "states", str(photos.resolve())]
    done = subprocess.run(words, cwd=HERE.parent, check=True, stdout=subprocess.PIPE)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def bare_loop(video: Path) -> float:
    """Look at a video in this process; return frames a second."""
    how, tracker = context(), Track()
    folds = [step.open_fold(how) for step in (tracker, Announce("states"), Announce("signs"))]
    with how.resources:
        look = Drive(min_score=tracker.low_score).open(how)
        look([ImageRecord(Origin("", "", 0, 0, ""), 64, 64, np.zeros((64, 64, 3), np.uint8))])
        states = [fold.initial() for fold in folds]
        n, started = 0, time.perf_counter()
        for batch in batches_of(video, BATCH):
            for record in look(batch):
                for i, fold in enumerate(folds):
                    states[i], record, _ = fold.step(states[i], record)
                n += 1
        return n / (time.perf_counter() - started)


def sightflow(video: Path, folder: Path) -> dict[str, float]:
    """Look at a video as a user does; return frames a second, with and without the start.

    Without it is by how much longer three copies of the video take than one.
    """
    one, three = (run_copies(video, n, folder) for n in (1, 3))
    return {
        "with_start": round(one["read"] / one["seconds"], 1),
        "steady": round((three["read"] - one["read"]) / (three["seconds"] - one["seconds"]), 1),
    }


def run_copies(video: Path, n: int, folder: Path) -> dict[str, Any]:
    """Look at copies of a video in one call; return the summary."""
    copies = [folder / f"{i}{video.name}" for i in range(n)]
    for copy in copies:
        copy.unlink(missing_ok=True)
        copy.symlink_to(video.resolve())
    command, out = str(Path(sys.executable).parent / "sightflow"), folder / "drive.jsonl"
    call = [command, "drive", *map(str, copies), "--out", str(out), "--overwrite"]
    subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
    summary: dict[str, Any] = json.loads(out.with_suffix(".summary.json").read_text())
    return summary


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="make bench-roads", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="of each video [3]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "roads.json")
    how = parser.parse_args()
    coco = {"trafficlight": LIGHT, "stop": STOP}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        photos = held_out(how.data / "road_signs", Path(name))
        alone, look = Detect(zoo("nanodet")), Drive()
        report: dict[str, Any] = {
            "question": __doc__.splitlines()[0],
            "machine": machine(),
            "n_photos": len(photos),
            "drive": found_by(look, photos, lambda found: found.labels, OF_PHOTOS),
            "drive_meanings": found_by(look, photos, meanings, {"stop": "stop"}),
            "coco_detector_alone": found_by(alone, photos, lambda found: found.labels, coco),
        }
        report["light_states"] = light_states(how.data / "road_signs")
        print(json.dumps(report, indent=1), flush=True)
        speeds: dict[str, list[Any]] = {clip: [] for clip in CLIPS}
        for clip in CLIPS:
            video = how.data / "clips" / clip
            for _ in range(how.rounds):
                bare, ours = bare_loop(video), sightflow(video, Path(name))
                speeds[clip].append({"bare_loop": round(bare, 1), "sightflow": ours})
                print(clip, speeds[clip][-1], flush=True)
        runs = [run for clip in CLIPS for run in speeds[clip]]
        pairs = [run["sightflow"]["steady"] / run["bare_loop"] for run in runs]
        report |= {"frames_per_s": speeds, "steady_beside_bare": round(float(np.median(pairs)), 3)}
    write_report(how.out, report)
    print(f"report: {how.out}")


if __name__ == "__main__":
    main()
