"""How well are road signs recognised, by the network that the shipped command trains?

    make bench-driving ARGS="DATA"
    make bench-driving ARGS="DATA --registry MODELS"      by a network that was trained before

DATA is a folder with `gtsrb`: `train.zip` and `test.zip`, a folder for each class. It is not part
of the project. `sightflow train examples/gtsrb.yaml` takes about half an hour on two cores; then
`sightflow evaluate` classifies the test images by the version that serves. Weights that were
trained on GTSRB are for research.

Needs PyTorch: make setup-train.
"""

import argparse
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


def train(data: Path, registry: Path, report: Path) -> None:
    """Train by the shipped command."""
    words = "--data", data / "gtsrb", "--registry", registry, "--out", report
    call("train", EXAMPLES / "gtsrb.yaml", *words)


def evaluate(data: Path, registry: Path, report: Path) -> dict[str, Any]:
    """Return how the version that serves does on the test part, and what it confuses.

    Of the confusion matrix it has what is beside the diagonal: (right class, said, images).
    """
    model = f"model={registry}/gtsrb"
    words = "--data", data / "gtsrb" / "test.zip", "--set", model, "--out", report
    call("evaluate", "pipeline", EXAMPLES / "evaluate.yaml", *words)
    told = list(events(report))
    (scores,) = [event["figures"] for event in told if event["kind"] == "evaluated"][-1:]
    wrong = [e for e in told if e["kind"] == "confused" and e["label"] != e["predicted"]]
    wrong.sort(key=lambda event: -event["figures"]["n"])
    return {
        "n_test_images": scores["n"],
        "test_accuracy": scores["accuracy"],
        "test_macro_f1": scores["macro_f1"],
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
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        signs: dict[str, Any] = {}
        registry = how.registry or Path(folder, "models")
        if how.registry is None:
            started = time.monotonic()
            train(how.data, registry, Path(folder, "training"))
            signs["minutes_of_training"] = round((time.monotonic() - started) / 60, 1)
        signs |= evaluate(how.data, registry, Path(folder, "evaluation"))
        print(json.dumps(signs, indent=1))
        write_report(how.out, {"machine": machine(), "signs": signs})


if __name__ == "__main__":
    main()
