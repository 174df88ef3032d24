"""The same pictures, decoder and model, end to end into a file: how many images/s, how long in all?

    make bench-throughput
    make bench-throughput ARGS="--images 1000 --rounds 3 --systems bare,sightflow"

Every system runs once in each round, in an order that rotates. `docs/how-to/benchmarks.md` says
what each is. The figures of a run:

`wall_s`: from the start of the command to its end, with all starting and stopping.
`first_result_s`: from the start of the command to the end of the first model call. Sightflow: to
    the first result in the file.
`steady_images_per_s`: images after the first model call / the time from its end to the end of the
    last one. Sightflow: images after the first chunk / the time from the first result in the file
    to the last one.
`agreement`: share of pictures with the same best class as in the first run of `bare`.

The batch size of `bare`, and of the model calls of Ray, Spark and Daft, is the fastest in a trial
of `bare`. Each system has run once before it is measured, and pictures come from the page cache.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sightflow
from bench import HERE, link_pictures, machine, median, plot_bars, spread, write_report
from environments import PEERS, environment_of, packages_of, python_of, scratch_of_peers
from runs import Finished, own_environment, run_command, summary_of
from sightflow.settings import RunSettings

MODEL = Path(sightflow.__file__).parent / "models" / "zoo" / "efficientnet_lite0"
BATCH_SIZES = (1, 2, 4, 8, 16)
N_TRIAL, N_TRIALS = 400, 2
N_WARM_UP = 40

Run = dict[str, Any]


@dataclass(frozen=True)
class System:
    """Something that recognises a folder of pictures."""

    script: str | None = None
    """In `peers`; None is the command `sightflow`."""
    environment: str | None = None
    """One of `PEERS`; None is this one."""
    options: tuple[str, ...] = ()
    min_agreement: float = 0.99
    by_default: bool = True


SYSTEMS = {
    "bare": System("bare.py"),
    "bare-opencv": System("bare.py", options=("--decoder", "opencv")),
    "bare-reduced": System(
        "bare.py", options=("--decoder", "reduced"), min_agreement=0.8, by_default=False
    ),
    "sightflow": System(),
    "sightflow-reduced": System(options=("--reduced-decode",), min_agreement=0.8, by_default=False),
    **{
        f"pyflink-{mode}": System("flink_modes.py", options=("--mode", mode), by_default=False)
        for mode in ("thread", "process", "async", "pandas")
    },
    "record-at-a-time": System("record_at_a_time.py"),
    "record-at-a-time-spread": System("record_at_a_time.py", options=("--spread",)),
    "ray": System("with_ray.py", "ray"),
    "spark": System("with_spark.py", "spark"),
    "daft": System("with_daft.py", "daft"),
}


def command_of(system: System, pictures: Path, out: Path, batch_size: int) -> list[str]:
    """Return the command that recognises the pictures in a folder."""
    if system.script is None:
        command = str(Path(sys.executable).parent / "sightflow")
        return [command, "classify", str(pictures), "--out", str(out), "--quiet", *system.options]
    python = python_of(system.environment) if system.environment else sys.executable
    arguments = {
        "--pictures": pictures,
        "--out": out,
        "--model": MODEL / "model.onnx",
        "--labels": MODEL / "labels.txt",
        "--workers": len(os.sched_getaffinity(0)),
        "--batch-size": batch_size,
    }
    pairs = [str(word) for pair in arguments.items() for word in pair]
    return [str(python), str(HERE / "peers" / system.script), *pairs, *system.options]


def variables_of(system: System, command: Sequence[str]) -> dict[str, str]:
    """Return the environment variables of a system's command."""
    if system.script is None:
        return own_environment()
    return environment_of(system.environment or "", Path(command[0]))


def run_system(
    system: System, pictures: Path, scratch: Path, batch_size: int, timeout_s: float
) -> tuple[Run, dict[str, int]]:
    """Run a system once; return its figures and the best class of each picture, by file name."""
    out = scratch / "results.jsonl"
    command = command_of(system, pictures, out, batch_size)
    load = os.getloadavg()[0]
    variables = variables_of(system, command)
    if system.script:
        variables |= scratch_of_peers(scratch)
    finished = run_command(command, variables, scratch / "log", timeout_s)
    run: Run = {"wall_s": round(finished.wall_s, 3), "load_before": round(load, 2)}
    if finished.failure:
        return {**run, "failed": finished.failure}, {}
    try:
        rows = list(read_rows(out))
        times = times_of(rows, finished) if system.script else times_of_sightflow(out, finished)
    except (OSError, ValueError, KeyError) as error:
        return {**run, "failed": f"{type(error).__name__} in what it wrote: {error}"}, {}
    run |= {"lines": len(rows), "images_per_s": round(len(rows) / finished.wall_s, 2), **times}
    return run, {Path(row["uri"]).name: best_class(row) for row in rows}


