"""Pictures a second in SQL, beside a pipeline with the same step over the same pictures.

    make bench-sql
    make bench-sql ARGS="--images 600 --rounds 3"

`CLASSIFY_IMAGE` beside `Classify`, `DETECT_OBJECTS` beside `Detect`. Each call is a process of its
own, over a quarter of the pictures and over all of them; a rate is of the pictures by which they
differ and the time by which they do, so that the start is left out. `wall_s` has it in. Each system
runs once in each round, in an order that rotates; `beside_pipeline` is the median of the ratios of
the rounds.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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
FEWER = 4
"""A run over one of so many parts of the pictures tells how long the start takes."""


def with_pipeline(task: str, folder: Path) -> int:
    """Run a pipeline; return how many pictures there were."""
    with tempfile.TemporaryDirectory() as out:
        pipeline = Pipeline(Directory(str(folder))).apply(task, STEPS[task]())
        path = str(Path(out, "out.jsonl"))
        return run(pipeline.write("out", JsonLines(path))).ledger.recognised


def with_sql(task: str, folder: Path) -> int:
    """Run a query; return how many pictures there were."""
    from sightflow.flink.sql import Session, add_pictures, open_environment, register
    from sightflow.flink.sql.statements import Statement

    env = open_environment()
    register(env)
    add_pictures(env, Directory(str(folder)))
    answers = Session(env).run(Statement(QUERIES[task], 1)).rows
    return sum(answer is not None for _, answer in answers)


def timed(system: str, task: str, folder: Path) -> tuple[int, float]:
    """Run one system in a process of its own; return how many pictures, and seconds."""
    started = time.time()
    command = [sys.executable, __file__, "--one", system, "--task", task, "--pictures", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True)
    return int(done.stdout.splitlines()[-1]), time.time() - started


def measure(system: str, task: str, folders: Sequence[Path]) -> dict[str, float]:
    """Run one system over few pictures and over all; return its rate."""
    (n_few, few_s), (n_all, all_s) = (timed(system, task, folder) for folder in folders)
    rate = (n_all - n_few) / (all_s - few_s)
    return {"images": n_all, "images_per_s": round(rate, 2), "wall_s": round(all_s, 2)}


def compare(task: str, folders: Sequence[Path], rounds: int) -> dict[str, Any]:
    """Run both systems in turn; return their rates and the ratio."""
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in SYSTEMS}
    for number in range(rounds):
        for system in SYSTEMS if number % 2 == 0 else SYSTEMS[::-1]:
            rows[system].append(measure(system, task, folders))
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
        system = {"pipeline": with_pipeline, "sql": with_sql}[options.one]
        print(system(options.task, options.pictures))
        return
    with tempfile.TemporaryDirectory() as place:
        folders = [Path(place, "few"), Path(place, "all")]
        for folder, n_images in zip(
            folders, (options.images // FEWER, options.images), strict=True
        ):
            link_pictures(options.pictures or made_pictures(), folder, n_images)
        report = {"machine": machine(), "images": options.images}
        for task in [options.task] if options.task else STEPS:
            report[task] = compare(task, folders, options.rounds)
    write_report(options.out, report)


if __name__ == "__main__":
    main()
