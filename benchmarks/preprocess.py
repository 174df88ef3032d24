"""How close does preprocessing on Flink come to the speed of the decoder alone?

    make bench-preprocess

The decoder alone: plain processes, one for each core, read and decode every picture and do nothing
else. A plain loop: the same processes also scale, crop and normalise, with the functions that
Sightflow calls. Sightflow: a job that does all this, `Prepare`, with a line for each picture in a
file; the prepared images go no further. All decode in full, and once more at the reduced size that
is enough for 224 x 224.
"""

import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import simplejpeg

from bench import link_pictures, machine, median, plot_bars, spread, write_report
from sightflow import Directory, JsonLines, Pipeline, Prepare, Preprocess, RunSettings, run
from sightflow.settings import n_cores
from variants import parser

PREPARED = Preprocess(resize=256, crop=(224, 224), mean=(127, 127, 127), std=(128, 128, 128))


def work(paths: list[str], *, reduced: bool, prepares: bool) -> tuple[float, float]:
    """Read, decode and perhaps prepare; return when it began and ended."""
    prepare = PREPARED.compile() if prepares else None
    least = {"min_height": 256, "min_width": 256} if reduced else {}
    started = time.time()
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        pixels = simplejpeg.decode_jpeg(data, "RGB", **least)
        if prepare:
            prepare(pixels)
    return started, time.time()


def plain(pictures: Path, *, reduced: bool, prepares: bool) -> float:
    """Return images/s of one process for each core."""
    paths = sorted(str(path) for path in pictures.iterdir())
    n = n_cores()
    task = partial(work, reduced=reduced, prepares=prepares)
    with get_context("spawn").Pool(n) as pool:
        pool.map(task, [paths[i : n * 20 : n] for i in range(n)], chunksize=1)  # to warm up
        times = pool.map(task, [paths[i::n] for i in range(n)], chunksize=1)
    return len(paths) / (max(end for _, end in times) - min(start for start, _ in times))


def sightflow(pictures: Path, out: Path, *, reduced: bool) -> float:
    """Return the steady images/s of the job."""
    pipeline = Pipeline(Directory(str(pictures))).apply("prepare", Prepare(PREPARED))
    settings = RunSettings(reduced_decode=reduced)
    summary = run(pipeline.write("lines", JsonLines(str(out), overwrite=True)), settings)
    steady_s = (summary.last_result_s or 0) - (summary.first_result_s or 0)
    return (summary.ledger.read - settings.batch_size) / steady_s


def main() -> None:
    """Run the benchmark."""
    arguments = parser(__doc__, "preprocess", images=6_000).parse_args()
    names = ("decoder alone", "plain loop", "sightflow")
    values: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    report: dict[str, Any] = {"machine": machine(), "images": arguments.images}
    with tempfile.TemporaryDirectory() as scratch:
        pictures, out = Path(scratch, "pictures"), Path(scratch, "lines.jsonl")
        link_pictures(arguments.pictures, pictures, arguments.images)
        sightflow(pictures, out, reduced=False)  # to warm up
        for number in range(arguments.rounds):
            for size, reduced in (("full size", False), ("reduced size", True)):
                systems: dict[str, Callable[[], float]] = {
                    "decoder alone": partial(plain, pictures, reduced=reduced, prepares=False),
                    "plain loop": partial(plain, pictures, reduced=reduced, prepares=True),
                    "sightflow": partial(sightflow, pictures, out, reduced=reduced),
                }
                for name in (*names[number % 3 :], *names[: number % 3]):
                    values[name].setdefault(size, []).append(systems[name]())
                    print(f"{size}: {name} {values[name][size][-1]:.0f} images/s", flush=True)
    for name, sizes in values.items():
        report[name] = {s: {"median": median(v), "spread": spread(v)} for s, v in sizes.items()}
    report["conclusion"] = {
        f"part of the speed of the {name}, {size}": round(
            report["sightflow"][size]["median"] / report[name][size]["median"], 3
        )
        for size in values["sightflow"]
        for name in names[:2]
    }
    print(json.dumps(report["conclusion"]))
    write_report(arguments.out, report)
    panel = {"images/s": values}
    title = "Preprocessing against the decoder and a plain loop"
    plot_bars(arguments.out.with_suffix(".png"), title, panel)


if __name__ == "__main__":
    main()
