"""How accurate are the shipped models? One command for each data set.

    make bench-accuracy ARGS="classify DATA/imagenet_samples"
    make bench-accuracy ARGS="reduced DATA/imagenet_samples"
    make bench-accuracy ARGS="scenes DATA/scenes"
    make bench-accuracy ARGS="detect DATA/coco_mini"

`reduced` says what `--reduced-decode` does to the accuracy. The photos there are too small to be
decoded at a reduced size, so they are enlarged first, two and three times, and decoded both ways.

The data sets are not part of the project. `imagenet_samples` holds `labels.csv` (path, class_index)
and pictures; `scenes` a folder for each scene; `coco_mini` COCO's `annotations.json` and pictures.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from bench import HERE, write_report


def recognise(command: str, data: Path, *options: str) -> list[dict[str, Any]]:
    """Return the result lines of a `sightflow` command over a folder."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "results.jsonl")
        call = ["sightflow", command, str(data), "--out", str(out), "--quiet", *options]
        subprocess.run([str(Path(sys.executable).parent / call[0]), *call[1:]], check=True)
        return [json.loads(line) for line in out.read_text().splitlines()]


def classify(data: Path) -> dict[str, Any]:
    """Top-1 and top-5 accuracy against `labels.csv`."""
    truth = read_truth(data)
    found = best_classes(data)
    top1, top5 = (percent(truth[p] in found[p][:k] for p in truth) for k in (1, 5))
    return {"images": len(truth), "top1_percent": top1, "top5_percent": top5}


def read_truth(data: Path) -> dict[str, int]:
    """Return the class of each picture in `labels.csv`, by its path."""
    with open(data / "labels.csv", newline="") as file:
        return {row["path"]: int(row["class_index"]) for row in csv.DictReader(file)}


def best_classes(data: Path, *options: str) -> dict[str, list[int]]:
    """Return the best classes of each picture in a folder, by its path there."""
    rows = recognise("classify", data, "--pattern", "*.jpg", *options)
    return {
        str(Path(row["uri"]).relative_to(data)): [c["class_id"] for c in row["classification"]]
        for row in rows
    }


def reduced(data: Path) -> dict[str, Any]:
    """Top-1 accuracy of enlarged photos, decoded in full and at a reduced size."""
    truth = read_truth(data)
    report: dict[str, Any] = {"images": len(truth)}
    for factor in (2, 3):
        with tempfile.TemporaryDirectory() as folder:
            for path in truth:
                enlarge(data / path, Path(folder, path), factor)
            full, small = (best_classes(Path(folder), *o) for o in ((), ("--reduced-decode",)))
        best = {path: (full[path][0], small[path][0]) for path in truth}
        report[f"enlarged_{factor}_times"] = {
            "full_top1_percent": percent(best[path][0] == truth[path] for path in truth),
            "reduced_top1_percent": percent(best[path][1] == truth[path] for path in truth),
            "same_best_class_percent": percent(best[path][0] == best[path][1] for path in truth),
        }
    return report


def percent(answers: Iterable[bool]) -> float:
    """Return how many in a hundred are true."""
    listed = list(answers)
    return 100 * sum(listed) / len(listed)


def enlarge(photo: Path, target: Path, factor: int) -> None:
    """Write a photo with so many times its width and height."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(photo) as image:
        size = image.width * factor, image.height * factor
        large = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
    large.save(target, quality=92)


def scenes(data: Path) -> dict[str, Any]:
    """How often the best of the folders' names is the name of the picture's folder."""
    names = sorted(folder.name for folder in data.iterdir() if folder.is_dir())
    right = dict.fromkeys(names, 0)
    total = dict.fromkeys(names, 0)
    for row in recognise("classify", data, "--scenes"):
        expected = Path(row["uri"]).parent.name
        best = next(item["label"] for item in row["scene"] if item["label"] in right)
        total[expected] += 1
        right[expected] += best == expected
    by_scene = {name: 100 * right[name] / total[name] for name in names}
    n = sum(total.values())
    return {"images": n, "right_percent": 100 * sum(right.values()) / n, "by_scene": by_scene}


def detect(data: Path) -> dict[str, Any]:
    """COCO's mean average precision, by pycocotools."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(data / "annotations.json"))
    categories = {c["name"]: c["id"] for c in truth.dataset["categories"]}
    images = {Path(i["file_name"]).name: i["id"] for i in truth.dataset["images"]}
    rows = recognise("detect", data, "--pattern", "*.jpg", "--min-score", "0.05")
    found = [
        {
            "image_id": images[Path(row["uri"]).name],
            "category_id": categories[item["label"]],
            "bbox": [*item["box_xyxy"][:2], *_size(item["box_xyxy"])],
            "score": item["score"],
        }
        for row in rows
        for item in row["detections"]
        if item["label"] in categories
    ]
    evaluation = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return {
        "images": len(rows),
        "map_50_95_percent": 100 * evaluation.stats[0],
        "map_50_percent": 100 * evaluation.stats[1],
    }


def _size(box_xyxy: list[float]) -> tuple[float, float]:
    return box_xyxy[2] - box_xyxy[0], box_xyxy[3] - box_xyxy[1]


MEASURES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "classify": classify,
    "reduced": reduced,
    "scenes": scenes,
    "detect": detect,
}


def main() -> None:
    """Measure one model on one data set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("measure", choices=MEASURES)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, help="[results/accuracy-MEASURE.json]")
    arguments = parser.parse_args()
    if not arguments.data.is_dir():
        sys.exit(f"{arguments.data}: no such folder; this measure needs its data set there")
    report = MEASURES[arguments.measure](arguments.data)
    print(json.dumps(report, indent=2))
    write_report(arguments.out or HERE / "results" / f"accuracy-{arguments.measure}.json", report)


if __name__ == "__main__":
    main()
