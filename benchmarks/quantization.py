"""Which int8 pays, and what does it cost? Every form of int8 on one CPU.

    make bench-quantization ARGS="DATA/imagenet_samples"

`imagenet_samples` holds `labels.csv` (path, class_index) and pictures; it is not part of the
project. Every second picture calibrates, the others are recognised. Calls of all forms alternate,
image by image, with one thread.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

from bench import HERE, write_report
from sightflow.models import ModelFile, zoo
from sightflow.models import quantization as ours
from sightflow.ops.decode import decode
from sightflow.protocols import Inference

UINT8, INT8 = QuantType.QUInt8, QuantType.QInt8
FORMS: dict[str, tuple[Any, Any, bool]] = {
    "u8s8": (UINT8, INT8, False),
    "u8s8, 7-bit weights": (UINT8, INT8, True),
    "u8u8": (UINT8, UINT8, False),
    "s8s8": (INT8, INT8, False),
}
"""Types of activations and weights, and `reduce_range`."""


class Pictures:
    """A calibration reader over prepared pictures."""

    def __init__(self, name: str, pictures: np.ndarray) -> None:
        """Take the name of the input and float32 [N, 3, H, W]."""
        self._batches: Iterator[dict[str, np.ndarray]] = (
            {name: pictures[i : i + 1]} for i in range(len(pictures))
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next input."""
        return next(self._batches, None)


def read(data: Path, model: ModelFile) -> tuple[np.ndarray, np.ndarray]:
    """Return all pictures as the model takes them, and their classes."""
    prepare = model.card.input.preprocess.compile()
    with open(data / "labels.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    pictures = [prepare(decode((data / row["path"]).read_bytes()).pixels)[0] for row in rows]
    return np.stack(pictures), np.array([int(row["class_index"]) for row in rows])


def write_forms(model: ModelFile, pictures: np.ndarray, folder: Path) -> dict[str, str]:
    """Write every form and return the paths."""
    prepared = folder / "prepared.onnx"
    name, excluded = ours._prepare(model, prepared)
    paths = {"float": model.path}
    for form, (activations, weights, reduced) in FORMS.items():
        for per_channel in (False, True):
            label = f"{form}, {'a scale a channel' if per_channel else 'a scale a layer'}"
            paths[label] = str(folder / f"{len(paths)}.onnx")
            print(label, file=sys.stderr)
            quantize_static(
                prepared,
                paths[label],
                Pictures(name, pictures),
                quant_format=QuantFormat.QDQ,
                activation_type=activations,
                weight_type=weights,
                per_channel=per_channel,
                reduce_range=reduced,
                nodes_to_exclude=excluded,
                extra_options={"OpTypesToExcludeOutputQuantization": list(ours._FLOAT_OUTPUTS)},
            )
    return paths


def measure(
    model: ModelFile, paths: dict[str, str], pictures: np.ndarray, classes: np.ndarray
) -> dict[str, Any]:
    """Return size, median time, top-1 accuracy, agreement and change of scores of every form."""
    runs = {
        form: ModelFile(path, model.card).load(Inference(device="cpu"))
        for form, path in paths.items()
    }
    times: dict[str, list[float]] = {form: [] for form in runs}
    found: dict[str, list[int]] = {form: [] for form in runs}
    scores: dict[str, list[float]] = {form: [] for form in runs}
    for i in range(len(pictures)):
        for form, run in runs.items():
            started = time.perf_counter()
            outputs = run(pictures[i : i + 1])
            times[form].append((time.perf_counter() - started) * 1000)
            found[form].append(int(outputs["prob"].argmax()))
            scores[form].append(float(outputs["prob"].max()))
    float_ms = statistics.median(times["float"])
    return {
        form: {
            "mib": round(Path(path).stat().st_size / 2**20, 1),
            "ms": round(statistics.median(times[form]), 2),
            "times_as_fast": round(float_ms / statistics.median(times[form]), 2),
            "top1_percent": round(100 * float((found[form] == classes).mean()), 1),
            "agreement_percent": round(
                100 * float((np.array(found[form]) == found["float"]).mean()), 1
            ),
            "mean_change_of_best_score": round(
                float(np.abs(np.subtract(scores[form], scores["float"])).mean()), 3
            ),
        }
        for form, path in paths.items()
    }


def main() -> None:
    """Measure the classifier that ships."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "quantization.json")
    arguments = parser.parse_args()
    data = arguments.data
    if not (data / "labels.csv").is_file():
        sys.exit(f"{data}: has no labels.csv; this measure needs its data set there")
    model = zoo("efficientnet_lite0")
    pictures, classes = read(data, model)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_forms(model, pictures[::2], Path(folder))
        forms = measure(model, paths, pictures[1::2], classes[1::2])
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[-1].split("\n", 1)[0].split()
    result = {
        "calibrated_on": len(pictures[::2]),
        "recognised": len(pictures[1::2]),
        "onnxruntime": onnxruntime.__version__,
        "cpu": [flag for flag in ("avx2", "avx512_vnni", "avx_vnni") if flag in flags],
        "forms": forms,
    }
    print(json.dumps(result, indent=2))
    write_report(arguments.out, result)


if __name__ == "__main__":
    main()
