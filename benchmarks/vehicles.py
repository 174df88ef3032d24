"""How many vehicles and people are found, by their size, with and without tiles?

    make bench-vehicles ARGS="DATA/coco_mini"
    make bench-vehicles ARGS="DATA/coco_mini --model nanodet --min-score 0.4"

DATA is a folder with COCO's `annotations.json` and its pictures; it is not part of the project. An
object counts as found where a box of its class overlaps its own by half. Small, medium and large
are COCO's: below 32 x 32 pixels, below 96 x 96, and above. Times are what the step takes of
one core, without decoding.
"""

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from bench import HERE, machine, write_report
from sightflow.models import find_model
from sightflow.records import ImageRecord, Origin
from sightflow.tasks.detect import Detect
from sightflow.testing import a_context

LABELS = ("person", "bicycle", "car", "motorcycle", "bus", "truck")
TILES = ((1, 1), (1, 2), (2, 2), (2, 3))
SIZES = ("all", "small", "medium", "large")
IOU = 0.5


def pictures_of(truth: COCO, data: Path) -> Mapping[int, ImageRecord]:
    """Return the pictures by the number that the truth has for them."""
    files = {path.name: path for path in data.rglob("*.jpg")}
    return {
        number: _record(files[Path(image["file_name"]).name])
        for number, image in truth.imgs.items()
    }


def _record(path: Path) -> ImageRecord:
    pixels = np.asarray(Image.open(path).convert("RGB"))
    return ImageRecord(Origin(str(path), "coco", 0, 0, path.name), *pixels.shape[1::-1], pixels)


def measure(truth: COCO, pictures: Mapping[int, ImageRecord], step: Detect) -> dict[str, Any]:
    """Return recall by size, precision, and the milliseconds of an image."""
    numbers = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    process = step.open(a_context())
    process(list(pictures.values())[:1])
    rows, spent_ms = list[dict[str, Any]](), list[float]()
    for number, record in pictures.items():
        started = time.thread_time()
        (outcome,) = process([record])
        spent_ms.append((time.thread_time() - started) * 1e3)
        found = outcome.detections
        columns = zip(found.boxes_xyxy.tolist(), found.scores.tolist(), found.labels, strict=True)
        rows += [
            _row(number, numbers[label], box, s) for box, s, label in columns if label in LABELS
        ]
    evaluation = COCOeval(truth, truth.loadRes(rows), "bbox")
    evaluation.params.iouThrs = np.array([IOU])
    evaluation.params.catIds = [numbers[label] for label in LABELS]
    evaluation.evaluate()
    return {**_figures(evaluation), "ms_per_image": round(statistics.median(spent_ms), 1)}


def _row(image: int, category: int, box: Sequence[float], score: float) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "score": score}
    return {"image_id": image, "category_id": category, **size}


def _figures(evaluation: Any) -> dict[str, Any]:
    """Return what COCO's matching found; crowds count neither way."""
    figures: dict[str, Any] = {}
    for size, area in zip(SIZES, evaluation.params.areaRng, strict=True):
        some = [one for one in evaluation.evalImgs if one is not None and one["aRng"] == area]
        counted = [~np.asarray(one["gtIgnore"], bool) for one in some]
        matched = [(one["gtMatches"][0] > 0)[rows] for one, rows in zip(some, counted, strict=True)]
        n, n_found = sum(rows.sum() for rows in counted), sum(rows.sum() for rows in matched)
        figures[f"n_{size}"] = int(n)
        figures[f"recall_{size}_percent"] = round(100 * float(n_found / n), 1)
        if size == "all":
            right = [(o["dtMatches"][0] > 0)[~o["dtIgnore"][0].astype(bool)] for o in some]
            hits = np.concatenate(right)
            figures["precision_percent"] = round(100 * float(hits.mean()), 1)
    return figures


def main() -> None:
    """Measure with each number of tiles."""
    parser = argparse.ArgumentParser(prog="make bench-vehicles", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nanodet")
    parser.add_argument("--min-score", type=float, default=0.3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "vehicles.json")
    how = parser.parse_args()
    truth = COCO(str(how.data / "annotations.json"))
    pictures, model = pictures_of(truth, how.data), find_model(how.model)
    report: dict[str, Any] = {
        "machine": machine(),
        "model": how.model,
        "min_score": how.min_score,
        "images": len(pictures),
        "tiles": {
            f"{rows} x {columns}": measure(
                truth, pictures, Detect(model, min_score=how.min_score, tiles=(rows, columns))
            )
            for rows, columns in TILES
        },
    }
    print(json.dumps(report, indent=1))
    write_report(how.out, report)


if __name__ == "__main__":
    main()
