"""The command that finds what drivers look for, in videos, live streams and pictures."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldOption, given
from sightflow.cli.options import (
    model_option,
    reading_options,
    run_options,
)
from sightflow.cli.running import (
    chosen_model,
    get_ready,
    run_to_out,
    source_of,
)
from sightflow.cli.streams import (
    file_rules,
    frames_of,
    pictures_in,
    refuse,
    tracker_from,
    with_sinks,
)

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.records import Row
    from sightflow.tasks.drive import Drive
    from sightflow.tasks.track import Track

__all__ = ["Seen", "drive"]

_DRIVE = "sightflow.tasks.drive:Drive"
_MODELS = ("model", "light_model", "sign_model")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", type=click.Path(), help="File for the results, .jsonl, .parquet or .csv.")
@click.option("--events", type=click.Path(), help="File for what is announced, .jsonl.")
@click.option(
    "--annotate", type=click.Path(), help="Video with all of it drawn in, .mp4, or a folder."
)
@click.option(
    "--min-score",
    cls=FieldOption,
    field="sightflow.tasks.track:Track.high_score",
    type=click.FloatRange(0, 1),
    help="Objects count from this score of the detector on.",
)
@click.option(
    "--tiles",
    cls=FieldOption,
    field=f"{_DRIVE}.tiles",
    shown=lambda tiles: "{} {}".format(*tiles),
    type=click.IntRange(1),
    nargs=2,
    metavar="ROWS COLUMNS",
    help="Also look at so many tiles of each picture, for small objects; takes longer.",
)
@model_option(_DRIVE)
@model_option(_DRIVE, "light_model", "Says what a traffic light shows.")
@model_option(_DRIVE, "sign_model", "Says what a sign means.")
@reading_options(fps="Frames a second: the rate of pictures; of video and live at most.")
@run_options
def drive(**options: Any) -> None:
    """Find vehicles, people, traffic lights and signs; say what lights show and signs mean.

    PATH is a video, a live stream (rtsp://, http://...m3u8), the number of a camera, a picture, or
    a folder of them: with --fps they are the frames of a video, else each is looked at by itself.

    \b
    sightflow drive street.mp4 --out drive.jsonl --events events.jsonl --annotate driven.mp4
    sightflow drive photos/ --tiles 2 3 --annotate seen/
    """  # noqa: D301 - click wants a backspace before lines to leave as they are
    alone = bool(pictures_in(options)) and not options["fps"]
    _check(options, alone=alone)
    get_ready(options)
    from sightflow.pipeline import Pipeline

    name, tracker = "sightflow drive", tracker_from(options["min_score"])
    if alone:
        pipeline = Pipeline(source_of(options), name=name)
        pipeline = pipeline.apply("drive", _step(options, tracker.high_score))
        run_to_out(_with_pictures(pipeline, options), options)
        return
    pipeline = Pipeline(frames_of(options), name=name)
    pipeline = pipeline.apply("drive", _step(options, tracker.low_score))
    seen = Seen()
    run_to_out(with_sinks(_told(pipeline, tracker), options), options, on_event=seen.tell)
    if not options["quiet"]:
        for line in seen.lines():
            print(line, file=sys.stderr)


def _check(options: dict[str, Any], *, alone: bool) -> None:
    """Refuse options that do not go together."""
    videos = alone and len(pictures_in(options)) < len(options["paths"])
    how = "pictures that are looked at one by one"
    refuse(
        (videos, "pictures beside a video need --fps N, as the frames of one; or two calls"),
        (
            alone and options["events"],
            f"--events is for videos, and these are {how}; --fps N makes them the frames of one",
        ),
        (
            alone and (options["annotate"] or "").lower().endswith(".mp4"),
            f"--annotate NAME.mp4 is for videos, and these are {how}; name a folder, or give "
            "--fps N",
        ),
        *file_rules(options),
    )


def _step(options: dict[str, Any], min_score: float) -> "Drive":
    from sightflow.tasks.drive import Drive

    models = chosen_model(options, *_MODELS)
    return Drive(**models, **given(options, "tiles"), min_score=min_score)


def _told(pipeline: "Pipeline", tracker: "Track") -> "Pipeline":
    """Add the tracker, and what tells changes of lights, and signs."""
    from sightflow.tasks.announce import Announce

    return (
        pipeline.apply("track", tracker)
        .apply("lights", Announce("states", max_age_ms=tracker.max_age_ms))
        .apply("signs", Announce("signs", max_age_ms=tracker.max_age_ms))
    )


def _with_pictures(pipeline: "Pipeline", options: dict[str, Any]) -> "Pipeline":
    """Add the sink for pictures with what was found drawn in."""
    from sightflow.sinks.images import AnnotatedImages

    if not options["annotate"]:
        return pipeline
    sink = AnnotatedImages(options["annotate"], overwrite=options["overwrite"])
    return pipeline.write("pictures", sink)


class Seen:
    """What events told: which objects there were, and what was announced."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._labels: dict[tuple[str, int], str] = {}
        self._said: dict[tuple[str, int, str, float], tuple[str, int | None]] = {}

    def tell(self, event: "Row") -> None:
        """Take an event; after a restart some come again, and count once."""
        track = event["source_id"], event.get("track_id") or 0
        if event["kind"] in ("appeared", "left"):
            self._labels[track] = event["label"]
        elif event["kind"] in ("announced", "ended"):
            first = event["figures"]["first_sequence"]
            said = (*track, event["step"], first)
            before = self._said.get(said, ("", None))[1]
            last = event["sequence"] if event["kind"] == "ended" else before
            self._said[said] = event["label"], last

    def lines(self) -> Iterator[str]:
        """Yield what was seen: how many objects of each label, and each thing that was announced.

        Examples:
            >>> seen = Seen()
            >>> light = {"source_id": "a.mp4", "track_id": 3, "step": "lights", "sequence": 12}
            >>> seen.tell({**light, "kind": "appeared", "label": "traffic light"})
            >>> said = {**light, "label": "green", "figures": {"first_sequence": 12.0}}
            >>> seen.tell({**said, "kind": "announced"})
            >>> seen.tell({**said, "kind": "ended", "sequence": 80})
            >>> list(seen.lines())
            ['seen: 1 traffic light', 'traffic light #3: green, frames 12-80']
        """
        counts = Counter(self._labels.values()).most_common()
        listed = ", ".join(f"{n} {label}" for label, n in counts)
        yield f"seen: {listed or 'nothing'}"
        several = len({source_id for source_id, _ in self._labels}) > 1
        for (source_id, track_id, _, first), (label, last) in sorted(self._said.items()):
            place = f"{source_id}: " if several else ""
            what = self._labels.get((source_id, track_id), "object")
            when = f"from frame {first:.0f}" if last is None else f"frames {first:.0f}-{last}"
            yield f"{place}{what} #{track_id}: {label}, {when}"
