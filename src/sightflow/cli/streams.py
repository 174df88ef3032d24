"""What the commands that follow objects share: frames, a tracker, sinks for what happens."""

from typing import TYPE_CHECKING, Any

import click

from sightflow.cli.running import (
    events_file,
    source_of,
)

if TYPE_CHECKING:
    from sightflow.ops.overlay import Outline
    from sightflow.pipeline import Pipeline
    from sightflow.protocols import Source, StreamSource
    from sightflow.tasks.track import Track

__all__ = ["file_rules", "frames_of", "pictures_in", "refuse", "tracker_from", "with_sinks"]

Rule = tuple[Any, str]
"""Whether a call is wrong, and what to say then."""


def refuse(*rules: Rule) -> None:
    """Raise `click.UsageError` with the message of the first rule that is broken."""
    for is_wrong, message in rules:
        if is_wrong:
            raise click.UsageError(message)


def file_rules(options: dict[str, Any], *, no_files: bool = False) -> tuple[Rule, ...]:
    """Return the rules for options that need files of pictures or videos.

    Args:
        options: of the call.
        no_files: whether what is read is none, whatever the paths are.
    """
    from sightflow.sources.addresses import is_live

    no_files = no_files or any(map(is_live, options["paths"]))
    video = options["annotate"] or ""
    return (
        (video and no_files, "--annotate reads the pictures again: it needs videos or pictures"),
        (
            (options["every"] != 1 or options["pattern"] != "*") and no_files,
            "--every and --pattern are for files of videos and pictures",
        ),
        (
            len(options["paths"]) > 1 and video.endswith(".mp4"),
            f"--annotate {video} holds one stream; several need a folder",
        ),
    )


def pictures_in(options: dict[str, Any]) -> list[str]:
    """Return the paths of a call that are read as pictures: neither videos nor live."""
    from sightflow.sources.addresses import is_live
    from sightflow.storage.naming import VIDEO_SUFFIXES

    paths: list[str] = options["paths"]
    return [p for p in paths if not is_live(p) and not p.lower().endswith(VIDEO_SUFFIXES)]


def frames_of(options: dict[str, Any]) -> "Source | StreamSource":
    """Return the source for the paths of a call, which are streams: videos, or one that is live.

    Raises:
        click.UsageError: a live one is not alone, or pictures come without `--fps`.
    """
    from sightflow.sources.addresses import is_live
    from sightflow.storage.naming import VIDEO_SUFFIXES

    paths = options["paths"]
    live = [path for path in paths if is_live(path)]
    if live and len(paths) > 1:
        raise click.UsageError(f"{live[0]} is live; a call follows one live stream and no other")
    if live:
        from sightflow.sources.live import Live

        return Live(live[0], max_fps=options["fps"])
    pictures = pictures_in(options)
    if pictures and not options["fps"]:
        raise click.UsageError(
            f"{pictures[0]} is read as pictures, which need --fps N: how many were taken in a "
            f"second; a video ends in {', '.join(VIDEO_SUFFIXES)}"
        )
    return source_of(options, as_frames=True)


def tracker_from(min_score: float | None, **options: Any) -> "Track":
    """Return a tracker that follows objects from a score of a detection on."""
    from sightflow.tasks.track import Track

    if min_score is None:
        return Track(**options)
    low_score = min(Track.low_score, min_score)
    return Track(high_score=min_score, low_score=low_score, **options)


def with_sinks(
    pipeline: "Pipeline", options: dict[str, Any], *, outlines: "tuple[Outline, ...]" = ()
) -> "Pipeline":
    """Add the sinks for `--events` and for the video of `--annotate`."""
    from sightflow.sinks.events import JsonEvents
    from sightflow.sinks.video import AnnotatedVideo

    overwrite = options["overwrite"]
    if options["events"]:
        events = JsonEvents(events_file(options["events"]), overwrite=overwrite)
        pipeline = pipeline.write("events", events)
    if options["annotate"]:
        video = AnnotatedVideo(options["annotate"], outlines=outlines, overwrite=overwrite)
        pipeline = pipeline.write("video", video)
    return pipeline
