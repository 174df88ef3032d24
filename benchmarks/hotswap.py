"""What does it cost a running job when another version of its model takes over?

    make bench-hotswap
    make bench-hotswap ARGS="--swaps 10 --load 50"

A stream offers JPEGs as bytes at a part of the capacity; a registry has two versions of
EfficientNet-Lite0 that serve by turns. Each result must be there once and say its version. Latency
is measured in the seconds around each swap and in all others.
"""

import argparse
import json
import math
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from bench import HERE, line_plot, machine, made_pictures, write_report
from latency import percentiles
from open_loop import OpenLoop, Stopwatch
from sightflow import Classify, JsonLines, Pipeline, RunSettings, run
from sightflow.models import DataRange, Facts, Registry, find_model, zoo

AROUND_S = 3.0
"""So long after a promotion latencies count as those of the swap."""


def two_versions(folder: Path) -> Registry:
    """Return a registry with two versions of one model; the first serves."""
    model = zoo("efficientnet_lite0")
    registry = Registry(str(folder / "models"))
    for step in (1, 2):
        facts = Facts("bench", step, step, DataRange(0, 0, step))
        onnx = Path(model.path).read_bytes()
        registry.publish("lite0", onnx=onnx, weights=b"", card=model.card, facts=facts)
    registry.promote("lite0", 1, reason="first")
    return registry


def offer(
    registry: Registry, source: OpenLoop, folder: Path, *, follow: bool
) -> tuple[list[tuple[float, float]], list[str]]:
    """Run a stream; return (offered, out) in ms and the version of each result, in order."""
    step = Classify(model=find_model(f"{registry.url}/lite0"), follow=follow)
    results, times = folder / "results.jsonl", folder / "times.jsonl"
    pipeline = (
        Pipeline(source, name="hotswap")
        .apply("classify", step)
        .write("results", JsonLines(str(results), overwrite=True))
        .write("times", Stopwatch(str(times)))
    )
    summary = run(pipeline, RunSettings())
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    assert summary.ledger.recognised == summary.ledger.read == len(rows) == source.n_images
    assert [row["sequence"] for row in rows] == list(range(source.n_images))
    versions = [row["model_version"] for row in rows]
    return [tuple(json.loads(line)) for line in times.read_text().splitlines()], versions


def swap(registry: Registry, n_swaps: int, every_s: float, at: list[float]) -> None:
    """Promote the versions by turns, and note when, in ms since 1970."""
    for number in range(n_swaps):
        time.sleep(every_s)
        at.append(time.time() * 1000)
        registry.promote("lite0", 2 - number % 2, reason="by turns")


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return latencies around the swaps and elsewhere."""
    registry = two_versions(folder)
    pictures = str(arguments.pictures or made_pictures())
    probe = OpenLoop(pictures, 600, math.inf)
    times, _ = offer(registry, probe, folder, follow=False)
    outs = [out for _, out in times[200:]]
    rate = 1000 * (len(outs) - 1) / (outs[-1] - outs[0]) * arguments.load / 100
    seconds = arguments.warm_up + (arguments.swaps + 1) * arguments.every
    promoted = list[float]()
    source = OpenLoop(pictures, round(rate * seconds), rate)
    waits = arguments.warm_up + 5  # of which Flink's start takes some
    turns = (registry, arguments.swaps, arguments.every, promoted)
    thread = threading.Thread(target=lambda: (time.sleep(waits), swap(*turns)))
    thread.start()
    times, versions = offer(registry, source, folder, follow=True)
    thread.join()
    settled = times[0][0] + 1000 * arguments.warm_up
    measured = [(offered, out - offered) for offered, out in times if offered >= settled]
    around = [ms for at, ms in measured if any(0 <= at - t < 1000 * AROUND_S for t in promoted)]
    others = [ms for at, ms in measured if not any(0 <= at - t < 1000 * AROUND_S for t in promoted)]
    taken = [i for i in range(1, len(versions)) if versions[i] != versions[i - 1]]
    delays = [min(times[i][1] - t for t in promoted if times[i][1] >= t) for i in taken]
    return {
        "images": len(times),
        "images_per_s": round(rate, 1),
        "load_percent": arguments.load,
        "swaps": len(promoted),
        "versions_seen": sorted(set(versions)),
        "latency_around_ms": percentiles(around),
        "latency_elsewhere_ms": percentiles(others),
        "promotion_to_first_result_ms": percentiles(delays),
        "samples": [[round(at - settled), round(ms, 1)] for at, ms in measured],
        "promoted": [round(at - settled) for at in promoted],
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, help="folder of .jpg files [made ones]")
    parser.add_argument("--swaps", type=int, default=8)
    parser.add_argument("--every", type=float, default=6.0, help="seconds between swaps [6]")
    parser.add_argument("--warm-up", type=float, default=10.0, help="seconds before [10]")
    parser.add_argument("--load", type=int, default=50, help="percent of the capacity [50]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "hotswap.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(arguments, Path(scratch))
    write_report(arguments.out, {"machine": machine(), **found})
    print(json.dumps({k: v for k, v in found.items() if k not in ("samples", "promoted")}))
    with line_plot(arguments.out.with_suffix(".png"), "Versions by turns", size=(9, 3.5)) as ax:
        ax.plot(*zip(*[(at / 1000, ms) for at, ms in found["samples"]], strict=True), ".", ms=2)
        for at in found["promoted"]:
            ax.axvline(at / 1000, color="tab:red", alpha=0.5, linewidth=1)
        ax.set_xlabel("seconds; red: a promotion")
        ax.set_ylabel("offered to out, ms")
        ax.set_yscale("log")


if __name__ == "__main__":
    main()
