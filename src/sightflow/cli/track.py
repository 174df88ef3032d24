"""The command that follows objects through videos, live streams, and detections of others."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.fields import FieldChoice, FieldOption, given
from sightflow.cli.options import (
    model_option,
    reading_options,
    run_options,
)
from sightflow.cli.running import (
    chosen_model,
    get_ready,
    run_to_out,
)
from sightflow.cli.streams import file_rules, frames_of, refuse, tracker_from, with_sinks

if TYPE_CHECKING:
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source, StreamSource

__all__ = ["track"]

_TRACK = "sightflow.tasks.track:Track"

Points = tuple[tuple[float, float], ...]


class NamedPoints(click.ParamType):  # type: ignore[type-arg]
    """`NAME=X,Y,X,Y...`: a name and points in pixels."""

    name = "NAME=X,Y,..."

    def __init__(self, n_points: int, *, or_more: bool) -> None:
        """Take how many points there must be."""
        self._n_points = n_points
        self._or_more = or_more

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Points]:
        """Return the name and the points."""
        name, _, listed = value.partition("=")
        try:
            numbers = [float(number) for number in listed.split(",")]
        except ValueError:
            numbers = []
        n_points, odd = divmod(len(numbers), 2)
        fits = n_points >= self._n_points if self._or_more else n_points == self._n_points
        if not name or odd or not fits:
            wanted = f"{self._n_points} points{' or more' if self._or_more else ''}"
            self.fail(f"{value!r} must be NAME=X,Y,X,Y... with {wanted}, in pixels", param, ctx)
        return name, tuple(zip(numbers[::2], numbers[1::2], strict=True))


@click.command()
@click.argument("paths", nargs=-1, metavar="[PATH...]")
@click.option(
    "--detections",
    metavar="FILE",
    help="Follow what this MOT Challenge file of detections has, instead of a PATH.",
)
@click.option(
    "--out",
    type=click.Path(),
    help="File for the tracks: .jsonl, .parquet, .csv, .txt (MOT) [standard output].",
)
@click.option("--events", type=click.Path(), help="File for what happens, .jsonl.")
@click.option(
    "--annotate", type=click.Path(), help="Video with tracks drawn in, .mp4, or a folder."
)
@click.option("--labels", multiple=True, help="Follow these classes only; may be given again.")
@click.option(
    "--min-score",
    cls=FieldOption,
    field=f"{_TRACK}.high_score",
    type=click.FloatRange(0, 1),
    help="Objects are followed from this score of a detection on.",
)
@click.option(
    "--method", cls=FieldOption, field=f"{_TRACK}.method", type=FieldChoice(f"{_TRACK}.method")
)
@click.option(
    "--max-age",
    cls=FieldOption,
    field=f"{_TRACK}.max_age_ms",
    shown=lambda max_age_ms: max_age_ms / 1000,
    type=click.FloatRange(0),
    help="Seconds after which an object that is not seen is given up.",
)
@model_option("sightflow.tasks.detect:Detect")
@click.option(
    "--line",
    "lines",
    type=NamedPoints(2, or_more=False),
    multiple=True,
    help="Count who crosses the line of two points, in pixels; from its left is `in`. Repeatable.",
)
@click.option(
    "--zone",
    "zones",
    type=NamedPoints(3, or_more=True),
    multiple=True,
    help="Tell who enters and exits the polygon of these corners, in pixels. Repeatable.",
)
@click.option(
    "--window",
    type=click.FloatRange(0.001),
    metavar="SECONDS",
    help="Also tell the counts of lines and zones for each such time.",
)
@reading_options(
    fps="Frames a second: the rate of pictures and detections; of video and live at most."
)
@run_options
def track(**options: Any) -> None:
    """Follow objects through videos: each keeps its id.

    PATH is a video, a folder of pictures with --fps, a live stream (rtsp://, http://...m3u8) or
    the number of a camera. Ctrl-C ends a live stream, and the results appear.

    \b
    sightflow track street.mp4 --out tracks.jsonl --annotate tracked.mp4
    sightflow track street.mp4 --labels car --line gate=0,300,640,300 --events events.jsonl
    sightflow track --detections det.txt --fps 30 --out tracks.txt
    """  # noqa: D301 - click wants a backspace before lines to leave as they are
    options["counting"] = (*options["lines"], *options["zones"])
    _check(options)
    get_ready(options)
    from sightflow.pipeline import Pipeline

    pipeline = _steps(Pipeline(_source(options), name="sightflow track"), options)
    run_to_out(_sinks(pipeline, options), options, txt=_mot_tracks)


_TAKEN = ("detect", "track", "results", "events", "video")
"""Names of steps and sinks that this command uses itself."""


def _check(options: dict[str, Any]) -> None:
    """Refuse options that do not go together."""
    paths, detections, counting = (options[name] for name in ("paths", "detections", "counting"))
    out = options["out"] or ""
    refuse(
        (bool(detections) == bool(paths), "give a PATH or --detections FILE, one of them"),
        *file_rules(options, no_files=bool(detections)),
        (
            options["model"] and detections,
            "--model detects, and --detections has what was detected",
        ),
        (
            len(paths) > 1 and out.endswith(".txt"),
            f"--out {out} holds one stream; use .jsonl or .parquet for several",
        ),
        (
            counting and not (options["annotate"] or options["events"]),
            "--line and --zone need --events or --annotate, to tell what they saw",
        ),
        (
            options["window"] and not counting,
            "--window is for the counts of --line and --zone",
        ),
    )
    _check_names([name for name, _ in counting])


def _check_names(names: Sequence[str]) -> None:
    """Refuse names of lines and zones that are taken."""
    for name in names:
        if name in _TAKEN or names.count(name) > 1:
            raise click.UsageError(
                f"--line and --zone: {name!r} is taken; each needs a name of its own, and none of "
                f"{', '.join(_TAKEN)}"
            )


def _source(options: dict[str, Any]) -> "Source | StreamSource":
    """Return what is followed."""
    if not options["detections"]:
        return frames_of(options)
    from sightflow.sources.motchallenge import CLASSES, MotDetections

    _check_labels(options["labels"], CLASSES)
    return MotDetections(options["detections"], fps=options["fps"])


def _steps(pipeline: "Pipeline", options: dict[str, Any]) -> "Pipeline":
    """Add the detector, the tracker, the lines and the zones."""
    from sightflow.tasks.detect import Detect
    from sightflow.tasks.zones import CountLine, Zone

    tracker = tracker_from(options["min_score"], **given(options, "method", "labels"))
    if options["max_age"] is not None:
        tracker = replace(tracker, max_age_ms=round(options["max_age"] * 1000))
    if not options["detections"]:
        detector = Detect(**chosen_model(options), min_score=tracker.low_score)
        _check_labels(options["labels"], detector.model.card.labels)
        pipeline = pipeline.apply("detect", detector)
    pipeline = pipeline.apply("track", tracker)
    window_ms = options["window"] and round(options["window"] * 1000)
    counting = {"window_ms": window_ms, "max_age_ms": tracker.max_age_ms}
    for name, (start, end) in options["lines"]:
        pipeline = pipeline.apply(name, CountLine(start, end, **counting))
    for name, corners in options["zones"]:
        pipeline = pipeline.apply(name, Zone(corners, **counting))
    return pipeline


def _check_labels(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Refuse a label that the detections cannot have."""
    for label in wanted:
        if label not in known:
            raise click.UsageError(f"--labels {label}: there are {', '.join(known)}")


def _sinks(pipeline: "Pipeline", options: dict[str, Any]) -> "Pipeline":
    """Add the sinks for events and for the video."""
    from sightflow.ops.overlay import Outline

    outlines = (
        *(Outline(name, points, closed=False) for name, points in options["lines"]),
        *(Outline(name, points, closed=True) for name, points in options["zones"]),
    )
    return with_sinks(pipeline, options, outlines=outlines)


def _mot_tracks(path: str, *, overwrite: bool) -> Any:
    from sightflow.sinks.motchallenge import MotTracks

    return MotTracks(path, overwrite=overwrite)