def read_rows(out: Path) -> Iterator[Run]:
    """Read lines of JSON from a file, or from the parts in a folder."""
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    for file in files:
        if not file.name.startswith((".", "_")):
            yield from map(json.loads, file.read_bytes().splitlines())


def best_class(row: Run) -> int:
    """Return the best class in a line of a peer, or of Sightflow."""
    ids = row["class_ids"] if "class_ids" in row else [c["class_id"] for c in row["classification"]]
    return int(ids[0])


def times_of(rows: Sequence[Run], finished: Finished) -> Run:
    """Return the times of a peer, by when each model call ended."""
    times = [row["at"] for row in rows]
    first, last = min(times), max(times)
    return _times(first - finished.started, last - finished.started, len(rows), times.count(first))


def times_of_sightflow(out: Path, finished: Finished) -> Run:
    """Return the times of Sightflow, by its summary, which is written when the run ends."""
    n_images, first_s, last_s = summary_of(out, finished)
    return _times(first_s, last_s, n_images, RunSettings().batch_size)


def _times(first_s: float, last_s: float, n_images: int, n_first: int) -> Run:
    steady = (n_images - n_first) / (last_s - first_s) if last_s > first_s else 0.0
    return {
        "first_result_s": round(first_s, 3),
        "last_result_s": round(last_s, 3),
        "steady_images_per_s": round(steady, 2),
    }


def find_batch_size(pictures: Path | None, scratch: Path, timeout_s: float) -> Run:
    """Try `bare` with some batch sizes; return the best images/s of each, and the fastest."""
    folder = scratch / "trial"
    link_pictures(pictures, folder, N_TRIAL)
    tried = dict.fromkeys(BATCH_SIZES, 0.0)
    for batch_size in BATCH_SIZES * N_TRIALS:
        run, _ = run_system(SYSTEMS["bare"], folder, scratch, batch_size, timeout_s)
        if "failed" in run:
            sys.exit(f"bare, batch size {batch_size}: {run['failed']}")
        tried[batch_size] = max(tried[batch_size], run["steady_images_per_s"])
    fastest = max(tried, key=lambda size: tried[size])
    print(f"batch size of bare: {fastest} is the fastest of {tried}", flush=True)
    return {"images": N_TRIAL, "steady_images_per_s": tried, "batch_size": fastest}


def warm_up(names: Sequence[str], pictures: Path | None, scratch: Path, timeout_s: float) -> None:
    """Run each system once on a few pictures, so that its files are compiled and in memory."""
    folder = scratch / "warm-up"
    link_pictures(pictures, folder, N_WARM_UP)
    for name in names:
        with tempfile.TemporaryDirectory(dir=scratch) as place:
            run, _ = run_system(SYSTEMS[name], folder, Path(place), 1, timeout_s)
        print(f"warm-up: {name}, {run['wall_s']:.1f} s{', FAILED' * ('failed' in run)}", flush=True)


def judge(run: Run, system: System, classes: dict[str, int], reference: dict[str, int]) -> None:
    """Enter the agreement with `bare`, and a failure if results are missing or differ."""
    if "failed" in run:
        return
    if run["lines"] != run["images"] or len(classes) != run["images"]:
        run["failed"] = f"{run['lines']} lines for {len(classes)} of {run['images']} pictures"
    if reference:
        same = sum(classes.get(name) == class_id for name, class_id in reference.items())
        run["agreement"] = round(same / len(reference), 4)
        if run["agreement"] < system.min_agreement:
            run["failed"] = f"the best class differs from bare's; agreement {run['agreement']:.2%}"


def summarise(runs: Sequence[Run]) -> Run:
    """Return, for each number of images and each system, medians and spreads of its runs."""
    names = ("wall_s", "images_per_s", "first_result_s", "steady_images_per_s")
    good = sorted((r for r in runs if "failed" not in r), key=lambda r: r["images"])
    summary: Run = {}
    for n_images, of_size in itertools.groupby(good, key=lambda run: run["images"]):
        by_system: dict[str, list[Run]] = {}
        for run in of_size:
            by_system.setdefault(run["system"], []).append(run)
        summary[str(n_images)] = {
            system: {
                name: {"median": median(values), "spread": spread(values)}
                for name in names
                for values in [[run[name] for run in members]]
            }
            for system, members in by_system.items()
        }
    return summary


