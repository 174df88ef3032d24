"""How well are objects followed, with default settings, from detections that all trackers share?

    make bench-tracking ARGS="DATA"
    make bench-tracking ARGS="DATA --systems bytetrack,sightflow --speed-frames 0"

DATA is a folder with `mot15_pets09_s2l1` and `mot15_tud` of MOT Challenge 2015: `det.txt`, `gt.txt`
and `seqinfo.ini` of each sequence. It is not part of the project. TrackEval scores; the figures of
`sightflow evaluate tracks` must be the same. A system that fails is named and the rest goes on.

The variants ask whether defaults hold on what they were not chosen on: every second and third
frame, a fifth of the detections missing, a camera that shakes and one that pans (truth and
detections move alike).

`frames_per_cpu_s` is of the whole command, starting left out: frames / CPU seconds, of all its
processes, for the sequence over and over, less those for its first frame.
"""

import argparse
import json
import math
import resource
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench import HERE, machine, write_report
from environments import TRACKING, packages_of, python_of
from runs import own_environment, run_command
from sightflow.metrics.tracking import TrackingMetrics
from sightflow.storage.motfile import MotRows, read_mot

SEQUENCES = {
    "PETS09-S2L1": "mot15_pets09_s2l1",
    "TUD-Campus": "mot15_tud/TUD-Campus",
    "TUD-Stadtmitte": "mot15_tud/TUD-Stadtmitte",
}
PEERS = ("sort", "bytetrack", "oc-sort", "bot-sort", "ioutrack")
OURS = ("sightflow", "sightflow-inline")
"""`sightflow track`, and the same three parts as a pipeline in YAML on the inline runner."""
SEED = 0
SHARE_DROPPED, SHAKE_PX, PAN_PX = 0.2, 5.0, 4.0
MAX_DIFFERENCE = 1e-9

Scores = dict[str, dict[str, Any]]
"""Figures by name, by sequence; `all` is all together."""


@dataclass(frozen=True)
class Clip:
    """A sequence of MOT Challenge."""

    detections: MotRows
    truth: MotRows
    n_frames: int
    fps: float
    size: tuple[int, int] | None
    """Width and height; None where the boxes are no longer those of the image."""

    def both(self, change: Callable[[MotRows], MotRows]) -> "Clip":
        """Return the sequence with detections and truth changed alike."""
        return replace(self, detections=change(self.detections), truth=change(self.truth))


def read_sequence(folder: Path) -> Clip:
    """Read a sequence."""
    lines = (folder / "seqinfo.ini").read_text().splitlines()
    info = dict(line.split("=", 1) for line in lines if "=" in line)
    return Clip(
        read_mot(str(folder / "det.txt")),
        read_mot(str(folder / "gt.txt")),
        int(info["seqLength"]),
        float(info["frameRate"]),
        (int(info["imWidth"]), int(info["imHeight"])),
    )


def take(rows: MotRows, kept: npt.NDArray[Any], frames: npt.NDArray[np.int64]) -> MotRows:
    """Return some rows, with new numbers of frames."""
    return MotRows(frames, rows.track_ids[kept], rows.boxes_xyxy[kept], rows.scores[kept])


