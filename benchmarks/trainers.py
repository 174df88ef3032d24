"""What does it cost in accuracy to learn in several places that average?

    make bench-trainers ARGS="DATA"
    make bench-trainers ARGS="DATA --passes 10 --trainers 1,4"

DATA is a folder with `gtsrb`: `train.zip` and `test.zip`, a folder for each class; it is not part
of the project. The network of `examples/gtsrb.yaml` learns from the same passes in 1, 2 and 4
places; the published version is held against the test images. Trainers of PyTorch in one process
take turns, so on one machine this is about accuracy, not speed.

Needs PyTorch: make setup-train.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench import HERE, machine, write_report
from sightflow import Classify, Directory, JsonEvents, Pipeline, RunSettings, run
from sightflow.learn.evaluate import Evaluate
from sightflow.models import find_model
from sightflow.sources.labelled import Labelled
from sightflow.sources.passes import Passes
from training import described


def measure(data: Path, folder: Path, n_trainers: int, passes: int, every: int) -> dict[str, Any]:
    """Train in so many places; return the test accuracy of what is published."""
    pipeline, settings = described("gtsrb", data, folder, passes)
    train, *_ = pipeline.learning
    optimiser = replace(train.operator.optimiser, n_steps=None)  # as many as a trainer makes
    operator = replace(
        train.operator, optimiser=optimiser, trainers=n_trainers, average_every=every
    )
    source = pipeline.source
    assert isinstance(source, Passes)
    pipeline = replace(
        pipeline,
        source=replace(source, test=None, test_every=None),
        learning=(replace(train, operator=operator),),
    )
    summary = run(pipeline, replace(settings, batch_size=16, workers=2))
    model = find_model(str(folder / "models" / "gtsrb"))
    events = folder / "events.jsonl"
    tests = Labelled(Directory(str(data / "gtsrb" / "test.zip")))
    test = Pipeline(tests).apply("classify", Classify(model=model))
    test = test.apply("evaluate", Evaluate(model.card.labels, drift=None))
    run(test.write("e", JsonEvents(str(events), overwrite=True)), RunSettings(runner="inline"))
    told = [json.loads(line) for line in events.read_text().splitlines()]
    (last,) = [event["figures"] for event in told if event["kind"] == "evaluated"][-1:]
    return {
        "trainers": n_trainers,
        "test_accuracy": last["accuracy"],
        "images_per_s": round(summary.images_per_s, 1),
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--passes", type=int, default=8, help="over the images [8]")
    parser.add_argument("--trainers", default="1,2,4", help="[1,2,4]")
    parser.add_argument("--average-every", type=int, default=8, help="chunks of a trainer [8]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "trainers.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = {
        "machine": machine(),
        "passes": arguments.passes,
        "average_every": arguments.average_every,
        "runs": [],
    }
    for n_trainers in map(int, arguments.trainers.split(",")):
        with tempfile.TemporaryDirectory() as scratch:
            how = n_trainers, arguments.passes, arguments.average_every
            found = measure(arguments.data, Path(scratch), *how)
        report["runs"].append(found)
        write_report(arguments.out, report)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
