"""Draws into each frame of a stream what its row says, and encodes it."""

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from sightflow.errors import OutputError
from sightflow.ops.draw import Pixels
from sightflow.records import Row
from sightflow.sinks.annotations import Annotator
from sightflow.sinks.encoder import VideoShape, encoding
from sightflow.sinks.footage import Shot, Video, is_picture, read_picture
from sightflow.sinks.timeline import Timeline
from sightflow.storage.files import Reader

__all__ = ["render_stream"]

_MS = Fraction(1, 1000)
_GAP_MS = 40
"""After a picture whose time is no earlier than that of the next."""

Scene = tuple[Shot, Row | None]
"""A frame and its row; None where it was rejected."""


def render_stream(timeline: Timeline, annotator: Annotator, path: Path, quality: int) -> None:
    """Write the video of one stream: a video, or pictures that each are one frame.

    Raises:
        OutputError: frames cannot be read again, or are not those that were recognised.
    """
    first, reader = timeline.row(0), Reader()
    if timeline.has_many_uris or (len(timeline.numbers) == 1 and is_picture(reader, first["uri"])):
        scenes, time_base, rate = _scenes_of_pictures(timeline, reader), _MS, _rate(timeline)
    else:
        video = Video(reader, first["uri"])
        taken = timeline.taken(video.n_frames)
        scenes = _scenes_of_video(timeline, video, taken)
        rate = video.rate / (taken[1] - taken[0] if len(taken) > 1 else 1)
        time_base = video.time_base
    opening = next(scenes, None)
    if opening is None:
        raise OutputError(f"{first['uri']}: has no frame any more that can be decoded")
    height, width = opening[0].pixels.shape[:2]
    shape = VideoShape(width, height, rate, time_base, opening[0].aspect)
    with encoding(path, shape, quality) as encoder:
        for shot, row in itertools.chain([opening], scenes):
            if row is not None:
                annotator.draw(shot.pixels, row)
            else:
                annotator.leave(shot.pixels)
            encoder.write(_fitted(shot.pixels, shape), shot.tick)


def _scenes_of_video(timeline: Timeline, video: Video, taken: Iterable[int]) -> Iterator[Scene]:
    rows = timeline.rows()
    row = next(rows, None)
    for shot in video.shots(taken):
        while row is not None and row["sequence"] < shot.number:
            _check_damaged(video, row)
            row = next(rows, None)
        if row is None or row["sequence"] > shot.number:
            yield shot, None
        else:
            _check_size(shot, row)
            yield shot, row
            row = next(rows, None)
    if row is not None:
        _check_damaged(video, row)


def _scenes_of_pictures(timeline: Timeline, reader: Reader) -> Iterator[Scene]:
    tick = -_GAP_MS
    first_ms = timeline.row(0)["event_time_ms"]
    for row in timeline.rows():
        since_ms = row["event_time_ms"] - first_ms
        tick = since_ms if since_ms > tick else tick + _GAP_MS
        pixels = read_picture(reader, row["uri"], row["width"] * row["height"])
        shot = Shot(row["sequence"], tick, pixels, Fraction(1))
        _check_size(shot, row)
        yield shot, row


def _rate(timeline: Timeline) -> Fraction:
    """Return how many pictures there are in a second."""
    last = len(timeline.numbers) - 1
    span_ms = timeline.row(last)["event_time_ms"] - timeline.row(0)["event_time_ms"]
    return Fraction(1000 * last, span_ms) if last and span_ms > 0 else 1000 / Fraction(_GAP_MS)


def _check_damaged(video: Video, row: Row) -> None:
    """Let a frame be missing in a damaged video only."""
    if not video.is_damaged:
        raise OutputError(
            f"{row['uri']}: has no frame {row['sequence']} any more; it is not the video that was "
            "recognised; keep what is read until the run is complete"
        )


def _check_size(shot: Shot, row: Row) -> None:
    height, width = shot.pixels.shape[:2]
    if (width, height) != (row["width"], row["height"]):
        raise OutputError(
            f"{row['uri']}: has {width} x {height} pixels now and had {row['width']} x "
            f"{row['height']}; keep what is read until the run is complete"
        )


def _fitted(pixels: Pixels, shape: VideoShape) -> Pixels:
    """Return the picture in the size of the video, with black bars where its shape is another."""
    size = (shape.width, shape.height)
    if pixels.shape[1::-1] == size:
        return pixels
    return np.asarray(ImageOps.pad(Image.fromarray(pixels), size))
