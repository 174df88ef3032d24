"""Pictures a second in SQL, beside a pipeline with the same step over the same pictures.

    make bench-sql
    make bench-sql ARGS="--images 600 --rounds 3"

`CLASSIFY_IMAGE` beside `Classify`, `DETECT_OBJECTS` beside `Detect`; each call is a process of its
own, and each system runs once in each round, in an order that rotates. Rates are of the pictures
behind the first fifth, by the times at which each was recognised in the worker, so that the start
is left out; `wall_s` has it in. `beside_pipeline` is the median of the ratios of a round.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import HERE, link_pictures, machine, made_pictures, median, spread, write_report
from sightflow import Classify, Detect, Directory, JsonLines, Pipeline, run

STEPS: dict[str, Any] = {"classify": Classify, "detect": Detect}
QUERIES = {
    "classify": "SELECT uri, CLASSIFY_IMAGE(data).label FROM pictures",
    "detect": "SELECT uri, CARDINALITY(DETECT_OBJECTS(data)) FROM pictures",
}
SYSTEMS = ("pipeline", "sql")
WARM_UP = 5
"""The first of so many parts is left out."""


def with_pipeline(task: str, folder: Path) -> list[tuple[float, int]]:
    """Run a pipeline; return how many pictures were done at which time."""
    seen: list[tuple[float, int]] = []
    with tempfile.TemporaryDirectory() as out:
        pipeline = Pipeline(Directory(str(folder))).apply(task, STEPS[task]())
        run(
            pipeline.write("out", JsonLines(str(Path(out, "out.jsonl")))),
            on_progress=lambda ledger, n_images: seen.append((time.time(), ledger.read)),
        )
    return seen


def with_sql(task: str, folder: Path) -> list[tuple[float, int]]:
    """Run a query; return how many pictures were done at which time."""
    from sightflow.flink.sql import Session, add_pictures, open_environment, register
    from sightflow.flink.sql.statements import Statement

    env = open_environment()
    register(env)
    add_pictures(env, Directory(str(folder)))
    rows = Session(env).run(Statement(QUERIES[task], 1)).rows
    return [(time.time(), number) for number, _ in enumerate(rows, 1)]


def one(system: str, task: str, folder: Path) -> None:
    """Run one system in this process; print its rate."""
    seen = {"pipeline": with_pipeline, "sql": with_sql}[system](task, folder)
    n_images = seen[-1][1]
    first = next(point for point in seen if point[1] >= n_images / WARM_UP)
    last = next(point for point in seen if point[1] == n_images)
    rate = (n_images - first[1]) / (last[0] - first[0])
    print(json.dumps({"images": n_images, "images_per_s": round(rate, 2)}))


def measure(system: str, task: str, folder: Path) -> dict[str, float]:
    """Run one system in a process of its own."""
    started = time.time()
    command = [sys.executable, __file__, "--one", system, "--task", task, "--pictures", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**row, "wall_s": round(time.time() - started, 2)}


def compare(task: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Run both systems in turn; return their rates and the ratio."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for number in range(rounds):
        for system in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
            rows[system].append(measure(system, task, folder))
            print(task, system, json.dumps(rows[system][-1]), flush=True)
    rates = {name: [row["images_per_s"] for row in those] for name, those in rows.items()}
    ratios = [s / p for s, p in zip(rates["sql"], rates["pipeline"], strict=True)]
    return {
        "runs": rows,
        "images_per_s": {name: median(those) for name, those in rates.items()},
        "wall_s": {n: median([row["wall_s"] for row in those]) for n, those in rows.items()},
        "spread": {name: spread(those) for name, those in rates.items()},
        "beside_pipeline": round(median(ratios), 3),
    }


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "sql.json")
    parser.add_argument("--one", choices=SYSTEMS)
    parser.add_argument("--task", choices=list(STEPS))
    parser.add_argument("--pictures", type=Path)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.task, options.pictures)
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "pictures")
        link_pictures(options.pictures or made_pictures(), folder, options.images)
        report = {"machine": machine(), "images": options.images}
        for task in [options.task] if options.task else STEPS:
            report[task] = compare(task, folder, options.rounds)
    write_report(options.out, report)


if __name__ == "__main__":
    main()