def draw(path: Path, runs: Sequence[Run], machine_: Run) -> None:
    """Draw what the runs gave so far, beside the report."""
    panels = {"images/s after the first result": "steady_images_per_s", "seconds in all": "wall_s"}
    good = [run for run in runs if "failed" not in run]
    if not good:
        return
    drawn: dict[str, dict[str, dict[str, list[float]]]] = {}
    for title, name in panels.items():
        panel = drawn.setdefault(title, {})
        for run in sorted(good, key=lambda r: (list(SYSTEMS).index(r["system"]), r["images"])):
            group = panel.setdefault(run["system"], {})
            group.setdefault(f"{run['images']:,} images", []).append(run[name])
    title = f"Classify pictures into a file: {machine_['cores']} cores of {machine_['cpu']}"
    plot_bars(path.with_suffix(".png"), title, drawn)


def print_run(run: Run) -> None:
    """Print the line of a run."""
    start = f"{run['images']} images, round {run['round']}: {run['system']:<18}"
    if "failed" in run:
        print(f"{start} FAILED: {run['failed']}", flush=True)
        return
    agreement = f", agreement {run['agreement']:.1%}" if "agreement" in run else ""
    print(
        f"{start} {run['wall_s']:7.1f} s, first result {run['first_result_s']:5.1f} s, "
        f"{run['steady_images_per_s']:6.1f} images/s after it{agreement}",
        flush=True,
    )


def campaign(arguments: argparse.Namespace, report: Run, scratch: Path) -> None:
    """Run everything; the report is written after each run."""
    names: list[str] = arguments.systems
    report["batch_size_trial"] = find_batch_size(arguments.pictures, scratch, arguments.timeout)
    warm_up(names, arguments.pictures, scratch, arguments.timeout)
    for n_images in arguments.images:
        pictures = scratch / f"pictures-{n_images}"
        link_pictures(arguments.pictures, pictures, n_images)
        reference: dict[str, int] = {}
        for number in range(arguments.rounds):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                with tempfile.TemporaryDirectory(dir=scratch) as folder:
                    run, classes = run_system(
                        SYSTEMS[name],
                        pictures,
                        Path(folder),
                        report["batch_size_trial"]["batch_size"],
                        arguments.timeout,
                    )
                run = {"images": n_images, "round": number + 1, "system": name, **run}
                if name == "bare" and not reference:
                    reference = classes
                judge(run, SYSTEMS[name], classes, reference)
                print_run(run)
                report["runs"].append(run)
                report["summary"] = summarise(report["runs"])
                write_report(arguments.out, report)


def parse_arguments() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    chosen = ",".join(name for name, system in SYSTEMS.items() if system.by_default)
    parser.add_argument("--images", type=int, nargs="+", default=[1_000, 3_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--systems", default=chosen, help=f"of {','.join(SYSTEMS)}")
    parser.add_argument("--pictures", type=Path, help="folder of .jpg; else they are made")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "throughput.json")
    parser.add_argument("--timeout", type=float, default=1_800, help="seconds for one run")
    arguments = parser.parse_args()
    wanted = arguments.systems.split(",")
    if unknown := set(wanted) - set(SYSTEMS):
        parser.error(f"--systems are of {','.join(SYSTEMS)}; got {','.join(sorted(unknown))}")
    arguments.systems = [name for name in SYSTEMS if name in wanted]  # bare first: the reference
    return arguments


def main() -> None:
    """Run the benchmark."""
    arguments = parse_arguments()
    peers = [SYSTEMS[name].environment for name in arguments.systems]
    made = [name for name in PEERS if name in peers and python_of(name)]
    report: Run = {
        "question": __doc__.splitlines()[0],
        "machine": machine(),
        "environments": {name: packages_of(name) for name in made},
        "pictures": arguments.pictures.name if arguments.pictures else "made",
        "rounds": arguments.rounds,
        "runs": [],
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        campaign(arguments, report, Path(scratch))
    draw(arguments.out, report["runs"], report["machine"])
    print(f"report: {arguments.out}, plot: {arguments.out.with_suffix('.png')}")
    if any("failed" in run for run in report["runs"]):
        sys.exit(1)


if __name__ == "__main__":
    main()
