"""From frames to tracks with the shipped detector: how good, and how fast beside a bare loop?

    make bench-tracking_video ARGS="DATA"

DATA as for `make bench-tracking`, with the videos of the sequences. Each video is tracked by
`sightflow track VIDEO` on embedded Flink, and by a bare loop: detector and tracker in this process,
all cores for the model, without order, ledger, checkpoints and output. Then all trackers get what
the detector found (persons) and are scored as in `make bench-tracking`.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import HERE, machine, write_report
from frames import batches_of
from sightflow.models import zoo
from sightflow.protocols import Context, Inference
from sightflow.records import Detections, ImageRecord
from sightflow.settings import n_cores
from sightflow.storage.motfile import mot_line
from sightflow.tasks.detect import Detect
from sightflow.tasks.track import Track
from tracking import SEQUENCES

VIDEOS = {
    "PETS09-S2L1": "vtest.avi",
    "TUD-Campus": "TUD-Campus.mp4",
    "TUD-Stadtmitte": "TUD-Stadtmitte.mp4",
}
BATCH = 4


def bare_loop(video: Path) -> tuple[float, list[ImageRecord]]:
    """Track a video in this process; return frames a second, and what was detected."""
    context = Context("bare", Inference(device="cpu", n_threads=n_cores()))
    with context.resources:
        detect = Detect(zoo("nanodet"), min_score=Track.low_score).open(context)
        fold = Track(labels=("person",)).open_fold(context)
        state, found = fold.initial(), list[ImageRecord]()
        started = time.perf_counter()
        for batch in batches_of(video, BATCH):
            for record in detect(batch):
                state, _, _ = fold.step(state, record)
                found.append(record)
        return len(found) / (time.perf_counter() - started), found


def sightflow(video: Path, out: Path) -> dict[str, float]:
    """Track a video as a user does; return frames a second, with and without the start."""
    command = str(Path(sys.executable).parent / "sightflow")
    call = [command, "track", str(video), "--labels", "person", "--out", str(out), "--overwrite"]
    subprocess.run(call, check=True, stderr=subprocess.DEVNULL)
    summary = json.loads(out.with_suffix(".summary.json").read_text())
    steady_s = summary["last_result_s"] - summary["first_result_s"]
    return {
        "with_start": round(summary["images_per_s"], 1),
        "steady": round(summary["read"] / steady_s, 1),
    }


def write_detections(found: list[ImageRecord], path: Path) -> None:
    """Write the persons that were found, as MOT Challenge has it."""
    with open(path, "w") as file:
        for record in found:
            detections = record.detections
            assert isinstance(detections, Detections)
            for i, label in enumerate(detections.labels):
                if label == "person":
                    box = detections.boxes_xyxy[i].tolist()
                    score = float(detections.scores[i])
                    file.write(mot_line(record.origin.sequence + 1, -1, box, score))


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison of speed [3]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "tracking-video.json")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"question": __doc__.splitlines()[0], "machine": machine()}
    speeds: dict[str, list[Any]] = {name: [] for name in SEQUENCES}
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        for name, place in SEQUENCES.items():
            folder = Path(scratch, place)
            folder.mkdir(parents=True)
            for file in ("gt.txt", "seqinfo.ini"):
                shutil.copy(arguments.data / place / file, folder)
            video = arguments.data / place / VIDEOS[name]
            for _ in range(arguments.rounds if name == "PETS09-S2L1" else 1):
                bare, found = bare_loop(video)
                ours = sightflow(video, Path(scratch, f"{name}.jsonl"))
                speeds[name].append({"bare_loop": round(bare, 1), "sightflow": ours})
                print(name, speeds[name][-1], flush=True)
            write_detections(found, folder / "det.txt")
        scores = Path(scratch, "scores.json")
        call = [sys.executable, str(HERE / "tracking.py"), scratch, "--speed-frames", "0"]
        call += ["--variants", "as it is", "--out", str(scores)]
        subprocess.run(call, check=True)
        report |= {"frames_per_s": speeds, "scores": json.loads(scores.read_text())["scores"]}
    write_report(arguments.out, report)
    print(f"report: {arguments.out}")


if __name__ == "__main__":
    main()
