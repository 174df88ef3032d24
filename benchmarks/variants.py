"""Sightflow against itself: the same pictures with other settings, in turn."""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench import HERE, link_pictures, machine, median, plot_bars, spread, write_report
from runs import own_environment, run_command, summary_of
from sightflow import Classify, Directory, JsonLines, Pipeline, RunSettings
from sightflow.configuration import to_yaml

__all__ = ["classify", "compare", "parser"]

Run = dict[str, Any]


def parser(description: str | None, name: str, *, images: int) -> argparse.ArgumentParser:
    """Return a parser with what every such benchmark takes."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=Path, help="folder of .jpg files [made ones]")
    parser.add_argument("--images", type=int, default=images, help=f"in a run [{images}]")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each setting [3]")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for a run [600]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / f"{name}.json")
    return parser


def classify(pictures: Path, settings: RunSettings, scratch: Path, timeout_s: float) -> Run:
    """Run `sightflow run` on a folder in a process of its own; return its times.

    `first_result_s` and `wall_s` are from the start of the command.
    """
    out = scratch / "results.jsonl"
    pipeline = (
        Pipeline(Directory(str(pictures)))
        .apply("classify", Classify())
        .write("results", JsonLines(str(out), overwrite=True))
    )
    (scratch / "pipeline.yaml").write_text(to_yaml(pipeline, settings))
    command = ["sightflow", "run", str(scratch / "pipeline.yaml"), "--quiet"]
    finished = run_command(command, own_environment(), scratch / "log.txt", timeout_s)
    if finished.failure:
        return {"failed": finished.failure}
    n_images, first_s, last_s = summary_of(out, finished)
    return {
        "wall_s": round(finished.wall_s, 3),
        "first_result_s": round(first_s, 3),
        "steady_images_per_s": round((n_images - settings.batch_size) / (last_s - first_s), 2),
    }


def compare(
    arguments: argparse.Namespace,
    title: str,
    variants: Mapping[str, RunSettings],
    figure: str,
    conclude: Callable[[Mapping[str, float]], Mapping[str, float]],
) -> None:
    """Run all variants in turn, in an order that rotates; write JSON and a plot.

    Args:
        arguments: of `parser`.
        title: of the plot.
        variants: settings by name.
        figure: which figure of a run is shown.
        conclude: from the medians of that figure to what they say.
    """
    report: Run = {"machine": machine(), "images": arguments.images, "runs": []}
    values: dict[str, list[float]] = {name: [] for name in variants}
    with tempfile.TemporaryDirectory() as scratch:
        pictures = Path(scratch, "pictures")
        link_pictures(arguments.pictures, pictures, arguments.images)
        for turn in range(arguments.rounds):
            names = list(variants)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                run = classify(pictures, variants[name], Path(scratch), arguments.timeout)
                report["runs"].append({"variant": name, "round": turn, **run})
                write_report(arguments.out, report)
                print(f"{time.strftime('%H:%M:%S')} {name}: {run}", flush=True)
                values[name] += [run[figure]] if figure in run else []
    if not all(values.values()):
        raise SystemExit("a variant failed in every round")
    medians = {name: median(v) for name, v in values.items()}
    report[figure] = {n: {"median": medians[n], "spread": spread(v)} for n, v in values.items()}
    report["conclusion"] = conclude(medians)
    write_report(arguments.out, report)
    print(json.dumps(report["conclusion"]))
    panel = {name: {f"{arguments.images} pictures": v} for name, v in values.items()}
    plot_bars(arguments.out.with_suffix(".png"), title, {figure: panel})
