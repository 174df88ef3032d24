"""Do state and memory stay flat while objects are followed for hours of a stream?

    make bench-endurance ARGS="VIDEO"                  two hours, as fast as it goes
    make bench-endurance ARGS="VIDEO --hours 0.1"

The video is repeated until it lasts so long. Detector, tracker, a line and a zone on embedded
Flink. Once a second: the resident memory of each
process, and the size of the newest checkpoint, which holds all state.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import av

from bench import HERE, machine, write_report
from memory import ROLES, growth, plot, watch

JOB = """
from sightflow import (
    CountLine, Detect, JsonEvents, JsonLines, Pipeline, RunSettings, Track, Video, Zone, run,
)
pipeline = (
    Pipeline(Video({video!r}))
    .apply("detect", Detect(min_score=Track.low_score))
    .apply("track", Track())
    .apply("gate", CountLine((0, 300), (768, 300), window_ms=60_000))
    .apply("lawn", Zone(((200, 200), (600, 200), (600, 500), (200, 500)), window_ms=60_000))
    .write("tracks", JsonLines({tracks!r}))
    .write("events", JsonEvents({events!r}))
)
run(pipeline, RunSettings(state_dir={state!r}, checkpoint_interval_ms=1_000))
"""


def repeat(video: Path, long: Path, hours: float) -> int:
    """Write a video again and again into one file until it lasts so long; return its frames."""
    with av.open(str(long), "w") as target:
        n_frames, offset, seconds, copy = 0, 0, 0.0, None
        while seconds < hours * 3600:
            with av.open(str(video)) as source:
                stream = source.streams.video[0]
                if copy is None:
                    copy = target.add_stream_from_template(stream)
                end = 0
                for packet in source.demux(stream):
                    if packet.dts is None:
                        continue
                    end = max(end, packet.pts + packet.duration)
                    packet.pts += offset
                    packet.dts += offset
                    packet.stream = copy
                    target.mux(packet)
                    n_frames += 1
                offset += end
                seconds = float(offset * stream.time_base)
    return n_frames


def state_bytes(state: Path) -> dict[str, Any]:
    """Return the size of the newest complete checkpoint."""
    found = list(state.glob("checkpoints/*/chk-*/_metadata"))
    if not found:
        return {}
    try:
        newest = max(found, key=lambda file: file.stat().st_mtime_ns)
        return {
            "state_kib": round(sum(f.stat().st_size for f in newest.parent.iterdir()) / 1024, 1)
        }
    except FileNotFoundError:  # a newer one has replaced it
        return {}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("video", type=Path)
    parser.add_argument("--hours", type=float, default=2.0, help="of the stream's time [2]")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "endurance.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        long, tracks = Path(scratch, "long.mkv"), Path(scratch, "tracks.jsonl")
        n_frames = repeat(arguments.video, long, arguments.hours)
        print(f"{n_frames} frames", file=sys.stderr)
        state, events = Path(scratch, "state"), Path(scratch, "events.jsonl")
        places = {"video": long, "tracks": tracks, "events": events, "state": state}
        code = JOB.format(**{name: str(path) for name, path in places.items()})
        samples = watch([sys.executable, "-c", code], lambda: state_bytes(state))
        summary = json.loads(tracks.with_suffix(".summary.json").read_text())
        with open(tracks) as lines:
            ids = {track["track_id"] for line in lines for track in json.loads(line)["tracks"]}
    report = {
        "machine": machine(),
        "hours": arguments.hours,
        "summary": summary,
        "n_tracks": len(ids),
        "memory": {role: growth(samples, role) for role in (*ROLES, "state_kib")},
    }
    print(json.dumps(report, indent=2))
    write_report(arguments.out, {**report, "samples": samples})
    title = f"{arguments.hours:g} hours of a stream, {summary['read']:,} frames"
    plot(arguments.out.with_suffix(".png"), samples, title, state=True)


if __name__ == "__main__":
    main()
