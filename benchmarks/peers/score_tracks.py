"""TrackEval's own data set and metrics over a folder of tracks; JSON into a file.

The folder has `SEQUENCE/gt.txt` and `tracks/TRACKER/SEQUENCE.txt`.
"""

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import trackeval

FIELDS = {
    "hota": ("HOTA", "HOTA"),
    "det_a": ("HOTA", "DetA"),
    "ass_a": ("HOTA", "AssA"),
    "loc_a": ("HOTA", "LocA"),
    "idf1": ("Identity", "IDF1"),
    "idp": ("Identity", "IDP"),
    "idr": ("Identity", "IDR"),
    "mota": ("CLEAR", "MOTA"),
    "motp": ("CLEAR", "MOTP"),
    "n_matches": ("CLEAR", "CLR_TP"),
    "n_false_positives": ("CLEAR", "CLR_FP"),
    "n_misses": ("CLEAR", "CLR_FN"),
    "n_id_switches": ("CLEAR", "IDSW"),
    "n_fragmentations": ("CLEAR", "Frag"),
    "n_mostly_tracked": ("CLEAR", "MT"),
    "n_mostly_lost": ("CLEAR", "ML"),
}
"""Sightflow's name of a figure: TrackEval's metric and field, of which the mean is taken."""


def evaluate(folder: Path, trackers: list[str], lengths: dict[str, int]) -> dict[str, Any]:
    """Return the figures by tracker and sequence; `all` is TrackEval's COMBINED_SEQ."""
    quiet = {"PRINT_RESULTS": False, "PRINT_CONFIG": False, "TIME_PROGRESS": False}
    evaluator = trackeval.Evaluator(
        {**quiet, "OUTPUT_SUMMARY": False, "OUTPUT_DETAILED": False, "PLOT_CURVES": False}
    )
    dataset = trackeval.datasets.MotChallenge2DBox(
        {
            "GT_FOLDER": str(folder),
            "TRACKERS_FOLDER": str(folder / "tracks"),
            "TRACKERS_TO_EVAL": trackers,
            "TRACKER_SUB_FOLDER": "",
            "BENCHMARK": "MOT15",
            "SEQ_INFO": lengths,
            "GT_LOC_FORMAT": "{gt_folder}/{seq}/gt.txt",
            "SKIP_SPLIT_FOL": True,
            "PRINT_CONFIG": False,
        }
    )
    silent = {"PRINT_CONFIG": False}
    metrics = [
        trackeval.metrics.HOTA(silent),
        trackeval.metrics.CLEAR(silent),
        trackeval.metrics.Identity(silent),
    ]
    found, _ = evaluator.evaluate([dataset], metrics)
    return {
        tracker: {
            name.replace("COMBINED_SEQ", "all"): {
                figure: float(np.mean(scores["pedestrian"][metric][field]))
                for figure, (metric, field) in FIELDS.items()
            }
            for name, scores in sequences.items()
        }
        for tracker, sequences in found["MotChallenge2DBox"].items()
    }


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--trackers", required=True, help="with commas between them")
    parser.add_argument("--lengths", type=json.loads, required=True, help="frames by sequence")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):
        found = evaluate(arguments.folder, arguments.trackers.split(","), arguments.lengths)
    arguments.out.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
