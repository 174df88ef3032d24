"""How long from the moment a picture is offered to the moment its result is out?

    make bench-latency
    make bench-latency ARGS="--seconds 30 --poisson"

A stream offers JPEGs as bytes at fixed rates: parts of the capacity, which is measured first. It
is an open loop: a picture counts from when its time was, also when it was taken late. Its result
is out when it is in the file of JSON lines, handed to the operating system. Checkpoints are on.

`stages_ms` are medians (and p99) of Flink's metrics of the workers: where the time goes.
"""

import argparse
import json
import math
import socket
import statistics
import tempfile
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench import HERE, line_plot, machine, made_pictures, write_report
from open_loop import OpenLoop, Stopwatch
from sightflow import Classify, JsonLines, Pipeline, RunSettings, run

LOADS = (25, 50, 75, 90)
STAGES = ("queue", "decode", "preprocess", "inference")


def offer(source: OpenLoop, settings: RunSettings, folder: Path) -> list[tuple[float, float]]:
    """Run a stream to its end; return (offered, out) in ms for each result, in order."""
    times = folder / "times.jsonl"
    pipeline = (
        Pipeline(source, name="latency")
        .apply("classify", Classify())
        .write("results", JsonLines(str(folder / "results.jsonl"), overwrite=True))
        .write("times", Stopwatch(str(times)))
    )
    run(pipeline, settings)
    return [tuple(json.loads(line)) for line in times.read_text().splitlines()]


def capacity(pictures: Path, settings: RunSettings, folder: Path, n_images: int) -> float:
    """Return images/s when everything is offered at once, after a third of it as warm-up."""
    out = [out for _, out in offer(OpenLoop(str(pictures), n_images, math.inf), settings, folder)]
    measured = out[len(out) // 3 :]
    return 1000 * (len(measured) - 1) / (measured[-1] - measured[0])


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95, p99 and the largest, in ms."""
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    chosen = {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "max": max(values)}
    return {name: round(value, 1) for name, value in chosen.items()}


def watch_stages(port: int, stages: dict[str, Any], stop: threading.Event) -> None:
    """Keep the latest metrics of the workers until told to stop."""

    def rest(path: str) -> Any:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return json.load(answer)

    while not stop.wait(2.0):
        with suppress(OSError, LookupError):  # the job has not begun, or has ended
            job = rest("/jobs")["jobs"][0]["id"]
            vertices = rest(f"/jobs/{job}")["vertices"]
            vertex = next(v["id"] for v in vertices if "recognise" in v["name"])
            path = f"/jobs/{job}/vertices/{vertex}/subtasks/metrics"
            ids = {m["id"].rpartition("sightflow.")[2]: m["id"] for m in rest(path)}
            for stage in STAGES:
                for statistic in ("median", "p99"):
                    found = rest(f"{path}?get={ids[f'{stage}_us_{statistic}']}&agg=avg")
                    stages.setdefault(stage, {})[statistic] = round(found[0]["avg"] / 1000, 1)


def free_port() -> int:
    """Return a port of the loopback address that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(
    arguments: argparse.Namespace, load: int, full: float, settings: RunSettings, folder: Path
) -> dict[str, Any]:
    """Return the latencies at a load in percent of the capacity."""
    rate = full * load / 100
    n_warm_up, n_images = round(rate * arguments.warm_up), round(rate * arguments.seconds)
    source = OpenLoop(
        str(arguments.pictures), n_warm_up + n_images, rate, poisson=arguments.poisson
    )
    stages: dict[str, Any] = {}
    stop = threading.Event()
    watcher = threading.Thread(target=watch_stages, args=(settings.web_ui_port, stages, stop))
    watcher.start()
    try:
        times = offer(source, settings, folder)
    finally:
        stop.set()
        watcher.join()
    latencies = [out - offered for offered, out in times[n_warm_up:]]
    return {
        "load_percent": load,
        "images_per_s": round(rate, 1),
        "images": len(latencies),
        "latency_ms": percentiles(latencies),
        "stages_ms": stages,
    }


def plot(path: Path, report: dict[str, Any]) -> None:
    """Draw the percentiles over the load."""
    with line_plot(path, "Latency of classification", size=(7, 4)) as ax:
        for name in ("p50", "p95", "p99", "max"):
            ys = [row["latency_ms"][name] for row in report["loads"]]
            ax.plot([row["load_percent"] for row in report["loads"]], ys, "o-", label=name)
        ax.set_xlabel(f"load, % of {report['capacity_images_per_s']} images/s")
        ax.set_ylabel("offered to out, ms")
        ax.set_yscale("log")
        ax.grid(axis="y", alpha=0.3, which="both")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, help="folder of .jpg files [made ones]")
    parser.add_argument("--seconds", type=float, default=60, help="measured at each load [60]")
    parser.add_argument("--warm-up", type=float, default=15, help="seconds before that [15]")
    parser.add_argument("--loads", type=int, nargs="+", default=LOADS, help="percent of capacity")
    parser.add_argument("--images", type=int, default=1_500, help="to measure the capacity [1500]")
    parser.add_argument("--poisson", action="store_true", help="random arrivals")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "latency.json")
    arguments = parser.parse_args()
    arguments.pictures = arguments.pictures or made_pictures()
    settings = RunSettings(web_ui_port=free_port())
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        full = capacity(arguments.pictures, settings, folder, arguments.images)
        print(f"capacity: {full:.1f} images/s", flush=True)
        report: dict[str, Any] = {
            "machine": machine(),
            "settings": {
                "runner": settings.runner,
                "workers": settings.n_workers,
                "checkpoint_interval_ms": settings.checkpoint_interval_ms,
                "arrivals": "poisson" if arguments.poisson else "constant",
                "model": "efficientnet_lite0",
            },
            "capacity_images_per_s": round(full, 1),
            "loads": [],
        }
        for load in arguments.loads:
            report["loads"].append(measure(arguments, load, full, settings, folder))
            write_report(arguments.out, report)
            print(json.dumps(report["loads"][-1]), flush=True)
    plot(arguments.out.with_suffix(".png"), report)


if __name__ == "__main__":
    main()