def thinned(sequence: Clip, every: int) -> Clip:
    """Return every n-th frame."""

    def thin(rows: MotRows) -> MotRows:
        kept = (rows.frames - 1) % every == 0
        return take(rows, kept, (rows.frames[kept] - 1) // every + 1)

    n_frames = math.ceil(sequence.n_frames / every)
    return replace(sequence.both(thin), n_frames=n_frames, fps=sequence.fps / every)


def dropped(sequence: Clip) -> Clip:
    """Return the sequence without some of its detections."""
    rows = sequence.detections
    kept = np.random.default_rng(SEED).random(len(rows)) >= SHARE_DROPPED
    return replace(sequence, detections=take(rows, kept, rows.frames[kept]))


def moved(sequence: Clip, shifts: npt.NDArray[np.float64]) -> Clip:
    """Return the sequence as a camera sees it that moves by float64 [n_frames, 2] pixels."""
    shifts = shifts - shifts.min(axis=0)  # so that nothing leaves the image at its left and top

    def move(rows: MotRows) -> MotRows:
        by = np.tile(shifts[rows.frames - 1], 2)
        return replace(rows, boxes_xyxy=rows.boxes_xyxy + by)

    return replace(sequence.both(move), size=None)


def shaken(sequence: Clip) -> Clip:
    """Return the sequence of a camera that shakes."""
    shake = np.random.default_rng(SEED).normal(0, SHAKE_PX, (sequence.n_frames, 2))
    return moved(sequence, shake)


def panned(sequence: Clip) -> Clip:
    """Return the sequence of a camera that pans."""
    return moved(sequence, np.arange(sequence.n_frames)[:, None] * np.array([[PAN_PX, 0.0]]))


def repeated(sequence: Clip, n_times: int) -> Clip:
    """Return the sequence over and over."""

    def repeat(rows: MotRows) -> MotRows:
        frames = [rows.frames + i * sequence.n_frames for i in range(n_times)]
        return take(rows, np.tile(np.arange(len(rows)), n_times), np.concatenate(frames))

    return replace(sequence.both(repeat), n_frames=n_times * sequence.n_frames)


VARIANTS: dict[str, Callable[[Clip], Clip]] = {
    "as it is": lambda sequence: sequence,
    "every 2nd frame": lambda sequence: thinned(sequence, 2),
    "every 3rd frame": lambda sequence: thinned(sequence, 3),
    "a fifth dropped": dropped,
    "shaken": shaken,
    "panned": panned,
}


def write_sequence(sequence: Clip, folder: Path) -> None:
    """Write a sequence as MOT Challenge has it."""
    folder.mkdir(parents=True)
    for name, rows in (("det.txt", sequence.detections), ("gt.txt", sequence.truth)):
        columns = (rows.frames, rows.track_ids, rows.boxes_xyxy, rows.scores)
        with open(folder / name, "w") as file:
            for frame, track_id, (x1, y1, x2, y2), score in zip(
                *(column.tolist() for column in columns), strict=True
            ):
                box = f"{x1:.6f},{y1:.6f},{x2 - x1:.6f},{y2 - y1:.6f}"
                file.write(f"{frame},{track_id},{box},{score:.6f},-1,-1,-1\n")
    info = {"frameRate": sequence.fps, "seqLength": sequence.n_frames}
    if sequence.size:
        info |= dict(zip(("imWidth", "imHeight"), sequence.size, strict=True))
    lines = ["[Sequence]", *(f"{name}={value}" for name, value in info.items())]
    (folder / "seqinfo.ini").write_text("\n".join([*lines, ""]))


PIPELINE = """
source: {{kind: MotDetections, paths: {detections}, fps: {fps}}}
steps: [{{name: track, kind: Track}}]
sinks: [{{name: tracks, kind: MotTracks, path: {out}}}]
run: {{runner: inline}}
"""


def command_of(system: str, detections: Path, fps: float, out: Path) -> list[str]:
    """Return the command that follows the objects in a file of detections."""
    if system in PEERS:
        call = [python_of("trackers"), HERE / "peers" / "track.py", "--tracker", system]
        return [str(word) for word in (*call, "--detections", detections, "--out", out)]
    ours = str(Path(sys.executable).parent / "sightflow")
    if system == "sightflow":
        call = [ours, "track", "--detections", detections, "--fps", fps, "--out", out]
        return [str(word) for word in call]
    pipeline = out.with_suffix(".yaml")
    pipeline.write_text(PIPELINE.format(detections=detections, fps=fps, out=out))
    return [ours, "run", str(pipeline), "--quiet"]


class FailedError(Exception):
    """A system did not track a sequence."""


def track(system: str, folder: Path, fps: float, out: Path, timeout_s: float) -> float:
    """Run a system over a sequence; return the CPU seconds of the command."""
    out.parent.mkdir(parents=True, exist_ok=True)
    command = command_of(system, folder / "det.txt", fps, out)
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = _children_s()
    environment = {**own_environment(), **one_thread}
    finished = run_command(command, environment, out.with_suffix(".log"), timeout_s)
    if finished.failure:
        raise FailedError(finished.failure)
    return _children_s() - before


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def speed(system: str, sequence: Clip, place: Path, arguments: argparse.Namespace) -> float:
    """Return frames for each CPU second."""
    n_times = math.ceil(arguments.speed_frames / sequence.n_frames)
    long = repeated(sequence, n_times)
    rows = sequence.detections
    first = rows.frames == rows.frames.min()
    short = replace(sequence, detections=take(rows, first, np.ones(first.sum(), int)), n_frames=1)
    seconds = []
    for name, part in (("short", short), ("long", long)):
        write_sequence(part, place / name)
        out = place / f"{name}.txt"
        seconds.append(track(system, place / name, part.fps, out, arguments.timeout))
    return round((long.n_frames - 1) / max(1e-3, seconds[1] - seconds[0]), 1)


def score(folder: Path, systems: Sequence[str], lengths: Mapping[str, int]) -> dict[str, Scores]:
    """Return TrackEval's figures for each system."""
    out = folder / "scores.json"
    call = [python_of("trackeval"), HERE / "peers" / "score_tracks.py", "--folder", folder]
    call += ["--trackers", ",".join(systems), "--lengths", json.dumps(lengths), "--out", out]
    finished = run_command(list(map(str, call)), own_environment(), folder / "log", 600)
    if finished.failure:
        sys.exit(f"trackeval: {finished.failure}")
    found: dict[str, Scores] = json.loads(out.read_text())
    return found


def difference(folder: Path, scores: Mapping[str, Scores]) -> float:
    """Return by how much Sightflow's figures differ from TrackEval's at most."""
    largest = 0.0
    for system, theirs in scores.items():
        metrics = TrackingMetrics()
        for name in theirs.keys() - {"all"}:
            paths = (folder / name / "gt.txt", folder / "tracks" / system / f"{name}.txt")
            metrics.update(name, *(read_mot(str(path)) for path in paths))
        ours = {name: found.as_dict() for name, found in metrics.by_sequence().items()}
        ours["all"] = metrics.compute().as_dict()
        gaps = (abs(ours[n][figure] - theirs[n][figure]) for n in ours for figure in theirs[n])
        largest = max(largest, *gaps)
    return largest


FIGURES = {"HOTA": "hota", "IDF1": "idf1", "MOTA": "mota"}


def print_table(title: str, scores: Mapping[str, Scores], speeds: Mapping[str, Any]) -> None:
    """Print a line for each system and sequence."""
    print(f"\n{title}\n{'system':<18}{'sequence':<16}", end="")
    print("".join(f"{name:>8}" for name in (*FIGURES, "IDSW")), f"{'frames/CPU s':>14}")
    for system, sequences in scores.items():
        for name, found in sequences.items():
            ratios = "".join(f"{100 * found[figure]:8.2f}" for figure in FIGURES.values())
            frames = speeds.get(system, {}).get(name, "")
            switches = int(found["n_id_switches"])
            print(f"{system:<18}{name:<16}{ratios}{switches:8d} {frames:>14}", flush=True)


def print_variants(report: Mapping[str, Any], systems: Sequence[str]) -> None:
    """Print the figures of all sequences together, for each variant."""
    print(f"\nall sequences together: HOTA / IDF1 / MOTA / IDSW\n{'':<18}", end="")
    print("".join(f"{variant:>26}" for variant in report["scores"]))
    for system in systems:
        cells = []
        for scores in report["scores"].values():
            found = scores[system]["all"]
            ratios = " / ".join(f"{100 * found[figure]:.1f}" for figure in FIGURES.values())
            cells.append(f"{ratios} / {found['n_id_switches']:.0f}")
        print(f"{system:<18}" + "".join(f"{cell:>26}" for cell in cells))


def campaign(arguments: argparse.Namespace, report: dict[str, Any], scratch: Path) -> None:
    """Run everything; the report is written after each variant."""
    plain = {name: read_sequence(arguments.data / path) for name, path in SEQUENCES.items()}
    for variant in arguments.variants:
        change = VARIANTS[variant]
        folder = scratch / variant.replace(" ", "-")
        sequences = {name: change(sequence) for name, sequence in plain.items()}
        for name, sequence in sequences.items():
            write_sequence(sequence, folder / name)
        for system in list(arguments.systems):
            with noting_failures(system, arguments, report):
                for name, sequence in sequences.items():
                    out = folder / "tracks" / system / f"{name}.txt"
                    track(system, folder / name, sequence.fps, out, arguments.timeout)
        lengths = {name: sequence.n_frames for name, sequence in sequences.items()}
        scores = score(folder, arguments.systems, lengths)
        report["scores"][variant] = scores
        gap = difference(folder, scores)
        report["max_difference"] = max(report["max_difference"], gap)
        write_report(arguments.out, report)
        print(f"{variant}: done; Sightflow's figures differ by {gap:.1e} at most", flush=True)
    for system in list(arguments.systems) if arguments.speed_frames else ():
        with noting_failures(system, arguments, report):
            found = {
                name: speed(system, sequence, scratch / "speed" / system / name, arguments)
                for name, sequence in plain.items()
            }
            mean = round(len(found) / sum(1 / frames for frames in found.values()), 1)
            report["frames_per_cpu_s"][system] = {**found, "all": mean}
            print(f"{system}: {found} frames for each CPU second", flush=True)
            write_report(arguments.out, report)


@contextmanager
def noting_failures(
    system: str, arguments: argparse.Namespace, report: dict[str, Any]
) -> Iterator[None]:
    """Leave a system that fails out of the rest."""
    try:
        yield
    except FailedError as error:
        print(f"{system} FAILED: {error}", flush=True)
        report["failed"][system] = str(error)
        arguments.systems.remove(system)


def parse_arguments() -> argparse.Namespace:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = (*PEERS, *OURS)
    parser.add_argument("data", type=Path)
    parser.add_argument("--systems", default=",".join(known), help=f"of {','.join(known)}")
    parser.add_argument("--variants", default=",".join(VARIANTS), help=f"of {','.join(VARIANTS)}")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "tracking.json")
    parser.add_argument("--speed-frames", type=int, default=4_000, help="0: no speed")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one command")
    arguments = parser.parse_args()
    wanted = arguments.systems.split(",")
    if unknown := set(wanted) - set(known):
        parser.error(f"--systems are of {','.join(known)}; got {','.join(sorted(unknown))}")
    arguments.systems = [name for name in known if name in wanted]
    arguments.variants = arguments.variants.split(",")
    if unknown := set(arguments.variants) - set(VARIANTS):
        parser.error(f"--variants: there is no {','.join(sorted(unknown))}")
    for path in SEQUENCES.values():
        if not (arguments.data / path / "det.txt").is_file():
            parser.error(f"{arguments.data / path}: no det.txt; this benchmark needs its data")
    return arguments


def main() -> None:
    """Run the benchmark."""
    arguments = parse_arguments()
    for name in TRACKING:
        python_of(name)
    report: dict[str, Any] = {
        "question": __doc__.splitlines()[0],
        "machine": machine(),
        "environments": {name: packages_of(name) for name in TRACKING},
        "scores": {},
        "frames_per_cpu_s": {},
        "max_difference": 0.0,
        "failed": {},
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        campaign(arguments, report, Path(scratch))
    first = arguments.variants[0]
    print_table(first, report["scores"][first], report["frames_per_cpu_s"])
    print_variants(report, arguments.systems)
    print(
        f"\nSightflow's figures differ from TrackEval's by {report['max_difference']:.1e} at most"
    )
    print(f"report: {arguments.out}")
    if report["failed"] or report["max_difference"] > MAX_DIFFERENCE:
        sys.exit(1)


if __name__ == "__main__":
    main()
