"""One tracker of the PyPI packages `trackers` and `ioutrack-rs` on a file of detections.

Detections and tracks are MOT Challenge text. Every tracker has its defaults, but for these: camera
motion is off in BoT-SORT, which is not given the pictures, and `max_age` is 30 in `ioutrack-rs`,
where the default of 1 gives an object up after one frame.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]
"""float64 [N, 5]: x1, y1, x2, y2, score; of tracks the fifth is the id."""


def of_trackers(name: str) -> Callable[[Boxes], Boxes]:
    """Return one of `trackers`."""
    import supervision
    import trackers

    if name == "BoTSORTTracker":
        tracker = trackers.BoTSORTTracker(enable_cmc=False)
    else:
        tracker = getattr(trackers, name)()

    def update(found: Boxes) -> Boxes:
        scores = found[:, 4].astype(np.float32)
        class_ids = np.zeros(len(found), int)
        detections = supervision.Detections(
            found[:, :4].astype(np.float32), confidence=scores, class_id=class_ids
        )
        tracked = tracker.update(detections)
        kept = tracked.tracker_id >= 0  # -1 is an object that is not sure yet
        return np.column_stack([tracked.xyxy[kept], tracked.tracker_id[kept]])

    return update


def of_ioutrack() -> Callable[[Boxes], Boxes]:
    """Return the ByteTrack of `ioutrack-rs`."""
    from ioutrack import ByteTrack

    tracker = ByteTrack(max_age=30)
    return lambda found: np.asarray(tracker.update(found, False), np.float64)


TRACKERS: dict[str, Callable[[], Callable[[Boxes], Boxes]]] = {
    "sort": lambda: of_trackers("SORTTracker"),
    "bytetrack": lambda: of_trackers("ByteTrackTracker"),
    "oc-sort": lambda: of_trackers("OCSORTTracker"),
    "bot-sort": lambda: of_trackers("BoTSORTTracker"),
    "ioutrack": of_ioutrack,
}


def read_frames(path: Path) -> Iterator[tuple[int, Boxes]]:
    """Yield the number and the boxes of each frame up to the last one that has any."""
    table = np.loadtxt(path, delimiter=",", ndmin=2)
    boxes = table[:, 2:7].copy()
    boxes[:, 2:4] += boxes[:, :2]
    order = np.argsort(table[:, 0], kind="stable")
    n_frames = int(table[:, 0].max())
    starts = np.searchsorted(table[order, 0], np.arange(1, n_frames + 2))
    for frame in range(1, n_frames + 1):
        yield frame, boxes[order[starts[frame - 1] : starts[frame]]]


def main() -> None:
    """Read, track, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracker", choices=TRACKERS, required=True)
    parser.add_argument("--detections", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    update: Any = TRACKERS[arguments.tracker]()
    with open(arguments.out, "w") as out:
        for frame, found in read_frames(arguments.detections):
            for x1, y1, x2, y2, track_id in update(found).tolist():
                box = f"{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f}"
                out.write(f"{frame},{int(track_id) + 1},{box},1,-1,-1,-1\n")


if __name__ == "__main__":
    main()
